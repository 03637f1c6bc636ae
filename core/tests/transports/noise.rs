//! The Noise transport of the examples passes the suite.

use sealwire::transport::{conformance::Suite, stream::Builder};

use crate::loopback::Loopback;

#[path = "../../examples/noise.rs"]
mod example;

fn dress(builder: Builder, _: &str) -> Builder {
    builder.layer("noise", example::Noise::new([7; 32]))
}

#[tokio::test]
async fn noise_passes_the_suite() {
    let report = Suite::default().run(&Loopback { scheme: "noise", dress }).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

/// Without the secret nobody gets in.
#[tokio::test]
async fn a_wrong_secret_is_refused() {
    use sealwire::transport::Streams;
    let b = Streams::builder("b").layer("noise", example::Noise::new([7; 32])).listen("noise://127.0.0.1:0").build().await;
    let b = b.expect("it listens");
    let place = b.listening()[0].to_string();
    let a = Streams::builder("a").layer("noise", example::Noise::new([8; 32])).peer("b", &place).build().await.expect("it dials");
    crate::eventually(|| a.peers()[0].trouble.is_some()).await;
    assert!(b.peers().is_empty(), "{:?}", b.peers());
}
