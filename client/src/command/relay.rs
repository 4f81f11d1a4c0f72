//! `relay add`, `relay list`, `relay remove`: the relays that the person chose. No network.

use clap::Subcommand;
use fluent_bundle::FluentValue;
use hearken_client_lib::Closing;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::time;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    closes_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
}

impl Line {
    fn of(relay: String) -> Self {
        Self { relay, address: None, own: None, closes_at: None, successor: None }
    }
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
                let line = Line { address: Some(address.to_string()), ..Line::of(relay) };
                context.output.result(&line, |_| line.relay.clone())?;
                context.output.say("say-relay-added");
            }
            Self::List => {
                let session = Session::open(context).await?;
                let relays = session.client().relays().await?;
                let closings = session.client().closings().await?;
                session.close().await;
                for relay in &relays {
                    let address = relay.address().to_string();
                    let fingerprint = relay.address().fingerprint();
                    let closing = closings
                        .iter()
                        .find(|closing| closing.address().fingerprint() == fingerprint);
                    let line = Line {
                        address: Some(address.clone()),
                        own: Some(relay.is_own()),
                        closes_at: closing.map(|closing| time::rfc3339(closing.on())),
                        successor: closing.and_then(Closing::successor).map(ToString::to_string),
                        ..Line::of(fingerprint.to_string())
                    };
                    context.output.result(&line, |language| {
                        let mut text = address;
                        if relay.is_own() {
                            text = format!("{text}  {}", language.text("say-relay-own"));
                        }
                        if let Some(closing) = closing {
                            let date = FluentValue::from(time::for_people(closing.on()));
                            let closes = language.text_with("say-relay-closes", &[("date", date)]);
                            text = format!("{text}  {closes}");
                        }
                        text
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
                let line = Line::of(removed.to_string());
                context.output.result(&line, |_| line.relay.clone())?;
                context.output.say("say-relay-removed");
            }
        }
        Ok(())
    }
}
