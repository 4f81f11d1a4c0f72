//! A script that breaks something, made smaller as long as it breaks the same thing.

use super::script::Script;
use super::{Broken, Plant, run};

/// The smallest script found, and what it breaks.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The script.
    pub script: Script,
    /// What it breaks.
    pub broken: Broken,
    /// How many scripts were tried.
    pub tried: usize,
}

/// Takes steps, people and relays out of `script`, which breaks `broken`, in at most `tries_max` tries.
#[must_use]
pub fn shrink(script: &Script, broken: &Broken, plant: Plant, tries_max: usize) -> Shrunk {
    let mut best = Shrunk { script: script.clone(), broken: broken.clone(), tried: 0 };
    let mut size = best.script.steps.len() / 2;
    while size > 0 && best.tried < tries_max {
        let mut at = 0;
        let mut took_out = false;
        while at < best.script.steps.len() && best.tried < tries_max {
            let mut smaller = best.script.clone();
            smaller.steps.drain(at..(at + size).min(smaller.steps.len()));
            if best.takes(smaller, plant) {
                took_out = true;
            } else {
                at += size;
            }
        }
        if !took_out || size > 1 {
            size /= 2;
        }
    }
    for (people, relays) in [(2, 2), (3, 2), (2, 3)] {
        if people <= best.script.people && relays <= best.script.relays {
            let smaller = Script { people, relays, ..best.script.clone() };
            let _ = best.takes(smaller, plant);
        }
    }
    best
}

impl Shrunk {
    fn takes(&mut self, smaller: Script, plant: Plant) -> bool {
        self.tried += 1;
        match run(&smaller, plant) {
            Err(broken) if broken.is_like(&self.broken) => {
                self.script = smaller;
                self.broken = broken;
                true
            }
            _ => false,
        }
    }
}
