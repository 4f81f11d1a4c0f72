//! What real processes did to the files below a folder, and what they told the world, in order: read from what
//! `tests/crash/record.c` wrote.
//!
//! Guarantees: files and folders are named by numbers that are never given twice, whatever the system does with those of
//! its own; a sync covers what was noted before it began; what cannot be replayed is an error. Deliberately not here:
//! reads, locks, file modes, times, and sockets in the folder.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

const HEADER_LEN: usize = 32;

/// A file or folder, however it is called at the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub usize);

impl Node {
    /// The folder that holds everything.
    pub const ROOT: Self = Self(0);
}

/// One thing that a process did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The letter that names the process.
    pub who: char,
    /// What it did.
    pub what: What,
}

/// What a process did. Paths are relative to the folder that holds everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A file was made.
    FileMade(PathBuf, Node),
    /// A folder was made.
    FolderMade(PathBuf, Node),
    /// Bytes were written.
    Written {
        /// Into this file.
        file: Node,
        /// From here on.
        offset: u64,
        /// These.
        bytes: Vec<u8>,
    },
    /// A file was given this length.
    Truncated(Node, u64),
    /// A file was given at least this length.
    Extended(Node, u64),
    /// A name was given to what had another, in the place of what had it.
    Renamed(PathBuf, PathBuf),
    /// A second name was given.
    Linked(PathBuf, PathBuf),
    /// A name of a file was taken away.
    Unlinked(PathBuf),
    /// An empty folder was taken away.
    FolderGone(PathBuf),
    /// A file or folder was synced, and with it what stands before the entry `begun`.
    Synced {
        /// What was synced.
        node: Node,
        /// Where in the record the sync began.
        begun: usize,
    },
    /// A sync began.
    SyncBegun(Node),
    /// A datagram is about to be sent.
    Sent,
    /// These bytes are about to be written to standard output.
    Said(Vec<u8>),
}

/// A whole record.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// In order.
    pub entries: Vec<Entry>,
}

impl Record {
    /// Reads the record in `file` of processes below `root`, which is absolute and has no links in it.
    ///
    /// # Errors
    /// When it is not whole, or holds what cannot be replayed.
    pub fn read(file: &Path, root: &Path) -> Result<Self> {
        let bytes = std::fs::read(file)?;
        let inode = std::fs::metadata(root)?.ino();
        let mut reader = Reader {
            root,
            nodes: HashMap::from([(inode, Node::ROOT)]),
            next: 1,
            syncs: HashMap::new(),
            entries: Vec::new(),
        };
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            rest = reader.take(rest)?;
        }
        Ok(Self { entries: reader.entries })
    }

    /// The same record in which every sync of a file or folder that was made under a path for which `swallowed` holds
    /// reported success and did nothing. The folder that holds everything has the empty path.
    #[must_use]
    pub fn with_swallowed_syncs(&self, swallowed: impl Fn(&Path) -> bool) -> Self {
        let mut chosen: HashSet<Node> = HashSet::new();
        if swallowed(Path::new("")) {
            chosen.insert(Node::ROOT);
        }
        let mut record = self.clone();
        for entry in &mut record.entries {
            match &entry.what {
                What::FileMade(path, node) | What::FolderMade(path, node) if swallowed(path) => {
                    chosen.insert(*node);
                }
                What::Synced { node, begun: _ } if chosen.contains(node) => {
                    // In its place, so that every other entry keeps its own.
                    entry.what = What::Synced { node: *node, begun: 0 };
                }
                _ => {}
            }
        }
        record
    }

    /// What a process said in whole lines, with the entry that completed each line.
    #[must_use]
    pub fn lines(&self, who: char) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        let mut line = Vec::new();
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.who == who) {
            let What::Said(bytes) = &entry.what else { continue };
            for byte in bytes {
                if *byte == b'\n' {
                    lines.push((at, String::from_utf8_lossy(&line).into_owned()));
                    line.clear();
                } else {
                    line.push(*byte);
                }
            }
        }
        lines
    }
}

struct Reader<'a> {
    root: &'a Path,
    /// The node that has an inode's number at the time.
    nodes: HashMap<u64, Node>,
    next: usize,
    /// Syncs under way, by process and node: where each began.
    syncs: HashMap<(u64, Node), Vec<usize>>,
    entries: Vec<Entry>,
}

impl Reader<'_> {
    fn take<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8]> {
        let (header, rest) = bytes.split_at_checked(HEADER_LEN).context("a whole header")?;
        let number = |at: usize| -> Result<u64> {
            Ok(u64::from_le_bytes(header[at..at + 8].try_into().context("eight bytes")?))
        };
        let len = u32::from_le_bytes(header[..4].try_into().context("four bytes")?);
        let (payload, rest) = rest.split_at_checked(usize::try_from(len)?).context("a payload")?;
        let (inode, a, pid) = (number(8)?, number(16)?, number(24)?);
        let what = match header[4] {
            1 if a == 1 => What::FileMade(self.path(payload)?, self.made(inode)),
            1 => What::Truncated(self.node(inode)?, 0),
            2 => What::Written { file: self.node(inode)?, offset: a, bytes: payload.to_vec() },
            3 => What::Truncated(self.node(inode)?, a),
            4 => What::Extended(self.node(inode)?, a),
            5 => self.two(payload).map(|(from, to)| What::Renamed(from, to))?,
            6 => self.two(payload).map(|(from, to)| What::Linked(from, to))?,
            7 => What::Unlinked(self.path(payload)?),
            8 => What::FolderMade(self.path(payload)?, self.made(inode)),
            9 => What::FolderGone(self.path(payload)?),
            10 => {
                let node = self.node(inode)?;
                self.syncs.entry((pid, node)).or_default().push(self.entries.len());
                What::SyncBegun(node)
            }
            11 => {
                let node = self.node(inode)?;
                let under_way = self.syncs.get_mut(&(pid, node)).filter(|all| !all.is_empty());
                // Where several are under way, the one that covers least.
                What::Synced { node, begun: under_way.context("a sync that began")?.remove(0) }
            }
            12 => What::Sent,
            13 => What::Said(payload.to_vec()),
            14 => bail!("cannot be replayed: {}", String::from_utf8_lossy(payload)),
            kind => bail!("an entry of kind {kind}"),
        };
        self.entries.push(Entry { who: char::from(header[5]), what });
        Ok(rest)
    }

    fn made(&mut self, inode: u64) -> Node {
        let node = Node(self.next);
        self.next += 1;
        self.nodes.insert(inode, node);
        node
    }

    fn node(&self, inode: u64) -> Result<Node> {
        self.nodes.get(&inode).copied().context("a file whose making was not recorded")
    }

    fn two(&self, payload: &[u8]) -> Result<(PathBuf, PathBuf)> {
        let at = payload.iter().position(|byte| *byte == 0).context("two paths")?;
        Ok((self.path(&payload[..at])?, self.path(&payload[at + 1..])?))
    }

    fn path(&self, bytes: &[u8]) -> Result<PathBuf> {
        let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
        let path: PathBuf =
            path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
        ensure!(path.components().all(|part| part != Component::ParentDir), "a path with ..");
        Ok(path.strip_prefix(self.root)?.to_owned())
    }
}
