//! The relay as the last hop of a route: sessions from their OPEN on, and the commands in them.
//!
//! Guarantees: unproven sessions are bounded a link and in all (the oldest goes first, of the link that has most), and
//! closed after 10 s; a proof is checked, or a dummy in its stead, whatever the command's fate; nothing in here relates
//! one mailbox to another. What becomes of the store's answers is in `outcomes.rs`.

use std::collections::{BTreeMap, HashMap, VecDeque};

use hearken_proto::cell::{Cell, CloseReason};
use hearken_proto::ids::{ClaimId, ObjectId, RecvId, SendId};
use hearken_proto::limits::{
    SESSION_MINUTES_MAX, SESSIONS_MAX, UNPROVEN_MAX, UNPROVEN_PER_LINK_MAX, UNPROVEN_SECONDS_MAX,
};
use hearken_proto::payload::Payload;
use hearken_proto::pow::{self, Challenge, Purpose};
use hearken_proto::seal::{AcceptedRoute, KeyEpoch, RouteContext};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Reason, Role};
use rand_core::CryptoRng;

use super::action::{Action, LinkId, Ticket};
use super::base::{Base, Timer};
use super::bounds::{
    READER_SECONDS_MAX, READERS_MAX, READERS_PER_LINK_MAX, SESSION_MINUTES_GRACE,
    WATCHES_PER_FEED_MAX, WATCHES_PER_MAILBOX_MAX,
};
use super::census::Census;
use super::clock::Moment;
use super::command::WriteCommand;
use super::command::{
    Chunk, Create, Permit, Put, Read, ReadCommand, SessionNumber, Watched, Write,
};
use super::config::Admission;
use super::links::RouteKey;
use super::reply::{Reply, refusal};
use super::request::{Ask, Proof, Request, id_of};
use super::session::{Class, Effect, Session};
use super::watch::Watch;

/// What a ticket is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    /// A session's command, answered by so many cells.
    Answer(RouteKey, u32),
    /// A session's watch, and how many blobs it may be given.
    Push(RouteKey, u32),
    /// Nobody waits.
    Quiet,
    /// The sweep.
    Sweep,
}

/// Sessions at this relay, as the last hop.
#[derive(Default)]
pub(super) struct LastHop {
    pub(super) sessions: BTreeMap<RouteKey, Box<Session>>,
    unproven: Census,
    readers: Census,
    /// By mailbox or feed, the sessions that watch it, the oldest first.
    watchers: HashMap<Watched, VecDeque<RouteKey>>,
    pub(super) watching: usize,
    pub(super) pending: BTreeMap<Ticket, Pending>,
    /// Watches to be looked at.
    pub(super) pushes: VecDeque<RouteKey>,
    next_ticket: u64,
    next_number: u64,
}

/// When the command came, on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) wall: UnixMillis,
    pub(super) moment: Moment,
}

impl LastHop {
    /// An OPEN for this relay.
    pub(super) fn open(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        cell: Cell,
        rng: &mut dyn CryptoRng,
    ) {
        match self.accept(base, now, key, cell, rng) {
            Ok(()) => base.totals.sessions_opened += 1,
            Err(reason) => {
                base.totals.opens_refused += 1;
                base.send_close(key, reason, now.moment);
            }
        }
    }

    fn accept(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        cell: Cell,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), CloseReason> {
        if self.sessions.len() >= SESSIONS_MAX || base.keys.current().is_none() {
            return Err(CloseReason::Busy);
        }
        let keys = base.keys.by_hint(cell.epoch_hint()).ok_or(CloseReason::UnknownEpoch)?;
        let epoch = keys.epoch();
        let context = RouteContext { fingerprint: base.fingerprint, key_epoch: epoch };
        let accepted = AcceptedRoute::accept(&context, keys.seal(), cell, rng)
            .map_err(|_| CloseReason::UnknownEpoch)?;
        let (opened, blob) = Reply::opened().into_parts();
        let payload =
            Payload::of_reply(&opened, blob.as_ref()).map_err(|_| CloseReason::Refused)?;
        let (seal, first) =
            accepted.answer(key.route, payload, rng).map_err(|_| CloseReason::Refused)?;
        self.make_room(base, now, key.link);
        self.next_number += 1;
        let timer = now.moment.after_seconds(UNPROVEN_SECONDS_MAX);
        let number = SessionNumber(self.next_number);
        let session = Session::new(number, seal, epoch, now.moment, timer);
        // In boxes: a map that grows at its end is half empty.
        self.sessions.insert(key, Box::new(session));
        base.timers.set(timer, Timer::Session(key));
        self.unproven.insert(key);
        base.send_cell(key.link, first, now.moment);
        Ok(())
    }

    /// Closes the oldest unproven session where there are as many as may be: who proves a key does so at once.
    fn make_room(&mut self, base: &mut Base, now: Now, link: LinkId) {
        let oldest = if self.unproven.len_of(link) >= UNPROVEN_PER_LINK_MAX {
            self.unproven.oldest_of(link)
        } else if self.unproven.len() >= UNPROVEN_MAX {
            self.unproven.oldest_of_largest()
        } else {
            None
        };
        if let Some(oldest) = oldest {
            self.refuse(base, now, oldest, CloseReason::Busy);
        }
    }

    /// DATA on a session's route.
    pub(super) fn data(&mut self, base: &mut Base, now: Now, key: RouteKey, cell: Cell) {
        let Some(session) = self.sessions.get_mut(&key).filter(|session| !session.is_closing)
        else {
            return;
        };
        let request = session
            .seal
            .open(cell)
            .ok()
            .and_then(|payload| payload.command().ok())
            .map(|(command, blob)| Request::of(command, blob));
        let Some(request) = request else {
            return self.refuse(base, now, key, CloseReason::Refused);
        };
        if !session.owe(request.cells) {
            return self.refuse(base, now, key, CloseReason::Refused);
        }
        match request.ask {
            Err(reason) => {
                base.totals.commands_refused += 1;
                self.answer(base, now, key, refusal(reason, request.cells));
            }
            Ok(ask) => self.obey(base, now, key, request.cells, request.proof, ask),
        }
    }

    fn obey(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        cells: u32,
        proof: Option<Proof>,
        ask: Ask,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let role = ask.role();
        let (id, proven) = match role {
            None => ([0; 32], true),
            Some(role) => match check(base, session, role, proof) {
                Ok(checked) => checked,
                Err(reason) => {
                    // A second object in one session: answered, so that its client can tell, and closed.
                    self.answer(base, now, key, refusal(reason, cells));
                    return self.refuse_after_answers(base, now, key);
                }
            },
        };
        let is_object_read = matches!(ask, Ask::ObjectGet { .. });
        if role.is_some() && proven {
            self.set_class(base, now, key, Class::Proven);
        } else if is_object_read && !self.set_class(base, now, key, Class::Reader) {
            return self.refuse(base, now, key, CloseReason::Busy);
        }
        self.carry_out(base, now, key, cells, id, proven, ask);
    }

    #[allow(clippy::too_many_arguments, reason = "a command with its session, proof and time")]
    fn carry_out(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        cells: u32,
        id: [u8; 32],
        proven: bool,
        ask: Ask,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let hour = now.wall.hour();
        let mailbox = RecvId::from_bytes(id);
        let object = ObjectId::from_bytes(id);
        let epoch = session.epoch;
        let open = base.config.is_open(base.fingerprint, now.wall);
        let permit = Permit {
            proven,
            admitted: open && base.config.admission == Admission::Open,
            open,
            worked: false,
            room: base.has_room,
        };
        let reader = Effect::Reader(mailbox);
        match ask {
            Ask::Ping => self.answer(base, now, key, vec![Reply::done()]),
            Ask::Create { claim, sender, work } => {
                let permit = Permit {
                    worked: worked(base, epoch, Purpose::Mailbox, &id, 0, work),
                    ..permit
                };
                let claim = claim.map(|key| ClaimId::of(&key));
                let sender = sender.map(|key| SendId::of(&key));
                let create = Create { mailbox, claim, sender, permit };
                self.write(base, key, cells, Effect::Create, Write::Create(create));
            }
            Ask::Claim { sender } => {
                if proven && session.claim(sender).is_err() {
                    self.answer(base, now, key, refusal(Reason::Malformed, cells));
                    return self.refuse_after_answers(base, now, key);
                }
                let claim = ClaimId::from_bytes(id);
                self.write(base, key, cells, Effect::Claim, Write::Claim { claim, sender, permit });
            }
            Ask::Put { put_id, blob } => {
                let before = if proven { session.put(put_id) } else { Vec::new() };
                let (sender, session) = (SendId::from_bytes(id), session.number);
                let put = Put { sender, put_id, blob, session, before, permit };
                let effect = if proven { Effect::Put(put_id) } else { Effect::None };
                self.write(base, key, cells, effect, Write::Put(put));
            }
            Ask::Get { after, max } => {
                let get = Read::Get { mailbox, after, max, hour, proven };
                self.read(base, key, cells, reader, get);
            }
            Ask::Watch { after } => {
                let read = Read::Watch { mailbox, after, hour, proven };
                let watched = Watched::Mailbox(mailbox);
                let effect = self.watch(base, now, key, watched, after, proven);
                self.read(base, key, cells, effect, read);
            }
            Ask::Ack { cursor } => {
                let ack = Write::Ack { mailbox, cursor, permit };
                self.write(base, key, cells, Effect::Ack(cursor), ack);
            }
            Ask::DeleteMailbox => {
                let delete = Write::DeleteMailbox { mailbox, permit };
                self.write(base, key, cells, Effect::None, delete);
            }
            Ask::DeleteObject => {
                let delete = Write::DeleteObject { object, permit };
                self.write(base, key, cells, Effect::None, delete);
            }
            Ask::Declare { declaration, work } => {
                let size = declaration.chunks;
                let worked = worked(base, epoch, Purpose::Object, &id, size, work);
                let permit = Permit { worked, ..permit };
                let declare = Write::Declare { object, declaration, permit };
                self.write(base, key, cells, Effect::ObjectPut, declare);
            }
            Ask::Chunk { index, blob } => {
                let chunk = Write::Chunk(Chunk { object, index, blob, permit });
                self.write(base, key, cells, Effect::ObjectPut, chunk);
            }
            Ask::Feed(ask) => self.carry_out_feed(base, now, key, cells, id, permit, ask),
            Ask::ObjectGet { object, first, max } => {
                let get = Read::ObjectGet { object, first, max, hour };
                self.read(base, key, cells, Effect::None, get);
            }
        }
    }

    /// Moves a session on, and its deadline. `false` where there is no room for one more reader.
    fn set_class(&mut self, base: &mut Base, now: Now, key: RouteKey, class: Class) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else { return true };
        if session.class == Class::Proven || (session.class == class && class != Class::Reader) {
            return true;
        }
        let is_new = session.class != class;
        if is_new && class == Class::Reader {
            let full = self.readers.len() >= READERS_MAX
                || self.readers.len_of(key.link) >= READERS_PER_LINK_MAX;
            if full {
                return false;
            }
        }
        self.unproven.remove(key);
        self.readers.remove(key);
        session.class = class;
        base.timers.cancel(session.timer, Timer::Session(key));
        session.timer = match class {
            Class::Reader => {
                self.readers.insert(key);
                now.moment.after_seconds(READER_SECONDS_MAX)
            }
            Class::Proven | Class::Unproven => {
                session.opened_at.after_seconds((SESSION_MINUTES_MAX + SESSION_MINUTES_GRACE) * 60)
            }
        };
        base.timers.set(session.timer, Timer::Session(key));
        true
    }

    /// Begins a session's watch anew, where its key is proven.
    pub(super) fn watch(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        watched: Watched,
        after: u64,
        proven: bool,
    ) -> Effect {
        let Some(session) = self.sessions.get_mut(&key).filter(|_| proven) else {
            return Effect::None;
        };
        session.watch = Some(Box::new(Watch::new(after)));
        let watchers = self.watchers.entry(watched).or_insert_with(|| VecDeque::with_capacity(1));
        if watchers.contains(&key) {
            return Effect::Watch(watched);
        }
        watchers.push_back(key);
        self.watching += 1;
        let watches_max = match watched {
            Watched::Mailbox(_) => WATCHES_PER_MAILBOX_MAX,
            Watched::Feed(_) => WATCHES_PER_FEED_MAX,
        };
        if watchers.len() > watches_max
            && let Some(oldest) = watchers.front().copied()
        {
            self.close(base, now, oldest, CloseReason::Busy);
        }
        Effect::Watch(watched)
    }

    pub(super) fn unwatch(&mut self, key: RouteKey, watched: Watched) {
        if let Some(watchers) = self.watchers.get_mut(&watched) {
            let before = watchers.len();
            watchers.retain(|watcher| *watcher != key);
            self.watching -= before - watchers.len();
            if watchers.is_empty() {
                self.watchers.remove(&watched);
            }
        }
    }

    /// Unproven sessions and readers, as counted.
    #[cfg(test)]
    pub(super) fn counted(&self) -> [usize; 2] {
        [self.unproven.len(), self.readers.len()]
    }

    /// The sessions that watch a mailbox or a feed.
    pub(super) fn watchers_of(&self, watched: &Watched) -> Vec<RouteKey> {
        self.watchers.get(watched).into_iter().flatten().copied().collect()
    }

    /// A session's deadline has passed.
    pub(super) fn handle_timer(&mut self, base: &mut Base, now: Now, key: RouteKey) {
        match self.sessions.get(&key).map(|session| session.class) {
            Some(Class::Unproven) => self.refuse(base, now, key, CloseReason::Refused),
            Some(_) => self.close(base, now, key, CloseReason::Done),
            None => {}
        }
    }

    /// An epoch's keys are gone: its sessions can prove nothing more.
    pub(super) fn handle_epoch_over(&mut self, base: &mut Base, now: Now, epoch: KeyEpoch) {
        let over: Vec<RouteKey> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.epoch == epoch)
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            self.close(base, now, key, CloseReason::UnknownEpoch);
        }
    }

    /// A link is gone, and its sessions with it.
    pub(super) fn handle_link_closed(&mut self, base: &mut Base, link: LinkId) {
        let first = RouteKey { link, route: 0 };
        let last = RouteKey { link, route: u64::MAX };
        let gone: Vec<RouteKey> = self.sessions.range(first..=last).map(|(key, _)| *key).collect();
        for key in gone {
            self.end(base, key);
        }
    }

    /// Closes a session whose client broke a rule or a limit.
    pub(super) fn refuse(&mut self, base: &mut Base, now: Now, key: RouteKey, reason: CloseReason) {
        base.totals.sessions_refused += 1;
        self.close(base, now, key, reason);
    }

    /// As `refuse`, but what is answered already goes out first.
    fn refuse_after_answers(&mut self, base: &mut Base, now: Now, key: RouteKey) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.is_closing = true;
            if session.is_drained() {
                self.refuse(base, now, key, CloseReason::Refused);
            }
        }
    }

    /// Ends a session and says so.
    pub(super) fn close(&mut self, base: &mut Base, now: Now, key: RouteKey, reason: CloseReason) {
        if self.end(base, key) {
            base.send_close(key, reason, now.moment);
        }
    }

    /// Ends a session without a word: its client closed it, or its link is gone.
    pub(super) fn end(&mut self, base: &mut Base, key: RouteKey) -> bool {
        let Some(session) = self.sessions.remove(&key) else { return false };
        self.unproven.remove(key);
        self.readers.remove(key);
        base.timers.cancel(session.timer, Timer::Session(key));
        base.links.withdraw(key.link, session.outgoing());
        if let Some(watched) = session.watched() {
            self.unwatch(key, watched);
        }
        if session.may_be_blocked() {
            let ticket = self.ticket(Pending::Quiet);
            let forget = WriteCommand(Write::Forget(session.number));
            base.actions.push_back(Action::Write(ticket, forget));
        }
        true
    }

    /// Answers a command at once.
    pub(super) fn answer(&mut self, base: &mut Base, now: Now, key: RouteKey, replies: Vec<Reply>) {
        if let Some(session) = self.sessions.get_mut(&key) {
            let had_some = session.outgoing() > 0;
            let cells = session.answer(replies);
            queue(base, now, key, had_some, cells);
        }
    }

    /// Has a write carried out for a session.
    pub(super) fn write(
        &mut self,
        base: &mut Base,
        key: RouteKey,
        cells: u32,
        effect: Effect,
        write: Write,
    ) {
        let ticket = self.ticket(Pending::Answer(key, cells));
        base.links.expect(key.link, cells);
        if let Some(session) = self.sessions.get_mut(&key) {
            session.ask(cells, effect, ticket, true);
        }
        base.actions.push_back(Action::Write(ticket, WriteCommand(write)));
    }

    /// Has a read carried out for a session, once its earlier writes are.
    pub(super) fn read(
        &mut self,
        base: &mut Base,
        key: RouteKey,
        cells: u32,
        effect: Effect,
        read: Read,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.must_hold() {
            return session.hold(cells, effect, read);
        }
        let ticket = self.ticket(Pending::Answer(key, cells));
        base.links.expect(key.link, cells);
        if let Some(session) = self.sessions.get_mut(&key) {
            session.ask(cells, effect, ticket, false);
        }
        base.actions.push_back(Action::Read(ticket, ReadCommand(read)));
    }

    /// A ticket for a command under way.
    pub(super) fn ticket(&mut self, pending: Pending) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.pending.insert(ticket, pending);
        ticket
    }
}

/// Checks the proof that a command needs: the object's id, and whether it is proven. An error is a second object.
fn check(
    base: &Base,
    session: &mut Session,
    role: Role,
    proof: Option<Proof>,
) -> Result<([u8; 32], bool), Reason> {
    let context = RouteContext { fingerprint: base.fingerprint, key_epoch: session.epoch };
    let auth = base.keys.by_epoch(session.epoch).map(|keys| keys.auth());
    let verify = |session: &Session, key: &[u8; 32], id: &[u8; 32], mac: &[u8; 32]| {
        auth.is_some_and(|auth| {
            auth.verify(key, role, id, &context, session.seal.route_hash(), mac)
        })
    };
    match (proof, session.id(role)) {
        (Some(proof), _) => {
            let id = id_of(role, &proof.public_key);
            let proven = verify(session, &proof.public_key, &id, &proof.mac);
            if session.admits(role, &id).is_err() {
                return Err(Reason::Malformed);
            }
            if proven {
                session.prove(role, id);
            }
            // A wrong proof beside an earlier right one takes nothing back.
            let proven = proven || session.id(role) == Some(id);
            Ok((if proven { id } else { nobodys(id) }, proven))
        }
        (None, Some(id)) => Ok((id, true)),
        (None, None) => {
            let dummy = [9; 32];
            verify(session, &dummy, &dummy, &dummy);
            Ok((nobodys(dummy), false))
        }
    }
}

/// An id that nothing has, to be looked up in the stead of one that was not proven: whether that leads anywhere must
/// not show in how long the store takes. (Ids are hashes, so nobody has a key to the complement of another's.)
pub(super) fn nobodys(id: [u8; 32]) -> [u8; 32] {
    #[cfg(hearken_planted)]
    if hearken_proto::planted::is("unproven-id-looked-up") {
        return id;
    }
    id.map(|byte| !byte)
}

/// Whether a proof of work holds for one of the live epochs: it may have been begun before midnight.
pub(super) fn worked(
    base: &Base,
    epoch: KeyEpoch,
    purpose: Purpose,
    object_id: &[u8; 32],
    size: u32,
    nonce: u64,
) -> bool {
    let epochs = base.keys.live().map(|keys| keys.epoch()).filter(|live| *live != epoch);
    std::iter::once(epoch).chain(epochs).any(|key_epoch| {
        let context = RouteContext { fingerprint: base.fingerprint, key_epoch };
        let challenge = Challenge { purpose, context: &context, object_id, size };
        pow::verify(&challenge, base.config.work_bits(), nonce)
    })
}

/// Lines a session up at its link after `cells` more can go out.
pub(super) fn queue(base: &mut Base, now: Now, key: RouteKey, had_some: bool, cells: usize) {
    if cells > 0 {
        base.wait(key.link, cells, now.moment);
        if !had_some {
            base.links.ready(key);
        }
    }
}
