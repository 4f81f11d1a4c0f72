//! Seeds, and what they add up to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hearken_tests::long;
use hearken_tests::simulation::fault::Fault;
use hearken_tests::simulation::script::{STEPS_MIN, Script};
use hearken_tests::simulation::shrink::shrink;
use hearken_tests::simulation::{Broken, Plant, Report, run};

const WHOLE: u64 = 100_000;
const IN_CI: u64 = 3_000;
const SCALED: u64 = 120;
const THREADS: usize = 2;

/// What some runs came to.
#[derive(Default)]
struct Sum {
    runs: u64,
    written: usize,
    arrived: usize,
    conversations: (usize, usize),
    sealed: (usize, usize),
    faults: BTreeMap<Fault, u64>,
    broken: Vec<(u64, Broken)>,
}

impl Sum {
    fn add(&mut self, seed: u64, outcome: Result<Report, Broken>) {
        self.runs += 1;
        match outcome {
            Ok(report) => {
                assert!(report.steps >= STEPS_MIN);
                self.written += report.written;
                self.arrived += report.arrived;
                self.conversations.0 += report.conversations.0;
                self.conversations.1 += report.conversations.1;
                self.sealed.0 += report.sealed.0;
                self.sealed.1 += report.sealed.1;
                for fault in Fault::ALL.into_iter().filter(|fault| report.faults.has(*fault)) {
                    *self.faults.entry(fault).or_default() += 1;
                }
            }
            Err(broken) => self.broken.push((seed, broken)),
        }
    }
}

fn run_all(seeds: Range<u64>) -> Sum {
    let (next, sum) = (AtomicU64::new(seeds.start), Mutex::new(Sum::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(&Script::of_seed(seed), Plant::Nothing);
                    sum.lock().unwrap().add(seed, outcome);
                }
            });
        }
    });
    sum.into_inner().unwrap()
}

fn seeds() -> Range<u64> {
    let scaled =
        if std::env::var("HEARKEN_CI").is_ok_and(|set| set == "1") { IN_CI } else { SCALED };
    let scaled = std::env::var("HEARKEN_SIMULATION_SEEDS").map_or(scaled, |n| n.parse().unwrap());
    long::share(WHOLE, scaled)
}

#[test]
fn whatever_happens_the_model_holds() {
    std::panic::set_hook(Box::new(|_| {}));
    if let Ok(seed) = std::env::var("HEARKEN_SIMULATION_SEED") {
        return replay(seed.parse().expect("a number"));
    }
    let seeds = seeds();
    let sum = run_all(seeds.clone());
    println!(
        "seeds {seeds:?}: {} messages written, {} blobs arrived, {} conversations ({} torn), {} ciphertexts and {} cells",
        sum.written,
        sum.arrived,
        sum.conversations.0,
        sum.conversations.1,
        sum.sealed.0,
        sum.sealed.1
    );
    println!("faults: {:?}", sum.faults);
    for (seed, broken) in sum.broken.iter().take(30) {
        println!("HEARKEN_SIMULATION_SEED={seed}: {broken}");
    }
    let _ = std::panic::take_hook();
    assert!(sum.broken.is_empty(), "{} of {} seeds break something", sum.broken.len(), sum.runs);
    for fault in Fault::ALL {
        let happened = sum.faults.get(&fault).copied().unwrap_or(0);
        assert!(happened * 10 >= sum.runs, "{fault:?} happened in {happened} of {} runs", sum.runs);
    }
}

fn replay(seed: u64) {
    let script = Script::of_seed(seed);
    let Err(broken) = run(&script, Plant::Nothing) else {
        println!("seed {seed} breaks nothing");
        return;
    };
    let tries = std::env::var("HEARKEN_SIMULATION_TRIES").map_or(600, |n| n.parse().unwrap());
    let shrunk = shrink(&script, &broken, Plant::Nothing, tries);
    println!("{broken}\nmade small: {}\n{}", shrunk.broken, shrunk.script);
    panic!("seed {seed}: {broken}");
}
