//! Dates as operators write and read them.

use hearken_proto::time::UnixMillis;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// RFC 3339 in UTC. What no calendar holds becomes its last moment.
pub(super) fn rfc3339(time: UnixMillis) -> String {
    i64::try_from(time.0)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// DATE: `YYYY-MM-DD`, which is the end of that day in UTC, or RFC 3339. `None` where it is neither, or before 1970.
pub(super) fn parse(text: &str) -> Option<UnixMillis> {
    let is_day = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let at = if is_day {
        let next = text.parse::<Date>().ok()?.tomorrow().ok()?;
        TimeZone::UTC.to_timestamp(next.at(0, 0, 0, 0)).ok()?
    } else {
        text.parse::<Timestamp>().ok()?
    };
    u64::try_from(at.as_millisecond()).ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_end_and_a_time_is_itself() {
        assert_eq!(rfc3339(parse("2027-02-28").unwrap()), "2027-03-01T00:00:00Z");
        assert_eq!(rfc3339(parse("2027-03-01T10:00:00+02:00").unwrap()), "2027-03-01T08:00:00Z");
        for wrong in ["", "2027-02-30", "2027-2-3", "tomorrow", "2027-03-01T10:00", "1969-12-30"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
