//! `relay add`, `relay list`, `relay remove`: the relays that the person chose. No network.

use clap::Subcommand;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::session::{self, Session};

/// The relays that the person chose.
#[derive(Subcommand)]
pub(crate) enum Relay {
    Add {
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    List,
    Remove {
        #[arg(value_name = "FINGERPRINT")]
        fingerprint: String,
    },
}

#[derive(Serialize)]
struct Line {
    relay: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<bool>,
}

impl Relay {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Add { address } => {
                let address = session::address(&address)?;
                let session = Session::open(context).await?;
                session.client().add_relay(address.clone()).await?;
                session.close().await;
                let relay = address.fingerprint().to_string();
                let line = Line { relay, address: Some(address.to_string()), own: None };
                context.output.result(&line, |_| line.relay.clone())?;
                context.output.say("say-relay-added");
            }
            Self::List => {
                let session = Session::open(context).await?;
                let relays = session.client().relays().await?;
                session.close().await;
                for relay in &relays {
                    let address = relay.address().to_string();
                    let line = Line {
                        relay: relay.address().fingerprint().to_string(),
                        address: Some(address.clone()),
                        own: Some(relay.is_own()),
                    };
                    context.output.result(&line, |language| {
                        if relay.is_own() {
                            format!("{address}  {}", language.text("say-relay-own"))
                        } else {
                            address
                        }
                    })?;
                }
                if relays.is_empty() {
                    context.output.say("say-no-relays");
                }
            }
            Self::Remove { fingerprint } => {
                let session = Session::open(context).await?;
                let removed = session.client().remove_relay(&fingerprint).await?;
                session.close().await;
                let line = Line { relay: removed.to_string(), address: None, own: None };
                context.output.result(&line, |_| line.relay.clone())?;
                context.output.say("say-relay-removed");
            }
        }
        Ok(())
    }
}
