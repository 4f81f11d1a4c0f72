//! `consent`: asking somebody whether what they wrote may be given on, and answering.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::context::Context;
use crate::conversation::{People, short};
use crate::failure::{Code, Failure, printable};
use crate::language::Language;
use crate::outgoing;
use crate::session::{
    self, Consent as Stored, ConsentId, ConsentState, Contact, MessageId, Session, UnixMillis,
};
use crate::time;

/// Asks, answers, takes back, lists.
#[derive(Subcommand)]
pub(crate) enum Consent {
    Ask(Ask),
    Answer(Answer),
    Withdraw(Withdraw),
    List(List),
}

/// Asks the author of a message.
#[derive(Args)]
pub(crate) struct Ask {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(long, value_name = "WHOM")]
    to: String,
    #[arg(long = "for", value_name = "WHAT")]
    purpose: String,
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    #[arg(value_name = "MESSAGE")]
    message: String,
}

/// Answers.
#[derive(Args)]
pub(crate) struct Answer {
    #[arg(value_name = "ID")]
    id: String,
    #[arg(value_name = "yes|no")]
    answer: YesNo,
}

/// An answer.
#[derive(Clone, Copy, ValueEnum)]
enum YesNo {
    Yes,
    No,
}

/// Takes a yes back.
#[derive(Args)]
pub(crate) struct Withdraw {
    #[arg(value_name = "ID")]
    id: String,
}

/// Lists them.
#[derive(Args)]
pub(crate) struct List {}

#[derive(Serialize)]
struct Line<'a> {
    consent: String,
    state: &'static str,
    contact: String,
    /// Who asked.
    from: String,
    message: String,
    to: &'a str,
    #[serde(rename = "for")]
    purpose: &'a str,
    until: Option<String>,
    /// Of what was just said: whether a relay has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'static str>,
}

impl Consent {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        match self {
            Self::Ask(ask) => ask.run(context).await,
            Self::Answer(Answer { id, answer }) => {
                let yes = matches!(answer, YesNo::Yes);
                decide(context, &id, Decision::Answer { yes }).await
            }
            Self::Withdraw(Withdraw { id }) => decide(context, &id, Decision::Withdraw).await,
            Self::List(_) => list(context).await,
        }
    }
}

impl Ask {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let until = match &self.until {
            Some(given) => Some(time::date(given).ok_or(Code::DateInvalid)?),
            None => None,
        };
        let session = Session::open(context).await?;
        let contact = session.find(&self.contact).await?;
        let target = session.find_message(Some(contact.id().into()), &self.message).await?;
        session.permit_route(context).await?;
        let client = session.client();
        let id =
            client.ask_consent(contact.id(), target.id(), &self.to, &self.purpose, until).await?;
        said(context, session, id, contact, MessageId::from_bytes(*id.as_bytes())).await
    }
}

enum Decision {
    Answer { yes: bool },
    Withdraw,
}

async fn decide(context: &Context, id: &str, decision: Decision) -> Result<(), Failure> {
    let session = Session::open(context).await?;
    let consent = session.find_consent(id).await?;
    session.permit_route(context).await?;
    let client = session.client();
    let told = match decision {
        Decision::Answer { yes } => client.answer_consent(consent.id(), yes).await?,
        Decision::Withdraw => client.withdraw_consent(consent.id()).await?,
    };
    let contact = match consent.conversation().contact() {
        Some(contact) => session.find(&contact.to_string()).await?,
        None => return Err(Code::Internal.into()),
    };
    said(context, session, consent.id(), contact, told).await
}

/// Has it go out, and prints how the consent stands.
async fn said(
    context: &Context,
    session: Session,
    id: ConsentId,
    contact: Contact,
    told: MessageId,
) -> Result<(), Failure> {
    let delivery = outgoing::deliver(context, &session, &contact, &[told]).await;
    let consent = session.find_consent(&id.to_string()).await?;
    let people = People::of(&session).await?;
    session.close().await;
    show(context, &consent, &people, Some(delivery.state()))?;
    delivery.end()
}

async fn list(context: &Context) -> Result<(), Failure> {
    let session = Session::open(context).await?;
    let consents = session.client().consents().await?;
    let people = People::of(&session).await?;
    session.close().await;
    for consent in &consents {
        show(context, consent, &people, None)?;
    }
    if consents.is_empty() {
        context.output.say("say-no-consents");
    }
    Ok(())
}

fn show(
    context: &Context,
    consent: &Stored,
    people: &People,
    delivery: Option<&'static str>,
) -> Result<(), Failure> {
    let contact = consent.conversation().contact();
    let line = Line {
        consent: consent.id().to_string(),
        state: state_name(consent.state()),
        contact: contact.map(|contact| contact.to_string()).unwrap_or_default(),
        from: people.name(consent.asker()),
        message: consent.message().to_string(),
        to: consent.audience(),
        purpose: consent.purpose(),
        until: consent.until().map(time::rfc3339),
        delivery,
    };
    context.output.result(&line, |language| {
        let who = people.name_for_people(language, consent.asker());
        let state = language.text(state_key(consent.state()));
        format!("{}  {who}  {state}\n{}", short(&line.consent), scope(language, consent))
    })
}

/// What a consent is about, a line each.
pub(crate) fn scope(language: &Language, consent: &Stored) -> String {
    let until = consent.until().map_or_else(
        || language.text("say-consent-for-good"),
        |until: UnixMillis| time::for_people(until),
    );
    [
        ("say-consent-message", short(&consent.message().to_string()).to_owned()),
        ("say-consent-to", printable(consent.audience())),
        ("say-consent-for", printable(consent.purpose())),
        ("say-consent-until", until),
    ]
    .map(|(key, value)| format!("  {} {value}", language.text(key)))
    .join("\n")
}

/// The name of a state in JSON.
pub(crate) fn state_name(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Asked => "asked",
        ConsentState::Given => "given",
        ConsentState::Refused => "refused",
        _ => "withdrawn",
    }
}

/// The same in the catalogue.
pub(crate) fn state_key(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Asked => "say-consent-asked",
        ConsentState::Given => "say-consent-given",
        ConsentState::Refused => "say-consent-refused",
        _ => "say-consent-withdrawn",
    }
}
