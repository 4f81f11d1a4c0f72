//! `init`: makes the vault. No network.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::global::Route;
use crate::language::Language;
use crate::session::{self, Session};

/// Makes the vault.
#[derive(Args)]
pub(crate) struct Init {
    #[arg(long = "relay", value_name = "ADDRESS")]
    relays: Vec<String>,
    // Argon2id at full cost takes a second and 64 MiB or more each time, which tests cannot spare. It is a flag, not
    // a variable of the environment: nothing that a person did not type may weaken their vault.
    #[arg(long, hide = true)]
    test_kdf: bool,
}

#[derive(Serialize)]
struct Made<'a> {
    home: String,
    recovery_phrase: &'a [String],
}

impl Init {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut relays = Vec::new();
        for relay in &self.relays {
            relays.push(session::address(relay)?);
        }
        let passphrase = Session::new_passphrase(context).await?;
        let (session, words) = Session::create(context, passphrase, self.test_kdf).await?;
        for relay in relays {
            session.client().add_relay(relay).await?;
        }
        if context.route == Some(Route::Direct) {
            session.client().remember_direct().await?;
        }
        session.close().await;
        let home = context.home.to_string_lossy().into_owned();
        context.output.result(&Made { home, recovery_phrase: &words }, |language| {
            recovery_text(language, &words)
        })?;
        context.output.say("say-recovery-phrase");
        Ok(())
    }
}

/// The words in numbered columns.
pub(crate) fn recovery_text(language: &Language, words: &[String]) -> String {
    let mut text = language.text("head-recovery-phrase");
    for (index, word) in words.iter().enumerate() {
        text.push_str(if index % 4 == 0 { "\n  " } else { "  " });
        text.push_str(&format!("{:>2}. {word:<9}", index + 1));
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
