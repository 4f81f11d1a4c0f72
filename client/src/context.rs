//! What every command is given: where the home is, how to speak, where secrets come from, and when to stop.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::failure::{Code, Failure};
use crate::global::{Global, Route};
use crate::output::Output;
use crate::secrets::Source;
use crate::session::{FILE_MAX, TEXT_MAX};
use crate::shutdown::Shutdown;
use crate::terminal;

/// The most that is read in search of a link, in bytes: far longer than any.
const LINK_LEN_MAX: u64 = 64 * 1_024;

/// What every command is given.
pub(crate) struct Context {
    /// The two streams.
    pub(crate) output: Output,
    /// The folder of the vault.
    pub(crate) home: PathBuf,
    /// The passphrase of the vault.
    pub(crate) passphrase: Source,
    /// Who holds the home while this runs, for another process that waits for it.
    pub(crate) who: String,
    /// `--route`.
    pub(crate) route: Option<Route>,
    /// Told to stop.
    pub(crate) shutdown: Shutdown,
}

impl Context {
    /// Of the global flags.
    pub(crate) fn new(
        global: Global,
        command: &str,
        output: Output,
        shutdown: Shutdown,
    ) -> Result<Self, Failure> {
        let home = match global.home {
            Some(home) => home,
            None => default_home().ok_or(Code::NoHome)?,
        };
        let home = std::path::absolute(&home).unwrap_or(home);
        let passphrase = Source::new(global.passphrase_file, global.passphrase_fd);
        let who = format!("hearken {command} ({})", std::process::id());
        Ok(Self { output, home, passphrase, who, route: global.route, shutdown })
    }

    /// A link that may be `-` for standard input, without the white space around it. At a terminal it is asked for and
    /// ends with its line.
    pub(crate) fn link(&self, given: &str) -> Result<String, Failure> {
        if given != "-" {
            self.output.warn_on_terminal("warn-link-argument");
            return Ok(given.trim().to_owned());
        }
        if io::stdin().is_terminal() {
            let question = format!("{} ", self.output.language().text("ask-link"));
            let line = terminal::read_line(&question).map_err(|_| Code::Interrupted)?;
            return Ok(line.trim().to_owned());
        }
        let text = String::from_utf8(self.stdin(LINK_LEN_MAX)?).map_err(|_| Code::TextNotUtf8)?;
        Ok(text.trim().to_owned())
    }

    /// A text, byte for byte: the contents of a file, or an argument; `-` is standard input for both.
    pub(crate) fn text(
        &self,
        file: Option<&Path>,
        argument: Option<&OsStr>,
    ) -> Result<String, Failure> {
        // One byte more than the longest text shows that there is more.
        let len_max = TEXT_MAX as u64 + 1;
        let bytes = match (file, argument) {
            (Some(path), _) if path == Path::new("-") => self.stdin(len_max)?,
            (Some(path), _) => {
                let unreadable = |_| Failure::new(Code::FileUnreadable);
                let mut bytes = Vec::new();
                let file = File::open(path).map_err(unreadable)?;
                file.take(len_max).read_to_end(&mut bytes).map_err(unreadable)?;
                bytes
            }
            (None, Some(text)) if text == "-" => self.stdin(len_max)?,
            (None, Some(text)) => {
                self.output.warn_on_terminal("warn-text-argument");
                text.as_encoded_bytes().to_vec()
            }
            (None, None) => Vec::new(),
        };
        if bytes.is_empty() {
            return Err(Code::TextEmpty.into());
        }
        if bytes.len() > TEXT_MAX {
            return Err(Code::TextTooLong.into());
        }
        String::from_utf8(bytes).map_err(|_| Code::TextNotUtf8.into())
    }

    /// A file to be sent, whole; `-` is standard input.
    pub(crate) fn file(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
        // One byte more than the largest file shows that there is more.
        let len_max = FILE_MAX as u64 + 1;
        let bytes = if path == Path::new("-") {
            Zeroizing::new(self.stdin(len_max)?)
        } else {
            let unreadable = |_| Failure::new(Code::FileUnreadable);
            let file = File::open(path).map_err(unreadable)?;
            // A folder opens; a pipe or a device may never end.
            let about = file.metadata().map_err(unreadable)?;
            if !about.is_file() {
                return Err(Code::FileUnreadable.into());
            }
            if about.len() > FILE_MAX as u64 {
                return Err(Code::FileTooLarge.into());
            }
            let mut bytes =
                Zeroizing::new(Vec::with_capacity(FILE_MAX.min(about.len() as usize) + 1));
            file.take(len_max).read_to_end(&mut bytes).map_err(unreadable)?;
            bytes
        };
        match bytes.len() {
            0 => Err(Code::FileEmpty.into()),
            len if len > FILE_MAX => Err(Code::FileTooLarge.into()),
            _ => Ok(bytes),
        }
    }

    /// At most `len_max` bytes of standard input, which nothing else may have been told to read.
    pub(crate) fn stdin(&self, len_max: u64) -> Result<Vec<u8>, Failure> {
        if self.passphrase.is_stdin() {
            let detail = self.output.language().text("usage-stdin-twice");
            return Err(Failure::new(Code::Usage).with("detail", detail));
        }
        if io::stdin().is_terminal() {
            self.output.say("ask-text");
        }
        let mut bytes = Vec::new();
        io::stdin()
            .take(len_max)
            .read_to_end(&mut bytes)
            .map_err(|_| Failure::new(Code::FileUnreadable))?;
        Ok(bytes)
    }

    /// Asks a question that is answered with yes or no. Anything but a yes is a no.
    pub(crate) async fn confirm(&self, question: &'static str) -> Result<bool, Failure> {
        let language = self.output.language();
        let yes = language.text("ask-yes").to_lowercase();
        let question = format!("{} ", language.text(question));
        let asked = tokio::task::spawn_blocking(move || terminal::read_line(&question));
        let answer = tokio::select! {
            answer = asked => answer.map_err(|_| Failure::new(Code::Internal))?,
            () = self.shutdown.wait() => return Err(Code::Interrupted.into()),
        };
        let answer = answer.unwrap_or_default().trim().to_lowercase();
        // The first letter is enough.
        Ok(!answer.is_empty() && yes.starts_with(&answer))
    }
}

/// `HEARKEN_HOME`, else the platform's data folder.
fn default_home() -> Option<PathBuf> {
    if let Some(home) = std::env::var_os("HEARKEN_HOME").filter(|home| !home.is_empty()) {
        return Some(PathBuf::from(home));
    }
    directories::ProjectDirs::from("", "", "hearken").map(|dirs| Path::to_owned(dirs.data_dir()))
}
