//! What each step does to a world, and what the model looks at after it.

use std::sync::{Arc, Mutex, PoisonError};

use hearken_client_lib::simulation::InlineClient;
use hearken_client_lib::{ClientError, ContactId, ContactState, MessageKind};
use hearken_proto::payload::Blob;
use hearken_proto::time::DAY_MS;
use hearken_relay::core::Told;
use hearken_relay::store::{MemoryStore, StoreError};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::fault::Fault;
use super::model::{Excuse, Model, Sealed, Written};
use super::network::Node;
use super::person::{Image, Purpose};
use super::script::{Script, Step};
use super::world::{Backup, Lie, World, vault};
use super::{Broken, Plant, Report};

const HOUR_MS: u64 = 3_600_000;
/// How far time goes at once while every device sleeps.
const SLEEP_STEP_MS: u64 = 8 * HOUR_MS;
/// How often the model looks at everybody.
const LOOK_EVERY: usize = 8;
/// A blob older than this need not arrive: its TTL, less what clocks may be off.
const EXPIRED_MS: u64 = 21 * DAY_MS - 4 * HOUR_MS;
/// The bits of a position in which blobs of one life and day are counted.
const POSITION_COUNT: u64 = 0x1f_ffff;

impl World {
    /// Carries a script out, lets everything settle, and holds all of it against the model.
    ///
    /// # Errors
    /// What does not hold.
    pub fn run(mut self, script: &Script) -> Result<Report, Broken> {
        for at in 0..self.relays.len() {
            self.arm_lies(at);
        }
        for (count, (stream, step)) in script.steps.iter().enumerate() {
            self.draw_from(u64::from(*stream));
            self.step(*step)?;
            self.pass(self.now + 50)?;
            if count % LOOK_EVERY == 0 {
                self.look_all()?;
            }
        }
        self.draw_from(u64::MAX);
        self.settle()?;
        if self.network.lost > 0 {
            self.faults.note(Fault::Loss);
        }
        if self.network.overtaken > 0 {
            self.faults.note(Fault::Reordered);
        }
        Ok(self.report(script))
    }

    fn report(&self, script: &Script) -> Report {
        let all = &self.model.conversations;
        let joined = all.iter().filter(|of| of.joiner.is_some());
        Report {
            faults: self.faults.clone(),
            steps: script.steps.len(),
            written: all.iter().map(|of| of.written.len()).sum(),
            arrived: all.iter().flat_map(|of| &of.sealed).filter(|sealed| sealed.seen).count(),
            conversations: (joined.clone().count(), joined.filter(|of| of.torn.is_some()).count()),
            sealed: self.seals.seen(),
        }
    }

    /// From here on randomness comes from a stream of its own, so that no two steps ever draw the same.
    fn draw_from(&mut self, stream: u64) {
        self.rng = ChaCha8Rng::seed_from_u64(self.seed);
        self.rng.set_stream(stream);
    }

    fn step(&mut self, step: Step) -> Result<(), Broken> {
        let (people, relays) = (self.people.len(), self.relays.len());
        let who = |number: u8| usize::from(number) % people;
        let at = |number: u8| usize::from(number) % relays;
        match step {
            Step::Invite { who: number, hours } => self.invite(who(number), u32::from(hours)),
            Step::Join { who: number, invitation } => self.join_one(who(number), invitation),
            Step::JoinBoth { first, second, invitation } => {
                let (first, second) = (who(first), who(second));
                self.join_one(first, invitation)?;
                self.join_one(second, invitation)
            }
            Step::Send { who: number, contact, bytes } => {
                self.send(who(number), usize::from(contact), usize::from(bytes))
            }
            Step::Fetch { who: number } => {
                self.begin(who(number), |client, now, rng| Ok(client.begin_sync(now, rng)?))
            }
            Step::Follow { who: number } => {
                let number = who(number);
                self.people[number].is_following = true;
                self.begin(number, |client, now, rng| Ok(client.begin_follow(now, rng)?))
            }
            Step::Pass { ms } => self.pass(self.now + u64::from(ms)),
            Step::Sleep { hours } => self.sleep(u64::from(hours) * HOUR_MS),
            Step::Midnight => {
                let midnight = (self.now / DAY_MS + 1) * DAY_MS;
                self.sleep(midnight + 60_000 - self.now)
            }
            Step::Part { node, relay } => {
                let count = self.people.len() + self.relays.len();
                let node = match usize::from(node) % count {
                    person if person < self.people.len() => Node::Person(person),
                    other => Node::Relay(other - self.people.len()),
                };
                self.network.part(node, Node::Relay(at(relay)), self.now);
                Ok(())
            }
            Step::Heal => {
                if self.network.heal(self.now) {
                    self.faults.note(Fault::Partition);
                }
                Ok(())
            }
            Step::Restart { who: number } => {
                self.faults.note(Fault::ClientRestart);
                self.restart(who(number), None)
            }
            Step::RestartInCommit { who: number, commits, acts } => {
                let person = &mut self.people[who(number)];
                person.ends = Some(acts);
                match &mut person.client {
                    Some(client) => client.end_after_commits(u32::from(commits)).map_err(vault),
                    None => Ok(()),
                }
            }
            Step::Copy { who: number } => self.copy(who(number)),
            Step::PutBack { who: number } => self.put_back(who(number)),
            Step::Skew { node, minutes } => {
                self.skew(usize::from(node), i64::from(minutes) * 60_000);
                Ok(())
            }
            other => self.fault(other),
        }
    }

    fn fault(&mut self, step: Step) -> Result<(), Broken> {
        let relays = self.relays.len();
        let at = |number: u8| usize::from(number) % relays;
        let noted = match step {
            Step::Lose { link, kept } => {
                let _ = self.network.lose(link, usize::from(kept), self.now);
                None
            }
            Step::DropCell { link } => {
                let dropped = self.network.meddle(link, |way| drop(way.pop_front()));
                dropped.then_some(Fault::Dropped)
            }
            Step::RepeatCell { link } => {
                let repeated = self.network.meddle(link, |way| {
                    if let Some(first) = way.front().cloned() {
                        way.push_front(first);
                    }
                });
                repeated.then_some(Fault::Duplicated)
            }
            Step::SwapCells { link } => {
                let swapped = self.network.meddle(link, |way| {
                    let (first, second) = (way[0].0, way[1].0);
                    way.swap(0, 1);
                    (way[0].0, way[1].0) = (first, second);
                });
                swapped.then_some(Fault::Reordered)
            }
            Step::RestartRelay { relay } => {
                self.restart_relay(at(relay))?;
                Some(Fault::RelayRestart)
            }
            Step::Backup { relay } => {
                self.back_up(at(relay))?;
                None
            }
            Step::Restore { relay } => self.restore(at(relay))?.then_some(Fault::RelayRestored),
            Step::FailCommits { relay, count } => {
                if let Some(core) = &self.relays[at(relay)].core {
                    core.store().fail_commits(u32::from(count), StoreError::Full);
                }
                Some(Fault::StoreFailed)
            }
            Step::Hold { relay, ms } => {
                let relay = &mut self.relays[at(relay)];
                relay.held_until = Some(self.now + u64::from(ms));
                if let Some(core) = &mut relay.core {
                    core.hold_store(true);
                }
                Some(Fault::StoreHeld)
            }
            Step::Garble { relay } => {
                lock(&self.relays[at(relay)].lie).garbles = true;
                None
            }
            Step::Forge { relay } => {
                lock(&self.relays[at(relay)].lie).forges = true;
                None
            }
            _ => None,
        };
        if let Some(fault) = noted {
            self.faults.note(fault);
        }
        Ok(())
    }

    // --- people -------------------------------------------------------------------------------

    pub(super) fn begin(
        &mut self,
        who: usize,
        begin: impl FnOnce(
            &mut InlineClient,
            hearken_client_lib::UnixMillis,
            &mut ChaCha8Rng,
        ) -> Result<(), ClientError>,
    ) -> Result<(), Broken> {
        match self.client(who, begin)? {
            Some(Err(error)) => Err(Broken::Errand(error.to_string())),
            _ => Ok(()),
        }
    }

    fn invite(&mut self, who: usize, hours: u32) -> Result<(), Broken> {
        match self.client(who, |client, now, rng| client.invite(hours, now, rng))? {
            Some(Ok(errand)) => {
                self.people[who].errands.insert(errand, Purpose::Invite(hours));
                Ok(())
            }
            Some(Err(error)) => Err(Broken::Errand(error.to_string())),
            None => Ok(()),
        }
    }

    fn join_one(&mut self, who: usize, invitation: u8) -> Result<(), Broken> {
        let others: Vec<usize> = (0..self.model.conversations.len())
            .filter(|at| self.model.conversations[*at].inviter != who)
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let conversation = others[usize::from(invitation) % others.len()];
        if self.is_known(who, conversation)? {
            return Ok(());
        }
        self.people[who].wants.insert(conversation);
        self.join(who, conversation)
    }

    fn is_known(&mut self, who: usize, conversation: usize) -> Result<bool, Broken> {
        let link = &self.model.conversations[conversation].link;
        let Some(client) = &mut self.people[who].client else { return Ok(true) };
        let is_there = client.contact_of(link).map_err(vault)?.is_some();
        let is_begun = self.people[who]
            .errands
            .values()
            .any(|purpose| matches!(purpose, Purpose::Join(of, _) if *of == conversation));
        Ok(is_there || is_begun)
    }

    /// Begins a join that somebody wants, or goes on with it.
    pub(super) fn join(&mut self, who: usize, conversation: usize) -> Result<(), Broken> {
        let link = self.model.conversations[conversation].link.clone();
        let begun = self.people[who].clock(self.now).0;
        match self.client(who, |client, now, rng| client.join(&link, now, rng))? {
            Some(Ok(errand)) => {
                let purpose = Purpose::Join(conversation, begun);
                self.people[who].errands.insert(errand, purpose);
                Ok(())
            }
            // A process that ended after the join was done told nobody.
            Some(Err(ClientError::OwnInvitation)) => Ok(()),
            Some(Err(error)) => self.join_failed(who, conversation, begun, &error),
            None => Ok(()),
        }
    }

    pub(super) fn send(&mut self, who: usize, contact: usize, bytes: usize) -> Result<(), Broken> {
        self.refresh(who)?;
        let contacts: Vec<(ContactId, usize)> =
            self.model.views[who].contacts.iter().map(|(id, of)| (*id, *of)).collect();
        if contacts.is_empty() {
            return Ok(());
        }
        let (contact, conversation) = contacts[contact % contacts.len()];
        let number = self.model.conversations[conversation].written.len();
        let text = format!("{who} {number} {}", "x".repeat(bytes));
        let register = |model: &mut Model, id| {
            let text = text.clone();
            let written = Written { from: who, id, text, sealed: Vec::new() };
            model.conversations[conversation].written.push(written);
        };
        // The model hears of it before the outbox is looked at.
        let Some(client) = &mut self.people[who].client else { return Ok(()) };
        let before = client.history(contact).map_err(vault)?.len();
        let clock = self.people[who].clock(self.now);
        let Some(client) = &mut self.people[who].client else { return Ok(()) };
        let sent = client.send_text(contact, &text, clock, &mut self.rng);
        match sent {
            Ok(id) => {
                register(&mut self.model, id);
                self.client(who, |_, _, _| Ok(()))?;
                Ok(())
            }
            Err(ClientError::Vault(error)) => {
                // Whether the text was stored is seen in what the next process finds.
                let lines = client.history(contact).map_err(vault)?;
                let stored = lines[before.min(lines.len())..]
                    .iter()
                    .find(|line| line.is_from_me() && line.kind() == MessageKind::Text);
                if let Some(line) = stored {
                    register(&mut self.model, line.id());
                }
                self.client::<()>(who, |_, _, _| Err(ClientError::Vault(error)))?;
                Ok(())
            }
            Err(error) => Err(Broken::Errand(error.to_string())),
        }
    }

    fn copy(&mut self, who: usize) -> Result<(), Broken> {
        self.look(who)?;
        let view = self.model.views[who].clone();
        let Some(client) = &mut self.people[who].client else { return Ok(()) };
        let mut ratchets = std::collections::BTreeMap::new();
        for contact in view.contacts.keys() {
            if let Some(ratchet) = client.ratchet(*contact).map_err(vault)? {
                ratchets.insert(*contact, ratchet.to_vec());
            }
        }
        let vault = client.image().map_err(vault)?;
        self.people[who].image = Some(Image { vault, view, ratchets });
        Ok(())
    }

    fn put_back(&mut self, who: usize) -> Result<(), Broken> {
        if self.people[who].image.is_none() {
            return Ok(());
        }
        self.look(who)?;
        let contacts = self.model.views[who].contacts.clone();
        for (contact, conversation) in contacts {
            let person = &mut self.people[who];
            let (Some(image), Some(client)) = (&person.image, &mut person.client) else { continue };
            let ratchet = client.ratchet(contact).map_err(vault)?.map(|ratchet| ratchet.to_vec());
            let had = image.view.contacts.contains_key(&contact);
            let of = &mut self.model.conversations[conversation];
            if !had {
                of.tear("a contact that the copy does not have");
            } else if ratchet.as_ref() != image.ratchets.get(&contact) {
                of.tear("a copy from before the conversation moved on");
            } else {
                // What waited for keys is a matter of the vault alone.
                of.count_lost = true;
                if of.torn.is_none() {
                    forget_unsealed(of, &image.view, conversation, who);
                }
            }
        }
        // A join under way whose keys the copy does not have.
        for conversation in self.people[who].wants.clone() {
            self.model.conversations[conversation].tear("a join under way was rolled back");
        }
        self.faults.note(Fault::VaultRolledBack);
        self.restart(who, Some(()))
    }

    fn skew(&mut self, node: usize, ms: i64) {
        let count = self.people.len() + self.relays.len();
        match node % count {
            person if person < self.people.len() => self.people[person].skew_ms = ms,
            other => self.relays[other - self.people.len()].skew_ms = ms,
        }
        self.faults.note(Fault::ClockSkew);
    }

    /// Every device sleeps; relays go on.
    pub(super) fn sleep(&mut self, ms: u64) -> Result<(), Broken> {
        self.look_all()?;
        let mut asleep = Vec::new();
        for who in 0..self.people.len() {
            self.end_process(who);
            asleep.push(self.people[who].client.take());
        }
        // What is on its way arrives; after that relays only see to their hours, some at once.
        let wake = self.now + ms;
        self.pass(wake.min(self.now + 2 * super::network::NOTICED_MS))?;
        while self.now < wake {
            self.now = wake.min(self.now + SLEEP_STEP_MS);
            self.pass(self.now)?;
        }
        for (who, client) in asleep.into_iter().enumerate() {
            self.people[who].client = client;
            self.restart(who, None)?;
        }
        Ok(())
    }

    // --- relays -------------------------------------------------------------------------------

    fn stop_relay(&mut self, at: usize) {
        for end in self.network.ends_of(Node::Relay(at)) {
            let noticed = self.rng.next_u64() % 2 == 0;
            self.network.hang_up(end, noticed, self.now);
        }
        let relay = &mut self.relays[at];
        relay.process += 1;
        relay.held_until = None;
    }

    pub(super) fn restart_relay(&mut self, at: usize) -> Result<(), Broken> {
        self.stop_relay(at);
        let clock = self.relays[at].clock(self.now);
        let relay = &mut self.relays[at];
        relay.core = relay.core.take().map(|core| core.crash(clock, &mut self.rng));
        self.after_start(at);
        Ok(())
    }

    fn after_start(&mut self, at: usize) {
        self.arm_lies(at);
        if self.plant == Plant::RelaySyncs
            && let Some(core) = &self.relays[at].core
        {
            core.store().leave_syncs_out();
        }
    }

    fn back_up(&mut self, at: usize) -> Result<(), Broken> {
        let acknowledged = self.acknowledged_at(at)?;
        let Some(core) = &self.relays[at].core else { return Ok(()) };
        let backup = Backup { store: core.store().snapshot(), acknowledged, at: self.now };
        self.relays[at].backup = Some(backup);
        Ok(())
    }

    /// Ciphertexts that were put into mailboxes of a relay and are in no outbox any more.
    fn acknowledged_at(
        &mut self,
        relay: usize,
    ) -> Result<std::collections::BTreeSet<hearken_proto::ids::PutId>, Broken> {
        let mut waiting = std::collections::BTreeSet::new();
        for who in 0..self.people.len() {
            let contacts: Vec<ContactId> = self.model.views[who].contacts.keys().copied().collect();
            let Some(client) = &mut self.people[who].client else { continue };
            for contact in contacts {
                for row in client.outbox(contact, 0).map_err(vault)? {
                    waiting.insert(*row.blob.put_id().as_bytes());
                }
            }
        }
        let relays = self.relays.len();
        let sealed = self.model.conversations.iter().flat_map(|of| {
            of.sealed.iter().filter(move |sealed| {
                of.reader_of(sealed.from).is_some_and(|reader| reader % relays == relay)
            })
        });
        let ids = sealed.map(|sealed| sealed.blob.put_id());
        Ok(ids.filter(|id| !waiting.contains(id.as_bytes())).collect())
    }

    /// An operator takes a relay down, and restores it once nothing is on its way.
    fn restore(&mut self, at: usize) -> Result<bool, Broken> {
        let Some(backup) = self.relays[at].backup.take() else { return Ok(false) };
        self.look_all()?;
        self.stop_relay(at);
        let Some(core) = self.relays[at].core.take() else { return Ok(false) };
        self.pass(self.now + 5_000)?;
        self.look_all()?;
        let lost = self.acknowledged_at(at)?;
        for id in lost.difference(&backup.acknowledged) {
            if let Some((conversation, place)) = self.model.of_blob(id) {
                let sealed = &mut self.model.conversations[conversation].sealed[place];
                sealed.excuse.get_or_insert(Excuse::RelayRestored);
            }
        }
        for of in self.model.conversations.iter_mut().filter(|of| of.relay == at) {
            of.count_lost = true;
            if of.joiner.is_none() || of.joined_at > backup.at {
                of.tear("its claim is newer than the backup");
            }
        }
        let clock = self.relays[at].clock(self.now);
        let now = hearken_proto::time::UnixMillis(self.now);
        let store = MemoryStore::restored_at(&backup.store, now);
        self.relays[at].core = Some(core.restart_on(store, clock, &mut self.rng));
        self.relays[at].backup = Some(backup);
        self.after_start(at);
        Ok(true)
    }

    fn arm_lies(&mut self, at: usize) {
        let lie = Arc::clone(&self.relays[at].lie);
        let Some(core) = &mut self.relays[at].core else { return };
        core.set_lie(move |told| {
            if let Told::Blobs(blobs) = told {
                tell(&mut lock(&lie), blobs);
            }
        });
    }

    /// What relays did to blobs goes into the model.
    pub(super) fn take_lies(&mut self, at: usize) {
        let (garbled, forged) = {
            let mut lie = lock(&self.relays[at].lie);
            (std::mem::take(&mut lie.garbled), std::mem::take(&mut lie.forged))
        };
        for id in garbled {
            self.faults.note(Fault::Garbled);
            if let Some((conversation, place)) = self.model.of_blob(&id) {
                let sealed = &mut self.model.conversations[conversation].sealed[place];
                sealed.excuse.get_or_insert(Excuse::Garbled);
            }
        }
        for (id, blob) in forged {
            self.faults.note(Fault::Forged);
            if let Some((conversation, place)) = self.model.of_blob(&id) {
                let of = &mut self.model.conversations[conversation];
                let from = of.sealed[place].from;
                let twin = Sealed { from, blob, at: self.now, excuse: None, seen: false };
                of.forged.push(twin);
            }
        }
    }

    // --- what the model looks at --------------------------------------------------------------

    /// Which contacts somebody has.
    pub(super) fn refresh(&mut self, who: usize) -> Result<(), Broken> {
        let clock = self.people[who].clock(self.now);
        let Some(client) = &mut self.people[who].client else { return Ok(()) };
        let open = client.open_invitations(clock).map_err(vault)?;
        for (_, link) in open {
            // One of which the person was not told because the process ended just then lasts as long as any may.
            self.invited(who, &link, 21 * 24);
        }
        for at in 0..self.model.conversations.len() {
            let link = self.model.conversations[at].link.clone();
            let Some(client) = &mut self.people[who].client else { return Ok(()) };
            let Some(contact) = client.contact_of(&link).map_err(vault)? else { continue };
            let is_new = self.model.views[who].contacts.insert(contact.id(), at).is_none();
            if is_new
                && self.model.conversations[at].inviter != who
                && contact.state() == ContactState::Joined
            {
                self.people[who].wants.remove(&at);
                self.model.joined(at, who, self.now)?;
            }
        }
        Ok(())
    }

    /// New rows of somebody's outbox.
    pub(super) fn observe(&mut self, who: usize) -> Result<(), Broken> {
        if !self.people[who].errands.is_empty()
            || self.model.views[who].contacts.len() < self.model.conversations.len()
        {
            self.refresh(who)?;
        }
        let after = self.model.views[who].outbox_seen;
        let contacts: Vec<(ContactId, usize)> =
            self.model.views[who].contacts.iter().map(|(id, of)| (*id, *of)).collect();
        for (contact, conversation) in contacts {
            let Some(client) = &mut self.people[who].client else { return Ok(()) };
            let rows = client.outbox(contact, after).map_err(vault)?;
            for row in &rows {
                self.seals
                    .blob(&row.blob)
                    .map_err(|twice| Broken::SealedTwice(twice.0.to_owned()))?;
            }
            self.model.outbox(who, conversation, rows, self.now);
        }
        Ok(())
    }

    pub(super) fn look_all(&mut self) -> Result<(), Broken> {
        (0..self.people.len()).try_for_each(|who| self.look(who))
    }

    /// Holds what somebody sees against the model.
    pub(super) fn look(&mut self, who: usize) -> Result<(), Broken> {
        if !std::mem::take(&mut self.people[who].is_dirty) {
            return Ok(());
        }
        self.refresh(who)?;
        let contacts: Vec<(ContactId, usize)> =
            self.model.views[who].contacts.iter().map(|(id, of)| (*id, *of)).collect();
        for (contact, conversation) in contacts {
            let Some(client) = &mut self.people[who].client else { return Ok(()) };
            let lines = client.history(contact).map_err(vault)?;
            let of = &mut self.model.conversations[conversation];
            let reads = |sealed: &&mut Sealed| sealed.from != who && !sealed.seen;
            for sealed in of.sealed.iter_mut().chain(&mut of.forged).filter(reads) {
                sealed.seen = client.has_seen(contact, &sealed.blob).map_err(vault)?;
                if !sealed.seen && self.now - sealed.at >= EXPIRED_MS {
                    sealed.excuse.get_or_insert(Excuse::Expired);
                    self.faults.note(Fault::BlobExpired);
                }
            }
            self.model.look(who, conversation, &lines)?;
        }
        Ok(())
    }
}

/// Texts that waited for keys and that the copy does not have were never sealed: they are gone with the vault.
fn forget_unsealed(
    of: &mut super::model::Conversation,
    view: &super::model::View,
    conversation: usize,
    who: usize,
) {
    let lines = view.lines.get(&conversation);
    let there = |written: &Written| {
        lines.is_some_and(|lines| lines.iter().any(|(id, _)| *id == written.id))
    };
    of.written
        .retain(|written| written.from != who || !written.sealed.is_empty() || there(written));
}

fn lock(lie: &Mutex<Lie>) -> std::sync::MutexGuard<'_, Lie> {
    lie.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes what a reader is told.
fn tell(lie: &mut Lie, blobs: &mut Vec<(u64, Blob)>) {
    let Some((position, first)) = blobs.first().cloned() else { return };
    let mut bytes = Box::new(*first.as_bytes());
    bytes[2_000] ^= 1;
    let other = Blob::new(bytes);
    if std::mem::take(&mut lie.garbles) {
        lie.garbled.push(first.put_id());
        blobs[0].1 = other;
    } else if lie.forges && position & POSITION_COUNT == 1 {
        lie.forges = false;
        lie.forged.push((first.put_id(), other.clone()));
        blobs.insert(0, (position - 1, other));
        blobs.truncate(16);
    }
}
