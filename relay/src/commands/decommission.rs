//! `decommission`: gives notice, or takes it back.

use std::collections::HashSet;

use hearken_proto::address::RelayAddress;
use hearken_relay::admin;
use hearken_relay::folder::{Folder, FolderError, fingerprint};
use hearken_relay::notice::Notice;
use hearken_relay::store::StoreError;
use serde_json::json;

use super::{dates, now};
use crate::arguments::Decommission;
use crate::output::{Failure, Output};

pub(super) fn decommission(arguments: &Decommission, output: Output) -> Result<(), Failure> {
    let notice = arguments.on.as_deref().map(|on| notice_of(on, arguments)).transpose()?;
    let folder = Folder::new(&arguments.data);
    let relay = fingerprint(&folder.identity()?);
    if notice.as_ref().is_some_and(|notice| notice.on <= now()) {
        let message = "the date is past";
        let advice = "give people some weeks: name a day to come. Nothing was changed";
        return Err(Failure::failed("date-past", message, advice));
    }
    let present = folder.address(relay);
    let successor = notice.as_ref().and_then(|notice| notice.successor.as_ref());
    if present.zip(successor).is_some_and(|(present, successor)| is_same(&present, successor)) {
        let message =
            "the successor is this relay where it is: that would neither close nor move it";
        let advice = "give the address that it moves to, or another relay's. Nothing was changed";
        return Err(Failure::failed("same-address", message, advice));
    }
    // The file first: a relay that is killed now reads it at its next start.
    match lock(&folder)? {
        Some(_held) => keep(&folder, notice.as_ref())?,
        None => {
            keep(&folder, notice.as_ref())?;
            admin::renew_notice(&folder).map_err(|error| {
                let message =
                    format!("the notice is kept, and the running relay did not take it: {error}");
                Failure::failed("not-taken", message, "try again, or restart the relay")
            })?;
        }
    }
    let successor = notice.as_ref().and_then(|notice| notice.successor.as_ref());
    let closes_at = notice.as_ref().map(|notice| dates::rfc3339(notice.on));
    let object = json!({
        "relay": relay.to_string(),
        "closes_at": closes_at,
        "successor": successor.map(ToString::to_string),
    });
    let text = match (&notice, closes_at) {
        (Some(notice), Some(at)) if notice.is_move_of(relay) => format!(
            "Relay {relay} tells that it moves. Clients that see this go to the other address by themselves.\n\
             Keep it here until {at}, so that many do."
        ),
        (_, Some(at)) => format!(
            "Relay {relay} tells that it closes at {at}. Clients show it within hours of use.\n\
             From then on it takes nothing in. Let it run 21 days more, so that people fetch what is there."
        ),
        _ => format!("Relay {relay} gives no notice: it stays."),
    };
    output.result(&object, text);
    Ok(())
}

fn notice_of(on: &str, arguments: &Decommission) -> Result<Notice, Failure> {
    let on = dates::parse(on).ok_or_else(|| {
        let message = "--on takes a date";
        Failure::usage("usage", message, "give it like 2030-06-30 or 2030-06-30T12:00:00Z")
    })?;
    let successor = arguments.successor.as_deref().map(str::parse::<RelayAddress>).transpose();
    let successor = successor.map_err(|error| {
        let message = format!("--successor takes the address of a relay: {error}");
        Failure::usage("usage", message, "copy it whole from `hearken-relay address`")
    })?;
    Ok(Notice { on, successor })
}

/// Whether two addresses lead to the same relay at the same places, in whatever order.
fn is_same(one: &RelayAddress, other: &RelayAddress) -> bool {
    let places = |address: &RelayAddress| address.places().iter().cloned().collect::<HashSet<_>>();
    one.fingerprint() == other.fingerprint() && places(one) == places(other)
}

/// The folder's lock; `None` where a relay serves it.
fn lock(folder: &Folder) -> Result<Option<std::fs::File>, Failure> {
    match folder.lock() {
        Ok(held) => Ok(Some(held)),
        Err(FolderError::Key(StoreError::Locked { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn keep(folder: &Folder, notice: Option<&Notice>) -> Result<(), Failure> {
    match notice {
        Some(notice) => notice.write(folder)?,
        None => folder.remove_notice()?,
    }
    Ok(())
}
