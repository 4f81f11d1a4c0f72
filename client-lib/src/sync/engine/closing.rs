//! What a relay's notice of its end changes here.

use hearken_proto::ids::Fingerprint;
use hearken_proto::wire::RelayInfo;

use super::Engine;
use crate::event::Event;
use crate::sync::closings::{self, Notice};
use crate::vault::VaultError;

impl Engine {
    /// A relay was heard: its notice is kept before it is told, one that was taken back goes, and a relay that moves is
    /// reached where it says from the next session on.
    pub(super) fn note_notice(
        &mut self,
        relay: Fingerprint,
        info: &RelayInfo,
    ) -> Result<(), VaultError> {
        let mut said = Notice::of(info);
        if let Some(address) = said.as_ref().and_then(|notice| notice.moves(&relay)).cloned() {
            if closings::is_news(self.vault.database(), &address)? {
                self.vault.transaction(|tx| closings::move_relay(tx, &address))?;
            }
            said = None;
        }
        if closings::of(self.vault.database(), &relay)? == said {
            return Ok(());
        }
        self.vault.transaction(|tx| closings::set(tx, &relay, said.as_ref()))?;
        self.emit(if said.is_some() {
            Event::RelayCloses(relay)
        } else {
            Event::RelayStays(relay)
        });
        Ok(())
    }
}
