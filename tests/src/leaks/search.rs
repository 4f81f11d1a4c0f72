//! Looks for many needles in many places at once.

use std::collections::HashMap;

use super::{Needle, Needles, Place, Strength};

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// In which place.
    pub place: String,
    /// At which byte of it.
    pub at: usize,
    /// What it is.
    pub what: String,
    /// In which spelling.
    pub spelling: &'static str,
}

/// Needles, made ready to be looked for.
#[derive(Debug)]
pub struct Search<'a> {
    needles: &'a [Needle],
    /// Whether a needle begins with these two bytes.
    begins: Vec<bool>,
    /// Needles by their first four bytes.
    by_start: HashMap<[u8; 4], Vec<usize>>,
}

impl<'a> Search<'a> {
    /// Looks for these.
    #[must_use]
    pub fn new(needles: &'a Needles) -> Self {
        let needles = needles.all();
        let mut begins = vec![false; 1 << 16];
        let mut by_start: HashMap<[u8; 4], Vec<usize>> = HashMap::new();
        for (index, needle) in needles.iter().enumerate() {
            if let Some(start) = needle.bytes.first_chunk::<4>() {
                begins[pair(start)] = true;
                by_start.entry(*start).or_default().push(index);
            }
        }
        Self { needles, begins, by_start }
    }

    /// What is found, place by place. Weak needles count from the second hit in all places on.
    #[must_use]
    pub fn through(&self, places: &[Place]) -> Vec<Hit> {
        let mut found: Vec<(usize, Hit)> = Vec::new();
        for place in places {
            self.through_one(place, &mut found);
        }
        let weak = |index: usize| self.needles[index].strength == Strength::Weak;
        let chance = found.iter().filter(|(index, _)| weak(*index)).count() < 2;
        let kept = found.into_iter().filter(|(index, _)| !(chance && weak(*index)));
        kept.map(|(_, hit)| hit).collect()
    }

    /// Which things are found, each once, in the order of the needles.
    #[must_use]
    pub fn things_in(&self, places: &[Place]) -> Vec<String> {
        let hits = self.through(places);
        let mut things: Vec<String> = Vec::new();
        for needle in self.needles {
            if !things.contains(&needle.what) && hits.iter().any(|hit| hit.what == needle.what) {
                things.push(needle.what.clone());
            }
        }
        things
    }

    fn through_one(&self, place: &Place, found: &mut Vec<(usize, Hit)>) {
        for (at, start) in place.bytes.windows(4).enumerate() {
            let Some(start) = start.first_chunk::<4>() else { continue };
            if !self.begins[pair(start)] {
                continue;
            }
            for &index in self.by_start.get(start).into_iter().flatten() {
                let needle = &self.needles[index];
                if place.bytes[at..].starts_with(&needle.bytes) {
                    let (what, spelling) = (needle.what.clone(), needle.spelling);
                    found.push((index, Hit { place: place.name.clone(), at, what, spelling }));
                }
            }
        }
    }
}

fn pair(start: &[u8; 4]) -> usize {
    usize::from(u16::from_le_bytes([start[0], start[1]]))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use data_encoding::{BASE32_NOPAD, BASE64_NOPAD};

    use super::*;

    fn found(needles: &Needles, bytes: Vec<u8>) -> bool {
        !Search::new(needles).through(&[Place { name: String::from("here"), bytes }]).is_empty()
    }

    #[test]
    fn a_secret_is_found_in_every_spelling_wherever_it_begins() {
        let mut needles = Needles::default();
        let secret: Vec<u8> = (100..132).collect();
        needles.bytes("secret", &secret);
        for before in 0..7 {
            let around = [&vec![7; before][..], &secret, &[9; 5]].concat();
            assert!(found(&needles, around.clone()));
            assert!(found(&needles, BASE64_NOPAD.encode(&around).into_bytes()), "{before}");
            assert!(found(&needles, BASE32_NOPAD.encode(&around).into_bytes()), "{before}");
            let lower = BASE32_NOPAD.encode(&around).to_ascii_lowercase();
            assert!(found(&needles, lower.into_bytes()), "{before}");
        }
        assert!(!found(&needles, secret[..31].to_vec()));
    }

    #[test]
    fn an_address_is_found_in_every_spelling_and_another_is_not() {
        let mut needles = Needles::default();
        let address: SocketAddr = "127.61.82.203:47321".parse().unwrap();
        needles.address("address", address);
        let port = 47_321_u16;
        let written: Vec<Vec<u8>> = vec![
            b"from 127.61.82.203:47321".to_vec(),
            b"[::ffff:127.61.82.203]".to_vec(),
            b"::ffff:7f3d:52cb".to_vec(),
            b"port 47321".to_vec(),
            b"7f3d52cb".to_vec(),
            [&[2, 0], &port.to_be_bytes()[..], &[127, 61, 82, 203]].concat(),
            [&[127, 61, 82, 203], &port.to_le_bytes()[..]].concat(),
            [&[203, 82, 61, 127], &port.to_be_bytes()[..]].concat(),
            [127, 61, 82, 203, 0, 0, 127, 61, 82, 203].to_vec(),
        ];
        for bytes in written {
            assert!(found(&needles, bytes.clone()), "{bytes:?}");
        }
        assert!(!found(&needles, b"127.61.82.204:47322".to_vec()));
        assert!(
            !found(&needles, vec![0, 127, 61, 82, 203, 0]),
            "four bytes are found by chance too"
        );
    }
}
