//! The written time of an object, and its text form in object metadata. Nothing here reads a clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Nanoseconds since 1970-01-01T00:00:00Z. The host writes times of the years 1970 to 2261 only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// Nanoseconds, UTC.
    pub i64,
);

impl Timestamp {
    /// The same instant; times that do not fit stop at the first or last one that does.
    pub fn from_system(time: SystemTime) -> Self {
        let whole = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        Self(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => whole(after),
            Err(before) => -whole(before.duration()),
        })
    }

    /// The same instant for the standard library.
    pub fn to_system(self) -> SystemTime {
        let distance = Duration::from_nanos(self.0.unsigned_abs());
        if self.0 >= 0 { UNIX_EPOCH + distance } else { UNIX_EPOCH - distance }
    }

    /// RFC 3339 in UTC with trailing zeros of the fraction dropped (`2026-11-22T09:31:11.508Z`): the form that other
    /// programs write into object metadata and expect there.
    pub fn to_rfc3339(self) -> String {
        let (seconds, nanos) = (self.0.div_euclid(SECOND), self.0.rem_euclid(SECOND));
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS));
        let second_of_day = seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if nanos != 0 {
            text.push_str(format!(".{nanos:09}").trim_end_matches('0'));
        }
        text.push('Z');
        text
    }

    /// Reads RFC 3339 with any number of fraction digits and any offset. `None` for anything else, and for a time
    /// that does not fit: fall back to the server's time then.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, rest) = (text.get(..10)?, text.get(10..)?);
        let clock = rest.strip_prefix(['T', 't', ' '])?;
        let (clock, offset_seconds) = split_offset(clock)?;
        let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])?;
        if !fraction.bytes().all(|b| b.is_ascii_digit()) || (whole.len() != clock.len() && fraction.is_empty()) {
            return None;
        }
        let in_range = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
        if !in_range || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let nanos: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        let seconds = days_from_civil(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
        Some(Self(seconds.checked_sub(offset_seconds)?.checked_mul(SECOND)?.checked_add(nanos)?))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

fn split_offset(clock: &str) -> Option<(&str, i64)> {
    if let Some(utc) = clock.strip_suffix(['Z', 'z']) {
        return Some((utc, 0));
    }
    let at = clock.len().checked_sub(6)?;
    let (clock, offset) = (clock.get(..at)?, clock.get(at..)?);
    let sign = if offset.starts_with('+') { 1 } else { -1 };
    let [hours, minutes] = numbers(offset.strip_prefix(['+', '-'])?, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some((clock, sign * (hours * 3600 + minutes * 60)))
}

/// Exactly `N` decimal numbers of the given widths, separated by `separator`.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut out = [0; N];
    for (slot, width) in out.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// The two conversions count in 400-year eras of years that begin in March, so that leap days come last
// (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_the_reference_writes() {
        let at = |nanos| Timestamp(1_763_803_871 * SECOND + nanos).to_rfc3339();
        assert_eq!(at(508_000_000), "2025-11-22T09:31:11.508Z");
        assert_eq!(at(500_000_000), "2025-11-22T09:31:11.5Z");
        assert_eq!(at(0), "2025-11-22T09:31:11Z");
        assert_eq!(at(1), "2025-11-22T09:31:11.000000001Z");
        assert_eq!(Timestamp(-1).to_rfc3339(), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn round_trips_over_the_years_a_host_uses() {
        for day in (0..106_000).step_by(37) {
            let time = Timestamp(day * DAY_SECONDS * SECOND + day * 123_456_789);
            assert_eq!(Timestamp::parse_rfc3339(&time.to_rfc3339()), Some(time));
            assert_eq!(Timestamp::from_system(time.to_system()), time);
        }
    }

    #[test]
    fn reads_offsets_and_long_fractions() {
        let expected = Some(Timestamp(1_763_803_871 * SECOND + 123_456_789));
        for text in ["2025-11-22T09:31:11.1234567891234Z", "2025-11-22T10:31:11.123456789+01:00"] {
            assert_eq!(Timestamp::parse_rfc3339(text), expected, "{text}");
        }
        assert_eq!(Timestamp::parse_rfc3339("2024-02-29T00:00:00Z"), Some(Timestamp(1_709_164_800 * SECOND)));
    }

    #[test]
    fn refuses_what_is_not_a_time() {
        for text in [
            "",
            "2025-11-22",
            "2025-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-11-22T24:00:00Z",
            "2025-11-22T09:31:11",
            "2025-11-22T09:31:11.Z",
            "2025-11-22T09:31:11.5xZ",
            "2025-11-22T9:31:11Z",
            "9999-01-01T00:00:00Z",
            "2025-11-22T09:31:11+0100",
            "ü025-11-22T09:31:11Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
    }
}
