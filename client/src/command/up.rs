//! `up`: the one-command start. Makes what is missing (a relay beside the vault, a vault), serves the relay, shows an
//! open invitation, and holds the conversation at the terminal.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::beside::Beside;
use crate::command::init::recovery_text;
use crate::command::invite::show_qr;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::live;
use crate::progress::while_waiting;
use crate::secrets::Passphrase;
use crate::session::{self, ClientError, HostPort, RelayAddress, Session};

/// How long the invitation lasts that `up` makes where none is open.
const INVITATION_LASTS: Duration = Duration::from_secs(72 * 3_600);

/// Starts everything.
#[derive(Args)]
pub(crate) struct Up {
    #[arg(long, value_name = "IP:PORT")]
    listen: Vec<SocketAddr>,
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    // There is no app yet whose page a browser could show; the flag is accepted so that scripts can say it already.
    #[arg(long)]
    no_browser: bool,
    // See `init`.
    #[arg(long, hide = true)]
    test_kdf: bool,
}

#[derive(Serialize)]
struct Ready<'a> {
    event: &'static str,
    relay: &'a str,
    app: Option<&'a str>,
    launch: Option<&'a str>,
    invitation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_phrase: Option<&'a [String]>,
}

/// The words, where the vault was made and `up` then failed before it could hand them over in its `ready` line.
#[derive(Serialize)]
struct VaultMade<'a> {
    event: &'static str,
    recovery_phrase: &'a [String],
}

impl Up {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        // The passphrase first, so that a wrong one starts nothing. A missing vault is made last, so that a relay that
        // cannot start leaves no vault behind whose recovery phrase nobody saw.
        let vault = if session::need_vault(context).is_ok() {
            Vault::Opened(Session::open(context).await?)
        } else {
            Vault::Missing(Session::new_passphrase(context).await?)
        };
        let starting = Beside::start(context, &self.listen, self.host.as_deref());
        let mut relay = while_waiting(&context.output, "wait-relay", starting).await?;
        let (session, words) = match vault {
            Vault::Opened(session) => (session, None),
            Vault::Missing(passphrase) => {
                let (session, words) = Session::create(context, passphrase, self.test_kdf).await?;
                (session, Some(words))
            }
        };
        let own = Own {
            address: relay.address().clone(),
            place: relay.place(),
            private: relay.is_private(),
        };
        let served = tokio::select! {
            served = serve(context, &session, &own, words.as_deref()) => served,
            failure = relay.ended() => Err(failure),
            () = context.shutdown.wait() => Ok(()),
        };
        session.close().await;
        relay.stop().await;
        served
    }
}

/// The vault, before the relay runs.
enum Vault {
    Opened(Session),
    Missing(Passphrase),
}

/// The relay that runs beside the vault.
struct Own {
    address: RelayAddress,
    /// Where this process reaches it, whatever name others use.
    place: HostPort,
    private: bool,
}

async fn serve(
    context: &Context,
    session: &Session,
    relay: &Own,
    words: Option<&[String]>,
) -> Result<(), Failure> {
    let output = &context.output;
    if let Some(words) = words {
        output.show(&recovery_text(output.language(), words))?;
        output.say("say-recovery-phrase");
    }
    let invitation = match prepare(context, session, relay).await {
        Ok(invitation) => invitation,
        Err(failure) => {
            if let (true, Some(words)) = (output.is_json(), words) {
                let made = VaultMade { event: "vault-made", recovery_phrase: words };
                output.result(&made, |_| String::new())?;
            }
            return Err(failure);
        }
    };
    output.say("say-up-direct");
    if relay.private {
        output.say("say-up-private");
    }
    let address = relay.address.to_string();
    let ready = Ready {
        event: "ready",
        relay: &address,
        app: None,
        launch: None,
        invitation: &invitation,
        recovery_phrase: words,
    };
    if !output.is_json() {
        output.say("say-invitation");
    }
    output.result(&ready, |_| invitation.clone())?;
    if !output.is_json() {
        show_qr(context, &invitation)?;
        output.say("say-up-running");
    }
    live::run(context, session).await
}

/// Tells the vault about the relay, and gives an open invitation.
async fn prepare(context: &Context, session: &Session, relay: &Own) -> Result<String, Failure> {
    let client = session.client();
    client.set_own_relay(relay.address.clone(), relay.place.clone()).await?;
    client.remember_direct().await?;
    if let Some(open) = client.open_invitations().await?.into_iter().next() {
        return Ok(String::clone(&open.link));
    }
    let making = client.invite(None, INVITATION_LASTS);
    let made = while_waiting(&context.output, "wait-invite", making).await;
    let made = made.map_err(|error| match error {
        ClientError::Unreachable => Failure::new(Code::Unreachable).with("kept", "own"),
        error => error.into(),
    })?;
    Ok(String::clone(&made.link))
}
