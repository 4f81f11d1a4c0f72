//! Looks for moments: times near those of a run, finer than an hour, in the ways in which programs write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Hit, Needles, Place, Search};

/// A stretch of time in which clients acted, in which no moment must be found.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    from: Duration,
    to: Duration,
}

/// How a moment is written. Numbers in both byte orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// u64, milliseconds since 1970.
    Millis,
    /// u64, microseconds.
    Micros,
    /// u64, nanoseconds.
    Nanos,
    /// u64, seconds.
    Seconds,
    /// u32, seconds: four bytes, so chance writes one now and then.
    ShortSeconds,
    /// A varint of protobuf, seconds or milliseconds.
    Varint,
    /// Decimal digits, seconds or finer.
    Digits,
    /// RFC 3339, to the minute at least.
    Text,
}

/// From how many hits on a number of four bytes says something: chance has some 40 of 2^32 for each byte looked at.
const SHORT_MIN: usize = 4;

impl Moments {
    /// From `from` to `to`.
    #[must_use]
    pub fn between(from: SystemTime, to: SystemTime) -> Self {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { from: since(from), to: since(to) }
    }

    /// Moments that are written somewhere, and how.
    #[must_use]
    pub fn through(&self, places: &[Place]) -> Vec<(Written, Hit)> {
        let mut found = Vec::new();
        for place in places {
            let mut hit = |at, written: Written, spelling| {
                let (place, what) = (place.name.clone(), String::from("a moment"));
                found.push((written, Hit { place, at, what, spelling }));
            };
            self.numbers(&place.bytes, &mut hit);
            self.varints(&place.bytes, &mut hit);
        }
        for hit in Search::new(&self.texts()).through(places) {
            found.push((if hit.what == "text" { Written::Text } else { Written::Digits }, hit));
        }
        let short = |written: Written| written == Written::ShortSeconds;
        if found.iter().filter(|(written, _)| short(*written)).count() < SHORT_MIN {
            found.retain(|(written, _)| !short(*written));
        }
        found
    }

    fn numbers(&self, bytes: &[u8], hit: &mut impl FnMut(usize, Written, &'static str)) {
        for (at, window) in bytes.windows(4).enumerate() {
            // Most of a store's files is zeros that nobody has written.
            if window == [0; 4] {
                continue;
            }
            let Some(short) = window.first_chunk::<4>() else { continue };
            for (number, order) in
                [(u32::from_be_bytes(*short), "BE"), (u32::from_le_bytes(*short), "LE")]
            {
                if self.has_seconds(u64::from(number)) {
                    hit(at, Written::ShortSeconds, order);
                }
            }
        }
        for (at, window) in bytes.windows(8).enumerate() {
            let Some(long) = window.first_chunk::<8>() else { continue };
            if *long == [0; 8] {
                continue;
            }
            for (number, order) in
                [(u64::from_be_bytes(*long), "BE"), (u64::from_le_bytes(*long), "LE")]
            {
                if let Some(written) = self.long(number) {
                    hit(at, written, order);
                }
            }
        }
    }

    fn long(&self, number: u64) -> Option<Written> {
        let within = |from: u128, to: u128| (from..=to).contains(&u128::from(number));
        if within(self.from.as_millis(), self.to.as_millis()) {
            Some(Written::Millis)
        } else if within(self.from.as_micros(), self.to.as_micros()) {
            Some(Written::Micros)
        } else if within(self.from.as_nanos(), self.to.as_nanos()) {
            Some(Written::Nanos)
        } else if self.has_seconds(number) {
            Some(Written::Seconds)
        } else {
            None
        }
    }

    fn has_seconds(&self, number: u64) -> bool {
        (self.from.as_secs()..=self.to.as_secs()).contains(&number)
    }

    fn varints(&self, bytes: &[u8], hit: &mut impl FnMut(usize, Written, &'static str)) {
        for at in 0..bytes.len() {
            let mut number = 0_u64;
            for (place, byte) in bytes[at..].iter().take(6).enumerate() {
                number |= u64::from(byte & 0x7f) << (7 * place);
                if byte & 0x80 == 0 {
                    let millis =
                        (self.from.as_millis()..=self.to.as_millis()).contains(&u128::from(number));
                    if place > 3 && (millis || self.has_seconds(number)) {
                        hit(at, Written::Varint, "varint");
                    }
                    break;
                }
            }
        }
    }

    fn texts(&self) -> Needles {
        let mut needles = Needles::default();
        for second in self.from.as_secs()..=self.to.as_secs() {
            let minute = minute_of(second);
            needles.add("text", "text", minute.replace('T', " ").into_bytes());
            needles.add("text", "text", minute.into_bytes());
            needles.add("digits", "digits", second.to_string().into_bytes());
        }
        needles
    }
}

/// `2026-11-25T09:41`.
fn minute_of(seconds: u64) -> String {
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}", rest / 3_600, rest % 3_600 / 60)
}

/// Year, month and day of a day since 1970.
fn civil(mut day: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_found_in_every_way_it_is_written_and_its_hour_is_not() {
        let noon = UNIX_EPOCH + Duration::from_secs(1_795_607_112);
        let moments = Moments::between(noon, noon + Duration::from_secs(20));
        let (second, millis) = (1_795_607_120_u64, 1_795_607_120_250_u64);
        let ways: [(Written, Vec<u8>); 11] = [
            (Written::Millis, millis.to_be_bytes().to_vec()),
            (Written::Millis, millis.to_le_bytes().to_vec()),
            (Written::Micros, (millis * 1_000).to_le_bytes().to_vec()),
            (Written::Nanos, (millis * 1_000_000).to_be_bytes().to_vec()),
            (Written::Seconds, second.to_be_bytes().to_vec()),
            (Written::ShortSeconds, [u32::try_from(second).unwrap_or(0).to_le_bytes(); 4].concat()),
            (Written::Varint, vec![0xd0, 0x94, 0x9b, 0xd8, 0x06]),
            (Written::Varint, vec![0xfa, 0x92, 0x99, 0x94, 0xa1, 0x34]),
            (Written::Digits, b"at 1795607120.25".to_vec()),
            (Written::Text, b"2026-11-25T11:45:20Z".to_vec()),
            (Written::Text, b"2026-11-25 11:45".to_vec()),
        ];
        for (written, bytes) in ways {
            let place = Place { name: String::new(), bytes: [&[1][..], &bytes, &[1]].concat() };
            let found = moments.through(&[place]);
            assert!(found.iter().any(|(way, _)| *way == written), "{written:?} {bytes:02x?}");
        }
        let hours = (second / 3_600).to_be_bytes();
        let coarse = [&hours[..], &hours[4..], b"2026-11-25T11"].concat();
        assert!(moments.through(&[Place { name: String::new(), bytes: coarse }]).is_empty());
    }
}
