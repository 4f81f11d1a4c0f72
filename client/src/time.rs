//! Times as they are written: RFC 3339 in UTC for programs, minutes in UTC for people; and spans as they are typed.

use std::time::Duration;

use hearken_client_lib::UnixMillis;
use jiff::Timestamp;

/// The time of this device.
pub(crate) fn now() -> UnixMillis {
    UnixMillis(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default())
}

/// RFC 3339 in UTC, to the millisecond where there are any: `2026-11-25T04:15:30.25Z`.
pub(crate) fn rfc3339(time: UnixMillis) -> String {
    stamp(time).to_string()
}

/// `2026-11-25 04:15 UTC`.
pub(crate) fn for_people(time: UnixMillis) -> String {
    stamp(time).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn stamp(time: UnixMillis) -> Timestamp {
    // The writer's clock may say anything; what no calendar holds becomes its last moment.
    i64::try_from(time.0)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or(Timestamp::MAX)
}

/// HOURS, which may be a fraction: more than nothing, at most a year.
pub(crate) fn hours(text: &str) -> Result<Duration, String> {
    span(text, 3_600.0).filter(|span| !span.is_zero()).ok_or_else(|| "hours".to_owned())
}

/// SECONDS, which may be a fraction or nothing at all, at most a year.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    span(text, 1.0).ok_or_else(|| "seconds".to_owned())
}

fn span(text: &str, unit: f64) -> Option<Duration> {
    const YEAR: f64 = 366.0 * 86_400.0;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = text.parse().ok().filter(|_| plain)?;
    let seconds = number * unit;
    (seconds <= YEAR).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(rfc3339(UnixMillis(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(UnixMillis(1_795_580_130_250)), "2026-11-25T04:15:30.25Z");
        assert_eq!(for_people(UnixMillis(1_795_580_130_250)), "2026-11-25 04:15 UTC");
        assert!(rfc3339(UnixMillis(u64::MAX)).starts_with("9999-"));
    }

    #[test]
    fn hours_may_be_a_fraction_and_not_nothing() {
        assert_eq!(hours("72"), Ok(Duration::from_secs(72 * 3_600)));
        assert_eq!(hours("0.5"), Ok(Duration::from_secs(1_800)));
        for wrong in ["0", "-1", "NaN", "inf", "1e3", "", "three", "999999999"] {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_may_be_nothing() {
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        assert!(seconds("-1").is_err());
    }
}
