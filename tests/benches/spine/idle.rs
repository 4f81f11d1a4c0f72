//! What links and watches cost a relay that they ask nothing of: memory, and the processor when all come back at once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use hearken_tests::load::{self, Idle, Mailboxes, make_mailboxes, watch_mailboxes};

use crate::child::Relay;
use crate::relay::{SOCKETS, runtime};
use crate::table::Figure;

/// Links over which many mailboxes are watched.
const LINKS: usize = 64;
/// How long links have been idle when memory is looked at: handshakes are over and their buffers freed.
const SETTLED: Duration = Duration::from_secs(3);

fn plan(relay: &Relay, links: usize, mailboxes: usize) -> Idle {
    let path = load::Path { relay: relay.address.clone(), entry: None };
    Idle { path, links, mailboxes, time: Duration::ZERO, sockets: SOCKETS }
}

/// Memory a link that watches nothing.
pub(crate) fn links(folder: &Path, counts: &[usize]) -> Result<Vec<Figure>> {
    let runtime = runtime("load")?;
    let mut figures = Vec::new();
    for count in counts {
        let relay = Relay::start(&folder.join(format!("links-{count}")))?;
        let none = plan(&relay, *count, 0);
        runtime.block_on(async {
            let before = relay.memory()?;
            let watching = watch_mailboxes(&none, &Mailboxes::none(*count)).await?;
            tokio::time::sleep(SETTLED).await;
            let each = relay.memory()?.saturating_sub(before) / *count as u64;
            ensure!(watching.stay(Duration::ZERO).await? == 0, "links were lost");
            figures.push(Figure::at_most(
                &format!("memory an idle link, {count} of them"),
                "KiB",
                each as f64 / 1_024.0,
                40.0,
            ));
            anyhow::Ok(())
        })?;
        relay.stop()?;
    }
    Ok(figures)
}

/// Mailboxes that are watched, and watched again after the relay was stopped and started.
pub(crate) fn mailboxes(folder: &Path, count: usize) -> Result<Vec<Figure>> {
    let runtime = runtime("load")?;
    let folder = folder.join("mailboxes");
    let relay = Relay::start(&folder)?;
    let made = runtime.block_on(make_mailboxes(&plan(&relay, LINKS, count)))?;
    relay.stop()?;

    let relay = Relay::start(&folder)?;
    let figures = runtime.block_on(async {
        // Links alone first, so that what they cost is not laid to the mailboxes.
        let none = plan(&relay, LINKS, 0);
        let alone = watch_mailboxes(&none, &Mailboxes::none(LINKS)).await?;
        tokio::time::sleep(SETTLED).await;
        let before = (relay.memory()?, relay.processor_time()?);
        let watching = watch_mailboxes(&plan(&relay, LINKS, count), &made).await?;
        let time = relay.processor_time()?.saturating_sub(before.1);
        tokio::time::sleep(SETTLED).await;
        let each = relay.memory()?.saturating_sub(before.0) as f64 / count as f64;
        ensure!(watching.watched() == count, "not all are watched");
        let wall = watching.until_watched;
        ensure!(watching.stay(Duration::ZERO).await? == 0, "watches were lost");
        ensure!(alone.stay(Duration::ZERO).await? == 0, "links were lost");
        // The goal is 120 s for 300,000.
        let goal = 120.0 * count as f64 / 300_000.0;
        anyhow::Ok(vec![
            Figure::at_most("memory a watched mailbox", "KiB", each / 1_024.0, 1.0),
            Figure::at_most(
                &format!("{count} watched again after a restart: relay's CPU"),
                "s",
                time.as_secs_f64(),
                goal,
            ),
            Figure::only("the same, wall clock with its clients", "s", wall.as_secs_f64()),
        ])
    })?;
    relay.stop()?;
    Ok(figures)
}

/// Handshakes a second of one core of the relay's.
pub(crate) fn handshakes(folder: &Path, count: usize) -> Result<Vec<Figure>> {
    let runtime = runtime("load")?;
    let relay = Relay::start(&folder.join("handshakes"))?;
    let before = relay.processor_time()?;
    runtime.block_on(load::handshakes(&relay.address, count, 32, SOCKETS))?;
    let time = relay.processor_time()?.saturating_sub(before);
    relay.stop()?;
    let each = count as f64 / time.as_secs_f64().max(0.01);
    Ok(vec![Figure::at_least("post-quantum handshakes a second and core", "", each, 1_400.0)])
}
