//! A disk that keeps what was synced and nothing that it need not keep.
//!
//! The rules, stricter than ext4 and XFS are and as strict as POSIX lets a file system be:
//! * A file's contents and length are durable when a sync of that file has ended that began after they were written.
//! * A name (made, given by a rename or link, taken away) is durable when its *folder* was synced after. A sync of the
//!   file is none of its name, and a sync of a folder is none of that folder's own name.
//! * A rename is one step within its folder: both names change, or neither.
//! * Whatever is not durable may be there or not, each step for itself and in any combination ([`Loss`]); of bytes
//!   written, any sectors of 512. Where a file's length is there and its bytes are not, it holds zeros.
//! * What is on the disk stays as it was written: a drive that reports a sync and lies, or rots, is another matter.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::record::{Entry, Node, What};

mod image;
#[cfg(test)]
mod tests;

use self::image::Image;

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it is there: a process was killed, the machine was not.
    Nothing,
    /// None of it is there.
    Everything,
    /// Names are there, contents are not: files are empty, short, or hold zeros.
    Contents,
    /// Contents are there, names are not.
    Names,
    /// Each step for itself, and any sectors of a write: drawn from this seed.
    Some(u64),
    /// Names up to a moment and none after, as a journal of metadata keeps them; contents as with `Some`.
    Ordered(u64),
}

/// What happened to a file.
#[derive(Clone, Copy)]
enum Change<'a> {
    Written(u64, &'a [u8]),
    Truncated(u64),
    Extended(u64),
}

/// What happened in a folder: names given to nodes, and taken away.
type Names = Vec<(OsString, Option<Node>)>;

#[derive(Default)]
struct Life<'a> {
    /// A file's durable contents.
    image: Image,
    /// How many changes went into them.
    settled: usize,
    /// What was done since, by the place in the record.
    changes: Vec<(usize, Change<'a>)>,
    /// A folder's durable names.
    durable: BTreeMap<OsString, Node>,
    /// What was done to them since.
    names: Vec<(usize, Names)>,
    is_folder: bool,
}

impl Life<'_> {
    /// What was done before the entry `begun` is durable.
    fn settle(&mut self, begun: usize) {
        let settled = self.changes.iter().take_while(|(at, _)| *at < begun).count();
        for (_, change) in self.changes.drain(..settled) {
            self.image.apply(change, Part::All);
        }
        self.settled += settled;
        let settled = self.names.iter().take_while(|(at, _)| *at < begun).count();
        for (_, names) in self.names.drain(..settled) {
            apply_names(&mut self.durable, &names);
        }
    }
}

/// The disk after the first entries of a record.
pub struct Disk<'a> {
    lives: Vec<Life<'a>>,
    /// Names as the processes saw them.
    seen: BTreeMap<Node, BTreeMap<OsString, Node>>,
    len: usize,
}

/// What is found after a loss, told by the changes that are in it: two that are equal are the same, byte for byte, while two
/// that differ may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipe(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Named(OsString, Node),
    /// The file that was named holds its first changes, and these of the later ones.
    Holds(usize, Vec<(usize, Part)>),
    /// Here ends the folder that was named.
    End,
}

impl<'a> Disk<'a> {
    /// The disk after these entries.
    ///
    /// # Errors
    /// Where an entry does not fit those before it.
    pub fn after(entries: &'a [Entry]) -> io::Result<Self> {
        let root = Life { is_folder: true, ..Life::default() };
        let mut disk = Self {
            lives: vec![root],
            seen: BTreeMap::from([(Node::ROOT, BTreeMap::new())]),
            len: 0,
        };
        disk.go_on(entries)?;
        Ok(disk)
    }

    /// The disk after these entries too, which follow those before.
    ///
    /// # Errors
    /// As [`Disk::after`].
    pub fn go_on(&mut self, entries: &'a [Entry]) -> io::Result<()> {
        for entry in entries {
            self.apply(self.len, &entry.what)?;
            self.len += 1;
        }
        Ok(())
    }

    /// How many entries it is the disk after.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has happened to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn apply(&mut self, at: usize, what: &'a What) -> io::Result<()> {
        match what {
            What::FileMade(path, node) => self.make(at, path, *node, false)?,
            What::FolderMade(path, node) => self.make(at, path, *node, true)?,
            What::Written { file, offset, bytes } => {
                self.lives[file.0].changes.push((at, Change::Written(*offset, bytes)));
            }
            What::Truncated(file, len) => {
                self.lives[file.0].changes.push((at, Change::Truncated(*len)));
            }
            What::Extended(file, len) => {
                self.lives[file.0].changes.push((at, Change::Extended(*len)));
            }
            What::Renamed(from, to) => {
                let node = self.find(from)?;
                if self.folder_of(from)? == self.folder_of(to)? {
                    let names = vec![(name(from)?, None), (name(to)?, Some(node))];
                    self.name(at, self.folder_of(from)?, names);
                } else {
                    self.name(at, self.folder_of(from)?, vec![(name(from)?, None)]);
                    self.name(at, self.folder_of(to)?, vec![(name(to)?, Some(node))]);
                }
            }
            What::Linked(from, to) => {
                let node = self.find(from)?;
                self.name(at, self.folder_of(to)?, vec![(name(to)?, Some(node))]);
            }
            What::Unlinked(path) | What::FolderGone(path) => {
                self.name(at, self.folder_of(path)?, vec![(name(path)?, None)]);
            }
            What::Synced { node, begun } => self.lives[node.0].settle(*begun),
            What::SyncBegun(_) | What::Sent | What::Said(_) => {}
        }
        Ok(())
    }

    fn make(&mut self, at: usize, path: &Path, node: Node, is_folder: bool) -> io::Result<()> {
        if node.0 != self.lives.len() {
            return Err(io::Error::other("nodes out of order"));
        }
        self.lives.push(Life { is_folder, ..Life::default() });
        if is_folder {
            self.seen.insert(node, BTreeMap::new());
        }
        self.name(at, self.folder_of(path)?, vec![(name(path)?, Some(node))]);
        Ok(())
    }

    fn name(&mut self, at: usize, folder: Node, names: Names) {
        let seen = self.seen.entry(folder).or_default();
        apply_names(seen, &names);
        self.lives[folder.0].names.push((at, names));
    }

    fn folder_of(&self, path: &Path) -> io::Result<Node> {
        self.find(path.parent().ok_or_else(|| io::Error::other("a path"))?)
    }

    fn find(&self, path: &Path) -> io::Result<Node> {
        path.iter().try_fold(Node::ROOT, |folder, name| {
            let found = self.seen.get(&folder).and_then(|names| names.get(name));
            found
                .copied()
                .ok_or_else(|| io::Error::other(format!("{} is not there", path.display())))
        })
    }

    /// What is found after the loss under those of the top names that are `wanted`.
    #[must_use]
    pub fn recipe(&self, loss: Loss, wanted: &[&str]) -> Recipe {
        let mut steps = Vec::new();
        let wanted = |name: &OsString| wanted.iter().any(|wanted| name == wanted);
        self.recipe_of_folder(Node::ROOT, loss, &wanted, &mut BTreeSet::new(), &mut steps);
        Recipe(steps)
    }

    fn recipe_of_folder(
        &self,
        folder: Node,
        loss: Loss,
        wanted: &dyn Fn(&OsString) -> bool,
        named: &mut BTreeSet<Node>,
        steps: &mut Vec<Step>,
    ) {
        for (name, node) in
            self.names_after(folder, loss).into_iter().filter(|(name, _)| wanted(name))
        {
            steps.push(Step::Named(name, node));
            if !named.insert(node) {
                continue;
            }
            if self.lives[node.0].is_folder {
                self.recipe_of_folder(node, loss, &|_| true, named, steps);
                steps.push(Step::End);
            } else {
                let life = &self.lives[node.0];
                let mut parts =
                    self.changes_after(node, loss).map(|(at, _, part)| (at, part)).peekable();
                let mut first = life.settled;
                while parts.next_if(|(_, part)| *part == Part::All).is_some() {
                    first += 1;
                }
                let later = parts.filter(|(_, part)| *part != Part::None).collect();
                steps.push(Step::Holds(first, later));
            }
        }
    }

    /// Makes in `path` what is found after the loss, under those of the top names that are `wanted`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rebuild(&self, path: &Path, loss: Loss, wanted: &[&str]) -> io::Result<()> {
        fs::create_dir_all(path)?;
        let mut made = BTreeMap::new();
        let wanted = |name: &OsString| wanted.iter().any(|wanted| name == wanted);
        self.rebuild_folder(Node::ROOT, path, loss, &wanted, &mut made)
    }

    fn rebuild_folder(
        &self,
        folder: Node,
        path: &Path,
        loss: Loss,
        wanted: &dyn Fn(&OsString) -> bool,
        made: &mut BTreeMap<Node, PathBuf>,
    ) -> io::Result<()> {
        for (name, node) in
            self.names_after(folder, loss).into_iter().filter(|(name, _)| wanted(name))
        {
            let path = path.join(name);
            if let Some(first) = made.get(&node) {
                // A second name; a folder that has two after a loss is shown under the first that is met.
                if !self.lives[node.0].is_folder {
                    fs::hard_link(first, &path)?;
                }
                continue;
            }
            made.insert(node, path.clone());
            if self.lives[node.0].is_folder {
                fs::create_dir(&path)?;
                self.rebuild_folder(node, &path, loss, &|_| true, made)?;
            } else {
                let mut changes = self.changes_after(node, loss).peekable();
                let durable = &self.lives[node.0].image;
                if changes.peek().is_none() {
                    durable.write_to(&path)?;
                } else {
                    let mut image = durable.clone();
                    changes.for_each(|(_, change, part)| image.apply(change, part));
                    image.write_to(&path)?;
                }
            }
        }
        Ok(())
    }

    fn names_after(&self, folder: Node, loss: Loss) -> BTreeMap<OsString, Node> {
        let life = &self.lives[folder.0];
        let mut names = life.durable.clone();
        for (_, change) in life.names.iter().filter(|(at, _)| self.keeps_name(*at, loss)) {
            apply_names(&mut names, change);
        }
        names
    }

    /// The changes of a file that were not synced, with their place in the record and what is there of each.
    fn changes_after(
        &self,
        file: Node,
        loss: Loss,
    ) -> impl Iterator<Item = (usize, Change<'a>, Part)> + '_ {
        let changes = self.lives[file.0].changes.iter();
        changes.map(move |(at, change)| (*at, *change, kept_part(*at, loss)))
    }

    fn keeps_name(&self, at: usize, loss: Loss) -> bool {
        match loss {
            Loss::Nothing | Loss::Contents => true,
            Loss::Everything | Loss::Names => false,
            Loss::Some(seed) => draw(seed, at).is_multiple_of(2),
            Loss::Ordered(seed) => (at as u64) < draw(seed, usize::MAX) % (self.len as u64 + 1),
        }
    }
}

/// How much of a change is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    All,
    None,
    /// Sectors drawn from this seed.
    Torn(u64),
}

fn kept_part(at: usize, loss: Loss) -> Part {
    match loss {
        Loss::Nothing | Loss::Names => Part::All,
        Loss::Everything | Loss::Contents => Part::None,
        Loss::Some(seed) | Loss::Ordered(seed) => match draw(seed.wrapping_add(1), at) % 3 {
            0 => Part::All,
            1 => Part::None,
            _ => Part::Torn(draw(seed.wrapping_add(2), at)),
        },
    }
}

fn apply_names(names: &mut BTreeMap<OsString, Node>, change: &Names) {
    for (name, node) in change {
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}

fn name(path: &Path) -> io::Result<OsString> {
    path.file_name().map(ToOwned::to_owned).ok_or_else(|| io::Error::other("a path with a name"))
}

/// A number that depends on seed and place alone.
fn draw(seed: u64, at: usize) -> u64 {
    let mut rng =
        ChaCha20Rng::seed_from_u64(seed ^ (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    rng.next_u64()
}
