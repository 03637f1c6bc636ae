//! Colours on a terminal, nothing elsewhere; `NO_COLOR` is respected (<https://no-color.org>).

use std::{
    env,
    io::{IsTerminal, stderr, stdout},
};

/// How text is set off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// For what goes to standard output.
    pub(crate) fn for_stdout() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { on: stdout().is_terminal() && !refused }
    }

    /// For what goes to standard error.
    pub(crate) fn for_stderr() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { on: stderr().is_terminal() && !refused }
    }

    /// Black on white, whatever the terminal's colours are: what a camera can read.
    pub(crate) fn black_on_white(self, text: &str) -> String {
        self.paint("30;107", text)
    }

    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::Paint;

    #[test]
    fn colour_is_all_or_nothing() {
        assert_eq!(Paint { on: true }.bad("no"), "\x1b[31mno\x1b[0m");
        assert_eq!(Paint { on: false }.bad("no"), "no");
    }
}
