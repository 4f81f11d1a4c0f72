//! `save`: writes a received file where its person says, and nowhere else: under no name that came with it, over no file that
//! is there, readable by nobody else.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::progress::{showing_progress, while_waiting};
use crate::session::{self, Session};

/// How long fetching a file may go without any progress.
const PATIENCE: Duration = Duration::from_secs(20);

/// Saves a file.
#[derive(Args)]
pub(crate) struct Save {
    #[arg(value_name = "MESSAGE")]
    message: String,
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Line {
    message: String,
    file: String,
    size: usize,
}

impl Save {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        // Before anything is fetched.
        if self.out.symlink_metadata().is_ok() {
            return Err(Code::FileExists.into());
        }
        let session = Session::open(context).await?;
        let client = session.client();
        let message = session.find_message(None, &self.message).await?;
        if !message.file().is_some_and(session::is_here) {
            session.permit_route(context).await?;
            let events = client.events();
            let fetching = client.fetch_file(&message, PATIENCE);
            let fetching = while_waiting(&context.output, "wait-fetch", fetching);
            showing_progress(&context.output, events, message.id(), fetching).await?;
        }
        let bytes = client.read_file(&message).await?;
        session.close().await;
        write(&self.out, &bytes)?;
        let file = self.out.to_string_lossy().into_owned();
        let line = Line { message: message.id().to_string(), file, size: bytes.len() };
        context.output.result(&line, |language| language.text("say-saved"))
    }
}

/// Writes a file that was not there. One that could not be written whole is taken away again.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| failure(&error))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _ = std::fs::remove_file(path);
        failure(&error)
    })
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Code::FileExists.into(),
        io::ErrorKind::StorageFull => Code::DiskFull.into(),
        _ => Code::FileUnwritable.into(),
    }
}
