//! The conversation at a terminal that `up` holds: what arrives is shown, what is typed is sent.
//!
//! A line goes to the contact whom the person wrote to last, or to the only one there is; never to whoever happens to
//! have written last, so that a message that arrives in the middle of a line cannot change where that line goes.

use std::io::{self, BufRead, IsTerminal};

use fluent_bundle::FluentValue;
use tokio::sync::mpsc;

use crate::closings;
use crate::context::Context;
use crate::conversation::{self, short, state_name};
use crate::failure::{Code, Failure, printable};
use crate::session::{Contact, ContactId, ContactState, Event, MessageId, Session};

/// Typed lines that wait to be sent.
const LINES_MAX: usize = 16;

/// Shows and sends until the program is told to stop, or the person says `/quit`.
pub(crate) async fn run(context: &Context, session: &Session) -> Result<(), Failure> {
    let client = session.client();
    let mut events = client.events();
    client.follow().await?;
    let mut typed = typed_lines(context);
    if typed.is_some() {
        context.output.show(&context.output.language().text("live-help"))?;
    }
    closings::warn(context, session).await?;
    let mut live = Live { context, session, partner: None, waiting: Vec::new() };
    loop {
        conversation::show_new(context, session).await?;
        tokio::select! {
            event = events.next() => match event {
                Some(Event::RelayCloses(_)) => closings::warn(context, session).await?,
                Some(event) => live.event(&event),
                None => return Err(session.ended().await),
            },
            line = next_line(&mut typed) => match line {
                Some(line) => {
                    if live.line(&line).await?.is_break() {
                        return Ok(());
                    }
                }
                // The end of the input is not the end of the relay.
                None => typed = None,
            },
            () = context.shutdown.wait() => return Ok(()),
        }
    }
}

/// Lines from the terminal, or `None` where there is none to type at.
fn typed_lines(context: &Context) -> Option<mpsc::Receiver<String>> {
    if context.output.is_json() || !io::stdin().is_terminal() {
        return None;
    }
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    // Reading a terminal cannot be cancelled, so it is done by a thread that the end of the program ends.
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    Some(receiver)
}

async fn next_line(typed: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match typed {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

struct Live<'a> {
    context: &'a Context,
    session: &'a Session,
    partner: Option<ContactId>,
    waiting: Vec<MessageId>,
}

impl Live<'_> {
    fn event(&mut self, event: &Event) {
        let output = &self.context.output;
        match event {
            Event::MessageSent(id) => {
                if let Some(place) = self.waiting.iter().position(|waiting| waiting == id) {
                    self.waiting.swap_remove(place);
                    output.say("live-sent");
                }
            }
            Event::RelayUnreachable(_) => output.say("say-relay-unreachable"),
            Event::RelayReached(_) => output.say("say-relay-reached"),
            Event::RelayStays(_) => output.say("say-relay-stays"),
            Event::MailboxFull(_) => output.say("live-mailbox-full"),
            _ => {}
        }
    }

    /// What the person typed. A line that cannot be sent is answered, and is not the end.
    async fn line(&mut self, line: &str) -> Result<std::ops::ControlFlow<()>, Failure> {
        let output = &self.context.output;
        match line.trim() {
            "" => {}
            "/quit" => return Ok(std::ops::ControlFlow::Break(())),
            "/help" => output.show(&output.language().text("live-help"))?,
            "/contacts" => self.contacts().await?,
            command if command.starts_with("/name ") || command.starts_with("/verify ") => {
                if let Err(failure) = self.about_contact(command).await {
                    crate::output::complain(&failure.render(output.language(), false));
                }
            }
            command if command.starts_with('/') && !command.starts_with("//") => {
                output.say("live-unknown-command");
            }
            text => {
                // Two slashes: a text that begins with one.
                let text = text.strip_prefix('/').unwrap_or(text);
                if let Err(failure) = self.send(text).await {
                    crate::output::complain(&failure.render(output.language(), false));
                }
            }
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }

    async fn send(&mut self, typed: &str) -> Result<(), Failure> {
        let client = self.session.client();
        let (contact, text) = match typed.strip_prefix('@') {
            Some(rest) => {
                let (name, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                (self.session.find(name).await?, text.trim_start())
            }
            None => match self.partner().await? {
                Some(contact) => (contact, typed),
                None => {
                    self.context.output.say("live-to-whom");
                    return Ok(());
                }
            },
        };
        self.partner = Some(contact.id());
        if text.is_empty() {
            let name = [("name", FluentValue::from(name_of(&contact)))];
            self.context.output.say_with("live-partner", &name);
            return Ok(());
        }
        let message = client.send_text(contact.id(), text).await?;
        self.waiting.push(message);
        let name = [("name", FluentValue::from(name_of(&contact)))];
        let joined = contact.state() == ContactState::Joined;
        self.context.output.say_with(if joined { "live-to" } else { "live-to-invited" }, &name);
        Ok(())
    }

    /// `/name CONTACT NAME`, `/verify CONTACT` and `/verify CONTACT yes`.
    async fn about_contact(&self, command: &str) -> Result<(), Failure> {
        let output = &self.context.output;
        let client = self.session.client();
        let mut words = command.splitn(3, char::is_whitespace);
        let (verb, given) = (words.next(), words.next().unwrap_or_default());
        let rest = words.next().unwrap_or_default().trim();
        let contact = self.session.find(given).await?;
        if verb == Some("/name") {
            client.rename(contact.id(), rest).await?;
            output.say("say-renamed");
            return Ok(());
        }
        let safety = client.safety(contact.id()).await?.ok_or(Code::NotJoined)?;
        if rest == output.language().text("ask-yes") {
            client.confirm_verified(contact.id()).await?;
            output.say("say-verified");
            return Ok(());
        }
        output.show(&output.language().text("head-safety-phrase"))?;
        output.show(&format!("  {}", safety.words().join(" ")))?;
        output.say("live-verify-how");
        Ok(())
    }

    /// Whom a line without a name is for.
    async fn partner(&self) -> Result<Option<Contact>, Failure> {
        let mut contacts = self.session.client().contacts().await?;
        if let Some(partner) = self.partner {
            return Ok(contacts.into_iter().find(|contact| contact.id() == partner));
        }
        contacts.retain(|contact| contact.state() == ContactState::Joined && !contact.is_blocked());
        Ok(if contacts.len() == 1 { contacts.pop() } else { None })
    }

    async fn contacts(&self) -> Result<(), Failure> {
        let output = &self.context.output;
        let contacts = self.session.client().contacts().await?;
        for contact in &contacts {
            let state = output.language().text(state_name(contact));
            let id = contact.id().to_string();
            let name = contact.name().map_or_else(|| "-".to_owned(), printable);
            output.show(&format!("{}  {name}  {state}", short(&id)))?;
        }
        if contacts.is_empty() {
            output.say("say-no-contacts");
        }
        Ok(())
    }
}

fn name_of(contact: &Contact) -> String {
    contact.name().map_or_else(|| short(&contact.id().to_string()).to_owned(), printable)
}
