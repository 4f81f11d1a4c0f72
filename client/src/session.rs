//! An open vault and the client over it: the one place where the library is opened and its errors are worded.

use hearken_client_lib::clean::CannotClean;
use hearken_client_lib::vault::Damage;
pub(crate) use hearken_client_lib::{
    Author, ClientError, Consent, ConsentId, ConsentState, Contact, ContactId, ContactState,
    Conversation, Event, Events, FILE_MAX, FileInfo, FileOptions, FileState, HostPort, Message,
    MessageId, MessageKind, MessageState, Notice, RelayAddress, SendOutcome, UnixMillis,
};
use hearken_client_lib::{Client, KdfCost, Options, RouteAdvice, RouteChoice, VaultError};
pub(crate) use hearken_proto::limits::TEXT_MAX;
use std::io::Read;
use std::time::Duration;

use crate::context::Context;
use crate::failure::{Candidate, Code, Failure, printable};
use crate::global::Route;
use crate::progress::while_waiting;
use crate::secrets::Passphrase;
use crate::terminal;

/// How long a process waits for the home while another has it.
const HOME_WAIT: Duration = Duration::from_secs(30);

/// How every invitation link begins.
const LINK_PREFIX: &str = "hearken:invite/1#";

/// A client over an open vault.
pub(crate) struct Session {
    client: Client,
}

impl Session {
    /// Opens the vault of the home, with the passphrase as the flags say.
    pub(crate) async fn open(context: &Context) -> Result<Self, Failure> {
        need_vault(context)?;
        let phrase = context
            .passphrase
            .existing(&context.output, &context.shutdown, "ask-passphrase")
            .await?;
        let opening = Client::open(&context.home, phrase.as_bytes(), options(context, false));
        // Another process may have the home for half a minute.
        tokio::select! {
            opened = while_waiting(&context.output, "wait-open", opening) => {
                Ok(Self { client: opened? })
            }
            () = context.shutdown.wait() => Err(Code::Interrupted.into()),
        }
    }

    /// The passphrase of a vault that is to be made.
    pub(crate) async fn new_passphrase(context: &Context) -> Result<Passphrase, Failure> {
        need_no_vault(context)?;
        context.passphrase.check()?;
        context.passphrase.new_one(&context.output, &context.shutdown).await
    }

    /// Makes the vault of the home. Gives the words of the recovery phrase, too.
    pub(crate) async fn create(
        context: &Context,
        passphrase: Passphrase,
        test_kdf: bool,
    ) -> Result<(Self, Vec<String>), Failure> {
        let options = options(context, test_kdf);
        let making = Client::create(&context.home, passphrase.as_bytes(), options);
        let (client, recovery) = while_waiting(&context.output, "wait-create", making).await?;
        let words = recovery.words().map(str::to_owned).collect();
        Ok((Self { client }, words))
    }

    /// Makes the vault of the home from a copy.
    pub(crate) async fn restore(
        context: &Context,
        copy: impl Read + Send + 'static,
        phrase: &Passphrase,
    ) -> Result<Self, Failure> {
        let options = options(context, false);
        let making = Client::restore(&context.home, copy, phrase.as_bytes(), options);
        let client = while_waiting(&context.output, "wait-create", making).await?;
        Ok(Self { client })
    }

    /// Destroys the vault of the home.
    pub(crate) async fn destroy(context: &Context, phrase: &Passphrase) -> Result<(), Failure> {
        let destroying = Client::destroy(&context.home, phrase.as_bytes(), options(context, false));
        Ok(while_waiting(&context.output, "wait-open", destroying).await?)
    }

    /// Why the client ended by itself.
    pub(crate) async fn ended(&self) -> Failure {
        match self.client.contacts().await {
            Ok(_) => Code::Internal.into(),
            Err(error) => error.into(),
        }
    }

    /// The library's client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The contact that a name, an id or the beginning of an id means.
    pub(crate) async fn find(&self, given: &str) -> Result<Contact, Failure> {
        match self.client.find_contact(given).await {
            Ok(contact) => Ok(contact),
            Err(ClientError::UnknownContact) => {
                Err(Failure::new(Code::UnknownContact).with("given", printable(given)))
            }
            Err(ClientError::AmbiguousContact(matching)) => {
                let candidate = |contact: &Contact| Candidate::Contact {
                    contact: contact.id().to_string(),
                    name: contact.name().map(str::to_owned),
                };
                Err(Failure::ambiguous(given, matching.iter().map(candidate).collect()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The message that an id, or the beginning of one, means.
    pub(crate) async fn find_message(
        &self,
        within: Option<Conversation>,
        given: &str,
    ) -> Result<Message, Failure> {
        match self.client.find_message(within, given).await {
            Ok(message) => Ok(message),
            Err(ClientError::UnknownMessage) => {
                Err(Failure::new(Code::UnknownMessage).with("given", printable(given)))
            }
            Err(ClientError::AmbiguousMessage(matching)) => {
                let ids = matching.iter().map(|message| message.id().to_string()).collect();
                Err(Failure::ambiguous_message(given, ids))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The consent that an id, or the beginning of one, means.
    pub(crate) async fn find_consent(&self, given: &str) -> Result<Consent, Failure> {
        match self.client.find_consent(given).await {
            Ok(consent) => Ok(consent),
            Err(ClientError::UnknownConsent) => {
                Err(Failure::new(Code::UnknownConsent).with("given", printable(given)))
            }
            Err(ClientError::AmbiguousConsent(matching)) => {
                let ids = matching.iter().map(ConsentId::to_string).collect();
                Err(Failure::ambiguous_consent(given, ids))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes sure that this command may reach every mailbox the way it will, asking the person where it must.
    pub(crate) async fn permit_route(&self, context: &Context) -> Result<(), Failure> {
        match self.client.route_for_all().await? {
            RouteAdvice::NeedsConsent => self.ask_for_direct(context).await,
            RouteAdvice::NoEntry => Err(Code::NoEntry.into()),
            _ => Ok(()),
        }
    }

    /// Does `work`, which keeps nothing when a relay is unreachable; where it may not go directly, asks the person and
    /// does it again.
    pub(crate) async fn consenting<T>(
        &self,
        context: &Context,
        work: impl AsyncFn() -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let mut done = work().await;
        if matches!(done, Err(ClientError::NeedsConsentForDirect)) {
            self.ask_for_direct(context).await?;
            done = work().await;
        }
        done.map_err(|error| match error {
            ClientError::Unreachable => Failure::new(Code::Unreachable).with("kept", "nothing"),
            error => error.into(),
        })
    }

    /// Asks once; a yes is remembered.
    async fn ask_for_direct(&self, context: &Context) -> Result<(), Failure> {
        if !terminal::is_there() {
            return Err(Code::DirectNeedsConsent.into());
        }
        context.output.say("say-no-entry");
        if context.confirm("ask-direct").await? {
            self.client.remember_direct().await?;
            Ok(())
        } else {
            Err(Code::DirectNeedsConsent.into())
        }
    }

    /// Ends the client in good order. Dropping it ends it as well, only sooner.
    pub(crate) async fn close(self) {
        self.client.close().await;
    }
}

fn options(context: &Context, test_kdf: bool) -> Options {
    Options {
        who: context.who.clone(),
        wait: HOME_WAIT,
        kdf: if test_kdf { KdfCost::MINIMUM } else { KdfCost::default() },
        route: match context.route {
            None => RouteChoice::Remembered,
            Some(Route::Direct) => RouteChoice::Direct,
            Some(Route::Hop2) => RouteChoice::Hop2,
        },
    }
}

fn vault_exists(context: &Context) -> bool {
    Client::exists(&context.home)
}

/// Refuses where there is no vault, before anything is asked for.
pub(crate) fn need_vault(context: &Context) -> Result<(), Failure> {
    if vault_exists(context) { Ok(()) } else { Err(Code::NoVault.into()) }
}

/// Refuses where there is a vault, before anything is asked for.
pub(crate) fn need_no_vault(context: &Context) -> Result<(), Failure> {
    if vault_exists(context) { Err(Code::VaultExists.into()) } else { Ok(()) }
}

/// Refuses what is plainly no invitation, before a passphrase is asked for; the library reads it whole.
pub(crate) fn check_link(link: &str) -> Result<(), Failure> {
    if link.starts_with(LINK_PREFIX) { Ok(()) } else { Err(Code::InvitationMalformed.into()) }
}

/// A relay's address as it was typed.
pub(crate) fn address(given: &str) -> Result<RelayAddress, Failure> {
    given.trim().parse().map_err(|_| Code::AddressMalformed.into())
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::NoVault => Code::NoVault.into(),
            VaultError::AlreadyExists => Code::VaultExists.into(),
            VaultError::NotAVault => Code::NotAVault.into(),
            VaultError::WrongPassphrase => Code::WrongPassphrase.into(),
            VaultError::PassphraseEmpty => Code::PassphraseEmpty.into(),
            VaultError::HomeBusy { holder } => {
                Self::new(Code::HomeBusy).with("holder", printable(&holder))
            }
            VaultError::Damaged { what: Damage::Copy } => Code::CopyDamaged.into(),
            VaultError::Damaged { .. } => Code::VaultDamaged.into(),
            VaultError::FileExists => Code::FileExists.into(),
            VaultError::InsideVault => Code::InsideVault.into(),
            VaultError::TooNew => Code::VaultTooNew.into(),
            VaultError::OutOfMemory => Code::OutOfMemory.into(),
            VaultError::DiskFull => Code::DiskFull.into(),
            VaultError::NotEncrypted | VaultError::KdfCostOutOfBounds => Code::Internal.into(),
            _ => Code::Storage.into(),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match error {
            ClientError::Unreachable => Code::Unreachable,
            ClientError::NoRelay => Code::NoRelay,
            ClientError::NoEntry => Code::NoEntry,
            ClientError::NeedsConsentForDirect => Code::DirectNeedsConsent,
            ClientError::WrongFingerprint => Code::WrongFingerprint,
            ClientError::ClockWentBack => Code::ClockWentBack,
            ClientError::ClocksApart => Code::ClocksApart,
            ClientError::EntryRefuses => Code::PeerRefused,
            ClientError::RelayBusy => Code::RelayBusy,
            ClientError::RelayFull => Code::RelayFull,
            ClientError::NotAdmitted => Code::NotAdmitted,
            ClientError::RelayClosed => Code::RelayClosed,
            ClientError::RelayMisbehaved => Code::RelayMisbehaved,
            ClientError::InvitationMalformed => Code::InvitationMalformed,
            ClientError::InvitationExpired => Code::InvitationExpired,
            ClientError::InvitationGone => Code::InvitationGone,
            ClientError::InvitationClaimed => Code::InvitationClaimed,
            ClientError::CardSwapped => Code::CardSwapped,
            ClientError::OwnInvitation => Code::OwnInvitation,
            ClientError::UnknownContact => {
                return Self::new(Code::UnknownContact).with("given", "");
            }
            ClientError::AmbiguousContact(_) => return Self::ambiguous("", Vec::new()),
            ClientError::UnknownMessage => {
                return Self::new(Code::UnknownMessage).with("given", "");
            }
            ClientError::AmbiguousMessage(_) => return Self::ambiguous_message("", Vec::new()),
            ClientError::UnknownConsent => {
                return Self::new(Code::UnknownConsent).with("given", "");
            }
            ClientError::AmbiguousConsent(_) => return Self::ambiguous_consent("", Vec::new()),
            ClientError::OwnMessage => Code::OwnMessage,
            ClientError::ConsentInvalid => Code::ConsentInvalid,
            ClientError::ConsentOutdated => Code::ConsentOutdated,
            ClientError::ConsentDecided => Code::ConsentDecided,
            ClientError::NotConsented => Code::NotConsented,
            ClientError::NotYours => Code::NotYours,
            ClientError::EmojiInvalid => Code::EmojiInvalid,
            ClientError::TooManyReactions => Code::TooManyReactions,
            ClientError::TimerInvalid => Code::TimerInvalid,
            ClientError::NameTaken => Code::NameTaken,
            ClientError::NameInvalid => Code::NameInvalid,
            ClientError::Blocked => Code::ContactBlocked,
            ClientError::NotJoined => Code::NotJoined,
            ClientError::TextEmpty => Code::TextEmpty,
            ClientError::TextTooLong => Code::TextTooLong,
            ClientError::FileEmpty => Code::FileEmpty,
            ClientError::FileTooLarge => Code::FileTooLarge,
            ClientError::CannotClean(why) => {
                return Self::new(Code::CannotClean).with("why", why_not_clean(why));
            }
            ClientError::NotAFile => Code::NotAFile,
            ClientError::FileGone => Code::FileGone,
            ClientError::FileBroken => Code::FileBroken,
            ClientError::ExpiryInvalid => Code::ExpiryInvalid,
            ClientError::UnknownRelay => Code::UnknownRelay,
            ClientError::Address(_) => Code::AddressMalformed,
            ClientError::Vault(error) => return error.into(),
            _ => Code::Internal,
        };
        code.into()
    }
}

/// The word by which the catalogue tells why a file cannot be cleaned.
fn why_not_clean(why: CannotClean) -> &'static str {
    match why {
        CannotClean::Media => "media",
        CannotClean::Archive => "archive",
        CannotClean::OldOffice => "old-office",
        CannotClean::Encrypted => "encrypted",
        CannotClean::Damaged => "damaged",
        CannotClean::TooIntricate => "intricate",
        CannotClean::Embedded => "embedded",
        CannotClean::EmbeddedPicture => "picture",
        CannotClean::Macros => "macros",
        CannotClean::FetchesElsewhere => "fetches",
        CannotClean::DynamicForm => "form",
        _ => "unknown",
    }
}

/// Whether a file is here and whole.
pub(crate) fn is_here(file: &FileInfo) -> bool {
    file.state() == FileState::Here
}
