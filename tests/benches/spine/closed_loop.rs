//! Writers that each wait for one write before they ask for the next, without a thread a writer.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hearken_tests::load::Latencies;

/// What one part of a round came to.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Writes, cells or `Put`s a second.
    pub(crate) per_second: f64,
    /// Milliseconds from asking to answer.
    pub(crate) p50_ms: f64,
    /// The same, which one in a hundred exceeds.
    pub(crate) p99_ms: f64,
    /// Writes that shared a sync, on average; 0 where there is no sync.
    pub(crate) batch: f64,
    /// Processor time of the relay's threads, in microseconds each; 0 where it was not taken.
    pub(crate) theirs_us: f64,
    /// The same of the load's threads.
    pub(crate) ours_us: f64,
}

impl Measured {
    pub(crate) fn new(mut latencies: Latencies, time: Duration, syncs: u64) -> Self {
        let count = latencies.count() as f64;
        Self {
            per_second: count / time.as_secs_f64().max(f64::MIN_POSITIVE),
            p50_ms: latencies.quantile_ms(0.5),
            p99_ms: latencies.quantile_ms(0.99),
            batch: if syncs == 0 { 0.0 } else { count / syncs as f64 },
            theirs_us: 0.0,
            ours_us: 0.0,
        }
    }

    /// Adds what the threads of both sides took for `count` of them.
    pub(crate) fn with_threads(self, threads: Threads, count: u64) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count.max(1) as f64;
        Self { theirs_us: each(threads.relay), ours_us: each(threads.load), ..self }
    }
}

/// Processor time of this process's threads, by which side's they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Threads {
    pub(crate) relay: Duration,
    pub(crate) load: Duration,
}

impl Threads {
    /// What all threads that live took so far. Nothing where the system does not tell.
    pub(crate) fn now() -> Self {
        let mut threads = Self::default();
        for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let read = |file: &str| std::fs::read_to_string(thread.path().join(file));
            let (Ok(name), Ok(times)) = (read("comm"), read("schedstat")) else { continue };
            let time = times.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or_default();
            match name.trim() {
                "load" => threads.load += Duration::from_nanos(time),
                "relay" | "committer" | "reader" | "fjall:worker" => {
                    threads.relay += Duration::from_nanos(time);
                }
                _ => {}
            }
        }
        threads
    }

    pub(crate) fn since(self, begin: Self) -> Self {
        Self {
            relay: self.relay.saturating_sub(begin.relay),
            load: self.load.saturating_sub(begin.load),
        }
    }
}

/// Keeps one write of each writer in flight for `time`. `submit` asks for a writer's next; `done` tells whose was done.
pub(crate) fn run(
    writers: usize,
    time: Duration,
    mut submit: impl FnMut(usize) -> Result<()>,
    done: &Receiver<usize>,
) -> Result<(Latencies, Duration)> {
    let begin = Instant::now();
    let mut asked = vec![begin; writers];
    let mut latencies = Latencies::default();
    let mut due = 0;
    for writer in 0..writers {
        submit(writer)?;
        due += 1;
    }
    while due > 0 {
        let writer = done.recv()?;
        let now = Instant::now();
        latencies.note(now - asked[writer]);
        due -= 1;
        if now - begin < time {
            asked[writer] = now;
            submit(writer)?;
            due += 1;
        }
    }
    ensure!(latencies.count() >= writers, "a writer was never answered");
    Ok((latencies, begin.elapsed()))
}
