//! What relays say of their end: the notice of each, as it was last signed, and the choice of a relay for new
//! mailboxes that follows from it.
//!
//! A notice is the relay's own word, bound to its key. It names nobody else's: a successor is shown and never used
//! unless the person adds it. Only one with the relay's own fingerprint is followed, since it is the same relay
//! elsewhere.

use hearken_proto::address::RelayAddress;
use hearken_proto::ids::Fingerprint;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::RelayInfo;
use rusqlite::{Connection, OptionalExtension, params};

use super::{RELAY_ADDRESS_MAX, records};
use crate::error::ClientError;
use crate::relays::Closing;
use crate::vault::VaultError;

/// A notice as a relay signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) on: UnixMillis,
    pub(crate) successor: Option<RelayAddress>,
}

impl Notice {
    /// What a relay says. A successor that is no address, or too long for the vault, is left out.
    pub(crate) fn of(info: &RelayInfo) -> Option<Self> {
        let notice = info.decommission.as_ref()?;
        let fits = |address: &RelayAddress| address.to_string().len() <= RELAY_ADDRESS_MAX;
        let successor = notice.successor.parse().ok().filter(fits);
        // A time that no calendar and no vault holds is as good as never.
        let on = UnixMillis(notice.on_ms.min(i64::MAX as u64));
        Some(Self { on, successor })
    }

    /// Where `relay` moves to, where that is what the notice says.
    pub(crate) fn moves(&self, relay: &Fingerprint) -> Option<&RelayAddress> {
        self.successor.as_ref().filter(|successor| successor.fingerprint() == *relay)
    }
}

/// The notice that is known of a relay.
pub(crate) fn of(db: &Connection, relay: &Fingerprint) -> Result<Option<Notice>, VaultError> {
    let found = db
        .prepare_cached("SELECT on_ms, successor FROM closing WHERE relay = ?1")?
        .query_row([&relay.as_bytes()[..]], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, Option<String>>(1)?))
        })
        .optional()?;
    found.map(|(on, successor)| notice(on, successor)).transpose()
}

/// Keeps the notice of a relay, or that it has none.
pub(crate) fn set(
    db: &Connection,
    relay: &Fingerprint,
    notice: Option<&Notice>,
) -> Result<(), VaultError> {
    match notice {
        Some(notice) => db
            .prepare_cached(
                "INSERT OR REPLACE INTO closing (relay, on_ms, successor) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![
                &relay.as_bytes()[..],
                notice.on.0,
                notice.successor.as_ref().map(ToString::to_string)
            ])?,
        None => db
            .prepare_cached("DELETE FROM closing WHERE relay = ?1")?
            .execute([&relay.as_bytes()[..]])?,
    };
    Ok(())
}

/// Whether a relay is known at another address than the one that it moves to.
pub(crate) fn is_news(db: &Connection, address: &RelayAddress) -> Result<bool, VaultError> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (
             SELECT 1 FROM relay WHERE fingerprint = ?1 AND own = 0 AND address <> ?2
             UNION ALL SELECT 1 FROM incoming WHERE relay = ?1 AND address <> ?2
             UNION ALL SELECT 1 FROM outgoing WHERE relay = ?1 AND address <> ?2
             UNION ALL SELECT 1 FROM farewell WHERE relay = ?1 AND address <> ?2)",
        )?
        .query_row(params![&address.fingerprint().as_bytes()[..], address.to_string()], |row| {
            row.get(0)
        })?)
}

/// A relay has moved: what it says itself counts for every mailbox on it. The one that runs beside the vault is where the
/// vault is.
pub(crate) fn move_relay(db: &Connection, address: &RelayAddress) -> Result<(), VaultError> {
    for update in [
        "UPDATE relay SET address = ?2 WHERE fingerprint = ?1 AND own = 0",
        "UPDATE incoming SET address = ?2 WHERE relay = ?1",
        "UPDATE outgoing SET address = ?2 WHERE relay = ?1",
        "UPDATE farewell SET address = ?2 WHERE relay = ?1",
    ] {
        db.prepare_cached(update)?
            .execute(params![&address.fingerprint().as_bytes()[..], address.to_string()])?;
    }
    Ok(())
}

/// The relays of this person that close: those that they added, and those that mailboxes of theirs or of their contacts
/// are on. The soonest first.
pub(crate) fn all(db: &Connection) -> Result<Vec<Closing>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT closing.relay, on_ms, successor, address FROM closing
         JOIN relay ON relay.fingerprint = closing.relay
         WHERE added IS NOT NULL
            OR EXISTS (SELECT 1 FROM incoming WHERE incoming.relay = closing.relay)
            OR EXISTS (SELECT 1 FROM outgoing WHERE outgoing.relay = closing.relay)
         ORDER BY on_ms",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?))
    })?;
    rows.map(|row| {
        let (relay, on, successor, address) = row?;
        let Notice { on, successor } = notice(on, successor)?;
        let address = address.parse().map_err(|_| VaultError::damaged_record())?;
        Ok(Closing { address, on, successor, contacts: contacts_of(db, &relay)? })
    })
    .collect()
}

/// The contacts whose conversation goes over a relay, one way or the other.
fn contacts_of(
    db: &Connection,
    relay: &[u8],
) -> Result<Vec<crate::contact::ContactId>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT id FROM contact WHERE state > 0 AND id IN (
            SELECT contact FROM incoming WHERE relay = ?1
            UNION SELECT contact FROM outgoing WHERE relay = ?1) ORDER BY seq",
    )?;
    let rows = statement.query_map([relay], |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|row| {
        let id = row?[..].try_into().map_err(|_| VaultError::damaged_record())?;
        Ok(crate::contact::ContactId::from_bytes(id))
    })
    .collect()
}

/// Where a new mailbox goes: to the first relay added that does not close, else to the first that has not closed yet.
/// `None` where none was added.
///
/// # Errors
/// [`ClientError::NotAdmitted`] where every relay added has closed.
pub(crate) fn relay_for_mailbox(
    db: &Connection,
    now: UnixMillis,
) -> Result<Option<RelayAddress>, ClientError> {
    let relays = records::relays(db)?;
    let mut closes = None;
    for relay in &relays {
        match of(db, &relay.address.fingerprint())? {
            None => return Ok(Some(relay.address.clone())),
            Some(notice) if notice.on > now && closes.is_none() => closes = Some(relay),
            Some(_) => {}
        }
    }
    match closes {
        Some(relay) => Ok(Some(relay.address.clone())),
        None if relays.is_empty() => Ok(None),
        None => Err(ClientError::NotAdmitted),
    }
}

fn notice(on: u64, successor: Option<String>) -> Result<Notice, VaultError> {
    let successor = successor.map(|address| address.parse()).transpose();
    let successor = successor.map_err(|_| VaultError::damaged_record())?;
    Ok(Notice { on: UnixMillis(on), successor })
}

#[cfg(test)]
mod tests {
    use hearken_proto::wire::Decommission;

    use super::*;
    use crate::sync::MIGRATIONS;
    use crate::vault::Vault;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn address(byte: u8) -> RelayAddress {
        let place = format!("relay-{byte}.example:4433").parse().unwrap();
        RelayAddress::new(Fingerprint::from_bytes([byte; 32]), vec![place]).unwrap()
    }

    fn notice_on(on: u64) -> Notice {
        Notice { on: UnixMillis(on), successor: Some(address(9)) }
    }

    fn with_relays(added: &[u8]) -> Vault {
        let mut vault = Vault::open_in_memory(MIGRATIONS).unwrap();
        vault
            .transaction(|tx| {
                added.iter().try_for_each(|byte| records::add_relay(tx, &address(*byte), false))
            })
            .unwrap();
        vault
    }

    #[test]
    fn a_new_mailbox_goes_to_a_relay_that_stays_then_to_one_that_is_open_and_to_no_closed_one() {
        let vault = with_relays(&[]);
        assert_eq!(relay_for_mailbox(vault.database(), NOW).unwrap(), None);
        let mut vault = with_relays(&[1, 2]);
        let chosen = |vault: &Vault| relay_for_mailbox(vault.database(), NOW);
        let say = |vault: &mut Vault, byte: u8, notice: Option<Notice>| {
            let relay = address(byte).fingerprint();
            vault.transaction(|tx| set(tx, &relay, notice.as_ref())).unwrap();
            assert_eq!(of(vault.database(), &relay).unwrap(), notice);
        };
        assert_eq!(chosen(&vault).unwrap(), Some(address(1)));
        say(&mut vault, 1, Some(notice_on(NOW.0 + 1)));
        assert_eq!(chosen(&vault).unwrap(), Some(address(2)), "one that stays");
        say(&mut vault, 2, Some(notice_on(NOW.0)));
        assert_eq!(chosen(&vault).unwrap(), Some(address(1)), "one that is still open");
        say(&mut vault, 1, Some(notice_on(NOW.0 - 1)));
        assert!(matches!(chosen(&vault), Err(ClientError::NotAdmitted)));
        let closings = all(vault.database()).unwrap();
        assert_eq!(closings.len(), 2);
        assert_eq!(closings[0].address(), &address(1), "the soonest first");
        say(&mut vault, 1, None);
        assert_eq!(chosen(&vault).unwrap(), Some(address(1)), "taken back");
    }

    #[test]
    fn a_relay_that_nobody_here_uses_is_not_told_of() {
        let mut vault = with_relays(&[1]);
        let stranger = address(5);
        vault
            .transaction(|tx| {
                records::learn_relay(tx, &stranger)?;
                set(tx, &stranger.fingerprint(), Some(&notice_on(1)))
            })
            .unwrap();
        assert!(all(vault.database()).unwrap().is_empty());
    }

    #[test]
    fn a_successor_that_is_no_address_is_left_out_and_only_its_own_is_a_move() {
        let said = |on_ms, successor: &str| {
            let successor = successor.to_owned();
            let decommission = Some(Decommission { on_ms, successor });
            Notice::of(&RelayInfo { decommission, ..RelayInfo::default() })
        };
        assert_eq!(Notice::of(&RelayInfo::default()), None);
        for malformed in ["", "nonsense", &"x".repeat(3_000)] {
            let notice = said(7, malformed).unwrap();
            assert_eq!(notice, Notice { on: UnixMillis(7), successor: None });
        }
        let moved = said(u64::MAX, &address(1).to_string()).unwrap();
        assert_eq!(moved.moves(&address(1).fingerprint()), Some(&address(1)));
        assert_eq!(moved.moves(&address(2).fingerprint()), None);
        let mut vault = with_relays(&[1]);
        let relay = address(1).fingerprint();
        vault.transaction(|tx| set(tx, &relay, Some(&moved))).unwrap();
        assert_eq!(of(vault.database(), &relay).unwrap(), Some(moved), "any time is stored");
    }
}
