//! Groups of several members, each with a vault of their own, over one list of commits in the order of a feed.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rusqlite::Connection;

use super::action::Action;
use super::committing::{Verdict, Why};
use super::error::{Forbidden, GroupError};
use super::ids::{GroupId, MemberId, ProposalId};
use super::mls_group::{Group, OpenedMessage};
use super::record::{Change, Policy};
use super::storage::SCHEMA;

mod commits;
mod forged;
mod members;
mod schedules;

const GROUP: GroupId = GroupId::from_bytes([7; 16]);

/// A device: a vault and randomness.
struct Device {
    name: &'static str,
    db: Connection,
    rng: ChaCha20Rng,
}

impl Device {
    fn new(name: &'static str) -> Self {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let seed = name.bytes().map(u64::from).sum();
        Self { name, db, rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    /// Does something to the group in one transaction, which an error takes back.
    fn with<T>(
        &mut self,
        call: impl FnOnce(&mut Group<'_>) -> Result<T, GroupError>,
    ) -> Result<T, GroupError> {
        let tx = self.db.transaction().unwrap();
        let mut group = Group::load(&tx, GROUP, &mut self.rng)?.ok_or(GroupError::NotMember)?;
        let value = call(&mut group)?;
        drop(group);
        tx.commit().unwrap();
        Ok(value)
    }

    fn create(&mut self, policy: Policy) {
        let tx = self.db.transaction().unwrap();
        Group::create(&tx, GROUP, ("the river", policy, self.name), &mut self.rng).unwrap();
        tx.commit().unwrap();
    }

    fn key_package(&mut self) -> Vec<u8> {
        let tx = self.db.transaction().unwrap();
        let package = Group::key_package(&tx, GROUP, self.name, &mut self.rng).unwrap();
        tx.commit().unwrap();
        package
    }

    fn join(&mut self, welcome: &[u8]) -> MemberId {
        let tx = self.db.transaction().unwrap();
        let (_, by) = Group::join(&tx, GROUP, welcome, &mut self.rng).unwrap();
        tx.commit().unwrap();
        by
    }

    fn me(&mut self) -> MemberId {
        self.with(|group| Ok(group.me())).unwrap()
    }

    fn authenticator(&mut self) -> Vec<u8> {
        self.with(|group| Ok(group.authenticator())).unwrap()
    }

    /// Judges a commit and goes on where it wins; whether it did.
    fn read(&mut self, commit: &[u8]) -> Result<bool, Why> {
        self.with(|group| match group.judge(commit)? {
            Verdict::Wins(winner) => group.merge(*winner).map(|()| Ok(true)),
            Verdict::Own => group.merge_own().map(|()| Ok(true)),
            Verdict::Void(why) => Ok(Err(why)),
            Verdict::Stuck => Ok(Ok(false)),
        })
        .unwrap()
    }

    /// Makes a commit, and gives it with the welcome.
    fn commit(
        &mut self,
        action: &Action,
        package: Option<&[u8]>,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), GroupError> {
        let made = self.with(|group| group.commit(action, package))?;
        Ok((made.commit, made.welcome))
    }

    fn seal(&mut self, text: &str) -> Vec<u8> {
        self.with(|group| group.seal_message(text.as_bytes())).unwrap()
    }

    fn open(&mut self, message: &[u8]) -> Result<String, GroupError> {
        self.with(|group| match group.open_message(message)? {
            OpenedMessage::From { content, .. } => Ok(String::from_utf8(content).unwrap()),
            OpenedMessage::Own => Ok(String::from("own")),
        })
    }
}

/// A group of so many, all in one epoch. The first is the only admin.
fn group_of(names: &[&'static str], policy: Policy) -> Vec<Device> {
    let mut devices: Vec<Device> = names.iter().copied().map(Device::new).collect();
    devices[0].create(policy);
    for new in 1..devices.len() {
        bring(&mut devices, new);
    }
    devices
}

/// The first brings another in, and all who are in already read it.
fn bring(devices: &mut [Device], new: usize) {
    let package = devices[new].key_package();
    let (commit, welcome) = devices[0].commit(&Action::Bring(None), Some(&package)).unwrap();
    devices[..new].iter_mut().for_each(|device| assert_eq!(device.read(&commit), Ok(true)));
    let by = devices[new].join(&welcome.unwrap());
    assert_eq!(by, devices[0].me(), "members see who brought whom");
    agree(&mut devices[..=new]);
}

/// Somebody does something, and everybody reads it.
fn act(devices: &mut [Device], who: usize, action: &Action) {
    let (commit, _) = devices[who].commit(action, None).unwrap();
    for device in devices.iter_mut() {
        assert_eq!(device.read(&commit), Ok(true), "{}", device.name);
    }
}

fn agree(devices: &mut [Device]) {
    let first = devices[0].authenticator();
    devices
        .iter_mut()
        .for_each(|device| assert_eq!(device.authenticator(), first, "{}", device.name));
}
