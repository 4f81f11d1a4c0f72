//! The safety code: 88 bits of the transcript, as eight words or eight numbers that two people compare.
//!
//! The inviter's keys are fixed before the joiner draws its own, and the joiner's before either sees a code, so who
//! sits between them must find one given code: 2^88 tries, not 2^44.

use core::fmt;

use bip0039::language::{English, Language};

/// 88 bits, the same at both ends where nobody sits between them. Not secret, but it says who talks to whom.
#[derive(Clone, PartialEq, Eq)]
pub struct SafetyCode([u8; Self::LEN]);

impl SafetyCode {
    /// Length in bytes.
    pub const LEN: usize = 11;
    /// Words, or numbers.
    pub const WORDS: usize = 8;

    /// Takes a code as it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The 11 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Eight numbers below 2,048: 11 bits each, the first bits first.
    #[must_use]
    pub fn numbers(&self) -> [u16; Self::WORDS] {
        let bits = self.0.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        core::array::from_fn(|index| {
            let shift = 11 * (Self::WORDS - 1 - index);
            u16::try_from(bits >> shift & 0x7ff).unwrap_or_default()
        })
    }

    /// Eight words of the English list of BIP-39.
    #[must_use]
    pub fn words(&self) -> [&'static str; Self::WORDS] {
        self.numbers().map(|number| English::word_of(number.into()))
    }

    /// The eight numbers, four digits each, with spaces between: 39 characters.
    #[must_use]
    pub fn number(&self) -> String {
        self.numbers().map(|number| format!("{number:04}")).join(" ")
    }
}

impl fmt::Debug for SafetyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("SafetyCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_eleven_bits_of_the_code_in_order() {
        let mut bytes = [0; 11];
        bytes[0] = 0b0000_0000;
        bytes[1] = 0b0011_1111;
        bytes[2] = 0b1111_1100;
        bytes[10] = 0b0000_0111;
        let code = SafetyCode::from_bytes(bytes);
        assert_eq!(code.numbers(), [1, 0b111_1111_1111, 0, 0, 0, 0, 0, 7]);
        assert_eq!(SafetyCode::from_bytes([0xff; 11]).numbers(), [2047; 8]);
        assert_eq!(SafetyCode::from_bytes([0xff; 11]).words(), ["zoo"; 8]);
        assert_eq!(SafetyCode::from_bytes([0; 11]).words(), ["abandon"; 8]);
    }

    #[test]
    fn the_number_is_eight_times_four_digits() {
        assert_eq!(
            SafetyCode::from_bytes([0; 11]).number(),
            "0000 0000 0000 0000 0000 0000 0000 0000"
        );
    }

    #[test]
    fn a_changed_bit_anywhere_changes_a_word() {
        for bit in 0..88 {
            let mut bytes = [0x5a; 11];
            bytes[bit / 8] ^= 1 << (bit % 8);
            let changed = SafetyCode::from_bytes(bytes);
            assert_ne!(changed.words(), SafetyCode::from_bytes([0x5a; 11]).words(), "bit {bit}");
        }
    }
}
