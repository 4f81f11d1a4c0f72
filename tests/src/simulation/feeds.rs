//! Devices that read, write and fill a feed at one relay, under seeded chance: links are cut with what is on them,
//! devices and the relay end and come again, the store stands still, time passes.
//!
//! What must hold at the end: every reader has stored the same entries in the same order, each once; every entry that
//! was put is among them, each device's in the order in which it put them; every object that an entry names is whole.

use std::collections::{BTreeMap, VecDeque};

use hearken_client_lib::simulation::{Action, ClientLink, Fate, InlineParts, LinkEnd, root_of};
use hearken_proto::address::RelayAddress;
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::Cell;
use hearken_proto::ids::ObjectId;
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::payload::Blob;
use hearken_proto::time::{DAY_MS, UnixMillis};
use hearken_relay::core::{CoreConfig, LinkId, Told};
use hearken_relay::simulation::{Event, InlineRelay};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// What is wrong in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It came to no end.
    Stuck,
    /// A reader stored a position twice or out of order.
    Order,
    /// Two readers stored different entries.
    Differ,
    /// An entry that was put is missing, or there twice.
    Lost,
    /// A device's entries stand in another order than it put them in.
    Overtaken,
    /// An object is not the one that was uploaded.
    Object,
}

/// A fault that is planted to see that it is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeedPlant {
    /// None.
    #[default]
    Nothing,
    /// The relay leaves out the sync of what it commits.
    Syncs,
    /// The relay withholds an entry from a reader now and then.
    Withheld,
    /// The relay hands entries out in another order now and then.
    Reordered,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Entries that every reader has.
    pub entries: usize,
    /// Objects that entries name.
    pub objects: usize,
    /// Links cut with cells on them.
    pub cuts: usize,
    /// Restarts of devices and of the relay.
    pub restarts: usize,
    /// Chunks sent again after an interruption.
    pub chunks_again: u64,
}

struct Device {
    parts: InlineParts,
    reader: usize,
    writer: usize,
    put: Vec<Blob>,
    uploads: Vec<Uploaded>,
    /// By the device's name of a link, the relay's, and what is on its way to either end.
    links: BTreeMap<ClientLink, Link>,
}

/// An upload, and the entry that is to name its object.
struct Uploaded {
    upload: usize,
    id: ObjectId,
    chunks: Vec<Blob>,
    entry: Blob,
}

struct Link {
    at_relay: LinkId,
    up: VecDeque<Cell>,
    down: VecDeque<Cell>,
}

/// The relay, the devices and the time.
pub struct FeedWorld {
    relay: Option<InlineRelay>,
    devices: Vec<Device>,
    now: UnixMillis,
    rng: ChaCha20Rng,
    next_link: u64,
    is_held: bool,
    happened: Happened,
    plant: FeedPlant,
}

const READ_KEY: [u8; 32] = [1; 32];
const WRITE_KEY: [u8; 32] = [2; 32];

impl FeedWorld {
    /// A world of so many devices, all of which make the feed where it is not there.
    #[must_use]
    pub fn new(seed: u64, devices: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let now = UnixMillis(20_000 * DAY_MS + DAY_MS / 3);
        let config = CoreConfig { proof_of_work_bits: 4, ..CoreConfig::default() };
        let relay = InlineRelay::new(config, &[7; 32], now, &mut rng);
        let place = "relay.example:4433".parse().ok().into_iter().collect();
        let address = RelayAddress::new(relay.fingerprint(), place).ok();
        let devices = address.iter().flat_map(|address| {
            (0..devices).map(|_| Device::new(InlineParts::new(address.clone())))
        });
        Self {
            devices: devices.collect(),
            relay: Some(relay),
            now,
            rng,
            next_link: 0,
            is_held: false,
            happened: Happened::default(),
            plant: FeedPlant::Nothing,
        }
    }

    /// Plants a fault.
    #[must_use]
    pub fn with(mut self, plant: FeedPlant) -> Self {
        self.plant = plant;
        self.plant_fault();
        self
    }

    /// A relay that was restarted is honest again.
    fn plant_fault(&mut self) {
        let Some(relay) = &mut self.relay else { return };
        let mut turn = 0;
        match self.plant {
            FeedPlant::Nothing => {}
            FeedPlant::Syncs => relay.store().leave_syncs_out(),
            FeedPlant::Withheld => relay.set_lie(move |told| {
                if let Told::Blobs(blobs) = told {
                    turn += 1;
                    // The last would only come later.
                    if turn % 3 == 0 && blobs.len() > 1 {
                        blobs.remove(0);
                    }
                }
            }),
            FeedPlant::Reordered => relay.set_lie(move |told| {
                if let Told::Blobs(blobs) = told {
                    turn += 1;
                    if let (0, [(_, one), (_, other), ..]) = (turn % 5, &mut blobs[..]) {
                        std::mem::swap(one, other);
                    }
                }
            }),
        }
    }

    /// Takes so many steps by chance, then lets everything come to its end, and looks.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn run(mut self, steps: usize) -> Result<Happened, Wrong> {
        for _ in 0..steps {
            self.step();
        }
        self.hold(false);
        self.settle(Self::is_settled)?;
        self.look()?;
        self.fetch()?;
        Ok(self.happened)
    }

    fn step(&mut self) {
        let device = self.pick(self.devices.len());
        match self.pick(24) {
            0..=4 => self.put(device),
            5 => self.upload(device),
            6 | 7 => self.cut(device),
            8 => self.restart(device),
            9 if self.pick(3) == 0 => self.crash(),
            10 => self.hold(!self.is_held),
            11 => {
                let minutes = 1 + self.pick(20) as u64;
                self.pass(minutes * 60_000);
            }
            12 | 13 => self.pass(300),
            _ => {
                let cells = 1 + self.pick(60);
                self.carry(cells);
            }
        }
    }

    fn put(&mut self, device: usize) {
        for _ in 0..=self.pick(3) {
            let blob = self.blob();
            let device = &mut self.devices[device];
            device.put.push(blob.clone());
            device.parts.put(device.writer, blob);
        }
    }

    fn upload(&mut self, device: usize) {
        let chunks: Vec<_> = (0..1 + self.pick(40)).map(|_| self.blob()).collect();
        let (entry, mut key) = (self.blob(), [0; 32]);
        self.rng.fill_bytes(&mut key);
        let id = ObjectId::of(&ObjectSecretKey::from_bytes(&key).public_key());
        let device = &mut self.devices[device];
        let names = Some((&WRITE_KEY, entry.clone()));
        let upload = device.parts.upload(&key, chunks.clone(), names);
        device.uploads.push(Uploaded { upload, id, chunks, entry });
    }

    /// Cuts one of a device's links, or none where it has none.
    fn cut(&mut self, device: usize) {
        let links: Vec<_> = self.devices[device].links.keys().copied().collect();
        if links.is_empty() {
            return;
        }
        let link = links[self.pick(links.len())];
        let Some(cut) = self.devices[device].links.remove(&link) else { return };
        self.happened.cuts += usize::from(!cut.up.is_empty() || !cut.down.is_empty());
        let Self { relay, devices, now, rng, .. } = self;
        if let Some(relay) = relay {
            relay.link_closed(*now, cut.at_relay);
        }
        devices[device].parts.disconnected(link, LinkEnd::Closed, *now, rng);
    }

    fn restart(&mut self, device: usize) {
        self.happened.restarts += 1;
        let Self { relay, devices, now, .. } = self;
        for link in std::mem::take(&mut devices[device].links).into_values() {
            if let Some(relay) = relay {
                relay.link_closed(*now, link.at_relay);
            }
        }
        let before = devices.remove(device);
        devices.insert(device, Device { parts: before.parts.restart(), ..before });
    }

    fn crash(&mut self) {
        self.happened.restarts += 1;
        self.relay = self.relay.take().map(|relay| relay.crash(self.now, &mut self.rng));
        self.plant_fault();
        self.is_held = false;
        for device in &mut self.devices {
            for link in std::mem::take(&mut device.links).into_keys() {
                device.parts.disconnected(link, LinkEnd::Closed, self.now, &mut self.rng);
            }
        }
    }

    fn hold(&mut self, held: bool) {
        self.is_held = held;
        if let Some(relay) = &mut self.relay {
            relay.hold_store(held);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.0 += ms;
        if let Some(relay) = &mut self.relay {
            relay.timeout(self.now, &mut self.rng);
        }
        for device in &mut self.devices {
            device.parts.timeout(self.now, &mut self.rng);
        }
    }

    /// Carries so many cells, each of a link and way that chance picks. `false` where there were fewer.
    fn carry(&mut self, cells: usize) -> bool {
        for _ in 0..cells {
            self.collect();
            let busy: Vec<(usize, ClientLink, bool)> = self
                .devices
                .iter()
                .enumerate()
                .flat_map(|(at, device)| {
                    device.links.iter().flat_map(move |(link, ways)| {
                        let up = (!ways.up.is_empty()).then_some((at, *link, true));
                        let down = (!ways.down.is_empty()).then_some((at, *link, false));
                        up.into_iter().chain(down)
                    })
                })
                .collect();
            if busy.is_empty() {
                return false;
            }
            let (at, link, is_up) = busy[self.pick(busy.len())];
            let Self { relay, devices, now, rng, .. } = self;
            let Some(ways) = devices[at].links.get_mut(&link) else { continue };
            if is_up {
                if let (Some(cell), Some(relay)) = (ways.up.pop_front(), relay) {
                    relay.cell(*now, ways.at_relay, cell);
                }
            } else if let Some(cell) = ways.down.pop_front() {
                devices[at].parts.cell(link, cell, *now, rng);
            }
        }
        true
    }

    /// Puts what everybody wants to send onto the links.
    fn collect(&mut self) {
        let Self { relay, devices, now, rng, next_link, .. } = self;
        let Some(relay) = relay else { return };
        for device in devices.iter_mut() {
            while let Some(action) = device.parts.poll_action() {
                match action {
                    Action::Connect { link, .. } => {
                        *next_link += 1;
                        let at_relay = LinkId(*next_link);
                        relay.link_opened(*now, at_relay);
                        let ways = Link { at_relay, up: VecDeque::new(), down: VecDeque::new() };
                        device.links.insert(link, ways);
                        device.parts.connected(link, *now, rng);
                    }
                    Action::Transmit { link, cell } => {
                        if let Some(ways) = device.links.get_mut(&link) {
                            ways.up.push_back(cell);
                        }
                    }
                    Action::Disconnect { link } => {
                        if let Some(ways) = device.links.remove(&link) {
                            relay.link_closed(*now, ways.at_relay);
                        }
                    }
                }
            }
        }
        for event in relay.run(*now, rng) {
            let (Event::Cell(at_relay, _) | Event::Closed(at_relay)) = &event else { continue };
            let found = devices.iter_mut().find_map(|device| {
                let link = device.links.iter().find(|(_, ways)| ways.at_relay == *at_relay)?;
                let link = *link.0;
                Some((device, link))
            });
            let Some((device, link)) = found else { continue };
            match event {
                Event::Cell(_, cell) => {
                    if let Some(ways) = device.links.get_mut(&link) {
                        ways.down.push_back(cell);
                    }
                }
                _ => {
                    device.links.remove(&link);
                    device.parts.disconnected(link, LinkEnd::Closed, *now, rng);
                }
            }
        }
    }

    /// Carries everything, and lets time pass to what is due, until `is_over`.
    fn settle(&mut self, is_over: impl Fn(&Self) -> bool) -> Result<(), Wrong> {
        for _ in 0..1_000 {
            if self.carry(1_000) {
                continue;
            }
            if is_over(self) {
                return Ok(());
            }
            let due = self.devices.iter().filter_map(|device| device.parts.next_timeout()).min();
            let wait = due.map_or(0, |due| due.0.saturating_sub(self.now.0)).min(60_000);
            self.pass(wait);
        }
        Err(Wrong::Stuck)
    }

    fn is_settled(&self) -> bool {
        let everything: usize =
            self.devices.iter().map(|device| device.put.len() + device.uploads.len()).sum();
        self.devices.iter().all(|device| {
            let parts = &device.parts;
            let is_up = |uploaded: &Uploaded| parts.uploaded(uploaded.upload).0 != Fate::Going;
            parts.waiting(device.writer) == 0
                && device.uploads.iter().all(is_up)
                && parts.entries(device.reader).len() >= everything
        })
    }

    fn look(&mut self) -> Result<(), Wrong> {
        let Some(first) = self.devices.first() else { return Err(Wrong::Stuck) };
        let read = first.parts.entries(first.reader);
        if !read.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Wrong::Order);
        }
        if self.devices.iter().any(|device| device.parts.entries(device.reader) != read) {
            return Err(Wrong::Differ);
        }
        let mut everything = 0;
        for device in &self.devices {
            let places: Vec<usize> = device
                .put
                .iter()
                .map(|blob| {
                    let mut found = read.iter().enumerate().filter(|(_, (_, other))| other == blob);
                    let place = found.next().map(|(at, _)| at).ok_or(Wrong::Lost)?;
                    if found.next().is_some() { Err(Wrong::Lost) } else { Ok(place) }
                })
                .collect::<Result<_, _>>()?;
            if !places.is_sorted() {
                return Err(Wrong::Overtaken);
            }
            for uploaded in &device.uploads {
                let (fate, _, sent) = device.parts.uploaded(uploaded.upload);
                let is_read = read.iter().any(|(_, blob)| *blob == uploaded.entry);
                if fate != Fate::Done || !is_read {
                    return Err(Wrong::Object);
                }
                self.happened.chunks_again += sent - uploaded.chunks.len() as u64;
            }
            everything += device.put.len() + device.uploads.len();
            self.happened.objects += device.uploads.len();
        }
        if read.len() != everything {
            return Err(Wrong::Lost);
        }
        self.happened.entries = everything;
        Ok(())
    }

    /// Every device downloads every object, with links cut now and then.
    fn fetch(&mut self) -> Result<(), Wrong> {
        let uploads = self.devices.iter().flat_map(|device| &device.uploads);
        let all: Vec<(ObjectId, Vec<Blob>)> =
            uploads.map(|uploaded| (uploaded.id, uploaded.chunks.clone())).collect();
        let device = self.pick(self.devices.len());
        let parts = &mut self.devices[device].parts;
        let downloads: Vec<usize> = all
            .iter()
            .map(|(id, chunks)| {
                let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
                parts.download(*id, count, root_of(chunks))
            })
            .collect();
        for _ in 0..all.len() {
            self.pass(0);
            let cells = 1 + self.pick(80);
            self.carry(cells);
            if self.pick(4) == 0 { self.restart(device) } else { self.cut(device) }
        }
        let is_over = |world: &Self| {
            let parts = &world.devices[device].parts;
            downloads.iter().all(|download| parts.downloaded(*download).0 != Fate::Going)
        };
        self.settle(is_over)?;
        let parts = &self.devices[device].parts;
        let whole = downloads.iter().zip(&all).all(|(download, (_, chunks))| {
            parts.downloaded(*download) == (Fate::Done, chunks.as_slice())
        });
        if whole { Ok(()) } else { Err(Wrong::Object) }
    }

    fn pick(&mut self, of: usize) -> usize {
        // Fewer than a hundred: no remainder is favoured by more than 2^-57.
        usize::try_from(self.rng.next_u64() % of.max(1) as u64).unwrap_or_default()
    }

    fn blob(&mut self) -> Blob {
        let mut bytes = Box::new([0; BLOB_LEN]);
        self.rng.fill_bytes(&mut bytes[..]);
        Blob::new(bytes)
    }
}

impl Device {
    fn new(mut parts: InlineParts) -> Self {
        let makes_for = ObjectSecretKey::from_bytes(&WRITE_KEY).public_key();
        let reader = parts.read(&READ_KEY, Some(makes_for));
        let writer = parts.write(&WRITE_KEY);
        let (put, uploads, links) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { parts, reader, writer, put, uploads, links }
    }
}
