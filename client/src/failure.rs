//! Why a command did not do what it was asked: a code for programs, a pair of sentences for people, an exit status.
//!
//! A failure holds the code and the few values that its sentences name; the words are in the catalogue, under
//! `err-<code>` (what went wrong) and `rec-<code>` (what to do now). It never holds a secret.

use fluent_bundle::FluentValue;
use serde::Serialize;

use crate::language::Language;

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident $text:literal $status:literal,)*) => {
        /// Every way to fail, with its name on the outside and its exit status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[$meta])* $name,)* }

        impl Code {
            /// All of them, for the test of the catalogue.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in JSON and in the catalogue.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// 1 refused or failed, 2 wrong usage, 3 unreachable, 4 wrong passphrase.
            pub(crate) const fn exit_status(self) -> u8 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    // What was typed.
    Usage "usage" 2,
    NotBuilt "not-built" 2,
    NoTerminal "no-terminal" 2,
    AddressMalformed "address-malformed" 2,
    InvitationMalformed "invitation-malformed" 2,
    // What was to be read.
    FileUnreadable "file-unreadable" 1,
    TextEmpty "text-empty" 1,
    TextTooLong "text-too-long" 1,
    TextNotUtf8 "text-not-utf8" 1,
    FileEmpty "file-empty" 1,
    FileTooLarge "file-too-large" 1,
    CannotClean "cannot-clean" 1,
    PassphraseEmpty "passphrase-empty" 1,
    PassphraseTooLong "passphrase-too-long" 1,
    PassphrasesDiffer "passphrases-differ" 1,
    // The vault.
    NoHome "no-home" 1,
    NoVault "no-vault" 1,
    VaultExists "vault-exists" 1,
    NotAVault "not-a-vault" 1,
    VaultDamaged "vault-damaged" 1,
    VaultTooNew "vault-too-new" 1,
    CopyDamaged "copy-damaged" 1,
    FileExists "file-exists" 1,
    InsideVault "inside-vault" 1,
    WrongPassphrase "wrong-passphrase" 4,
    HomeBusy "home-busy" 1,
    DiskFull "disk-full" 1,
    OutOfMemory "out-of-memory" 1,
    Storage "storage" 1,
    // Contacts.
    UnknownContact "unknown-contact" 1,
    AmbiguousContact "ambiguous-contact" 1,
    NameTaken "name-taken" 1,
    NameInvalid "name-invalid" 1,
    ContactBlocked "contact-blocked" 1,
    NotJoined "not-joined" 1,
    // Messages.
    UnknownMessage "unknown-message" 1,
    AmbiguousMessage "ambiguous-message" 1,
    NotYours "not-yours" 1,
    NotAFile "not-a-file" 1,
    FileGone "file-gone" 1,
    FileBroken "file-broken" 1,
    FileUnwritable "file-unwritable" 1,
    EmojiInvalid "emoji-invalid" 1,
    TooManyReactions "too-many-reactions" 1,
    TimerInvalid "timer-invalid" 2,
    DateInvalid "date-invalid" 2,
    UnknownConsent "unknown-consent" 1,
    AmbiguousConsent "ambiguous-consent" 1,
    OwnMessage "own-message" 1,
    ConsentInvalid "consent-invalid" 1,
    ConsentOutdated "consent-outdated" 1,
    ConsentDecided "consent-decided" 1,
    NotConsented "not-consented" 1,
    // Invitations.
    InvitationExpired "invitation-expired" 1,
    InvitationGone "invitation-gone" 1,
    InvitationClaimed "invitation-claimed" 1,
    CardSwapped "card-swapped" 1,
    OwnInvitation "own-invitation" 1,
    ExpiryInvalid "expiry-invalid" 2,
    // Relays and routes.
    NoRelay "no-relay" 1,
    UnknownRelay "unknown-relay" 1,
    NoEntry "no-entry" 1,
    DirectNeedsConsent "direct-needs-consent" 1,
    Unreachable "unreachable" 3,
    WrongFingerprint "wrong-fingerprint" 3,
    MailboxFull "mailbox-full" 3,
    ClockWentBack "clock-went-back" 1,
    ClocksApart "clocks-apart" 1,
    PeerRefused "peer-refused" 1,
    RelayBusy "relay-busy" 1,
    RelayFull "relay-full" 1,
    NotAdmitted "not-admitted" 1,
    RelayClosed "relay-closed" 3,
    RelayMisbehaved "relay-misbehaved" 1,
    // The relay that `up` runs.
    ListenRefused "listen-refused" 1,
    RelayFolder "relay-folder" 1,
    RelayConfiguration "relay-configuration" 1,
    RelayInUse "relay-in-use" 1,
    RelayFailed "relay-failed" 1,
    // The program itself.
    OutputClosed "output-closed" 1,
    Interrupted "interrupted" 1,
    Internal "internal" 1,
}

/// One that a name or prefix could have meant.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Candidate {
    /// A contact.
    Contact {
        /// The id, whole.
        contact: String,
        /// What this side calls them.
        name: Option<String>,
    },
    /// A message.
    Message {
        /// The id, whole.
        message: String,
    },
    /// A consent.
    Consent {
        /// The id, whole.
        consent: String,
    },
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    values: Vec<(&'static str, FluentValue<'static>)>,
    candidates: Vec<Candidate>,
}

/// The last line on standard error with `--json`.
#[derive(Serialize)]
struct ErrorLine<'a> {
    error: &'a str,
    message: String,
    advice: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    candidates: &'a [Candidate],
}

impl Failure {
    /// A failure whose sentences need no values.
    pub(crate) fn new(code: Code) -> Self {
        Self { code, values: Vec::new(), candidates: Vec::new() }
    }

    /// With a value for the sentences.
    pub(crate) fn with(
        mut self,
        name: &'static str,
        value: impl Into<FluentValue<'static>>,
    ) -> Self {
        self.values.push((name, value.into()));
        self
    }

    /// More than one contact matches what was given.
    pub(crate) fn ambiguous(given: &str, candidates: Vec<Candidate>) -> Self {
        Self::several(Code::AmbiguousContact, given, candidates)
    }

    fn several(code: Code, given: &str, candidates: Vec<Candidate>) -> Self {
        let named: Vec<String> = candidates
            .iter()
            .map(|candidate| match candidate {
                Candidate::Contact { contact, name: Some(name) } => {
                    format!("{} ({contact})", printable(name))
                }
                Candidate::Contact { contact: id, name: None }
                | Candidate::Message { message: id }
                | Candidate::Consent { consent: id } => id.clone(),
            })
            .collect();
        let mut failure =
            Self::new(code).with("given", printable(given)).with("candidates", named.join(", "));
        failure.candidates = candidates;
        failure
    }

    /// More than one message matches what was given.
    pub(crate) fn ambiguous_message(given: &str, ids: Vec<String>) -> Self {
        let candidates = ids.into_iter().map(|message| Candidate::Message { message });
        Self::several(Code::AmbiguousMessage, given, candidates.collect())
    }

    /// More than one consent matches what was given.
    pub(crate) fn ambiguous_consent(given: &str, ids: Vec<String>) -> Self {
        let candidates = ids.into_iter().map(|consent| Candidate::Consent { consent });
        Self::several(Code::AmbiguousConsent, given, candidates.collect())
    }

    /// What is not built yet.
    pub(crate) fn not_built(what: &'static str) -> Self {
        Self::new(Code::NotBuilt).with("what", what)
    }

    /// Its code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// What standard error ends with: one JSON object, or two plain lines.
    pub(crate) fn render(&self, language: &Language, json: bool) -> String {
        let code = self.code.as_str();
        let one_line = |text: String| text.replace(['\n', '\r'], " ");
        let message = one_line(language.text_with(&format!("err-{code}"), &self.values));
        let advice = one_line(language.text_with(&format!("rec-{code}"), &self.values));
        if json {
            let line = ErrorLine { error: code, message, advice, candidates: &self.candidates };
            serde_json::to_string(&line).unwrap_or_else(|_| format!("{{\"error\":\"{code}\"}}"))
        } else {
            format!("{message}\n{advice}")
        }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

/// What can be put on a terminal: control characters and those that override the direction of text, which could
/// forge other lines, become replacement characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
            '\u{2028}' | '\u{2029}' => char::REPLACEMENT_CHARACTER,
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let text = code.as_str();
            assert!(
                text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
            assert!(seen.insert(text));
            assert!((1..=4).contains(&code.exit_status()));
        }
    }

    #[test]
    fn json_is_one_line_with_error_message_and_advice() {
        let language = Language::choose(Some("en"));
        let line = Failure::new(Code::NoVault).render(&language, true);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["error"], "no-vault");
        assert!(value["message"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(value["advice"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(!line.contains('\n'));
    }

    #[test]
    fn text_is_two_lines() {
        let language = Language::choose(Some("en"));
        let failure = Failure::new(Code::UnknownContact).with("given", "a\nb".to_owned());
        assert_eq!(failure.render(&language, false).lines().count(), 2);
    }

    #[test]
    fn candidates_stand_in_the_message_and_beside_it() {
        let candidates = vec![
            Candidate::Contact { contact: "abcd01".into(), name: Some("Ada".into()) },
            Candidate::Contact { contact: "abcd02".into(), name: None },
        ];
        let line = Failure::ambiguous("abcd", candidates).render(&Language::choose(None), true);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(value["message"].as_str().unwrap().contains("abcd02"));
        assert_eq!(value["candidates"][0]["name"], "Ada");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
