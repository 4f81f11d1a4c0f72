//! The engine: the vault, the routes and the mailboxes of every contact, brought forward together. No network IO.
//!
//! A shell feeds it what links deliver, the time and randomness, carries out its actions, and waits for what it asks
//! the time for. Everything that matters is in the vault before anything is said about it: the exact ciphertext before
//! it is sent, the plaintext before it is acknowledged. So it may end between any two calls, and a new engine over the
//! same vault goes on.
//!
//! An error from the vault is the end of an engine: what it has in memory may be ahead of what is stored.

mod answers;
mod asked;
mod closing;
mod files;
mod routes;
mod said;
mod storing;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

use super::errand::{Errand, ErrandId, ErrandOutcome};
use super::receiver::Receiver;
use super::records::{self};
use super::sender::{Acknowledged, Sender};
use super::trouble::Trouble;
use crate::contact::ContactId;
use crate::error::ClientError;
use crate::event::Event;
use crate::relays::RouteChoice;
use crate::route::{LinkFailure, LinkId, RouteAction, Router, SessionId};
use crate::vault::{Vault, VaultError};

/// Events kept for a display that does not take them; older ones go, since all that matters is in the vault.
const EVENTS_MAX: usize = 1_024;

/// How long the engine keeps at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Only errands reach the network.
    Quiet,
    /// Everything that is due is done once.
    Sync,
    /// Mailboxes are watched.
    Follow,
}

/// Whose a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Receiver(ContactId),
    Sender(ContactId),
    Errand(ErrandId),
    /// A file on its way, by its row.
    File(i64),
}

/// What a sync came to.
#[derive(Debug, Default)]
pub struct SyncOutcome {
    /// Relays that did not answer.
    pub unreachable: Vec<Fingerprint>,
    /// The first other thing that kept something from being done.
    pub trouble: Option<ClientError>,
    /// Whether something is left to do, as after the time was up.
    pub left_over: bool,
}

/// See the module.
pub(crate) struct Engine {
    vault: Vault,
    router: Router,
    choice: RouteChoice,
    mode: Mode,
    receivers: BTreeMap<ContactId, Receiver>,
    senders: BTreeMap<ContactId, Sender>,
    errands: BTreeMap<ErrandId, Errand>,
    transfers: BTreeMap<i64, files::Transfer>,
    /// Files that the relay will not have, in this run, whose they are and why.
    failed_files: BTreeMap<i64, (ContactId, Trouble)>,
    /// Whether rows of files may have changed that nobody has looked at.
    files_due: bool,
    next_errand: u64,
    finished: VecDeque<(ErrandId, Result<ErrandOutcome, ClientError>)>,
    owners: HashMap<SessionId, Owner>,
    acknowledged: Vec<(ContactId, Acknowledged)>,
    infos: BTreeMap<Fingerprint, UnixMillis>,
    /// When the newest information was signed that was heard of each relay, in this run or before.
    newest_infos: BTreeMap<Fingerprint, UnixMillis>,
    silent: BTreeSet<Fingerprint>,
    reached: BTreeSet<Fingerprint>,
    entry_turn: BTreeMap<Fingerprint, usize>,
    events: VecDeque<Event>,
    /// When time brings something next, while mailboxes are watched.
    chores_at: Option<UnixMillis>,
}

impl Engine {
    /// An engine over an open vault.
    pub(crate) fn new(vault: Vault, choice: RouteChoice) -> Result<Self, VaultError> {
        let mut router = Router::new();
        let newest_infos: BTreeMap<_, _> =
            records::newest_infos(vault.database())?.into_iter().collect();
        for (relay, newest) in &newest_infos {
            router.remember_info(*relay, *newest);
        }
        Ok(Self {
            vault,
            router,
            choice,
            mode: Mode::Quiet,
            receivers: BTreeMap::new(),
            senders: BTreeMap::new(),
            errands: BTreeMap::new(),
            transfers: BTreeMap::new(),
            failed_files: BTreeMap::new(),
            files_due: true,
            next_errand: 0,
            finished: VecDeque::new(),
            owners: HashMap::new(),
            acknowledged: Vec::new(),
            infos: BTreeMap::new(),
            newest_infos,
            silent: BTreeSet::new(),
            reached: BTreeSet::new(),
            entry_turn: BTreeMap::new(),
            events: VecDeque::new(),
            chores_at: None,
        })
    }

    /// The vault, for what needs no network.
    pub(crate) fn vault(&mut self) -> &mut Vault {
        &mut self.vault
    }

    /// Gives the vault back and drops every link, to hand the home to another process.
    pub(crate) fn into_vault(self) -> Vault {
        self.vault
    }

    /// A link that was asked for is there.
    pub(crate) fn handle_connected(
        &mut self,
        link: LinkId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.router.handle_connected(now, rng, link);
        self.turn(now, rng)
    }

    /// A link is not there, or not any more.
    pub(crate) fn handle_disconnected(
        &mut self,
        link: LinkId,
        why: LinkFailure,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.router.handle_disconnected(now, link, why);
        self.turn(now, rng)
    }

    /// Cells of a link, in order.
    pub(crate) fn handle_cells(
        &mut self,
        link: LinkId,
        cells: impl IntoIterator<Item = Cell>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        for cell in cells {
            self.router.handle_cell(now, rng, link, cell);
        }
        self.turn(now, rng)
    }

    /// Time has passed, or there is work.
    pub(crate) fn handle_timeout(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.handle_chores(now, rng)?;
        self.router.handle_timeout(now, rng);
        for sender in self.senders.values_mut() {
            sender.handle_timeout(now, &mut self.router);
        }
        let idle: Vec<ContactId> = self
            .senders
            .iter()
            .filter(|(_, sender)| sender.is_idle(now))
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            self.close_sender(id, now, rng);
        }
        self.turn(now, rng)
    }

    fn close_sender(
        &mut self,
        id: ContactId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        if let Some(sender) = self.senders.get_mut(&id)
            && let Some(session) = sender.session()
        {
            self.owners.remove(&session);
            self.router.close(now, rng, session);
            sender.handle_closed(None, now, rng);
        }
    }

    /// Whether proof of work is being searched: call [`Engine::handle_timeout`] again soon.
    pub(crate) fn has_work(&self) -> bool {
        self.receivers.values().any(Receiver::is_working)
            || self.errands.values().any(Errand::is_working)
            || self.transfers.values().any(files::Transfer::is_working)
    }

    /// When [`Engine::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        self.receivers
            .values()
            .filter_map(Receiver::poll_timeout)
            .chain(self.senders.values().filter_map(Sender::poll_timeout))
            .chain(self.errands.values().map(Errand::poll_timeout))
            .chain(self.transfers.values().filter_map(files::Transfer::poll_timeout))
            .chain(self.router.poll_timeout())
            .chain(self.chores_at)
            .min()
    }

    /// What the shell shall do.
    pub(crate) fn poll_action(&mut self) -> Option<RouteAction> {
        self.router.poll_action()
    }

    /// What a display may want to know.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What an errand came to.
    pub(crate) fn poll_finished(
        &mut self,
    ) -> Option<(ErrandId, Result<ErrandOutcome, ClientError>)> {
        self.finished.pop_front()
    }

    fn emit(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}
