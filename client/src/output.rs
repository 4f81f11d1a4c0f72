//! What goes to standard output and standard error.
//!
//! With `--json`, standard output holds one JSON object a line and nothing else; without, it holds what a person asked
//! to see. Everything that is said beside the result goes to standard error, so that the result can be piped. A line
//! is flushed before the call returns: what was printed has left the program.

use std::io::{self, IsTerminal, Write};

use fluent_bundle::FluentValue;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::language::Language;

/// The two streams, and how to speak on them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output {
    json: bool,
    language: Language,
}

impl Output {
    /// Speaks JSON or a language.
    pub(crate) fn new(json: bool, language: Language) -> Self {
        Self { json, language }
    }

    /// Whether results are JSON lines.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The language of sentences.
    pub(crate) fn language(&self) -> &Language {
        &self.language
    }

    /// A result: the object with `--json`, else the text.
    pub(crate) fn result<T: Serialize>(
        &self,
        object: &T,
        text: impl FnOnce(&Language) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            let line = serde_json::to_string(object).map_err(|_| Code::Internal)?;
            print(&line)
        } else {
            print(&text(&self.language))
        }
    }

    /// Text on standard output; nothing with `--json`.
    pub(crate) fn show(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { print(text) }
    }

    /// A sentence of the catalogue on standard error, beside the result.
    pub(crate) fn say(&self, key: &str) {
        self.say_with(key, &[]);
    }

    /// A sentence of the catalogue with values, on standard error.
    pub(crate) fn say_with(&self, key: &str, values: &[(&str, FluentValue<'_>)]) {
        complain(&self.language.text_with(key, values));
    }

    /// A warning that only a person at a terminal can use.
    pub(crate) fn warn_on_terminal(&self, key: &str) {
        if io::stderr().is_terminal() {
            self.say(key);
        }
    }
}

/// A line on standard output, flushed.
pub(crate) fn print(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out
        .write_all(line.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    written.map_err(|_| Failure::new(Code::OutputClosed))
}

/// A line on standard error. When nobody listens there, nothing better can be done than going on.
pub(crate) fn complain(line: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(line.as_bytes()).and_then(|()| err.write_all(b"\n"));
    let _ = err.flush();
}
