//! What becomes of the store's answers: replies in order, pushes to whoever watches, reads that waited.
//!
//! Guarantees: a reply speaks of what is durable; a push follows its commit, handed on by it or read from
//! committed rows; where the
//! session is gone its answer goes nowhere, but whoever watches the mailbox is told all the same.

use hearken_proto::cell::Cell;
use hearken_proto::cell::CloseReason;
use hearken_proto::ids::RecvId;
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::wire::Reason;
use rand_core::CryptoRng;

use super::action::{Action, LinkId, Ticket};
use super::base::Base;
use super::bounds::STORE_REQUESTS_MAX;
use super::command::{Answer, Outcome, Read, ReadCommand, Watched, Write, WriteCommand};
use super::last_hop::{LastHop, Now, Pending, queue};
use super::links::RouteKey;
use super::reply::{Reply, answer};
use super::session::Effect;
use crate::store::StoreError;

/// A blob that was stored just now.
#[derive(Clone, Copy)]
struct Stored {
    after: u64,
    position: u64,
    touch: bool,
}

/// What the sweep's answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// Sweep again at once.
    More,
    /// Nothing is due just now.
    Enough,
}

impl LastHop {
    /// The store has answered. `Some` where it was the sweep.
    pub(super) fn handle_outcome(
        &mut self,
        base: &mut Base,
        now: Now,
        ticket: Ticket,
        result: Result<Outcome, StoreError>,
    ) -> Option<Swept> {
        let pending = self.pending.remove(&ticket)?;
        let cells_added = result.as_ref().map_or(0, |outcome| outcome.cells_added);
        let mut result = result.map(|outcome| outcome.answer);
        if result.is_err() {
            base.totals.store_failures += 1;
        }
        match pending {
            Pending::Quiet => None,
            Pending::Sweep => Some(match result {
                Ok(Answer::Swept { more: true }) => Swept::More,
                _ => Swept::Enough,
            }),
            Pending::Push(key, cells) => {
                base.links.expected(key.link, cells);
                self.handle_push(base, now, key, ticket, result);
                self.unpark(base, key.link);
                None
            }
            Pending::Answer(key, cells) => {
                base.links.expected(key.link, cells);
                if let Ok(Answer::Stored { watched, after, position, blob, touch }) = &mut result {
                    let stored = Stored { after: *after, position: *position, touch: *touch };
                    self.notice(base, now, watched, stored, blob.take());
                }
                self.handle_answer(base, now, key, ticket, result, cells_added);
                self.unpark(base, key.link);
                None
            }
        }
    }

    /// Reads for watches, as many as the store may be asked for.
    pub(super) fn pump(&mut self, base: &mut Base, now: Now) {
        while self.pending.len() < STORE_REQUESTS_MAX
            && let Some(key) = self.pushes.pop_front()
        {
            let Some(session) = self.sessions.get_mut(&key) else { continue };
            let watched = session.watched();
            let Some((watch, watched)) = session.watch.as_mut().zip(watched) else { continue };
            watch.is_queued = false;
            let Some((after, max)) = watch.wants() else { continue };
            if base.links.is_full(key.link) {
                watch.is_queued = true;
                base.links.park(key);
                continue;
            }
            let ticket = self.ticket(Pending::Push(key, max));
            base.links.expect(key.link, max);
            if let Some(watch) =
                self.sessions.get_mut(&key).and_then(|session| session.watch.as_mut())
            {
                watch.begin(ticket, max);
            }
            let (hour, today) = (now.wall.hour(), now.wall.day());
            let read = match watched {
                Watched::Mailbox(mailbox) => Read::Get { mailbox, after, max, hour, proven: true },
                Watched::Feed(feed) => Read::FeedGet { feed, after, max, today, proven: true },
            };
            base.actions.push_back(Action::Read(ticket, ReadCommand(read)));
        }
    }

    /// The next cell of a session, sealed; whether there is another.
    pub(super) fn take_cell(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        rng: &mut dyn CryptoRng,
    ) -> Option<(Cell, bool)> {
        let session = self.sessions.get_mut(&key)?;
        let (reply, blob) = session.take()?.into_parts();
        let sealed = Payload::of_reply(&reply, blob.as_ref())
            .ok()
            .and_then(|payload| session.seal.seal(key.route, payload, rng).ok());
        let more = session.outgoing() > 0;
        let is_over = session.is_closing && session.is_drained();
        let Some(cell) = sealed else {
            // All the cells that one session may seal are sealed. The one taken is no longer waiting.
            base.links.withdraw(key.link, 1);
            self.close(base, now, key, CloseReason::Done);
            return None;
        };
        if is_over {
            self.refuse(base, now, key, CloseReason::Refused);
        }
        Some((cell, more))
    }

    /// A link has room again for those who watch through it.
    pub(super) fn unpark(&mut self, base: &mut Base, link: LinkId) {
        let routes = base.links.unpark(link);
        self.pushes.extend(routes.into_iter().map(|route| RouteKey { link, route }));
    }

    fn handle_answer(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        ticket: Ticket,
        result: Result<Answer, StoreError>,
        cells_added: i32,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some((cells, effect)) = session.asked(ticket) else { return };
        let cells = cells.saturating_add_signed(cells_added);
        count(base, effect, &result);
        let mut touched = None;
        let mut is_unwatched = None;
        match (effect, &result) {
            (Effect::Put(put_id), result) => {
                let is_stored = matches!(result, Ok(Answer::Done | Answer::Stored { .. }));
                session.put_done(put_id, is_stored);
            }
            (Effect::FeedPut(put_id), result) => {
                session.put_done(put_id, is_settled(result));
            }
            (Effect::Ack(cursor), Ok(Answer::Done)) => {
                if let Some(watch) = &mut session.watch {
                    watch.acknowledge(cursor);
                }
            }
            // What it reads next notes that the reader came.
            (Effect::Watch(_), Ok(Answer::Watching { .. })) => {
                if let Some(watch) = &mut session.watch {
                    watch.start();
                }
            }
            (Effect::Watch(watched), _) => {
                session.watch = None;
                is_unwatched = Some(watched);
            }
            (Effect::Reader(mailbox), Ok(Answer::Blobs { touch, .. })) => {
                touched = touch.then_some(mailbox);
            }
            _ => {}
        }
        let had_some = session.outgoing() > 0;
        let outgoing = session.resolve(ticket, answer(result, cells));
        queue(base, now, key, had_some, outgoing);
        if let Some(watched) = is_unwatched {
            self.unwatch(key, watched);
        }
        if let Some(mailbox) = touched {
            self.touch(base, mailbox);
        }
        self.release(base, key);
        self.queue_push(key);
    }

    fn handle_push(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        ticket: Ticket,
        result: Result<Answer, StoreError>,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let had_some = session.outgoing() > 0;
        let Some(watch) = session.watch.as_mut() else { return };
        let found = match &result {
            Ok(Answer::Blobs { blobs, .. }) => blobs.len(),
            _ => 0,
        };
        if !watch.end(ticket, found) {
            return;
        }
        let mut pushed = 0;
        match result {
            Ok(Answer::Blobs { blobs, touch }) => {
                pushed = blobs.len();
                for (position, _) in &blobs {
                    watch.push(*position);
                }
                for (position, blob) in blobs {
                    session.push(Reply::push(position, blob));
                }
                if let Some(Watched::Mailbox(mailbox)) = session.watched().filter(|_| touch) {
                    self.touch(base, mailbox);
                }
            }
            // Entries went before this reader came to them. It asks again from its cursor, and is told.
            Ok(Answer::Refused(Reason::Gap)) => {
                return self.close(base, now, key, CloseReason::Busy);
            }
            // The mailbox or feed is gone: its reader will find out by any command.
            Ok(_) => {}
            // Nothing was told: the reader must come again rather than wait for what does not come.
            Err(_) => return self.close(base, now, key, CloseReason::Busy),
        }
        base.totals.deliveries += pushed as u64;
        queue(base, now, key, had_some, pushed);
        self.queue_push(key);
    }

    /// Something new is in a mailbox or feed. A watch that has come this far is given it at once, others have it read.
    fn notice(
        &mut self,
        base: &mut Base,
        now: Now,
        watched: &Watched,
        stored: Stored,
        blob: Option<Blob>,
    ) {
        for key in self.watchers_of(watched) {
            let is_full = base.links.is_full(key.link);
            let Some(session) = self.sessions.get_mut(&key) else { continue };
            let had_some = session.outgoing() > 0;
            let Some(watch) = session.watch.as_mut() else { continue };
            match &blob {
                Some(blob) if !is_full && watch.follow(stored.after, stored.position) => {
                    session.push(Reply::push(stored.position, blob.clone()));
                    base.totals.deliveries += 1;
                    queue(base, now, key, had_some, 1);
                    if let Watched::Mailbox(mailbox) = watched
                        && stored.touch
                    {
                        self.touch(base, *mailbox);
                    }
                }
                _ => watch.notice(),
            }
            self.queue_push(key);
        }
    }

    /// Lines a watch up to be looked at, once.
    pub(super) fn queue_push(&mut self, key: RouteKey) {
        if let Some(watch) = self.sessions.get_mut(&key).and_then(|session| session.watch.as_mut())
            && !watch.is_queued
            && watch.wants().is_some()
        {
            watch.is_queued = true;
            self.pushes.push_back(key);
        }
    }

    /// Has the store note that a reader came today.
    fn touch(&mut self, base: &mut Base, mailbox: RecvId) {
        let ticket = self.ticket(Pending::Quiet);
        let touch = WriteCommand(Write::Touch { mailbox });
        base.actions.push_back(Action::Write(ticket, touch));
    }

    /// Asks for the reads that waited for a write.
    fn release(&mut self, base: &mut Base, key: RouteKey) {
        loop {
            let ticket = self.ticket(Pending::Quiet);
            let read = self.sessions.get_mut(&key).and_then(|session| session.release(ticket));
            let Some((read, cells)) = read else {
                self.pending.remove(&ticket);
                return;
            };
            self.pending.insert(ticket, Pending::Answer(key, cells));
            base.links.expect(key.link, cells);
            base.actions.push_back(Action::Read(ticket, ReadCommand(read)));
        }
    }
}

/// Whether an entry waits for nothing: it is there, or it will never be.
fn is_settled(result: &Result<Answer, StoreError>) -> bool {
    match result {
        Ok(Answer::Refused(reason)) => matches!(
            reason,
            Reason::Mismatch
                | Reason::NoObject
                | Reason::Named
                | Reason::Restored
                | Reason::Malformed
        ),
        result => result.is_ok(),
    }
}

fn count(base: &mut Base, effect: Effect, result: &Result<Answer, StoreError>) {
    let totals = &mut base.totals;
    match (effect, result) {
        (Effect::FeedPut(_), Ok(Answer::Stored { .. })) => totals.entries_stored += 1,
        (Effect::FeedPut(_), Ok(Answer::Done)) => totals.entries_repeated += 1,
        (Effect::FeedCreate, Ok(Answer::Done)) => totals.feed_creates += 1,
        (_, Ok(Answer::Stored { .. })) => totals.puts_stored += 1,
        (Effect::Put(_), Ok(Answer::Done)) => totals.puts_repeated += 1,
        (Effect::Create, Ok(Answer::Done)) => totals.creates += 1,
        (Effect::Claim, Ok(Answer::Done)) => totals.claims += 1,
        (Effect::ObjectPut, Ok(Answer::Done)) => totals.object_puts += 1,
        (_, Ok(Answer::Blobs { blobs, .. })) => totals.deliveries += blobs.len() as u64,
        (_, Ok(Answer::Chunks { blobs, .. })) => totals.chunks_read += blobs.len() as u64,
        (_, Ok(Answer::Refused(_)) | Err(_)) => totals.commands_refused += 1,
        _ => {}
    }
}
