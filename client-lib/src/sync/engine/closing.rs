//! What a relay's notice of its end changes here.

use hearken_proto::ids::Fingerprint;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::RelayInfo;

use super::Engine;
use crate::event::Event;
use crate::sync::closings::{self, Notice};
use crate::vault::VaultError;

impl Engine {
    /// A relay was heard: its notice is kept before it is told, one that was taken back goes, and a relay that moves is
    /// reached where it says from the next session on. What is older than the newest that was heard of it says nothing of
    /// that: an entry hands out for an hour what the relay signed before it changed its mind.
    pub(super) fn note_notice(
        &mut self,
        relay: Fingerprint,
        info: &RelayInfo,
    ) -> Result<(), VaultError> {
        let signed_at = UnixMillis(info.signed_at_ms);
        let newest = self.newest_infos.entry(relay).or_default();
        if signed_at < *newest {
            return Ok(());
        }
        *newest = signed_at;
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

#[cfg(test)]
mod tests {
    use hearken_proto::address::RelayAddress;
    use hearken_proto::wire::Decommission;

    use super::*;
    use crate::relays::RouteChoice;
    use crate::sync::{MIGRATIONS, records};
    use crate::vault::Vault;

    const NOW: u64 = 1_800_000_000_000;

    fn info(signed_at_ms: u64, closes: bool) -> RelayInfo {
        let decommission = Decommission { on_ms: NOW, successor: String::new() };
        let decommission = closes.then_some(decommission);
        RelayInfo { signed_at_ms, decommission, ..RelayInfo::default() }
    }

    fn told(engine: &mut Engine) -> Option<bool> {
        match engine.poll_event() {
            Some(Event::RelayCloses(_)) => Some(true),
            Some(Event::RelayStays(_)) => Some(false),
            _ => None,
        }
    }

    #[test]
    fn what_was_signed_before_a_notice_does_not_take_it_back() {
        let place = "relay.example:4433".parse().unwrap();
        let relay = Fingerprint::from_bytes([1; 32]);
        let mut vault = Vault::open_in_memory(MIGRATIONS).unwrap();
        vault
            .transaction(|tx| {
                let address = RelayAddress::new(relay, vec![place]).unwrap();
                records::add_relay(tx, &address, false)?;
                records::set_newest_info(tx, &relay, UnixMillis(NOW - 2))
            })
            .unwrap();
        let mut engine = Engine::new(vault, RouteChoice::Direct).unwrap();
        engine.note_notice(relay, &info(NOW - 3, true)).unwrap();
        assert_eq!(told(&mut engine), None, "older than what an earlier run heard");
        engine.note_notice(relay, &info(NOW, true)).unwrap();
        assert_eq!(told(&mut engine), Some(true));
        engine.note_notice(relay, &info(NOW - 1, false)).unwrap();
        assert_eq!(told(&mut engine), None);
        assert!(closings::of(engine.vault.database(), &relay).unwrap().is_some());
        engine.note_notice(relay, &info(NOW, true)).unwrap();
        assert_eq!(told(&mut engine), None, "told once");
        engine.note_notice(relay, &info(NOW + 1, false)).unwrap();
        assert_eq!(told(&mut engine), Some(false), "taken back since");
    }
}
