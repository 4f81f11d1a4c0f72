//! The notice that a relay will close, or that it moves: kept in the folder, signed into every `RelayInfo`.
//!
//! **Closing.** Until its date everything goes on, so that people can move their conversations. From the date on the
//! relay takes nothing in: no mailbox, claim, object or blob (`NotAdmitted`, and senders keep what they have). What is
//! there can be fetched and deleted for as long as the operator lets it run. **Moving**: a successor with this relay's
//! own fingerprint is this relay elsewhere; clients go there by themselves, and nothing closes.

use hearken_proto::address::RelayAddress;
use hearken_proto::ids::Fingerprint;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::Decommission;
use serde::{Deserialize, Serialize};

use crate::folder::{Folder, FolderError};

/// When a relay closes, and who takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// From when on it takes nothing in.
    pub on: UnixMillis,
    /// The relay that its operator recommends instead.
    pub successor: Option<RelayAddress>,
}

/// The notice as it lies in the folder.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    on_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
}

impl Notice {
    /// The notice of the relay in a folder; `None` where none is given.
    ///
    /// # Errors
    /// [`FolderError::Notice`] where it is not as written; [`FolderError::Io`].
    pub fn read(folder: &Folder) -> Result<Option<Self>, FolderError> {
        let Some(text) = folder.notice_text()? else { return Ok(None) };
        Self::parse(&text).ok_or(FolderError::Notice).map(Some)
    }

    /// As it is written; `None` where it is not.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let written: Written = serde_json::from_str(text).ok()?;
        let successor = written.successor.map(|address| address.parse()).transpose().ok()?;
        Some(Self { on: UnixMillis(written.on_ms), successor })
    }

    /// The text of it.
    pub(crate) fn to_text(&self) -> Option<String> {
        let successor = self.successor.as_ref().map(ToString::to_string);
        serde_json::to_string(&Written { on_ms: self.on.0, successor }).ok()
    }

    /// Keeps it, synced, in place of an earlier one.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn write(&self, folder: &Folder) -> Result<(), FolderError> {
        folder.write_notice(&self.to_text().ok_or(FolderError::Notice)?)
    }

    /// Whether the successor is the same relay elsewhere.
    #[must_use]
    pub fn is_move_of(&self, relay: Fingerprint) -> bool {
        self.successor.as_ref().is_some_and(|successor| successor.fingerprint() == relay)
    }

    /// As it stands in a `RelayInfo`.
    #[must_use]
    pub fn to_wire(&self) -> Decommission {
        let successor = self.successor.as_ref().map(ToString::to_string).unwrap_or_default();
        Decommission { on_ms: self.on.0, successor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_kept_replaced_and_taken_back_and_a_damaged_one_is_no_absent_one() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path());
        assert_eq!(Notice::read(&folder).unwrap(), None);
        let fingerprint = Fingerprint::from_bytes([7; 32]);
        let place = "relay.example:1".parse().unwrap();
        let successor = RelayAddress::new(fingerprint, vec![place]).unwrap();
        for successor in [None, Some(successor)] {
            let notice = Notice { on: UnixMillis(1_900_000_000_000), successor };
            notice.write(&folder).unwrap();
            assert_eq!(Notice::read(&folder).unwrap().as_ref(), Some(&notice));
            assert_eq!(notice.is_move_of(fingerprint), notice.successor.is_some());
        }
        folder.write_notice("{\"on_ms\":1}x").unwrap();
        assert_eq!(Notice::read(&folder).unwrap_err(), FolderError::Notice);
        folder.remove_notice().unwrap();
        folder.remove_notice().unwrap();
        assert_eq!(Notice::read(&folder).unwrap(), None);
    }
}
