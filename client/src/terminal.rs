//! Asking the person at the terminal.
//!
//! A terminal is there when standard input is one, or when standard error is one (the person sees the question) and
//! the process has a controlling terminal to answer on, as in `hearken send ada - < letter.txt`. Questions go to
//! standard error. What is typed as a passphrase is not shown.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::sync::Mutex;

use rpassword::ConfigBuilder;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The process's controlling terminal.
const CONTROLLING: &str = "/dev/tty";
/// Standard input, opened anew so that nothing read here is missed by whoever reads it next.
const STANDARD_INPUT: &str = "/dev/stdin";

/// How the terminal was before typing was hidden, for the case that the process ends meanwhile.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Where answers come from, or `None` where there is no terminal.
fn answers() -> Option<&'static str> {
    if io::stdin().is_terminal() {
        return Some(STANDARD_INPUT);
    }
    (io::stderr().is_terminal() && File::open(CONTROLLING).is_ok()).then_some(CONTROLLING)
}

/// Whether a person can be asked.
pub(crate) fn is_there() -> bool {
    answers().is_some()
}

/// Asks for a passphrase without showing it. Blocks.
pub(crate) fn read_hidden(question: &str) -> io::Result<Zeroizing<String>> {
    let path = answers().ok_or(io::ErrorKind::NotFound)?;
    remember(path);
    ask(question)?;
    let config = ConfigBuilder::new().input_file_path(path).output_discard().build();
    let typed = rpassword::read_password_with_config(config).map(Zeroizing::new);
    forget();
    // The newline that the person typed was not shown either.
    ask("\n")?;
    typed
}

/// Asks a question whose answer is shown. Blocks.
pub(crate) fn read_line(question: &str) -> io::Result<String> {
    let path = answers().ok_or(io::ErrorKind::NotFound)?;
    let input = File::open(path)?;
    ask(question)?;
    let mut line = String::new();
    if BufReader::new(input).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

/// Shows typing again if the process ends while a passphrase is being typed.
pub(crate) fn restore() {
    let before = BEFORE.lock().ok().and_then(|mut before| before.take());
    if let (Some(before), Some(path)) = (before, answers())
        && let Ok(terminal) = File::open(path)
    {
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
        // What follows begins on a line of its own.
        let _ = ask("\n");
    }
}

fn ask(text: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    err.write_all(text.as_bytes())?;
    err.flush()
}

fn remember(path: &str) {
    let now = File::open(path).ok().and_then(|terminal| tcgetattr(&terminal).ok());
    if let Ok(mut before) = BEFORE.lock() {
        *before = now;
    }
}

fn forget() {
    if let Ok(mut before) = BEFORE.lock() {
        *before = None;
    }
}
