//! What must be: who invited whom, what was written, what of it may be lost and why, held against what the vaults say.
//!
//! The model hears of every message when it is written, and of every ciphertext when it stands in an outbox. A blob may
//! be missing at its reader for one of a few exact reasons ([`Excuse`]); every other must arrive. What is missing is
//! shown: the gaps of a conversation add up to the blobs that did not arrive.
//!
//! A vault that is put back after its conversation had moved on tears that conversation ([`Conversation::torn`]): from
//! then on it is only held to what holds always: nothing that was not written is shown, nothing twice.

use std::collections::{BTreeMap, BTreeSet};

use hearken_client_lib::ratchet::BODY_MAX;
use hearken_client_lib::{ContactId, Message, MessageId, MessageKind, MessageState, Notice};
use hearken_proto::ids::PutId;
use hearken_proto::payload::Blob;

use super::Broken;

/// What two clocks may be off, and hours that have begun: whether an invitation has expired is not told apart better.
const CLOCKS_OFF_MS: u64 = 5 * 3_600_000;
/// What a blob has beside its part of a message.
const FRAGMENT_OVERHEAD: usize = 36;

/// Why a blob need not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// It was acknowledged after the backup from which its relay was restored.
    RelayRestored,
    /// Nobody fetched it for 21 days.
    Expired,
    /// The relay changed it on the way to the reader.
    Garbled,
}

/// A ciphertext of a conversation.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Who sealed it.
    pub from: usize,
    /// What it is.
    pub blob: Blob,
    /// When it was sealed.
    pub at: u64,
    /// Why it need not arrive.
    pub excuse: Option<Excuse>,
    /// Whether its reader has stored what it brought.
    pub seen: bool,
    /// Whether it may come to its reader once more as one that cannot be opened: its writer was away before it heard
    /// that the relay has it, for longer than relay and reader remember it.
    pub again: bool,
}

/// A message that somebody wrote.
#[derive(Clone, Debug)]
pub struct Written {
    /// By whom.
    pub from: usize,
    /// Its name at both ends.
    pub id: MessageId,
    /// What.
    pub text: String,
    /// Which ciphertexts it became, once it has: places in [`Conversation::sealed`].
    pub sealed: Vec<usize>,
}

/// What an invitation leads to.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Who invited.
    pub inviter: usize,
    /// The link.
    pub link: String,
    /// When it expires.
    pub expires: u64,
    /// Where the inviter's mailbox is.
    pub relay: usize,
    /// Who joined.
    pub joiner: Option<usize>,
    /// When the join was seen to be done.
    pub joined_at: u64,
    /// Who was told that somebody else had joined.
    pub refused: BTreeSet<usize>,
    /// Whether a refused claim may not have been counted, or its count was lost with a relay's or a vault's past.
    pub count_lost: bool,
    /// What was written, in order.
    pub written: Vec<Written>,
    /// Ciphertexts, in order.
    pub sealed: Vec<Sealed>,
    /// Why nothing is promised any more but that nothing false is shown.
    pub torn: Option<&'static str>,
    /// Blobs that a relay made up, to look like one of their writer.
    pub forged: Vec<Sealed>,
}

impl Conversation {
    /// Whoever reads what `from` writes.
    #[must_use]
    pub fn reader_of(&self, from: usize) -> Option<usize> {
        if from == self.inviter { self.joiner } else { Some(self.inviter) }
    }

    /// Tears it; the first reason stays.
    pub fn tear(&mut self, why: &'static str) {
        self.torn.get_or_insert(why);
    }
}

/// What one person's vault is known to hold. Goes back with it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Conversation by contact.
    pub contacts: BTreeMap<ContactId, usize>,
    /// The last outbox row that was looked at.
    pub outbox_seen: i64,
    /// Ciphertexts that are not assigned to a message yet, by conversation.
    pub unassigned: BTreeMap<usize, Vec<usize>>,
    /// Lines of each conversation when it was last looked at.
    pub lines: BTreeMap<usize, Vec<(MessageId, u32)>>,
    /// Messages of one's own that a relay was said to have.
    pub sent: BTreeSet<MessageId>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Model {
    /// All invitations that were made.
    pub conversations: Vec<Conversation>,
    /// By person.
    pub views: Vec<View>,
    by_blob: BTreeMap<PutId, (usize, usize)>,
}

impl Model {
    /// Of so many people.
    #[must_use]
    pub fn new(people: usize) -> Self {
        Self { views: vec![View::default(); people], ..Self::default() }
    }

    /// The conversation that an invitation link belongs to.
    #[must_use]
    pub fn of_link(&self, link: &str) -> Option<usize> {
        self.conversations.iter().position(|conversation| conversation.link == link)
    }

    /// Conversation and place of a ciphertext.
    #[must_use]
    pub fn of_blob(&self, blob: &PutId) -> Option<(usize, usize)> {
        self.by_blob.get(blob).copied()
    }

    /// Somebody has joined. Whoever could is heard, however near the end of the invitation it was.
    ///
    /// # Errors
    /// [`Broken::ClaimOverwritten`] where somebody else had, [`Broken::JoinedTooLate`].
    pub fn joined(&mut self, conversation: usize, who: usize, now: u64) -> Result<(), Broken> {
        let conversation = &mut self.conversations[conversation];
        match conversation.joiner {
            None => {
                conversation.joiner = Some(who);
                conversation.joined_at = now;
                if now > conversation.expires + CLOCKS_OFF_MS {
                    return Err(Broken::JoinedTooLate(format!("by {who}")));
                }
            }
            Some(first) if first == who => {}
            Some(_) if conversation.torn.is_some() => {}
            Some(first) => {
                return Err(Broken::ClaimOverwritten(format!("{first} had joined, and {who} did")));
            }
        }
        Ok(())
    }

    /// Rows of somebody's outbox that were not seen before.
    pub fn outbox(
        &mut self,
        who: usize,
        conversation: usize,
        rows: Vec<hearken_client_lib::simulation::Waiting>,
        now: u64,
    ) {
        let view = &mut self.views[who];
        let of = &mut self.conversations[conversation];
        for row in rows {
            view.outbox_seen = view.outbox_seen.max(row.seq);
            let at = of.sealed.len();
            self.by_blob.insert(row.blob.put_id(), (conversation, at));
            of.sealed.push(Sealed {
                from: who,
                blob: row.blob,
                at: now,
                excuse: None,
                seen: false,
                again: false,
            });
            let unassigned = view.unassigned.entry(conversation).or_default();
            unassigned.push(at);
            let Some(message) = row.message else { continue };
            let mut sealed = std::mem::take(unassigned);
            if let Some(written) = of.written.iter_mut().find(|written| written.id == message) {
                // What comes before its own are introductions.
                written.sealed =
                    sealed.split_off(sealed.len().saturating_sub(parts(&written.text)));
            }
        }
    }

    /// Holds a conversation as one person sees it against what was written.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn look(
        &mut self,
        who: usize,
        conversation: usize,
        lines: &[Message],
    ) -> Result<(), Broken> {
        let of = &self.conversations[conversation];
        let view = &mut self.views[who];
        let now_there: Vec<(MessageId, u32)> = lines.iter().map(summary).collect();
        if let Some(before) = view.lines.get(&conversation) {
            only_grew(before, &now_there)?;
        }
        view.lines.insert(conversation, now_there);
        let mut last = None;
        let mut own = of.written.iter().filter(|written| written.from == who);
        for line in lines.iter().filter(|line| line.kind() == MessageKind::Text) {
            if line.is_from_me() {
                if of.torn.is_none() && own.next().is_none_or(|own| own.id != line.id()) {
                    return Err(Broken::OwnHistory(format!("{who}: {:?}", line.text())));
                }
                if matches!(line.state(), MessageState::Sent | MessageState::Delivered) {
                    view.sent.insert(line.id());
                } else if view.sent.contains(&line.id()) {
                    return Err(Broken::StateWentBack(line.text().to_owned()));
                }
                continue;
            }
            let at = of.written.iter().position(|written| {
                written.id == line.id() && written.text == line.text() && written.from != who
            });
            let Some(at) = at else { return Err(Broken::NeverWritten(line.text().to_owned())) };
            if of.torn.is_none() && last.is_some_and(|last| at <= last) {
                return Err(Broken::OutOfOrder(line.text().to_owned()));
            }
            last = Some(at);
        }
        if of.torn.is_none() && own.next().is_some() {
            return Err(Broken::OwnHistory(format!("{who} lost what they wrote")));
        }
        let mut ids: Vec<MessageId> =
            lines.iter().filter(|l| !l.is_from_me()).map(Message::id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Broken::Twice(format!("at {who}")));
        }
        Ok(())
    }

    /// What must have arrived in the end at the reader of what `from` writes.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn has_arrived(
        &self,
        conversation: usize,
        from: usize,
        lines: &[Message],
    ) -> Result<(), Broken> {
        let of = &self.conversations[conversation];
        let sealed = of.sealed.iter().filter(|sealed| sealed.from == from);
        let missing: Vec<&Sealed> = sealed.filter(|sealed| !sealed.seen).collect();
        if let Some(lost) = missing.iter().find(|sealed| sealed.excuse.is_none()) {
            return Err(Broken::Lost(format!(
                "conversation {conversation}: a blob of {from} sealed at {}",
                lost.at
            )));
        }
        for written in of.written.iter().filter(|written| written.from == from) {
            // A gap that stands for a text has its id.
            let is_it = |line: &&Message| !line.is_from_me() && line.id() == written.id;
            let shown = lines.iter().filter(is_it).any(|line| line.kind() == MessageKind::Text);
            let whole =
                !written.sealed.is_empty() && written.sealed.iter().all(|at| of.sealed[*at].seen);
            // Parts of a text are kept as long as relays keep blobs: those that came before may have gone.
            let spread =
                written.sealed.iter().any(|at| of.sealed[*at].excuse == Some(Excuse::Expired));
            if whole != shown && !(whole && spread && written.sealed.len() > 1) {
                let blobs = written.sealed.iter().map(|at| (*at, &of.sealed[*at]));
                let blobs: Vec<_> = blobs.map(|(at, blob)| (at, blob.seen, blob.excuse)).collect();
                return Err(Broken::Lost(format!(
                    "conversation {conversation}: a text of {from} in {blobs:?} is shown: {shown}"
                )));
            }
        }
        let gaps: u32 = lines
            .iter()
            .map(|line| match line.kind() {
                MessageKind::Gap { missing } => missing,
                _ => 0,
            })
            .sum();
        let forged = of.forged.iter().filter(|twin| twin.from == from && twin.seen).count();
        // A blob that was made up is shown as missing, and stands for one that is, where one is.
        let (missing, forged) = (missing.len() as u32, forged as u32);
        // Shown as missing, and came after all: once more, or as what the relay had changed before.
        let came_late = |sealed: &&Sealed| {
            sealed.from == from && sealed.seen && (sealed.again || sealed.excuse.is_some())
        };
        let again = of.sealed.iter().filter(came_late).count();
        if !(missing.max(forged)..=missing + forged + again as u32).contains(&gaps) {
            return Err(Broken::Gaps(format!(
                "conversation {conversation}: {gaps} cells are shown as missing from {from}, {missing} are"
            )));
        }
        Ok(())
    }

    /// Whether a refused claim is shown.
    #[must_use]
    pub fn shows_second_claim(lines: &[Message]) -> bool {
        lines.iter().any(|line| line.kind() == MessageKind::Notice(Notice::SecondClaim))
    }
}

/// How many blobs a text becomes: its content is the version (2 bytes), the time (7), and the text in two tags with
/// lengths, the outer one of 2 bytes. Receipts ride only where that needs no blob more.
fn parts(text: &str) -> usize {
    let tagged = |len: usize| 1 + if len < 128 { 1 } else { 2 } + len;
    (2 + 7 + 1 + tagged(tagged(text.len()))).div_ceil(BODY_MAX - FRAGMENT_OVERHEAD)
}

fn summary(line: &Message) -> (MessageId, u32) {
    let missing = match line.kind() {
        MessageKind::Gap { missing } => missing,
        _ => 0,
    };
    (line.id(), missing)
}

/// A conversation loses no line, and only its last may change: a gap that widens.
fn only_grew(before: &[(MessageId, u32)], now: &[(MessageId, u32)]) -> Result<(), Broken> {
    let kept = before.iter().zip(now).all(|(before, now)| before.0 == now.0 && before.1 <= now.1);
    if kept && before.len() <= now.len() {
        Ok(())
    } else {
        Err(Broken::HistoryChanged(format!("{} lines, then {}", before.len(), now.len())))
    }
}
