//! What opens a vault: a passphrase that a person chose, or the recovery phrase that was made for them.

use std::fmt;

use bip0039::{Count, English, Mnemonic};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::error::VaultError;

/// Twelve words of the English BIP-39 list: 128 random bits and a checksum of 4.
///
/// Accepted wherever the passphrase is asked, in upper or lower case and with any white space between the words.
pub struct RecoveryPhrase(Mnemonic<English>);

impl RecoveryPhrase {
    pub(super) fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, VaultError> {
        let mut entropy = vec![0; 16];
        rng.fill_bytes(&mut entropy);
        // The list has a word for every number, and 128 bits are a length of it.
        Mnemonic::from_entropy(entropy).map(Self).map_err(|_| VaultError::damaged_record())
    }

    /// The words, in order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.phrase().split(' ')
    }

    /// The words with single spaces between them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.phrase()
    }
}

impl fmt::Debug for RecoveryPhrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("RecoveryPhrase(..)")
    }
}

/// The bytes that are stretched for what was typed: the recovery phrase in its one spelling where it is one (NFKD,
/// lower case, single spaces), else exactly the bytes given.
///
/// Both the making and the opening of a slot come through here, so a passphrase that happens to be twelve such words
/// with a right checksum opens as well as any.
pub(super) fn secret_of(typed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    if typed.is_empty() {
        return Err(VaultError::PassphraseEmpty);
    }
    if let Ok(text) = std::str::from_utf8(typed)
        && let Some(phrase) = recovery_spelling(text)
    {
        return Ok(phrase);
    }
    Ok(Zeroizing::new(typed.to_vec()))
}

/// The one spelling of a recovery phrase, if `text` is one.
fn recovery_spelling(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let words = Count::Words12.word_count();
    if text.split_whitespace().count() != words {
        return None;
    }
    // Sized beforehand, so that no shorter copy is left behind when it grows.
    let mut lower = Zeroizing::new(String::with_capacity(3 * text.len() + words));
    for word in text.split_whitespace() {
        if !lower.is_empty() {
            lower.push(' ');
        }
        lower.extend(word.chars().flat_map(char::to_lowercase));
    }
    let mnemonic = Mnemonic::<English>::from_phrase(lower.as_str()).ok()?;
    let mut phrase = mnemonic.into_phrase();
    let bytes = Zeroizing::new(phrase.as_bytes().to_vec());
    phrase.zeroize();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

    #[test]
    fn a_recovery_phrase_may_be_typed_in_any_case_and_spacing() {
        let spelled = secret_of(PHRASE.as_bytes()).unwrap();
        for typed in [
            "  Bottom DRIVE obey\tlake curtain\nsmoke basket hold race lonely fit walk \r\n",
            "ＢＯＴＴＯＭ drive obey lake curtain smoke basket\u{3000}hold race lonely fit walk",
        ] {
            assert_eq!(secret_of(typed.as_bytes()).unwrap(), spelled);
        }
        assert_eq!(&spelled[..], PHRASE.as_bytes());
    }

    #[test]
    fn a_passphrase_is_taken_byte_for_byte() {
        for typed in ["  Two  Words ", "Ｆｕｌｌ", "e\u{301}", "a\n"] {
            assert_eq!(&secret_of(typed.as_bytes()).unwrap()[..], typed.as_bytes());
        }
        assert_eq!(&secret_of(&[0xff, 0x00]).unwrap()[..], &[0xff, 0x00]);
        // A word wrong, so the checksum is not right: a passphrase like any other.
        let other = PHRASE.replace("walk", "WALK walk").replace("bottom ", "");
        assert_eq!(&secret_of(other.as_bytes()).unwrap()[..], other.as_bytes());
    }

    #[test]
    fn an_empty_passphrase_is_refused() {
        assert!(matches!(secret_of(b""), Err(VaultError::PassphraseEmpty)));
    }

    #[test]
    fn recovery_phrases_have_twelve_words_and_differ() {
        use rand_core::SeedableRng;
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let [one, other] = [(); 2].map(|()| RecoveryPhrase::generate(&mut rng).unwrap());
        assert_eq!(one.words().count(), 12);
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(format!("{one:?}"), "RecoveryPhrase(..)");
    }
}
