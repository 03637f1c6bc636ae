//! TLS 1.3 with certificates of one's own.

use std::sync::OnceLock;

use sealwire::transport::{
    Streams,
    conformance::Suite,
    stream::{Builder, Tls},
};

use crate::{authority::Authority, folder::Folder, loopback::Loopback};

/// Certificates of an authority for both nodes, and of a stranger's.
fn folder() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Folder::new().expect("a folder");
        let stranger = folder.0.join("stranger");
        std::fs::create_dir_all(&stranger).expect("a folder");
        let authority = Authority::new(&folder.0);
        authority.issue("a");
        authority.issue("b");
        Authority::new(&stranger).issue("a");
        folder
    })
}

fn tls(name: &str) -> Tls {
    let at = |file: String| folder().0.join(file);
    let certificate = Tls::builder().certificate(at(format!("{name}.pem")), at(format!("{name}.key")));
    certificate.authority(at("authority.pem".into())).build().expect("the files are there")
}

fn dress(builder: Builder, name: &str) -> Builder {
    builder.tls(tls(name))
}

#[tokio::test]
async fn tls_passes_the_suite() {
    let report = Suite::default().run(&Loopback { scheme: "tls", dress }).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

async fn refused(a: Tls, b: Tls) -> bool {
    let b = Streams::builder("b").tls(b).listen("tls://127.0.0.1:0").build().await.expect("it listens");
    let place = b.listening()[0].to_string();
    let a = Streams::builder("a").tls(a).peer("b", &place).build().await.expect("it dials");
    crate::eventually(|| a.peers()[0].trouble.is_some() || a.peers()[0].connected).await;
    !a.peers()[0].connected && b.peers().is_empty()
}

#[tokio::test]
async fn only_certificates_of_the_authority_are_taken() {
    let at = |file: &str| folder().0.join(file);
    let authority = || Tls::builder().authority(at("authority.pem"));
    assert!(!refused(tls("a"), tls("b")).await, "both have one");
    let stranger = authority().certificate(at("stranger/a.pem"), at("stranger/a.key")).build().expect("files");
    assert!(refused(stranger, tls("b")).await, "another authority has signed it");
    assert!(refused(authority().build().expect("files"), tls("b")).await, "no certificate");
    let elsewhere = Tls::builder().authority(at("stranger/authority.pem")).certificate(at("a.pem"), at("a.key"));
    assert!(refused(elsewhere.build().expect("files"), tls("b")).await, "the dialled one is not trusted");
    let open = authority().certificate(at("b.pem"), at("b.key")).strangers_welcome().build().expect("files");
    assert!(!refused(authority().build().expect("files"), open).await, "strangers were let in on purpose");
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = Tls::builder().authority("/nowhere/authority.pem").build().expect_err("no such file");
    assert!(error.to_string().contains("/nowhere/authority.pem"), "{error}");
    assert!(Tls::builder().build().is_err(), "no authority");
    let at = |file: &str| folder().0.join(file);
    let mixed = Tls::builder().authority(at("authority.pem")).certificate(at("a.pem"), at("b.key"));
    assert!(mixed.build().is_err(), "a key of another certificate");
}
