//! Nothing opens that was not sealed, and no attempt harms what was: each input changes a genuine envelope, which is then opened itself.
//!
//! An input is the form, and a list of changes (`sealwire_fuzz::changed`).

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwire::{Address, Claims, Draft, Endpoint, Envelope, Form, OpenError};
use sealwire_fuzz::{Hands, changed};

/// Seconds between two inputs: lanes end, keys are renewed and the journal is purged as in months of use, within seconds of fuzzing.
const STEP: u64 = 200;

struct World {
    endpoint: Endpoint,
    hands: Hands,
    author: Address,
    reader: Address,
    /// An envelope of each form to another reader, of which parts may be put into the genuine one.
    others: [Envelope; 2],
}

impl World {
    fn new() -> Self {
        let hands = Hands::at(1_800_000_000);
        let endpoint = Endpoint::builder().clock(hands.clone()).in_memory("local").expect("an endpoint");
        let [author, reader, other] = ["author", "reader", "other"].map(|name| endpoint.host(name).expect("an agent"));
        let seal = || endpoint.seal(&author, &other, &Draft::new("task", "to another")).expect("sealed").envelope;
        let opening = seal();
        endpoint.open(&opening).expect("opened");
        let others = [opening, seal()];
        Self { endpoint, hands, author, reader, others }
    }

    /// A new genuine envelope, in the form asked for.
    fn seal(&self, form: Form) -> Envelope {
        for _ in 0..3 {
            let sealed = self.endpoint.seal(&self.author, &self.reader, &Draft::new("task", "genuine")).expect("sealed").envelope;
            match (form, sealed.claims()) {
                (Form::Opening, Claims::Lane(lane)) => self.endpoint.forget_lane(lane),
                (Form::Lane, Claims::Opening(_)) => drop(self.endpoint.open(&sealed).expect("opened")),
                _ => return sealed,
            }
        }
        panic!("no {form} after an envelope of the other form was opened or forgotten");
    }
}

thread_local! {
    static WORLD: World = World::new();
}

fuzz_target!(|input: &[u8]| {
    let Some((first, changes)) = input.split_first() else { return };
    WORLD.with(|world| {
        world.hands.forward(STEP);
        attack(world, if first % 2 == 0 { Form::Lane } else { Form::Opening }, changes);
    });
});

fn attack(world: &World, form: Form, changes: &[u8]) {
    let genuine = world.seal(form);
    let other = &world.others[usize::from(form == Form::Lane)];
    let changed = changed(genuine.as_bytes(), changes, other.as_bytes());
    if changed != genuine.as_bytes() {
        let opened = Envelope::parse(changed).and_then(|envelope| world.endpoint.open(&envelope));
        assert!(opened.is_err(), "opened, and nobody sealed it");
    }
    let message = world.endpoint.open(&genuine).expect("the genuine envelope opens after the attempt");
    assert_eq!((message.body(), message.form()), (b"genuine".as_slice(), form));
    assert!(matches!(world.endpoint.open(&genuine), Err(OpenError::Duplicate(_))), "and only once");
}
