//! `sealwire init`.

mod common;

use std::fs;

use common::{Outcome, Place};

#[test]
fn a_home_is_made_and_one_line_says_so() -> Outcome {
    let place = Place::new()?;
    let said = place.run(&["init"])?;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert_eq!(said.out.lines().count(), 1);
    assert!(said.out.starts_with("made a home: ./.sealwire (node `local`, domain "), "{}", said.out);
    for file in ["root.pem", "node.pem", "roster.cbor", "store.db", ".gitignore"] {
        assert!(place.join(".sealwire").join(file).is_file(), "{file}");
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_it() -> Outcome {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new()?;
    place.run(&["init", "--home", "keys"])?;
    let mode = |name: &str| fs::metadata(place.join(name)).map(|metadata| metadata.permissions().mode() & 0o777);
    assert_eq!((mode("keys")?, mode("keys/root.pem")?, mode("keys/store.db")?), (0o700, 0o600, 0o600));
    Ok(())
}

#[test]
fn a_home_that_is_there_is_left_as_it_is() -> Outcome {
    let place = Place::new()?;
    place.run(&["init", "--node", "pi1"])?;
    let key = fs::read(place.join(".sealwire/root.pem"))?;
    let again = place.run(&["init"])?;
    assert_eq!(again.code, Some(0));
    assert!(again.out.starts_with("./.sealwire is a home already (node `pi1`, "), "{}", again.out);
    let other = place.run(&["init", "--node", "pi2"])?;
    assert_eq!(other.code, Some(1));
    assert_eq!(
        other.err,
        "sealwire: `./.sealwire` is a home of node `pi1`, not `pi2`; a node keeps its name: choose another place with --home\n"
    );
    assert_eq!(fs::read(place.join(".sealwire/root.pem"))?, key);
    Ok(())
}

#[test]
fn machines_get_an_object() -> Outcome {
    let place = Place::new()?;
    let said = place.run(&["init", "--home", "h", "--json"])?;
    let made: serde_json::Value = serde_json::from_str(&said.out)?;
    assert_eq!((&made["home"], &made["created"], &made["node"]), (&"h".into(), &true.into(), &"local".into()));
    assert_eq!(made["domain"].as_str().map(str::len), Some(64));
    let again: serde_json::Value = serde_json::from_str(&place.run(&["init", "--home", "h", "--json"])?.out)?;
    assert_eq!((&again["created"], &again["domain"]), (&false.into(), &made["domain"]));
    Ok(())
}

#[test]
fn a_place_that_cannot_be_written_is_named() -> Outcome {
    let place = Place::new()?;
    place.write("file", b"")?;
    let said = place.run(&["init", "--home", "file/home"])?;
    assert_eq!(said.code, Some(1));
    assert!(said.err.starts_with("sealwire: cannot make `file`"), "{}", said.err);
    let said = place.run(&["init", "--home", "/proc/home"])?;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("`/proc/home`") && said.err.contains("choose another place"), "{}", said.err);
    Ok(())
}

#[test]
fn a_folder_with_something_else_in_it_is_not_taken() -> Outcome {
    let place = Place::new()?;
    place.write("notes/today.txt", b"mine")?;
    let said = place.run(&["init", "--home", "notes"])?;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("`notes` exists and is not a sealwire home"), "{}", said.err);
    assert_eq!(fs::read(place.join("notes/today.txt"))?, b"mine");
    assert_eq!(fs::read_dir(place.path())?.count(), 1, "nothing is left beside it");
    Ok(())
}

#[test]
fn what_a_damaged_home_lacks_is_named() -> Outcome {
    let place = Place::new()?;
    for (file, what) in [("node.pem", "cannot read"), ("store.db", "cannot read"), ("roster.cbor", "cannot read")] {
        let home = format!("without-{file}");
        place.run(&["init", "--home", &home])?;
        fs::remove_file(place.join(&home).join(file))?;
        let said = place.run(&["init", "--home", &home])?;
        assert_eq!(said.code, Some(1), "{file}");
        assert!(said.err.contains(what) && said.err.contains(file) && said.err.contains("backup"), "{}", said.err);
    }
    Ok(())
}

#[test]
fn a_name_out_of_form_is_a_wrong_use() -> Outcome {
    let place = Place::new()?;
    let said = place.run(&["init", "--node", "Not A Name"])?;
    assert_eq!(said.code, Some(2));
    assert!(said.err.starts_with("sealwire: --node: a name is 1 to 64 characters"), "{}", said.err);
    assert!(!place.join(".sealwire").exists());
    Ok(())
}

#[test]
fn a_home_may_have_a_passphrase() -> Outcome {
    let place = Place::new()?;
    let (old, new) = (place.write("old", b"correct horse battery staple\nnot this\n")?, place.write("new", b"another\n")?);
    let (old, new) = (old.to_string_lossy(), new.to_string_lossy());
    let made = place.run(&["init", "--passphrase", "--passphrase-file", &old])?;
    assert_eq!(made.code, Some(0), "{}", made.err);
    let key = fs::read(place.join(".sealwire/root.pem"))?;
    assert!(!String::from_utf8_lossy(&key).contains("PRIVATE KEY"));
    let closed = place.run(&["members"])?;
    assert_eq!(closed.code, Some(1));
    assert!(closed.err.contains("is locked with a passphrase"), "{}", closed.err);
    let wrong = place.run(&["members", "--passphrase-file", &new])?;
    assert!(wrong.err.contains("the passphrase is not that of"), "{}", wrong.err);
    assert_eq!(place.run(&["--passphrase-file", &old, "members"])?.code, Some(0));
    let by_variable = place.command(&["doctor"]).env("SEALWIRE_PASSPHRASE", "correct horse battery staple").output()?;
    assert_eq!(by_variable.status.code(), Some(0), "{}", String::from_utf8_lossy(&by_variable.stdout));
    let changed = place.run(&["rotate", "--passphrase", "--new-passphrase-file", &new, "--passphrase-file", &old])?;
    assert_eq!(changed.code, Some(0), "{}", changed.err);
    assert_eq!(place.run(&["members", "--passphrase-file", &old])?.code, Some(1));
    let by_file = place.command(&["members"]).env("SEALWIRE_PASSPHRASE_FILE", &*new).output()?;
    assert_eq!(by_file.status.code(), Some(0));
    let nobody = place.run(&["init", "--home", "other", "--passphrase"])?;
    assert_eq!((nobody.code, place.join("other").exists()), (Some(2), false));
    assert!(nobody.err.contains("no terminal"), "{}", nobody.err);
    Ok(())
}
