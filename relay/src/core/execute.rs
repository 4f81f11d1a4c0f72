//! Carries out the core's commands over the store: which function serves which command.
//!
//! Guarantees: a write takes effect through its transaction only, so an outcome speaks of what is durable; where a key
//! was not proven the same rows are looked up, and the answer is the one for a mailbox or feed that is not there.

use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

use super::command::{Answer, CommandContext, Outcome, Read, ReadCommand, Write, WriteCommand};
use super::{feed, feed_put, feed_read, mailbox, mailbox_read, object, object_read, put, sweep};
use crate::store::{Command, DayKeys, Query, Store, StoreError, Transaction};

impl Command for WriteCommand {
    type Outcome = Outcome;
    type Context = CommandContext;

    fn apply(
        self,
        tx: &mut Transaction<'_>,
        context: &mut Self::Context,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self::Outcome, StoreError> {
        let answer = match self.0 {
            Write::Create(create) => mailbox::create(tx, &context.limits, now, rng, &create),
            Write::Claim { claim, sender, permit } => mailbox::claim(tx, claim, sender, permit),
            Write::Put(put) => put::put(tx, context, now, rng, put),
            Write::Ack { mailbox, cursor, permit } => {
                mailbox::ack(tx, now, mailbox, cursor, permit)
            }
            Write::DeleteMailbox { mailbox, permit } => mailbox::delete(tx, mailbox, permit),
            Write::Touch { mailbox } => mailbox::touch(tx, now, mailbox),
            Write::Declare { object, declaration, permit } => {
                object::declare(tx, &context.day_keys, now, rng, object, declaration, permit)
            }
            Write::Chunk(chunk) => object::put_chunk(tx, &context.day_keys, now, rng, &chunk),
            Write::DeleteObject { object, permit } => object::delete(tx, now, object, permit),
            Write::FeedCreate(create) => feed::create(tx, &context.limits, now, rng, &create),
            Write::FeedPut(put) => feed_put::put(tx, context, now, rng, put),
            Write::FeedDelete { feed, permit } => feed::delete(tx, now, feed, permit),
            Write::Forget(session) => {
                context.blocked.remove(&session);
                Ok(Answer::Done)
            }
            Write::Sweep => sweep::sweep(tx, now),
        };
        answer.map(Outcome::honest)
    }
}

impl Query for ReadCommand {
    type Outcome = Outcome;
    type Context = DayKeys;

    fn run(self, store: &dyn Store, keys: &mut DayKeys) -> Result<Outcome, StoreError> {
        let answer = match self.0 {
            Read::Get { mailbox, after, max, hour, proven } => {
                mailbox_read::get(store, keys, mailbox, after, max, hour, proven)
            }
            Read::Watch { mailbox, after, hour, proven } => {
                mailbox_read::watch(store, mailbox, after, hour, proven)
            }
            Read::ObjectGet { object, first, max, hour } => {
                object_read::get(store, keys, object, first, max, hour)
            }
            Read::FeedGet { feed, after, max, today, proven } => {
                feed_read::get(store, keys, feed, after, max, today, proven)
            }
            Read::FeedWatch { feed, after, today, proven } => {
                feed_read::watch(store, feed, after, today, proven)
            }
        };
        answer.map(Outcome::honest)
    }
}
