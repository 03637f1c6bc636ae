//! Clocks that are set, by somebody or by themselves.

use sealwire::{
    Draft, Form, OpenError, SealError,
    limits::{CERTIFICATE_LIFETIME, CLOCK_TOLERANCE, REQUEST_LIFETIME},
};

use crate::world::{Homely, Hosts, Scratch};

/// Long enough for the journal to forget messages of the start.
const LATER: i64 = 2 * (REQUEST_LIFETIME + CLOCK_TOLERANCE) as i64;

#[test]
fn an_old_message_and_one_from_the_future() {
    let hosts = Hosts::new();
    let sealed = hosts.seal(Form::Opening, "x");
    hosts.hands.set(-(CLOCK_TOLERANCE as i64) - 1);
    assert_eq!(hosts.open(&sealed).err(), Some(OpenError::FromFuture { by: CLOCK_TOLERANCE + 1 }));
    hosts.hands.set((REQUEST_LIFETIME + CLOCK_TOLERANCE) as i64);
    assert_eq!(hosts.open(&sealed).err(), Some(OpenError::Expired { by: CLOCK_TOLERANCE }));
    hosts.hands.set(0);
    assert!(hosts.open(&sealed).is_ok(), "a clock that is right again opens it");
}

/// The journal forgets what has ended. When time comes back, it cannot tell a replay from a new message, so the keys of that time are burned.
#[test]
fn forward_and_back_in_memory() {
    let hosts = Hosts::new();
    let opened = hosts.seal(Form::Opening, "once");
    hosts.open(&opened).unwrap();
    hosts.hands.set(LATER);
    hosts.open(&hosts.seal(Form::Opening, "later")).unwrap();
    hosts.hands.set(0);
    assert_eq!(hosts.open(&opened).err(), Some(OpenError::UnknownKey));
    hosts.one.introduce(hosts.two.certificate(&hosts.b).unwrap().as_bytes()).unwrap();
    assert_eq!(hosts.open(&hosts.seal(Form::Opening, "anew")).unwrap().body(), b"anew");
}

#[test]
fn forward_and_back_in_a_home() {
    let scratch = Scratch::new("clock");
    let home = Homely::start(&scratch.join("home"));
    let opened = home.seal("once");
    home.open(&opened).unwrap();
    home.hands.set(LATER);
    home.open(&home.seal("later")).unwrap();
    home.hands.set(0);
    assert_eq!(home.open(&opened).err(), Some(OpenError::UnknownKey));
    assert_eq!(home.open(&home.seal("anew")).unwrap().body(), b"anew");
}

/// The same, with a restart while the clock is set back.
#[test]
fn forward_and_back_over_a_restart() {
    let scratch = Scratch::new("clock-restart");
    let home = Homely::start(&scratch.join("home"));
    let opened = home.seal("once");
    home.open(&opened).unwrap();
    home.hands.set(LATER);
    home.open(&home.seal("later")).unwrap();
    drop(home);
    let restarted = Homely::start(&scratch.join("home"));
    assert_eq!(restarted.open(&opened).err(), Some(OpenError::UnknownKey));
    assert_eq!(restarted.open(&restarted.seal("anew")).unwrap().body(), b"anew");
}

/// A jump renews keys in the future; back in the present, new ones are made and messages pass.
#[test]
fn a_jump_of_days_ends_nothing_for_good() {
    let scratch = Scratch::new("clock-days");
    let home = Homely::start(&scratch.join("home"));
    for (second, days) in (0..).zip([0, 20, 0, 1, 0]) {
        home.hands.set(days * 86_400 + second);
        assert_eq!(home.open(&home.seal("x")).unwrap().body(), b"x", "day {days}");
    }
}

/// A peer's certificate that has ended is neither taken nor sealed for.
#[test]
fn an_expired_certificate() {
    let hosts = Hosts::new();
    let certificate = hosts.three.certificate(&hosts.m).unwrap();
    hosts.hands.set((CERTIFICATE_LIFETIME + CLOCK_TOLERANCE) as i64);
    assert_eq!(hosts.two.introduce(certificate.as_bytes()).err(), Some(OpenError::Expired { by: CLOCK_TOLERANCE }));
    let sealed = hosts.one.seal(&hosts.a, &hosts.b, &Draft::new("task", "x"));
    assert_eq!(sealed.err(), Some(SealError::ReaderExpired(hosts.b)));
}
