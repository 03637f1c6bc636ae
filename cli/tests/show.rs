//! `sealwire show`.

mod common;

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use common::{Crew, Outcome, Place, Said};
use sealwire::OpenError;
use serde_json::Value;

const BODY: &str = "three incidents, none of them reported";

fn json(said: &Said) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&said.out)
}

#[test]
fn without_a_home_the_outside_is_shown() -> Outcome {
    let place = Place::new()?;
    let sealed = Crew::at(&place.join("elsewhere"))?.seal(BODY)?;
    place.write("envelope", sealed.envelope.as_bytes())?;
    let said = place.run(&["show", "envelope"])?;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.starts_with("sealwire/1 opening, 2,"), "{}", said.out);
    assert!(said.out.contains("not opened: there is no home at ./.sealwire; name the reader's with --home"), "{}", said.out);
    assert!(!said.out.contains("researcher") && !said.out.contains(BODY));
    assert!(!place.join(".sealwire").exists(), "looking makes no home");
    Ok(())
}

#[test]
fn with_the_readers_keys_everything_is_shown() -> Outcome {
    let place = Place::new()?;
    let sealed = Crew::at(&place.join(".sealwire"))?.seal(BODY)?;
    place.write("envelope", sealed.envelope.as_bytes())?;
    let said = place.run(&["show", "envelope"])?;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let header = &sealed.header;
    let (id, thread) = (header.id.to_string(), header.thread.to_string());
    for part in ["researcher@local", "writer@local", "result", "pii", &id, &thread, "text/plain", "authentic", "by node `local`", BODY] {
        assert!(said.out.contains(part), "{part} in {}", said.out);
    }
    assert!(said.out.contains("policy was not asked, and looking marks nothing as opened"));
    Ok(())
}

#[test]
fn machines_get_an_object() -> Outcome {
    let place = Place::new()?;
    let crew = Crew::at(&place.join("home"))?;
    let sealed = crew.seal(BODY)?;
    place.write("envelope", sealed.envelope.as_bytes())?;
    let shown = json(&place.run(&["show", "--json", "--home", "home", "envelope"])?)?;
    assert_eq!((&shown["format"], &shown["form"]), (&"sealwire/1".into(), &"opening".into()));
    assert_eq!(shown["size"], sealed.envelope.as_bytes().len());
    assert_eq!(shown["receive_key"].as_str().map(str::len), Some(32));
    let (message, header) = (&shown["message"], &shown["message"]["header"]);
    assert_eq!((&header["from"], &header["to"]), (&"researcher@local".into(), &"writer@local".into()));
    assert_eq!((&header["kind"], &header["labels"]), (&"result".into(), &vec!["pii"].into()));
    assert_eq!(header["id"], sealed.header.id.to_string());
    assert_eq!((&message["authentic"], &message["objections"]), (&true.into(), &Value::Array(vec![])));
    assert_eq!((&message["body"]["text"], &message["body"]["size"]), (&BODY.into(), &BODY.len().into()));
    assert_eq!(message["certificate"]["node"], "local");
    assert_eq!(shown["reason"], Value::Null);

    let outside = json(&place.run(&["show", "--json", "envelope"])?)?;
    assert_eq!((&outside["message"], &outside["form"]), (&Value::Null, &"opening".into()));
    assert!(outside["reason"].as_str().is_some_and(|reason| reason.contains("--home")));
    let missing = place.run(&["show", "--json", "nothing"])?;
    assert_eq!((json(&missing)?["error"].as_str(), missing.code), (Some("there is no file `nothing`"), Some(2)));
    Ok(())
}

#[test]
fn a_message_that_was_looked_at_still_opens_and_one_that_was_opened_says_so() -> Outcome {
    let place = Place::new()?;
    let crew = Crew::at(&place.join(".sealwire"))?;
    let sealed = crew.seal(BODY)?;
    place.write("envelope", sealed.envelope.as_bytes())?;
    for _ in 0..2 {
        assert!(!place.run(&["show", "envelope"])?.out.contains("could not open it now"));
    }
    crew.endpoint.open(&sealed.envelope)?;
    let said = place.run(&["show", "envelope"])?;
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains(&format!("an agent could not open it now: message {} was already opened", sealed.header.id)), "{}", said.out);
    assert_eq!(crew.seal("next")?.envelope.form(), sealwire::Form::Lane, "the crew's lane was not lost");
    Ok(())
}

#[test]
fn a_lane_cannot_be_shown_and_the_reason_is_said() -> Outcome {
    let place = Place::new()?;
    let crew = Crew::at(&place.join(".sealwire"))?;
    crew.endpoint.open(&crew.seal("opening")?.envelope)?;
    place.write("envelope", crew.seal(BODY)?.envelope.as_bytes())?;
    let said = place.run(&["show", "envelope"])?;
    assert_eq!(said.code, Some(1));
    assert!(said.out.starts_with("sealwire/1 lane, "), "{}", said.out);
    assert!(said.out.contains("lane keys are only ever in the memory of the process that reads them"), "{}", said.out);
    Ok(())
}

#[test]
fn another_home_does_not_open_it() -> Outcome {
    let place = Place::new()?;
    place.write("envelope", Crew::at(&place.join("one"))?.seal(BODY)?.envelope.as_bytes())?;
    Crew::at(&place.join("two"))?;
    let said = place.run(&["show", "--home", "two", "envelope"])?;
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("this home does not hold its receive key"), "{}", said.out);
    Ok(())
}

#[test]
fn a_forged_body_is_not_shown() -> Outcome {
    let place = Place::new()?;
    let mut bytes = Crew::at(&place.join(".sealwire"))?.seal(BODY)?.envelope.into_bytes();
    bytes[200] ^= 1;
    place.write("envelope", &bytes)?;
    let said = place.run(&["show", "envelope"])?;
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains(&OpenError::NotAuthentic.to_string()), "{}", said.out);
    assert!(!said.out.contains("researcher"));
    Ok(())
}

#[test]
fn what_is_no_text_is_summed_up_and_commands_no_terminal() -> Outcome {
    let place = Place::new()?;
    let crew = Crew::at(&place.join(".sealwire"))?;
    place.write("binary", crew.seal(vec![0xff; 100])?.envelope.as_bytes())?;
    let said = place.run(&["show", "binary"])?;
    assert!(said.out.contains("body, 100 bytes, not printable text"), "{}", said.out);
    let (_, body) = said.out.split_once("not printable text").ok_or("no body")?;
    assert_eq!(body.matches("ff").count(), 64);
    assert_eq!(json(&place.run(&["show", "--json", "binary"])?)?["message"]["body"]["hex"], "ff".repeat(100));
    place.write("escape", crew.seal("\x1b]0;owned\x07")?.envelope.as_bytes())?;
    let said = place.run(&["show", "escape"])?;
    assert!(!said.out.contains('\x1b') && said.out.contains("1b 5d 30"), "{}", said.out);
    Ok(())
}

#[test]
fn standard_input_is_a_file_too() -> Outcome {
    let place = Place::new()?;
    let sealed = Crew::at(&place.join(".sealwire"))?.seal(BODY)?;
    let said = piped(&place, sealed.envelope.as_bytes())?;
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains(BODY), "{}", said.out);
    let empty = piped(&place, b"")?;
    assert_eq!(empty.code, Some(1));
    assert!(empty.err.starts_with("sealwire: standard input is no envelope: "), "{}", empty.err);
    Ok(())
}

fn piped(place: &Place, bytes: &[u8]) -> Result<Said, Box<dyn std::error::Error>> {
    let pipes = |command: &mut Command| command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = pipes(&mut place.command(&["show", "-"]))?;
    // A command that has seen enough closes its end first.
    let _unread = child.stdin.take().ok_or("stdin")?.write_all(bytes);
    Ok(child.wait_with_output()?.into())
}

#[test]
fn what_is_no_envelope_is_refused_with_what_and_where() -> Outcome {
    let place = Place::new()?;
    let whole = Crew::at(&place.join(".sealwire"))?.seal(BODY)?.envelope.into_bytes();
    let mut trailing = whole.clone();
    trailing.push(0);
    let cases: [(&str, &[u8]); 5] =
        [("empty", b""), ("garbage", b"\xffgarbage"), ("text", b"{\"from\": \"a\"}"), ("cut", &whole[..1000]), ("trailing", &trailing)];
    for (name, bytes) in cases {
        place.write(name, bytes)?;
        let said = place.run(&["show", name])?;
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{name}");
        let what = format!("sealwire: `{name}` is no envelope: not a sealwire/1 structure: ");
        assert!(said.err.starts_with(&what) && said.err.contains("byte"), "{}", said.err);
    }
    Ok(())
}

#[test]
fn what_is_too_large_is_not_read() -> Outcome {
    let place = Place::new()?;
    // 64 MiB that take no room on disk; the command may use a fraction of them.
    fs::File::create(place.join("large"))?.set_len(64 << 20)?;
    let said = limited(&place, "large")?;
    assert_eq!(said.code, Some(1));
    assert_eq!(said.err, "sealwire: `large` is no envelope: 67108864 bytes, but an envelope has at most 16777216\n");
    let said = limited(&place, "/dev/zero")?;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("more than 16777216 bytes"), "{}", said.err);
    Ok(())
}

/// Runs `show` with 56 MiB of address space, a fraction of what is offered to it: 16 MiB for the file, twice while it is read.
fn limited(place: &Place, file: &str) -> Result<Said, Box<dyn std::error::Error>> {
    let line = format!("ulimit -v 57344; exec \"$0\" show {file}");
    let output = Command::new("sh").args(["-c", &line, env!("CARGO_BIN_EXE_sealwire")]).current_dir(place.path()).output()?;
    Ok(output.into())
}

#[test]
fn what_is_not_there_is_named() -> Outcome {
    let place = Place::new()?;
    let said = place.run(&["show", "nothing"])?;
    assert_eq!((said.code, said.err.as_str()), (Some(2), "sealwire: there is no file `nothing`\n"));
    let said = place.run(&["show", "."])?;
    assert_eq!((said.code, said.err.as_str()), (Some(2), "sealwire: `.` is a folder; name the file with the envelope\n"));
    place.write("envelope", Crew::at(&place.join("home"))?.seal(BODY)?.envelope.as_bytes())?;
    let said = place.run(&["show", "--home", "nowhere", "envelope"])?;
    assert_eq!(said.code, Some(2));
    assert!(said.err.starts_with("sealwire: `nowhere` is not a sealwire home"), "{}", said.err);
    Ok(())
}

#[test]
fn a_damaged_home_is_named() -> Outcome {
    let place = Place::new()?;
    place.write("envelope", Crew::at(&place.join(".sealwire"))?.seal(BODY)?.envelope.as_bytes())?;
    fs::write(place.join(".sealwire/roster.cbor"), b"cut")?;
    let said = place.run(&["show", "envelope"])?;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("roster.cbor` is damaged"), "{}", said.err);
    Ok(())
}

#[test]
fn there_is_colour_on_a_terminal_and_nowhere_else() -> Outcome {
    let place = Place::new()?;
    place.write("envelope", Crew::at(&place.join(".sealwire"))?.seal(BODY)?.envelope.as_bytes())?;
    assert!(!place.run(&["show", "envelope"])?.out.contains('\x1b'));
    let Some(coloured) = on_a_terminal(&place, None)? else { return Ok(()) };
    assert!(coloured.contains("\x1b[32mauthentic"), "{coloured}");
    let Some(plain) = on_a_terminal(&place, Some("1"))? else { return Ok(()) };
    assert!(plain.contains("authentic") && !plain.contains('\x1b'), "{plain}");
    Ok(())
}

/// What `show` prints on a terminal that `script` makes; none where there is no such tool.
fn on_a_terminal(place: &Place, no_color: Option<&str>) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let mut script = Command::new("script");
    let line = format!("{} show envelope", env!("CARGO_BIN_EXE_sealwire"));
    script.args(["-qec", &line, "/dev/null"]).current_dir(place.path()).env_remove("NO_COLOR").stdin(Stdio::null());
    script.envs(no_color.map(|value| ("NO_COLOR", value)));
    match script.output() {
        Ok(output) => Ok(Some(String::from_utf8(output.stdout)?)),
        Err(_) => Ok(None),
    }
}
