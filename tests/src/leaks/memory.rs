//! The memory of a running process, as whoever controls the machine can read it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::process::Command;

use super::Place;

/// Read at once.
const PIECE: u64 = 1 << 20;

/// A process's memory at one moment: every part that it can write, one place each.
#[derive(Clone, Debug)]
pub struct Image(pub Vec<Place>);

/// Says that memory was not looked through, which needs root; in CI (`HEARKEN_CI=1`) that is a failure.
#[allow(clippy::panic, clippy::print_stderr, reason = "a proof that is not run must not look run")]
fn skip() {
    if std::env::var("HEARKEN_CI").is_ok_and(|value| value == "1") {
        panic!("the memory of a running process is looked through as root only, and CI must look");
    }
    eprintln!("skipped: needs root");
}

impl Image {
    /// Takes the image of a process, which stands still meanwhile. `None`, and a word about it, where this process may not
    /// read the memory of one that hides it: only root may.
    ///
    /// # Errors
    /// When its memory cannot be read for another reason.
    ///
    /// # Panics
    /// In CI without root.
    pub fn of(process: u32) -> io::Result<Option<Self>> {
        let tell =
            |signal: &str| Command::new("kill").arg(signal).arg(process.to_string()).status();
        tell("-STOP")?;
        let image = Self::read(process);
        tell("-CONT")?;
        match image {
            Ok(image) => Ok(Some(image)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                skip();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read(process: u32) -> io::Result<Self> {
        let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
        let memory = File::open(format!("/proc/{process}/mem"))?;
        let mut places = Vec::new();
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
            let name = words.nth(3).unwrap_or("anonymous");
            // What cannot be written is the program itself; the kernel's own pages cannot be read.
            if !rights.starts_with("rw") || name.starts_with("[v") {
                continue;
            }
            let Some((from, to)) = parse(range) else { continue };
            let bytes = piecewise(&memory, from, to);
            places.push(Place { name: format!("{name} {range}"), bytes });
        }
        Ok(Self(places))
    }

    /// How many bytes that are not zero.
    #[must_use]
    pub fn written_len(&self) -> usize {
        self.0.iter().map(|place| place.bytes.iter().filter(|byte| **byte != 0).count()).sum()
    }
}

fn parse(range: &str) -> Option<(u64, u64)> {
    let (from, to) = range.split_once('-')?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
}

/// What cannot be read stands as zeros, so that places in it keep their distance.
fn piecewise(memory: &File, from: u64, to: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
    let mut at = from;
    for piece in bytes.chunks_mut(usize::try_from(PIECE).unwrap_or(usize::MAX)) {
        let _ = memory.read_exact_at(piece, at);
        at += PIECE;
    }
    bytes
}
