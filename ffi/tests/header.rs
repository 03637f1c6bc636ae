//! `include/sealwire.h` is what cbindgen writes. `SEALWIRE_WRITE_HEADER=1` writes it.

use std::{env, fs, path::Path};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn the_header_is_what_the_source_says() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml"))?;
    let mut written = Vec::new();
    cbindgen::Builder::new().with_config(config).with_crate(root).generate()?.write(&mut written);
    let header = root.join("include/sealwire.h");
    if env::var_os("SEALWIRE_WRITE_HEADER").is_some() {
        fs::write(&header, &written)?;
    }
    assert!(fs::read(&header)? == written, "ffi/include/sealwire.h is not what ffi/src says: run `make ffi-header` and commit it");
    Ok(())
}
