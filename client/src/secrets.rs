//! Passphrases: from a terminal, a file or a file descriptor, never from an argument.
//!
//! They are read into one allocation of a fixed size that is erased on drop, so that no copy is left behind by a
//! growing buffer. Of what a file or descriptor holds, one final newline is dropped.

use core::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::failure::{Code, Failure};
use crate::output::Output;
use crate::shutdown::Shutdown;
use crate::terminal;

/// The longest passphrase, in bytes. A recovery phrase has 12 words.
const PASSPHRASE_LEN_MAX: usize = 4_096;

/// A passphrase or a recovery phrase, as it was given.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Passphrase(Vec<u8>);

impl Passphrase {
    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Passphrase(..)")
    }
}

/// Where a passphrase comes from, as the flags say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    file: Option<PathBuf>,
    descriptor: Option<u32>,
}

impl Source {
    /// Of a pair of flags, at most one of which is given.
    pub(crate) fn new(file: Option<PathBuf>, descriptor: Option<u32>) -> Self {
        Self { file, descriptor }
    }

    /// Whether standard input is the source, so that nothing else may be read from it.
    pub(crate) fn is_stdin(&self) -> bool {
        self.file.as_deref() == Some(Path::new("-")) || self.descriptor == Some(0)
    }

    /// Whether a flag names one.
    pub(crate) fn is_given(&self) -> bool {
        self.file.is_some() || self.descriptor.is_some()
    }

    /// The passphrase of what exists: asked for once.
    pub(crate) async fn existing(
        &self,
        output: &Output,
        shutdown: &Shutdown,
        question: &'static str,
    ) -> Result<Passphrase, Failure> {
        match self.read()? {
            Some(passphrase) => Ok(passphrase),
            None => ask(output, shutdown, question).await,
        }
    }

    /// A passphrase that is to be set: asked for twice, and not empty.
    pub(crate) async fn new_one(
        &self,
        output: &Output,
        shutdown: &Shutdown,
    ) -> Result<Passphrase, Failure> {
        let passphrase = match self.read()? {
            Some(passphrase) => passphrase,
            None => {
                if terminal::is_there() {
                    output.say("say-choose-passphrase");
                }
                let first = ask(output, shutdown, "ask-new-passphrase").await?;
                let again = ask(output, shutdown, "ask-passphrase-again").await?;
                // Both were typed by the same person a moment ago: there is nothing to leak by timing.
                if first.as_bytes() != again.as_bytes() {
                    return Err(Code::PassphrasesDiffer.into());
                }
                first
            }
        };
        if passphrase.as_bytes().is_empty() {
            return Err(Code::PassphraseEmpty.into());
        }
        Ok(passphrase)
    }

    /// Whether a passphrase can be had at all: told before anything else is done.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.is_given() || terminal::is_there() { Ok(()) } else { Err(Code::NoTerminal.into()) }
    }

    fn read(&self) -> Result<Option<Passphrase>, Failure> {
        let unreadable = |_: io::Error| Failure::new(Code::FileUnreadable);
        let reader: Box<dyn Read> = if self.is_stdin() {
            Box::new(io::stdin())
        } else if let Some(path) = &self.file {
            Box::new(File::open(path).map_err(unreadable)?)
        } else if let Some(descriptor) = self.descriptor {
            // A descriptor by its number, without `unsafe`: Linux and macOS name each one as a file.
            Box::new(File::open(format!("/dev/fd/{descriptor}")).map_err(unreadable)?)
        } else {
            return Ok(None);
        };
        from_reader(reader).map(Some)
    }
}

fn from_reader(reader: impl Read) -> Result<Passphrase, Failure> {
    // Room for the final newline and for one byte that shows it to be too long: the buffer never grows.
    let room = PASSPHRASE_LEN_MAX + 2;
    let mut passphrase = Passphrase(Vec::with_capacity(room));
    reader
        .take(room as u64)
        .read_to_end(&mut passphrase.0)
        .map_err(|_| Failure::new(Code::FileUnreadable))?;
    if passphrase.0.last() == Some(&b'\n') {
        passphrase.0.pop();
    }
    if passphrase.0.len() > PASSPHRASE_LEN_MAX {
        return Err(Code::PassphraseTooLong.into());
    }
    Ok(passphrase)
}

async fn ask(
    output: &Output,
    shutdown: &Shutdown,
    question: &'static str,
) -> Result<Passphrase, Failure> {
    if !terminal::is_there() {
        return Err(Code::NoTerminal.into());
    }
    let question = format!("{} ", output.language().text(question));
    let asked = tokio::task::spawn_blocking(move || terminal::read_hidden(&question));
    let typed: Zeroizing<String> = tokio::select! {
        typed = asked => typed
            .map_err(|_| Failure::new(Code::Internal))?
            .map_err(|_| Failure::new(Code::Interrupted))?,
        () = shutdown.wait() => return Err(Code::Interrupted.into()),
    };
    if typed.len() > PASSPHRASE_LEN_MAX {
        return Err(Code::PassphraseTooLong.into());
    }
    Ok(Passphrase(typed.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<u8> {
        from_reader(bytes).unwrap().as_bytes().to_vec()
    }

    #[test]
    fn one_final_newline_is_dropped_and_nothing_else() {
        assert_eq!(read(b"open sesame\n"), b"open sesame");
        assert_eq!(read(b"open sesame"), b"open sesame");
        assert_eq!(read(b" open\nsesame \n\n"), b" open\nsesame \n");
        assert_eq!(read(b"\r\n"), b"\r");
    }

    #[test]
    fn a_file_that_is_no_passphrase_is_refused_without_being_read_whole() {
        let longest = vec![b'a'; PASSPHRASE_LEN_MAX];
        assert_eq!(read(&longest).len(), PASSPHRASE_LEN_MAX);
        let failure = from_reader(io::repeat(b'a')).unwrap_err();
        assert_eq!(failure.code(), Code::PassphraseTooLong);
    }

    #[test]
    fn a_passphrase_is_not_shown() {
        assert_eq!(format!("{:?}", from_reader(&b"hunter2"[..]).unwrap()), "Passphrase(..)");
    }
}
