//! The command line itself: help, exit codes, output that nobody reads.

mod common;

use std::process::{Command, Stdio};

use common::{Outcome, Place};

#[test]
fn help_and_version_are_no_errors() -> Outcome {
    let place = Place::new()?;
    for line in
        [&["--help"][..], &["run", "--help"], &["serve", "--help"], &["show", "--help"], &["init", "-h"], &["demo", "--help"], &["help"]]
    {
        let said = place.run(line)?;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line:?}");
        assert!(said.out.contains("Usage: sealwire") && !said.out.contains('\x1b'), "{}", said.out);
    }
    let said = place.run(&["--version"])?;
    assert_eq!(said.out, format!("sealwire {}\n", env!("CARGO_PKG_VERSION")));
    Ok(())
}

#[test]
fn help_lists_the_exit_codes() -> Outcome {
    let said = Place::new()?.run(&["--help"])?;
    for line in ["0  done", "1  refused or failed", "2  not started", "3  `run`: the program ended and no crew was kicked off"] {
        assert!(said.out.contains(line), "{}", said.out);
    }
    Ok(())
}

#[test]
fn a_wrong_command_line_ends_with_two() -> Outcome {
    let place = Place::new()?;
    for line in
        [&[][..], &["seal"], &["show"], &["show", "a", "b"], &["init", "--nodes", "x"], &["demo", "x"], &["serve"], &["run", "--hoem", "x"]]
    {
        let said = place.run(line)?;
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{line:?}");
        assert!(!said.err.is_empty());
    }
    Ok(())
}

#[test]
fn a_reader_that_leaves_is_no_failure() -> Outcome {
    let place = Place::new()?;
    let mut init: Command = place.command(&["init"]);
    let mut child = init.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    let output = child.wait_with_output()?;
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    Ok(())
}
