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

/// DURATION: a whole number and `s`, `m`, `h` or `d`; more than nothing, at most a year.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    let number = text.get(..text.len() - 1)?;
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = number.parse::<u64>().ok().filter(|_| plain)?.checked_mul(unit)?;
    (1..=365 * 86_400).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// DATE: `YYYY-MM-DD`, which is the end of that day in UTC, or RFC 3339.
pub(crate) fn date(text: &str) -> Option<UnixMillis> {
    let stamp = match text.parse::<jiff::civil::Date>() {
        Ok(day) if text.len() == 10 => {
            let next = day.tomorrow().ok()?.at(0, 0, 0, 0);
            jiff::tz::TimeZone::UTC.to_timestamp(next).ok()?
        }
        _ => text.parse::<Timestamp>().ok()?,
    };
    u64::try_from(stamp.as_millisecond()).ok().map(UnixMillis)
}

/// A span as it is typed, in the greatest unit that holds it whole.
pub(crate) fn span_for_people(span: Duration) -> String {
    let seconds = span.as_secs();
    for (unit, name) in [(86_400, 'd'), (3_600, 'h'), (60, 'm')] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
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
    fn a_duration_has_a_unit() {
        for (text, seconds) in [("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("5s", 5)] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)));
            assert_eq!(span_for_people(Duration::from_secs(seconds)), text);
        }
        for wrong in
            ["", "m", "0m", "5", "1.5h", "-1d", "+1d", "366d", "99999999999999999999d", "1w"]
        {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_date_is_the_end_of_its_day_or_a_moment() {
        assert_eq!(date("1970-01-01"), Some(UnixMillis(86_400_000)));
        assert_eq!(date("1970-01-01T00:00:01Z"), Some(UnixMillis(1_000)));
        assert_eq!(date("1970-01-01T01:00:01+01:00"), Some(UnixMillis(1_000)));
        for wrong in ["", "tomorrow", "1970-13-01", "1970-01-01T00:00:01", "1969-01-01"] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn seconds_may_be_nothing() {
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        assert!(seconds("-1").is_err());
    }
}
