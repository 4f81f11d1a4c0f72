//! Whether two kinds of measurement, taken in turn, can be told apart.

/// By how much two kinds differ, from measurements taken in pairs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Difference {
    /// Wilcoxon's signed-rank statistic as a standard score: how far the pairs lean to one side, in standard deviations
    /// of what chance does. Ranks, not values: one measurement that the machine interrupted counts no more than another.
    pub(crate) score: f64,
    /// The median of the differences, in nanoseconds.
    pub(crate) median_ns: f64,
}

/// The difference of two kinds of measurement in nanoseconds, of which the `n`-th of both were taken together.
pub(crate) fn difference(one: &[f64], other: &[f64]) -> Difference {
    let mut pairs: Vec<f64> = one.iter().zip(other).map(|(one, other)| one - other).collect();
    pairs.sort_by(f64::total_cmp);
    let median_ns = pairs[pairs.len() / 2];
    pairs.retain(|pair| *pair != 0.0);
    pairs.sort_by(|one, other| one.abs().total_cmp(&other.abs()));
    let n = pairs.len() as f64;
    let signed = |(rank, pair): (usize, &f64)| (rank as f64 + 1.0) * pair.signum();
    let sum: f64 = pairs.iter().enumerate().map(signed).sum();
    let score = sum / (n * (n + 1.0) * (2.0 * n + 1.0) / 6.0).sqrt();
    Difference { score, median_ns }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    fn noise(rng: &mut ChaCha20Rng) -> f64 {
        // Skewed, with outliers, as times are.
        let uniform = (rng.next_u32() as f64 + 1.0) / 4_294_967_296.0;
        50_000.0 + 2_000.0 * -uniform.ln() + if uniform < 0.01 { 1e6 } else { 0.0 }
    }

    #[test]
    fn chance_alone_reaches_a_score_as_often_as_it_should_and_a_shift_is_found() {
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let mut scores = Vec::new();
        for _ in 0..400 {
            let one: Vec<f64> = (0..200).map(|_| noise(&mut rng)).collect();
            let other: Vec<f64> = (0..200).map(|_| noise(&mut rng)).collect();
            scores.push(difference(&one, &other).score);
            let shifted: Vec<f64> = one.iter().map(|one| one + 1_500.0).collect();
            assert!(difference(&shifted, &other).score > 4.0);
        }
        let beyond = |limit: f64| scores.iter().filter(|score| score.abs() > limit).count();
        // 5 % and 0.006 %.
        assert!((8..=36).contains(&beyond(1.96)), "{}", beyond(1.96));
        assert_eq!(beyond(4.0), 0);
    }
}
