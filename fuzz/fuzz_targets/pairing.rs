//! Whoever calls an open invite, or answers a joiner, says anything: nothing panics, and nothing is taken that was not proven.
//!
//! The first byte of an input says to whom its rest is said. Random bytes alone end at the first length, so the rest is laid over the genuine
//! message: each four bytes are a place (two bytes), what is put there, and whether the message is cut after it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealwire::{
    Entropy, EntropyFailed, Root, RosterClaims,
    pairing::{Invite, PairingError, inviter::Answering, joiner::Calling},
};

const NOW: u64 = 1_800_000_000;

/// The same bytes each time: an input that was found is found again.
struct Same;

impl Entropy for Same {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        out.fill(7);
        Ok(())
    }
}

struct World {
    root: Root,
    invite: Invite,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let root = Root::generate().expect("a root");
    let roster = root.sign_roster(None, RosterClaims::default(), NOW);
    let invite = Invite::new(&roster, "pi2", vec!["10.0.0.1:7452".into()], NOW + 600, &Same).expect("an invite");
    World { root, invite }
});

fn laid_over(mut message: Vec<u8>, changes: &[u8]) -> Vec<u8> {
    for change in changes.chunks_exact(4) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % message.len().max(1);
        if let Some(byte) = message.get_mut(at) {
            *byte = change[2];
        }
        if change[3] == 0xff {
            message.truncate(at);
        }
    }
    message
}

fuzz_target!(|input: &[u8]| {
    let Some((to, rest)) = input.split_first() else { return };
    let World { root, invite } = &*WORLD;
    let (calling, hello) = Calling::start(invite, &Same).expect("a hello");
    match to % 3 {
        0 => {
            let text = String::from_utf8_lossy(rest);
            if let Ok(read) = text.parse::<Invite>() {
                assert_eq!(*read.to_text(), text.split_whitespace().collect::<String>().to_ascii_lowercase());
            }
        }
        1 => {
            let changed = laid_over(hello.clone(), rest);
            let answered = Answering::answer(invite, root.verifying_key(), &changed, NOW, &Same);
            assert_eq!(answered.is_ok(), changed == hello);
        }
        _ => {
            let (_, welcome) = Answering::answer(invite, root.verifying_key(), &hello, NOW, &Same).expect("a welcome");
            let changed = laid_over(welcome.clone(), rest);
            let welcomed = calling.welcome(&changed, NOW);
            assert_eq!(welcomed.is_ok(), changed == welcome);
            assert!(!matches!(welcomed, Err(PairingError::Store(_))));
        }
    }
});
