//! `backup` and `restore`.

use std::path::Path;

use hearken_relay::backup::{self, Source, Written};
use hearken_relay::folder::{Folder, fingerprint};
use hearken_relay::stop::Stop;
use hearken_relay::store::{DayKeys, FjallConfig, FjallStore, StoreError};
use hearken_relay::{admin, restore as restoring};
use serde_json::json;

use super::{dates, now};
use crate::arguments::{Backup, Restore};
use crate::output::{Failure, Output};

pub(super) fn backup(arguments: &Backup, stop: &Stop, output: Output) -> Result<(), Failure> {
    let folder = Folder::new(&arguments.data);
    let identity = fingerprint(&folder.identity()?);
    let Written { bytes, rows } = match admin::backup(&folder) {
        Ok(running) => backup::write(running, &arguments.out, stop)?,
        Err(_) => backup_stopped(&folder, &arguments.out, stop)?,
    };
    let out = arguments.out.display().to_string();
    let object =
        json!({ "out": out, "fingerprint": identity.to_string(), "bytes": bytes, "rows": rows });
    let text = format!(
        "Backup of {identity} written to {out} ({bytes} bytes, {rows} rows).\n\
         It holds the relay's identity and the keys of the blobs in it: encrypt it, and keep it no longer than needed."
    );
    output.result(&object, text);
    Ok(())
}

fn backup_stopped(folder: &Folder, out: &Path, stop: &Stop) -> Result<Written, Failure> {
    let store = match FjallStore::open(folder.path(), FjallConfig::default()) {
        Err(error @ StoreError::Locked { .. }) => {
            let advice = "the relay is starting or stopping, or another account's: try again as that account";
            return Err(Failure::failed("locked", error, advice));
        }
        other => other?,
    };
    let day_keys = DayKeys::open(&folder.day_keys())?;
    let source = Source::new(folder, &store, &day_keys, now())?;
    Ok(backup::write_from(source, out, stop)?)
}

pub(super) fn restore(arguments: &Restore, stop: &Stop, output: Output) -> Result<(), Failure> {
    let folder = Folder::new(&arguments.data);
    let restored = restoring::restore(&arguments.from, &folder, now(), stop)?;
    let data = arguments.data.display().to_string();
    let made = dates::rfc3339(restored.made.start());
    let (identity, rows, expired) = (restored.fingerprint, restored.rows, restored.rows_expired);
    let object = json!({
        "data": data,
        "fingerprint": identity.to_string(),
        "made_at": made,
        "rows": rows,
        "rows_expired": expired,
    });
    let text = format!(
        "Relay {identity} restored into {data}, as of {made} ({rows} rows; {expired} had expired).\n\
         What people sent after that is lost, and their programs show the gap. The relay that the backup was made of \
         must not serve any more.\nServe it: hearken-relay serve --data {data}"
    );
    output.result(&object, text);
    Ok(())
}
