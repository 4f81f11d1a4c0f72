//! `Get` of a mailbox that has passed many blobs on, beside a fresh one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use hearken_tests::load::{self, Dialler, OneMailbox};

use crate::child::Relay;
use crate::relay::runtime;
use crate::table::Figure;

/// Cells that each `Get` asks for, and blobs that lie in each mailbox.
const CELLS: u32 = 16;

pub(crate) fn measure(folder: &Path, passed_on: usize, gets: usize) -> Result<Vec<Figure>> {
    let relay = Relay::start(&folder.join("passed-on"))?;
    let (used, fresh) = runtime("load")?.block_on(async {
        let path = load::Path { relay: relay.address.clone(), entry: None };
        let dialler = Dialler::new(&relay.address, 1).await?;
        let mut used = OneMailbox::make(&dialler, &path).await?;
        used.pass_on(passed_on).await?;
        let mut fresh = OneMailbox::make(&dialler, &path).await?;
        let mut times = (Vec::new(), Vec::new());
        for mailbox in [&mut used, &mut fresh] {
            mailbox.put(CELLS as usize).await?;
        }
        for _ in 0..gets {
            for (mailbox, times) in [(&mut used, &mut times.0), (&mut fresh, &mut times.1)] {
                let (blobs, time) = mailbox.get(CELLS).await?;
                ensure!(blobs == CELLS as usize, "a blob is missing");
                times.push(time);
            }
        }
        anyhow::Ok((median(times.0), median(times.1)))
    })?;
    relay.stop()?;
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    Ok(vec![
        Figure::only("Get of 16 blobs, fresh mailbox", "ms", ms(fresh)),
        Figure::only(&format!("the same after {passed_on} passed on"), "ms", ms(used)),
        Figure::at_most("the second / the first", "", ms(used) / ms(fresh), 2.0),
    ])
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
