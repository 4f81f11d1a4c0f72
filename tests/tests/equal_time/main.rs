//! `NotYours` takes the same time whether what is asked for is missing, has expired, or is another's: a statistical test
//! over the relay's core and its store on disk, in one process.
//!
//! Each kind of question is asked in turn, in random order, in a session of its own; the time from its cell to the last
//! cell of its answer is kept. Two kinds are told apart where their pairs lean to one side by more than [`SCORE`] standard
//! deviations, in each of [`REPEATS`] independent runs: of all the comparisons here chance alone does that less than once
//! in a million runs of this test. What the test can see is what it finds when it is planted: the reads of four more rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]
#![allow(clippy::print_stdout, reason = "it says what it did")]

#[cfg(hearken_planted)]
mod planted;
mod questions;
mod relay;
mod statistics;

use questions::{Kind, QUESTIONS, Question, Slow, World};
use statistics::{Difference, difference};

/// Standard deviations: of one comparison 1 in 15,000 by chance, of three runs 1 in 3.5 × 10^12.
const SCORE: f64 = 4.0;
/// A difference that is smaller is not looked for, in nanoseconds, by series. Rows of different lengths lie in the store.
/// The first question about something touches a row that is there in memory that nobody touched lately, and there is none
/// to touch where nothing is: up to 0.42 µs, and only once, since the second question finds it warm. SECURITY.md says so.
const RESOLUTION_NS: [f64; SERIES.len()] = [600.0, 250.0];
/// Runs in each of which a difference must show.
const REPEATS: usize = 3;
/// The series of first questions. A proof that holds is noted once, in a microsecond or two, which tells the asker what
/// they knew: there, kinds are compared whose proofs hold alike.
const FIRST: usize = 0;
/// What [`World::measure`] measures.
const SERIES: [&str; 2] = ["first question", "later questions"];

/// Two kinds of a question, in the first question of a session or in later ones, and by how much they differ.
struct Pair {
    kinds: (Kind, Kind),
    at: (usize, usize),
    series: usize,
    differences: Vec<Difference>,
}

/// Kinds of a question that can be told apart, with by how much in each run.
fn told_apart(world: &mut World, question: Question, rounds: usize) -> Vec<String> {
    let kinds = question.kinds();
    let mut pairs = Vec::new();
    for series in 0..SERIES.len() {
        for one in 0..kinds.len() {
            let comparable =
                |two: &usize| series != FIRST || kinds[one].is_proven() == kinds[*two].is_proven();
            pairs.extend((0..one).filter(comparable).map(|two| Pair {
                kinds: (kinds[one], kinds[two]),
                at: (one, two),
                series,
                differences: Vec::new(),
            }));
        }
    }
    for repeat in 0..REPEATS {
        let times = world.measure(question, rounds);
        for pair in &mut pairs {
            let series = &times[pair.series];
            pair.differences.push(difference(&series[pair.at.0], &series[pair.at.1]));
        }
        if repeat == 0 {
            for (series, times) in SERIES.into_iter().zip(&times) {
                show(question, series, times);
            }
            let largest = pairs.iter().map(|pair| pair.differences[0].score.abs());
            println!("    largest score {:.1}", largest.fold(0.0, f64::max));
        }
        pairs.retain(Pair::leans);
        if pairs.is_empty() {
            break;
        }
    }
    pairs.iter().map(|pair| format!("{question:?}: {pair}")).collect()
}

impl Pair {
    /// Whether every run so far leans to the same side by more than chance does.
    fn leans(&self) -> bool {
        let resolution = RESOLUTION_NS[self.series];
        let side = self.differences[0].score.signum();
        self.differences.iter().all(|difference| {
            difference.score * side > SCORE && difference.median_ns.abs() > resolution
        })
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (one, two) = self.kinds;
        write!(f, "{one:?} against {two:?}, {}:", SERIES[self.series])?;
        for difference in &self.differences {
            write!(f, " {:.0} ns ({:.1})", difference.median_ns, difference.score)?;
        }
        Ok(())
    }
}

/// Prints medians.
fn show(question: Question, series: &str, times: &[Vec<f64>]) {
    print!("{question:?}, {series}:");
    for (kind, times) in question.kinds().iter().zip(times) {
        let mut times = times.clone();
        times.sort_by(f64::total_cmp);
        print!(" {kind:?} {:.2} µs", times[times.len() / 2] / 1_000.0);
    }
    println!();
}

fn rounds() -> usize {
    if hearken_tests::long::is_long() { 10_000 } else { 100 }
}

/// One test measures at a time.
static STOPWATCH: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn missing_expired_and_wrong_key_cannot_be_told_apart_by_time() {
    let _alone = STOPWATCH.lock();
    let mut world = World::new(Slow::Nothing);
    let found: Vec<String> = QUESTIONS
        .into_iter()
        .flat_map(|question| told_apart(&mut world, question, rounds()))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_reads_of_a_few_more_rows_are_found() {
    // The control: what has expired costs the reads of other rows.
    let _alone = STOPWATCH.lock();
    let mut world = World::new(Slow::Expired);
    for question in [Question::Get, Question::ObjectGet] {
        let found = told_apart(&mut world, question, rounds());
        assert!(found.iter().any(|found| found.contains("Expired")), "{question:?}: {found:?}");
    }
}
