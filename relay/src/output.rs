//! What the program says: results on standard output, everything else on standard error.
//!
//! With `--json` a result is one JSON object a line and nothing else stands on standard output; a failure ends
//! standard error with one JSON object. Without it, results are text and a failure is two lines: what went wrong, and
//! what to do now. A reader that has gone away is no failure.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

/// How the program failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Kebab-case, for programs.
    pub(crate) code: &'static str,
    /// The exit status: 1 refused or failed, 2 wrong usage.
    pub(crate) exit: u8,
    /// What went wrong.
    pub(crate) message: String,
    /// What to do now.
    pub(crate) advice: String,
}

#[derive(Serialize)]
struct FailureLine<'a> {
    error: &'a str,
    message: &'a str,
    advice: &'a str,
}

impl Failure {
    /// Exit status 1.
    pub(crate) fn failed(code: &'static str, message: impl Display, advice: impl Display) -> Self {
        Self { code, exit: 1, message: message.to_string(), advice: advice.to_string() }
    }

    /// Exit status 2.
    pub(crate) fn usage(code: &'static str, message: impl Display, advice: impl Display) -> Self {
        Self { exit: 2, ..Self::failed(code, message, advice) }
    }

    /// Says it, and gives the exit status.
    pub(crate) fn report(&self, output: Output) -> ExitCode {
        let Self { code, exit, message, advice } = self;
        if output.json {
            output.error_line(&encode(&FailureLine { error: code, message, advice }));
        } else {
            output.error_line(&one_line(message));
            output.error_line(&one_line(advice));
        }
        ExitCode::from(*exit)
    }
}

/// Where and how results are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether `--json` was given.
    pub(crate) json: bool,
}

impl Output {
    /// One result: an object with `--json`, else a text.
    pub(crate) fn result(self, object: &impl Serialize, text: impl Display) {
        let line = if self.json { encode(object) } else { text.to_string() };
        let mut stdout = io::stdout().lock();
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }

    /// Something that the operator should know and that stops nothing.
    pub(crate) fn warning(self, message: impl Display) {
        self.error_line(&format!("warning: {message}"));
    }

    fn error_line(self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

fn encode(object: &impl Serialize) -> String {
    // Only maps with keys that are not text could fail, and there are none.
    serde_json::to_string(object).unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
