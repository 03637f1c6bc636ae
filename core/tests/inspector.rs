//! Looking into envelopes with the keys of a home that a crew is using, has used, or was using when it was killed.
#![cfg(all(feature = "home", unix))]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sealwire::{Address, Draft, Endpoint, Envelope, Home, OpenError, Sealed};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A folder of its own for each test, gone at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("sealwire-inspector-{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn home(&self) -> PathBuf {
        self.0.join("home")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

struct Crew {
    endpoint: Endpoint,
    a: Address,
    b: Address,
}

fn crew(home: &Path) -> Result<Crew, Box<dyn std::error::Error>> {
    let (endpoint, _) = Endpoint::builder().home_or_init(home, "local")?;
    let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
    Ok(Crew { endpoint, a, b })
}

impl Crew {
    fn seal(&self, body: &str) -> Result<Sealed, Box<dyn std::error::Error>> {
        Ok(self.endpoint.seal(&self.a, &self.b, &Draft::new("task", body))?)
    }
}

/// Every file of a home with its content, but for the index of the write-ahead log, which each reader locks and no reader changes the
/// meaning of.
fn content(home: &Path) -> std::io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for folder in [home.to_path_buf(), home.join("agents")] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() && !path.to_string_lossy().ends_with("-shm") {
                files.insert(path.clone(), fs::read(path)?);
            }
        }
    }
    Ok(files)
}

fn look(home: &Path, envelope: &Envelope) -> Result<(Vec<u8>, Vec<OpenError>), Box<dyn std::error::Error>> {
    let inspector = Endpoint::builder().inspector(&Home::at(home)?)?;
    let inspected = inspector.inspect(envelope)?;
    Ok((inspected.body().to_vec(), inspected.objections().to_vec()))
}

#[test]
fn a_crew_that_runs_does_not_notice() -> Outcome {
    let place = Place::new("running")?;
    let crew = crew(&place.home())?;
    let sealed = crew.seal("words")?;
    let before = content(&place.home())?;
    assert_eq!(look(&place.home(), &sealed.envelope)?, (b"words".to_vec(), vec![]));
    assert_eq!(content(&place.home())?, before);
    assert_eq!(crew.endpoint.open(&sealed.envelope)?.body(), b"words");
    assert_eq!(look(&place.home(), &sealed.envelope)?.1, [OpenError::Duplicate(sealed.header.id)]);
    Ok(())
}

#[test]
fn after_the_crew_openings_are_shown_and_lanes_are_not() -> Outcome {
    let place = Place::new("after")?;
    let crew = crew(&place.home())?;
    let opening = crew.seal("opening")?.envelope;
    crew.endpoint.open(&opening)?;
    let lane = crew.seal("lane")?.envelope;
    drop(crew);
    let before = content(&place.home())?;
    assert_eq!(look(&place.home(), &opening)?.0, b"opening");
    let inspector = Endpoint::builder().inspector(&Home::at(place.home())?)?;
    assert_eq!(inspector.inspect(&lane).err(), Some(OpenError::UnknownLane));
    let untouched = content(&place.home())?.into_iter().filter(|(path, _)| !path.to_string_lossy().ends_with("-wal"));
    assert_eq!(untouched.collect::<BTreeMap<_, _>>(), before);
    Ok(())
}

#[test]
fn looking_into_a_copy_burns_nothing_in_either() -> Outcome {
    let place = Place::new("copy")?;
    let crew = crew(&place.home())?;
    let sealed = crew.seal("words")?;
    let copy = place.0.join("copy");
    let copied = std::process::Command::new("cp").arg("-a").args([&place.home(), &copy]).status()?;
    assert!(copied.success());
    assert_eq!(look(&copy, &sealed.envelope)?.0, b"words");
    assert_eq!(look(&copy, &sealed.envelope)?.0, b"words", "the first look did not burn the keys");
    assert_eq!(crew.endpoint.open(&sealed.envelope)?.body(), b"words");
    let reopened = Endpoint::builder().home(&Home::at(&copy)?)?;
    reopened.host("b")?;
    assert_eq!(reopened.open(&sealed.envelope).err(), Some(OpenError::UnknownKey), "but using the copy does");
    Ok(())
}

#[test]
fn what_was_never_written_back_is_shown_too() -> Outcome {
    let place = Place::new("killed")?;
    let crew = crew(&place.home())?;
    let sealed = crew.seal("words")?;
    // What a machine that lost power leaves: a write-ahead log with the keys in it, and no index of it.
    let copy = place.0.join("copy");
    fs::create_dir(&copy)?;
    fs::set_permissions(&copy, fs::metadata(place.home())?.permissions())?;
    let mut copied = std::process::Command::new("sh");
    copied.args(["-c", "cp -a \"$0\"/. \"$1\" && rm \"$1\"/store.db-shm"]).args([&place.home(), &copy]);
    assert!(copied.status()?.success());
    assert!(fs::metadata(copy.join("store.db-wal"))?.len() > 0);
    assert_eq!(look(&copy, &sealed.envelope)?.0, b"words");
    Ok(())
}

#[test]
fn a_home_that_others_can_read_is_not_looked_into() -> Outcome {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new("modes")?;
    drop(crew(&place.home())?);
    fs::set_permissions(place.home().join("store.db"), fs::Permissions::from_mode(0o644))?;
    let refused = Endpoint::builder().inspector(&Home::at(place.home())?).err().ok_or("it was not refused")?;
    assert!(refused.to_string().contains("store.db` can be read by others"), "{refused}");
    Ok(())
}
