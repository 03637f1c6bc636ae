//! What the core tells by `tracing`, for Python's `logging`: events of the logger `sealwire.core`.
//!
//! The threads of the core never wait for the interpreter: they leave what they have to say, and a thread of its own says it.

use std::{
    fmt::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use pyo3::prelude::*;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use crate::ending::{enter, own_thread};

/// Lines that wait to be said. More are dropped: a log that cannot keep up must not hold messages up.
const MAX_WAITING: usize = 1024;

/// The logger in Python.
const LOGGER: &str = "sealwire.core";

/// Levels of Python's `logging`.
const DEBUG: u8 = 10;
const INFO: u8 = 20;
const WARNING: u8 = 30;
const ERROR: u8 = 40;

static IS_DEBUGGED: AtomicBool = AtomicBool::new(false);

/// Begins to say what is told, once in a process, and looks whether somebody wants to read what is told at debug level.
pub(crate) fn listen(py: Python<'_>) -> PyResult<()> {
    let wanted = py.import("logging")?.call_method1("getLogger", (LOGGER,))?.call_method1("isEnabledFor", (DEBUG,))?.is_truthy()?;
    IS_DEBUGGED.store(wanted, Ordering::Relaxed);
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let (said, saying) = sync_channel(MAX_WAITING);
        let speaking = std::thread::Builder::new().name("sealwire-log".into()).spawn(move || speak(&saying));
        // Without a thread, or where the program listens to `tracing` by itself, Python is told nothing.
        let _silent = speaking.map(|_| tracing::subscriber::set_global_default(Listener(said)));
    });
    Ok(())
}

fn speak(saying: &Receiver<(u8, String)>) {
    own_thread();
    for (level, text) in saying {
        // An interpreter that ends has nobody who reads it, and a handler that raises has told its own.
        let _unheard = enter(|py| {
            let logger = py.import("logging")?.call_method1("getLogger", (LOGGER,))?;
            logger.call_method1("log", (level, "%s", text)).map(drop)
        });
    }
}

struct Listener(SyncSender<(u8, String)>);

impl Subscriber for Listener {
    /// Asked each time, as what is wanted can change.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() && metadata.target().starts_with("sealwire") { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO || (*metadata.level() == Level::DEBUG && IS_DEBUGGED.load(Ordering::Relaxed))
    }

    fn event(&self, event: &Event<'_>) {
        let level = match *event.metadata().level() {
            Level::ERROR => ERROR,
            Level::WARN => WARNING,
            Level::INFO => INFO,
            _ => DEBUG,
        };
        let mut line = Line::default();
        event.record(&mut line);
        let _dropped = self.0.try_send((level, format!("{}{}", line.said, line.facts)));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An event in words: what is said, then its facts.
#[derive(Default)]
struct Line {
    said: String,
    facts: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _written = match field.name() {
            "message" => write!(self.said, "{value:?}"),
            name => write!(self.facts, ", {name}: {value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
