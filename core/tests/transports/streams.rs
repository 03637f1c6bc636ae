//! TCP and Unix sockets.

use sealwire::transport::conformance::Suite;

use crate::loopback::Loopback;

#[cfg(feature = "tcp")]
#[tokio::test]
async fn tcp_passes_the_suite() {
    let report = Suite::default().run(&Loopback { scheme: "tcp", dress: |builder, _| builder }).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

#[cfg(feature = "unix")]
#[tokio::test]
async fn unix_sockets_pass_the_suite() {
    let report = Suite::default().run(&Loopback { scheme: "unix", dress: |builder, _| builder }).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}
