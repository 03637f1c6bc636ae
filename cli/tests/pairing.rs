//! `sealwire invite` and `sealwire join`, two processes on one machine; and what is done with members.

mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Stdio},
};

use common::{Outcome, Place, Said};
use sealwire::{Endpoint, Home, pairing::Invite};

/// An invite that waits.
struct Waiting {
    child: Child,
    line: String,
}

type Failed = Box<dyn std::error::Error>;

impl Waiting {
    fn new(place: &Place, arguments: &[&str]) -> Result<Self, Failed> {
        let line = [&["invite", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut child = place.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().ok_or("stdout")?).read_line(&mut line)?;
        Ok(Self { child, line })
    }

    fn end(mut self) -> Result<Said, Failed> {
        let mut said = Said { code: self.child.wait()?.code(), out: self.line.clone(), err: String::new() };
        self.child.stderr.take().ok_or("stderr")?.read_to_string(&mut said.err)?;
        Ok(said)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn piped(place: &Place, arguments: &[&str], input: &str) -> Result<Said, Failed> {
    let mut child = place.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // A command that has seen enough closes its end first.
    let _unread = child.stdin.take().ok_or("stdin")?.write_all(input.as_bytes());
    Ok(child.wait_with_output()?.into())
}

/// Two machines: the first made its domain by inviting.
fn paired(invite: &[&str]) -> Result<(Place, Place, Said, Said), Failed> {
    let (one, two) = (Place::new()?, Place::new()?);
    let waiting = Waiting::new(&one, invite)?;
    let joined = piped(&two, &["join", "-"], &waiting.line)?;
    Ok((one, two, waiting.end()?, joined))
}

fn json(said: &Said) -> Result<serde_json::Value, Failed> {
    Ok(serde_json::from_str(&said.out)?)
}

#[test]
fn two_commands_on_two_clean_machines() -> Outcome {
    let (one, two, invited, joined) = paired(&["pi2"])?;
    assert_eq!((invited.code, joined.code), (Some(0), Some(0)), "{} {}", invited.err, joined.err);
    assert!(invited.out.starts_with("sealwire-invite-1-") && invited.out.lines().count() == 1, "{}", invited.out);
    assert!(invited.err.starts_with("made a home: ./.sealwire (node `local`)"), "{}", invited.err);
    assert!(invited.err.contains("`pi2` joined from 127.0.0.1: listed in roster version 2"), "{}", invited.err);
    assert!(joined.out.starts_with("joined as node `pi2`: ./.sealwire (domain "), "{}", joined.out);
    assert_eq!(joined.err, "");
    let secret = invited.out.trim();
    assert!(!invited.err.contains(secret) && !joined.out.contains(secret), "the line is on standard output of the inviter only");

    let (home, member) = (Home::at(one.join(".sealwire"))?, Home::at(two.join(".sealwire"))?);
    let (writer, reader) = (Endpoint::builder().home(&home)?, Endpoint::builder().home(&member)?);
    let (a, b) = (writer.host("a")?, reader.host("b")?);
    writer.introduce(reader.certificate(&b).ok_or("no certificate")?.as_bytes())?;
    let sealed = writer.seal(&a, &b, &sealwire::Draft::new("task", "hello"))?;
    assert_eq!(reader.open(&sealed.envelope)?.body(), b"hello");
    Ok(())
}

#[test]
fn the_line_may_come_from_a_file_or_folded_or_in_capitals() -> Outcome {
    let (one, two) = (Place::new()?, Place::new()?);
    let waiting = Waiting::new(&one, &["pi2"])?;
    let folded: String =
        waiting.line.trim().to_uppercase().as_bytes().chunks(50).map(|part| format!("  {}\n", String::from_utf8_lossy(part))).collect();
    two.write("invite.txt", folded.as_bytes())?;
    let joined = two.run(&["join", "invite.txt", "--home", "h", "--json", "--at", "tcp://pi2.local:7451"])?;
    assert_eq!((joined.code, &json(&joined)?["node"]), (Some(0), &"pi2".into()), "{}", joined.err);
    assert_eq!(waiting.end()?.code, Some(0));
    let members = json(&two.run(&["members", "--home", "h", "--json"])?)?;
    assert_eq!(members["nodes"][1]["addresses"][0], "tcp://pi2.local:7451");
    Ok(())
}

/// As in `ssh pi1 sealwire invite pi2 | sealwire join -`: the pipe stays open while both wait for each other.
#[test]
fn one_line_by_a_pipe_that_stays_open() -> Outcome {
    let (one, two) = (Place::new()?, Place::new()?);
    let mut child = one.command(&["invite", "--listen", "127.0.0.1:0", "pi2"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let pipe = child.stdout.take().ok_or("stdout")?;
    let joined = two.command(&["join"]).stdin(Stdio::from(pipe)).output()?;
    assert_eq!(joined.status.code(), Some(0), "{}", String::from_utf8_lossy(&joined.stderr));
    assert_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn an_argument_works_and_is_warned_of() -> Outcome {
    let (one, two) = (Place::new()?, Place::new()?);
    let waiting = Waiting::new(&one, &["pi2"])?;
    let joined = two.run(&["join", waiting.line.trim()])?;
    assert_eq!(joined.code, Some(0));
    assert!(joined.err.contains("history"), "{}", joined.err);
    Ok(())
}

#[test]
fn what_is_no_whole_invite_is_named_before_anything_is_made() -> Outcome {
    let place = Place::new()?;
    let one = Place::new()?;
    let waiting = Waiting::new(&one, &["pi2"])?;
    let line = waiting.line.trim();
    let mut slip = line.to_owned();
    slip.replace_range(60..61, if &line[60..61] == "a" { "b" } else { "a" });
    for (text, cause) in [
        (slip.as_str(), "its checksum is wrong"),
        (&line[..line.len() - 5], "mistyped or cut off"),
        ("sealwire-invite-2-abcd", "of a later version"),
        ("hello", "begins with `sealwire-invite-1-`"),
        ("", "there is none"),
    ] {
        let said = piped(&place, &["join", "-"], text)?;
        assert!(matches!(said.code, Some(1 | 2)) && said.err.contains(cause), "{text}: {}", said.err);
        assert!(!said.err.contains(&line[30..60]), "no part of the secret: {}", said.err);
    }
    let said = place.run(&["join", "no-such-file"])?;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("there is no file `no-such-file`"), "{}", said.err);
    assert!(!place.join(".sealwire").exists());
    Ok(())
}

#[test]
fn a_used_invite_is_named() -> Outcome {
    let (one, _two, invited, _) = paired(&["pi2"])?;
    let three = Place::new()?;
    one.write("line", invited.out.as_bytes())?;
    // At the address in the line the command waits once more.
    let invite: Invite = invited.out.parse()?;
    let again = one
        .command(&["invite", "--resume", "line", "--listen", &invite.addresses()[0]])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let _again = Waiting { child: again, line: String::new() };
    let said = piped(&three, &["join", "-"], &invited.out)?;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("there is a node `pi2` with another key"), "{}", said.err);
    one.run(&["revoke", "pi2"])?;
    let said = piped(&three, &["join", "-"], &invited.out)?;
    assert!(said.err.contains("the invite was used by another machine"), "{}", said.err);
    Ok(())
}

#[test]
fn an_invite_that_ended_says_so_on_both_sides() -> Outcome {
    let (one, two) = (Place::new()?, Place::new()?);
    let waiting = Waiting::new(&one, &["pi2", "--expires", "1s"])?;
    let line = waiting.line.clone();
    let ended = waiting.end()?;
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("the invite ended"), "{}", ended.err);
    let said = piped(&two, &["join", "-"], &line)?;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("the invite ended") && said.err.contains("sealwire invite"), "{}", said.err);
    let unfinished = two.run(&["members"])?;
    assert!(unfinished.err.contains("has not joined a domain yet"), "{}", unfinished.err);
    Ok(())
}

#[test]
fn patterns_bind_the_node() -> Outcome {
    let (one, two) = (Place::new()?, Place::new()?);
    let waiting = Waiting::new(&one, &["pi2", "--agents", "crew-*"])?;
    let said = piped(&two, &["join", "-", "--agents", "boss"], &waiting.line)?;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("asks to host `boss`, but the invite allows `crew-*`"), "{}", said.err);
    assert_eq!(piped(&two, &["join", "-"], &waiting.line)?.code, Some(0), "the invite was not spent");
    waiting.end()?;
    let member = Endpoint::builder().home(&Home::at(two.join(".sealwire"))?)?;
    assert!(member.host("crew-a").is_ok());
    let refused = member.host("boss").err().ok_or("hosted")?.to_string();
    assert!(refused.contains("does not let this node host `boss@pi2`"), "{refused}");
    Ok(())
}

#[test]
fn members_are_listed_readdressed_and_revoked_where_the_root_key_is() -> Outcome {
    let (one, two, ..) = paired(&["pi2"])?;
    let said = one.run(&["members"])?;
    assert!(said.out.contains("local (this)") && said.out.contains("pi2") && said.out.contains("the root key is here"), "{}", said.out);
    assert!(!said.out.contains('\x1b'));
    let set = json(&one.run(&["members", "pi2", "--at", "tcp://10.0.0.2:7451", "--at", "nats://broker:4222", "--json"])?)?;
    assert_eq!(set["nodes"][1]["addresses"], serde_json::json!(["tcp://10.0.0.2:7451", "nats://broker:4222"]));
    assert_eq!(set["roster"]["version"], 3);
    let wrong = one.run(&["members", "pi2", "--at", "10.0.0.2"])?;
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("like `tcp://10.0.0.3:7451`"), "{}", wrong.err);
    for arguments in [&["members", "pi2", "--at", "tcp://a:1"][..], &["revoke", "local"], &["rotate", "--next-root", "k"]] {
        let said = two.run(arguments)?;
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains("does not hold the root key"), "{}", said.err);
    }
    assert!(!two.join("k").exists());
    let revoked = one.run(&["revoke", "pi2"])?;
    assert_eq!(revoked.code, Some(0));
    let members = json(&one.run(&["members", "--json"])?)?;
    assert_eq!((members["nodes"].as_array().map(Vec::len), members["revoked"].as_array().map(Vec::len)), (Some(1), Some(1)));
    let unknown = one.run(&["revoke", "pi9"])?;
    assert!(unknown.err.contains("lists no node `pi9`"), "{}", unknown.err);
    let own = one.run(&["revoke", "local"])?;
    assert!(own.err.contains("cannot revoke itself"), "{}", own.err);
    Ok(())
}

#[test]
fn an_agents_key_is_replaced_and_the_old_one_revoked() -> Outcome {
    let place = Place::new()?;
    place.run(&["init"])?;
    let home = Home::at(place.join(".sealwire"))?;
    drop(Endpoint::builder().home(&home)?.host("a")?);
    let before = json(&place.run(&["members", "--json"])?)?["agents"][0]["key"].clone();
    let rotated = json(&place.run(&["rotate", "--agent", "a", "--json"])?)?;
    assert_eq!((&rotated["old_key"], &rotated["old_key_revoked"]), (&before, &true.into()));
    let after = json(&place.run(&["members", "--json"])?)?;
    assert_eq!((&after["agents"][0]["key"], &after["revoked"][0]), (&rotated["key"], &before));
    assert!(Endpoint::builder().home(&home)?.host("a").is_ok());
    let revoked = place.run(&["revoke", "a@local"])?;
    assert_eq!(revoked.code, Some(0));
    assert!(Endpoint::builder().home(&home)?.host("a").is_err());
    let ill = place.run(&["doctor"])?;
    assert_eq!(ill.code, Some(1));
    assert!(ill.out.contains("the key of `a` is revoked") && ill.out.contains("sealwire rotate --agent a"), "{}", ill.out);
    let nobody = place.run(&["rotate", "--agent", "b"])?;
    assert!(nobody.err.contains("there is no agent `b`"), "{}", nobody.err);
    assert_eq!(place.run(&["rotate"])?.code, Some(2));
    Ok(())
}

#[test]
fn the_root_is_succeeded_by_the_one_that_was_named() -> Outcome {
    let (one, two, ..) = paired(&["pi2"])?;
    let member = Endpoint::builder().home(&Home::at(two.join(".sealwire"))?)?;
    let roster = || fs::read(one.join(".sealwire/roster.cbor"));
    assert_eq!(one.run(&["rotate", "--next-root", "next.pem"])?.code, Some(0));
    member.follow(&roster()?)?;
    let twice = one.run(&["rotate", "--next-root", "other.pem"])?;
    assert!(twice.err.contains("names the next root already"), "{}", twice.err);
    let stolen = fs::read(one.join(".sealwire/root.pem"))?;
    fs::copy(one.join(".sealwire/node.pem"), one.join("foreign.pem"))?;
    let foreign = one.run(&["rotate", "--root", "foreign.pem"])?;
    assert_eq!(foreign.code, Some(1), "{}", foreign.out);
    let done = one.run(&["rotate", "--root", "next.pem"])?;
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_ne!(fs::read(one.join(".sealwire/root.pem"))?, stolen);
    let domain = member.domain();
    member.follow(&roster()?)?;
    assert_eq!((member.roster().version(), member.domain()), (4, domain));

    // Everything goes on in the same domain: changes, invites, and a restart of the member.
    drop(member);
    assert_eq!(one.run(&["members", "pi2", "--at", "tcp://a:1"])?.code, Some(0));
    let waiting = Waiting::new(&one, &["pi3"])?;
    let three = Place::new()?;
    assert_eq!(piped(&three, &["join", "-"], &waiting.line)?.code, Some(0));
    let member = Endpoint::builder().home(&Home::at(two.join(".sealwire"))?)?;
    member.follow(&roster()?)?;
    assert_eq!((member.roster().version(), member.domain()), (6, domain));
    let third = Endpoint::builder().home(&Home::at(three.join(".sealwire"))?)?;
    assert_eq!(third.domain(), domain);
    Ok(())
}

#[test]
fn the_doctor_names_what_is_wrong_and_the_remedy() -> Outcome {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new()?;
    assert_eq!(place.run(&["doctor"])?.code, Some(2), "no home");
    place.run(&["init"])?;
    let well = place.run(&["doctor"])?;
    assert_eq!(well.code, Some(0), "{}", well.out);
    assert_eq!(json(&place.run(&["doctor", "--json"])?)?["well"], true);
    fs::set_permissions(place.join(".sealwire/store.key"), fs::Permissions::from_mode(0o644))?;
    let ill = place.run(&["doctor"])?;
    assert_eq!(ill.code, Some(1));
    assert!(ill.out.contains("store.key` (mode 644)") && ill.out.contains("chmod 600 "), "{}", ill.out);
    let findings = json(&place.run(&["doctor", "--json"])?)?;
    assert_eq!(findings["well"], false);
    Ok(())
}

#[test]
fn the_doctor_calls_the_others() -> Outcome {
    let (one, ..) = paired(&["pi2"])?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = format!("tcp://{}", listener.local_addr()?);
    one.run(&["members", "pi2", "--at", &address])?;
    let well = one.run(&["doctor"])?;
    assert!(well.out.contains(&format!("`pi2` answers at {address}")), "{}", well.out);
    drop(listener);
    let ill = one.run(&["doctor"])?;
    assert_eq!(ill.code, Some(1));
    assert!(ill.out.contains(&format!("`pi2` does not answer at {address}")), "{}", ill.out);
    Ok(())
}

/// What greets as a NATS server does; real ones are asked in `python/tests/test_node_ways.py`.
fn greeter(greeting: &'static str) -> std::io::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let place = listener.local_addr()?.to_string();
    std::thread::spawn(move || listener.incoming().flatten().try_for_each(|mut caller| caller.write_all(greeting.as_bytes())));
    Ok(place)
}

#[test]
fn the_doctor_looks_at_the_server_in_between() -> Outcome {
    let place = Place::new()?;
    place.run(&["init"])?;
    let via = |via: &str| {
        place.write("sealwire.toml", format!("[node]\nvia = \"{via}\"\n").as_bytes())?;
        place.run(&["doctor"])
    };
    let server = greeter("INFO {\"version\":\"2.9.10\",\"jetstream\":true,\"max_payload\":17825792}\r\n")?;
    let well = via(&format!("jetstream://{server}"))?;
    assert_eq!(well.code, Some(0), "{}", well.out);
    assert!(
        well.out.contains(&format!("NATS server 2.9.10 answers at `{server}`")) && !well.out.contains("takes messages up to"),
        "{}",
        well.out
    );

    let small = greeter("INFO {\"version\":\"2.9.10\",\"max_payload\":1048576}\r\n")?;
    let noted = via(&format!("nats://{small}"))?;
    assert_eq!(noted.code, Some(0), "{}", noted.out);
    assert!(noted.out.contains("up to 1048576 bytes") && noted.out.contains("max_payload: 17825792"), "{}", noted.out);
    let without = via(&format!("jetstream://{small}"))?;
    assert_eq!(without.code, Some(1), "{}", without.out);
    assert!(without.out.contains("has no JetStream") && without.out.contains("store_dir"), "{}", without.out);

    let other = greeter("220 mail ESMTP\r\n")?;
    let stranger = via(&format!("nats://{other}"))?;
    assert!(stranger.out.contains("does not greet as a NATS server does"), "{}", stranger.out);
    let nobody = via("nats://127.0.0.1:9")?;
    assert_eq!(nobody.code, Some(1), "{}", nobody.out);
    assert!(nobody.out.contains("no server answers at `127.0.0.1:9`"), "{}", nobody.out);
    let loud = greeter("INFO {\"version\":\"2\\u001b[31m\",\"max_payload\":17825792}\r\n")?;
    let tame = via(&format!("nats://{loud}"))?;
    assert!(tame.out.contains(&format!("NATS server 2[31m answers at `{loud}`")), "{}", tame.out);
    let secret = via("nats://crew:Zyxomma-4711@127.0.0.1:9")?;
    assert_eq!(secret.code, Some(1), "{}", secret.out);
    assert!(secret.out.contains("holds a password") && !secret.out.contains("Zyxomma"), "{}", secret.out);
    assert!(via("python:postbox:make")?.out.contains("not looked at: `python:postbox:make`"));

    place.write("sealwire.toml", b"[node\n")?;
    let broken = place.run(&["doctor"])?;
    assert_eq!(broken.code, Some(1), "{}", broken.out);
    assert!(broken.out.contains("sealwire.toml` is not TOML: "), "{}", broken.out);
    let by_variable = place.command(&["doctor"]).env("SEALWIRE_VIA", format!("nats://{server}")).output()?;
    assert!(String::from_utf8_lossy(&by_variable.stdout).contains("NATS server 2.9.10"));
    Ok(())
}

#[test]
fn a_qr_code_is_for_people() -> Outcome {
    let place = Place::new()?;
    let said = Waiting::new(&place, &["pi2", "--qr", "--expires", "1s"])?.end()?;
    assert!(said.out.starts_with("sealwire-invite-1-") && said.err.contains('█'), "{}", said.err);
    Ok(())
}
