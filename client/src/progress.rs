//! Tells a person that something takes its time.
//!
//! Nothing is said in the first second. Then a sentence stands on standard error; on a terminal it counts the seconds
//! and is wiped away at the end.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use fluent_bundle::FluentValue;

use crate::failure::printable;
use crate::output::Output;
use crate::session::{Event, Events, MessageId};

const SECOND: Duration = Duration::from_secs(1);

/// Does `work`, and says with the sentence `key` that it goes on once it has taken a second. Safe to cancel where the
/// work is; the line is wiped then, too.
pub(crate) async fn while_waiting<T>(
    output: &Output,
    key: &str,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = tokio::time::sleep(SECOND) => {}
    }
    let text = printable(&output.language().text(key));
    let line = Line::new(&text);
    let mut seconds = 1_u64;
    loop {
        line.tick(&text, seconds);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(SECOND) => seconds += 1,
        }
    }
}

/// Does `work`, and tells on standard error how far the file of a message is, a tenth at a time.
pub(crate) async fn showing_progress<T>(
    output: &Output,
    mut events: Events,
    message: MessageId,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    let mut told = 0;
    let mut listening = true;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            event = events.next(), if listening => match event {
                Some(Event::FileProgress { message: of_message, done, of }) if of_message == message => {
                    let tenths = done.saturating_mul(10) / of.max(1);
                    if tenths > told {
                        told = tenths;
                        let percent = [("percent", FluentValue::from(tenths * 10))];
                        crate::output::complain(&output.language().text_with("wait-file", &percent));
                    }
                }
                Some(_) => {}
                None => listening = false,
            },
        }
    }
}

/// The line that is rewritten on a terminal.
struct Line {
    terminal: bool,
}

impl Line {
    fn new(text: &str) -> Self {
        let terminal = io::stderr().is_terminal();
        if !terminal {
            crate::output::complain(text);
        }
        Self { terminal }
    }

    fn tick(&self, text: &str, seconds: u64) {
        if self.terminal {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\u{1b}[K{text} ({seconds} s)").and_then(|()| err.flush());
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.terminal {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\u{1b}[K").and_then(|()| err.flush());
        }
    }
}
