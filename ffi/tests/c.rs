//! The tests in C, built as strictly as their users may build, plain, under sanitizers and under valgrind.
//!
//! A tool that is missing is named. With `SEALWIRE_REQUIRE_C=1`, as in CI, it fails the test.

use std::{
    env,
    error::Error,
    ffi::OsStr,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

type Outcome = Result<(), Box<dyn Error>>;

/// Everything a warning can be about is an error.
const STRICT: [&str; 7] = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];
/// What a static Rust library needs of the system: `rustc --print native-static-libs`.
const SYSTEM: [&str; 5] = ["-lpthread", "-ldl", "-lm", "-lrt", "-lgcc_s"];
/// Not for values that were never written: the optimiser of Rust looks at some of them ahead of time and then does not use them.
const MEMCHECK: [&str; 5] =
    ["--quiet", "--undef-value-errors=no", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect", "--error-exitcode=9"];
const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

#[test]
fn plain() -> Outcome {
    let program = build("plain", "tests/c/tests.c", &[])?;
    run(&mut Command::new(&program))?;
    // By itself: to valgrind, what other threads had at the fork is lost in the child.
    run(Command::new(program).arg("fork"))
}

#[test]
fn as_cpp() -> Outcome {
    let Some(compiler) = tool("c++") else { return missing("c++") };
    let text = "#include \"sealwire.h\"\nint main() { return sealwire_builder_new(nullptr) == SEALWIRE_RESULT_OK; }\n";
    let source = folder()?.join("header.cpp");
    fs::write(&source, text)?;
    let object = folder()?.join("header.o");
    run(Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c", "-I"])
        .arg(root().join("include"))
        .arg(source)
        .arg("-o")
        .arg(object))
}

#[test]
fn under_sanitizers() -> Outcome {
    let program = build("sanitized", "tests/c/tests.c", &SANITIZERS)?;
    run(Command::new(&program).env("ASAN_OPTIONS", "detect_leaks=1"))?;
    // The tools find what there is to find.
    let seeded = Command::new(&program).arg("use-after-free").env("ASAN_OPTIONS", "detect_leaks=1").output()?;
    assert!(String::from_utf8_lossy(&seeded.stderr).contains("heap-use-after-free"), "AddressSanitizer did not see a use after free");
    Ok(())
}

#[test]
fn under_valgrind() -> Outcome {
    let Some(valgrind) = tool("valgrind") else { return missing("valgrind") };
    let program = build("for-valgrind", "tests/c/tests.c", &[])?;
    run(Command::new(&valgrind).args(MEMCHECK).arg(&program))?;
    let seeded = Command::new(&valgrind).args(MEMCHECK).arg(&program).arg("use-after-free").output()?;
    assert_eq!(seeded.status.code(), Some(9), "valgrind did not see a use after free");
    Ok(())
}

/// What C passes wrongly by mistake: the calls are made from the header, so no function is forgotten.
#[test]
fn null_and_wrong_lengths_are_errors_of_every_function() -> Outcome {
    let calls = wrong_calls(&fs::read_to_string(root().join("include/sealwire.h"))?)?;
    let count = calls.matches("FAILS(").count();
    assert!(count > 150, "only {count} calls were made from the header");
    fs::write(folder()?.join("calls.h"), calls)?;
    let include = format!("-I{}", folder()?.display());
    let place = folder()?.join(format!("null-{}", std::process::id()));
    let program = build("null", "tests/c/null.c", &[&[include.as_str()], &SANITIZERS[..]].concat())?;
    let output = Command::new(program).arg(&place).output()?;
    fs::remove_dir_all(place)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Those in hooks, too, which are called more than once.
    let checked: usize = String::from_utf8(output.stdout)?.trim().parse()?;
    assert!(checked >= count, "only {checked} of {count} calls were made");
    Ok(())
}

#[test]
fn the_test_vectors_get_their_verdicts() -> Outcome {
    let folder = fs::read_dir(root().join("../tests/vectors/sealwire"))?;
    let files: Result<Vec<_>, _> = folder.map(|entry| entry.map(|entry| entry.path())).collect();
    let output = Command::new(build("vectors", "tests/c/vectors.c", &SANITIZERS)?).args(files?).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let checked: usize = String::from_utf8(output.stdout)?.trim().parse()?;
    assert!(checked >= 230, "only {checked} envelopes and certificates were found");
    Ok(())
}

#[test]
fn the_example_seals_and_opens_through_files() -> Outcome {
    let example = build("files", "examples/files.c", &[])?;
    let place = folder()?.join(format!("example-{}", std::process::id()));
    fs::create_dir_all(&place)?;
    let step = |arguments: &[&str]| run(Command::new(&example).args(arguments).current_dir(&place));
    fs::write(place.join("body"), "the figures")?;
    step(&["home", "local", "certify", "writer", "writer.cert"])?;
    step(&["home", "local", "seal", "researcher", "writer.cert", "body", "envelope"])?;
    let show = || Command::new(&example).args(["home", "local", "show", "envelope"]).current_dir(&place).output();
    let shown = "task from researcher@local to writer@local\n";
    assert_eq!(show()?.stdout, shown.as_bytes());
    step(&["home", "local", "open", "writer", "envelope", "opened"])?;
    assert_eq!(fs::read(place.join("opened"))?, b"the figures");
    assert!(show()?.stdout.starts_with(format!("{shown}would be refused: message ").as_bytes()));
    assert!(step(&["home", "local", "open", "writer", "envelope", "again"]).is_err(), "a replay was opened");
    assert!(!place.join("again").exists());
    fs::remove_dir_all(place)?;
    Ok(())
}

#[test]
fn the_programs_in_the_documentation_run() -> Outcome {
    let text = fs::read_to_string(root().join("../docs/c.md"))?;
    let programs: Vec<_> = text.split("```c\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!programs.is_empty(), "docs/c.md shows no program");
    for (number, program) in programs.into_iter().enumerate() {
        let name = format!("documented-{number}");
        let source = folder()?.join(format!("{name}.c"));
        fs::write(&source, program)?;
        run(&mut Command::new(build(&name, source, &[])?))?;
    }
    Ok(())
}

/// Macros with every function of the header: with NULL for each of its pointers in turn, and with each length as it cannot be.
fn wrong_calls(header: &str) -> Result<String, Box<dyn Error>> {
    let mut macros = ["ENTRY", "REQUEST", "OTHER"].map(|given| (given, format!("#define {given}_CALLS")));
    for declaration in header.split("\nsealwire_result ").skip(1) {
        let (function, rest) = declaration.split_once('(').ok_or("no parameters")?;
        let parameters: Vec<_> = rest.split(')').next().ok_or("no end")?.split(',').map(Parameter::of).collect();
        let given = parameters.iter().find_map(|parameter| parameter.hook()).unwrap_or("OTHER");
        for (place, parameter) in parameters.iter().enumerate() {
            let Some((result, wrong)) = parameter.wrong() else { continue };
            let arguments =
                parameters.iter().enumerate().map(|(at, parameter)| if at == place { wrong.into() } else { parameter.right(header) });
            let arguments = arguments.collect::<Vec<_>>().join(", ");
            let (_, text) = macros.iter_mut().find(|(name, _)| *name == given).ok_or("no macro")?;
            text.push_str(&format!(" \\\n  FAILS({result}, {function}({arguments}));"));
        }
    }
    Ok(macros.map(|(_, text)| text + "\n").join("\n"))
}

/// A parameter as the header declares it.
struct Parameter<'h> {
    kind: &'h str,
    name: &'h str,
}

impl<'h> Parameter<'h> {
    fn of(text: &'h str) -> Self {
        let text = text.trim();
        let (kind, name) = text.split_at(text.rfind([' ', '*']).map_or(0, |end| end + 1));
        Self { kind: kind.trim(), name }
    }

    /// What is there only while a hook runs.
    fn hook(&self) -> Option<&'static str> {
        match self.kind {
            "const sealwire_entry *" => Some("ENTRY"),
            "const sealwire_request *" => Some("REQUEST"),
            _ => None,
        }
    }

    /// What C must not pass, and what comes of it.
    fn wrong(&self) -> Option<(&'static str, &'static str)> {
        match (self.kind, self.name) {
            ("void *", _) => None,
            (kind, _) if kind.ends_with('*') || kind.starts_with("sealwire_") => Some(("NULL_POINTER", "NULL")),
            ("size_t", "capacity") => Some(("BAD_LENGTH", "0")),
            ("size_t", name) if name.ends_with("size") => Some(("BAD_LENGTH", "SIZE_MAX")),
            _ => None,
        }
    }

    /// What `tests/c/null.c` has for it: an object that is named as its type is, or room for an output.
    fn right(&self, header: &str) -> String {
        let kind = self.kind.trim_start_matches("const ").trim_end_matches(" *");
        let (object, is_opaque) = (kind.trim_start_matches("sealwire_"), header.contains(&format!("typedef struct {kind} {kind};")));
        match (self.kind, self.name) {
            ("const char *", _) => "\"a@local\"".into(),
            ("const uint8_t *", _) => "sixteen".into(),
            ("void *", _) => "NULL".into(),
            ("size_t", "capacity") => "SEALWIRE_ADDRESS_SIZE".into(),
            ("size_t", name) if name.ends_with("size") => "sizeof sixteen".into(),
            ("sealwire_policy" | "sealwire_audit", _) => object.into(),
            (declared, _) if !declared.ends_with('*') => "0".into(),
            _ if is_opaque => object.into(),
            _ => "(void *)output".into(),
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the library lies that was built for this test, and what the test makes.
fn folder() -> Result<PathBuf, Box<dyn Error>> {
    Ok(env::current_exe()?.parent().ok_or("the test is nowhere")?.to_owned())
}

fn build(name: &str, source: impl AsRef<Path>, more: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let program = folder()?.join(format!("sealwire-c-{name}"));
    let mut compiler = Command::new("cc");
    compiler.args(STRICT).args(more).arg("-I").arg(root().join("include")).arg(root().join(source));
    run(compiler.arg(folder()?.join("libsealwire_ffi.a")).args(SYSTEM).arg("-o").arg(&program))?;
    Ok(program)
}

fn run(command: &mut Command) -> Outcome {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&said)).into())
}

fn tool(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(OsStr::new(name))).find(|path| path.is_file())
}

fn missing(name: &str) -> Outcome {
    if env::var_os("SEALWIRE_REQUIRE_C").is_some() {
        return Err(format!("`{name}` is missing: on Debian or Ubuntu, `apt install g++ valgrind`").into());
    }
    // Not by `eprintln!`, which a test that passes keeps to itself.
    writeln!(io::stderr(), "left out: `{name}` is missing")?;
    Ok(())
}
