//! `sealwire run` and `sealwire demo` of the binary: which Python it becomes, and what it says when there is none.
#![cfg(unix)]

mod common;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use common::{Outcome, Place, Said};

/// A Python that says how it was called. Asked for the package, it answers as told.
fn fake_python(place: &Place, file: &str, has_package: bool) -> std::io::Result<PathBuf> {
    let answer = u8::from(!has_package);
    let script = format!("#!/bin/sh\n[ \"$1\" = -c ] && exit {answer}\necho \"{file}:\" \"$@\"\nexit 7\n");
    let path = place.write(file, script.as_bytes())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

#[test]
fn the_first_python_on_the_path_gets_the_whole_line_and_its_exit_code_is_ours() -> Outcome {
    let place = Place::new()?;
    fake_python(&place, "bin/python3", true)?;
    let path = format!("{}:{}", place.join("none").display(), place.join("bin").display());
    let said = Said::from(place.command(&["run", "--home", "h", "crew.py", "--help", "-m"]).env("PATH", path).output()?);
    assert_eq!(said, Said { code: Some(7), out: "bin/python3: -m sealwire run --home h crew.py --help -m\n".into(), err: String::new() });
    Ok(())
}

#[test]
fn serve_is_left_to_python_too() -> Outcome {
    let place = Place::new()?;
    fake_python(&place, "bin/python3", true)?;
    let mut serve = place.command(&["serve", "--listen", "tcp://127.0.0.1:0", "--home", "h", "a.py:one", "b:two"]);
    let said = Said::from(serve.env("PATH", place.join("bin")).output()?);
    assert_eq!(said.out, "bin/python3: -m sealwire serve --listen tcp://127.0.0.1:0 --home h a.py:one b:two\n");
    Ok(())
}

#[test]
fn an_active_environment_comes_first() -> Outcome {
    let place = Place::new()?;
    fake_python(&place, "bin/python3", true)?;
    fake_python(&place, "venv/bin/python", true)?;
    let mut demo = place.command(&["demo", "--json"]);
    let said = Said::from(demo.env("PATH", place.join("bin")).env("VIRTUAL_ENV", place.join("venv")).output()?);
    assert_eq!((said.code, said.out.as_str()), (Some(7), "venv/bin/python: -m sealwire demo --json\n"));
    Ok(())
}

#[test]
fn without_the_package_the_remedy_is_named() -> Outcome {
    let place = Place::new()?;
    let python = fake_python(&place, "bin/python3", false)?;
    for line in [&["run", "crew.py"][..], &["demo"]] {
        let said = Said::from(place.command(line).env("PATH", place.join("bin")).output()?);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
        let remedy = format!("`{} -m pip install 'sealwire[crewai]'`", python.display());
        assert!(said.err.contains(&remedy), "{}", said.err);
    }
    Ok(())
}

#[test]
fn a_real_python_without_the_package_is_recognised() -> Outcome {
    let place = Place::new()?;
    let Ok(found) = std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output() else { return Ok(()) };
    let python = String::from_utf8(found.stdout)?;
    // `-S` leaves out everything that was installed; the folder `sealwire` in the way is no package.
    place.write("bin/python3", format!("#!/bin/sh\nexec {} -S \"$@\"\n", python.trim()).as_bytes())?;
    fs::set_permissions(place.join("bin/python3"), fs::Permissions::from_mode(0o755))?;
    fs::create_dir(place.join("sealwire"))?;
    let said = Said::from(place.command(&["demo"]).env("PATH", place.join("bin")).output()?);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("does not have the Python package sealwire"), "{}", said.err);
    Ok(())
}

#[test]
fn without_python_that_is_said() -> Outcome {
    let place = Place::new()?;
    let said = Said::from(place.command(&["run", "crew.py"]).env("PATH", place.join("empty")).output()?);
    assert_eq!(said.code, Some(2));
    assert!(said.err.starts_with("sealwire: no Python was found"), "{}", said.err);
    Ok(())
}
