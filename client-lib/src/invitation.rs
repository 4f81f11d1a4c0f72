//! The invitation link: `hearken:invite/1#…`, which one person hands to another over a way that they trust.
//!
//! Behind `#`, base64url (RFC 4648) without padding: version (1), link secret (32), hash of the card (32), hour of
//! expiry (4, big-endian), fingerprint of the relay (32), its places as text joined by commas, and the first 4 bytes
//! of a SHA-256 over all before them, so that a link cut short or mistyped is noticed. At most 320 characters with one
//! relay name. Whoever sees the link can join first.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use hearken_proto::address::RelayAddress;
use hearken_proto::ids::Fingerprint;
use hearken_proto::limits::INVITATION_LINK_MAX;
use hearken_proto::time::UnixHour;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// How a link begins.
pub(crate) const PREFIX: &str = "hearken:invite/1#";

const VERSION: u8 = 1;
const CHECK_LEN: usize = 4;
const FIXED_LEN: usize = 1 + 32 + 32 + 4 + 32;
/// A link from elsewhere may list more than one place.
const LINK_CHARS_MAX: usize = 4 * INVITATION_LINK_MAX;

/// A link that is not one: cut short, mistyped, or something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a whole invitation link")]
pub(crate) struct MalformedLink;

/// What an invitation link says.
pub(crate) struct InvitationLink {
    pub(crate) secret: [u8; 32],
    pub(crate) card_hash: [u8; 32],
    pub(crate) expires: UnixHour,
    pub(crate) relay: RelayAddress,
}

impl InvitationLink {
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let address = self.relay.to_string();
        let places = address.split_once('@').map_or("", |(_, places)| places);
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED_LEN + places.len()));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(&self.card_hash);
        bytes.extend_from_slice(&self.expires.0.to_be_bytes());
        bytes.extend_from_slice(self.relay.fingerprint().as_bytes());
        bytes.extend_from_slice(places.as_bytes());
        Self::text_of(&bytes)
    }

    /// The text of a link's bytes, with their check.
    pub(crate) fn text_of(body: &[u8]) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(body.len() + CHECK_LEN));
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(&check(body));
        let mut text = Zeroizing::new(String::from(PREFIX));
        BASE64URL_NOPAD.encode_append(&bytes, &mut text);
        text
    }

    /// Tells the same invitation again without keeping its link: a hash of the link secret.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update(b"hearken/1 invitation")
            .chain_update(self.secret)
            .finalize()
            .into()
    }

    /// Reads a link; white space around it and inside it (a line broken by a mail program) does not matter.
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedLink> {
        if text.len() > LINK_CHARS_MAX {
            return Err(MalformedLink);
        }
        let text: Zeroizing<String> =
            Zeroizing::new(text.chars().filter(|character| !character.is_whitespace()).collect());
        let encoded = text.strip_prefix(PREFIX).ok_or(MalformedLink)?;
        let bytes =
            Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| MalformedLink)?);
        let body_len = bytes.len().checked_sub(CHECK_LEN).ok_or(MalformedLink)?;
        let (body, found) = bytes.split_at(body_len);
        if found != check(body) || body.first() != Some(&VERSION) {
            return Err(MalformedLink);
        }
        let fixed = body.get(..FIXED_LEN).ok_or(MalformedLink)?;
        let array = |from: usize| -> Result<[u8; 32], MalformedLink> {
            fixed.get(from..from + 32).and_then(|part| part.try_into().ok()).ok_or(MalformedLink)
        };
        let expires = fixed[65..69].try_into().map_err(|_| MalformedLink)?;
        let places = core::str::from_utf8(&body[FIXED_LEN..]).map_err(|_| MalformedLink)?;
        let fingerprint = Fingerprint::from_bytes(array(69)?);
        let places = places
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| MalformedLink)?;
        Ok(Self {
            secret: array(1)?,
            card_hash: array(33)?,
            expires: UnixHour(u32::from_be_bytes(expires)),
            relay: RelayAddress::new(fingerprint, places).map_err(|_| MalformedLink)?,
        })
    }
}

impl Drop for InvitationLink {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for InvitationLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _, card_hash: _, expires, relay: _ } = self;
        f.debug_struct("InvitationLink").field("expires", expires).finish_non_exhaustive()
    }
}

fn check(body: &[u8]) -> [u8; CHECK_LEN] {
    let digest =
        Sha256::new().chain_update(b"hearken/1 invitation check").chain_update(body).finalize();
    let mut check = [0; CHECK_LEN];
    check.copy_from_slice(&digest[..CHECK_LEN]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> InvitationLink {
        let relay = format!("hearken://{}@relay.example.org:4433", Fingerprint::of(&[7; 32]));
        InvitationLink {
            secret: [1; 32],
            card_hash: [2; 32],
            expires: UnixHour(500_000),
            relay: relay.parse().unwrap(),
        }
    }

    #[test]
    fn a_link_comes_back_as_it_was() {
        let text = link().to_text();
        assert!(text.len() <= INVITATION_LINK_MAX);
        let back = InvitationLink::parse(&text).unwrap();
        assert_eq!(back.secret, [1; 32]);
        assert_eq!(back.card_hash, [2; 32]);
        assert_eq!(back.expires, UnixHour(500_000));
        assert_eq!(back.relay, link().relay);
    }

    #[test]
    fn a_link_with_the_longest_name_fits() {
        let name = format!("{}.{}.org", "a".repeat(60), "b".repeat(30));
        let relay = format!("hearken://{}@{name}:65535", Fingerprint::of(&[7; 32]));
        let link = InvitationLink { relay: relay.parse().unwrap(), ..parse_own() };
        assert!(link.to_text().len() <= INVITATION_LINK_MAX, "{}", link.to_text().len());
    }

    fn parse_own() -> InvitationLink {
        InvitationLink::parse(&link().to_text()).unwrap()
    }

    #[test]
    fn every_cut_and_every_changed_character_is_noticed() {
        let text = link().to_text();
        for cut in 0..text.len() {
            assert!(InvitationLink::parse(&text[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..text.len() {
            for other in ['A', 'z', '-', '#', ':'] {
                let mut changed: Vec<char> = text.chars().collect();
                if changed[at] == other {
                    continue;
                }
                changed[at] = other;
                let changed: String = changed.into_iter().collect();
                assert!(InvitationLink::parse(&changed).is_err(), "changed at {at}");
            }
        }
    }

    #[test]
    fn line_breaks_inside_a_link_do_not_matter() {
        let text = link().to_text();
        let (front, back) = text.split_at(40);
        assert!(InvitationLink::parse(&format!(" {front}\r\n  {back}\n")).is_ok());
    }

    #[test]
    fn what_is_not_a_link_is_refused_without_a_panic() {
        for text in
            ["", "hearken:invite/1#", "hearken:invite/2#AAAA", "hearken:invite/1#é", "http://x"]
        {
            assert!(InvitationLink::parse(text).is_err());
        }
        assert!(InvitationLink::parse(&"hearken:invite/1#".repeat(1_000)).is_err());
    }
}
