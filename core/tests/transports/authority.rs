//! A certificate authority of the test's own, with PEM files in a folder.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// Makes an authority, and `authority.pem` in the folder.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.join("authority.pem"), certificate.pem()).expect("written");
        Self { issuer: Issuer::new(params, key), folder: folder.into() }
    }

    /// Issues `name.pem` and `name.key`, for use on either side of a connection to this machine.
    pub fn issue(&self, name: &str) {
        let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).expect("names");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.folder.join(format!("{name}.pem")), certificate.pem()).expect("written");
        std::fs::write(self.folder.join(format!("{name}.key")), key.serialize_pem()).expect("written");
    }
}
