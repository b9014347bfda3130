//! Durations as Go reads and writes them: `300ms`, `1.5h`, `1h30m`.
//!
//! Signed nanoseconds, because configuration files may hold negative ones and messages repeat them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration in a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    nanoseconds: i64,
}

/// Text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration {text:?}: {reason} (write for example 30s, 1h30m, 500ms; the longest unit is h)")]
pub struct ParseDurationError {
    text: String,
    reason: &'static str,
}

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5, the micro sign
    ("μs", 1_000), // U+03BC, the Greek letter
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// What a bare number in a file means.
    pub const fn from_nanoseconds(nanoseconds: i64) -> GoDuration {
        GoDuration { nanoseconds }
    }

    /// Whole nanoseconds, which may be negative.
    pub fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }

    /// The same length; a negative one is zero.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanoseconds).unwrap_or(0))
    }

    /// `None` for zero and less, where that means "off".
    pub fn positive(self) -> Option<Duration> {
        (self.nanoseconds > 0).then(|| self.to_std())
    }
}

impl From<Duration> for GoDuration {
    /// Longer than 292 years becomes 292 years.
    fn from(duration: Duration) -> Self {
        GoDuration { nanoseconds: i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX) }
    }
}

impl FromStr for GoDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason| ParseDurationError { text: text.to_owned(), reason };
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(GoDuration::default());
        }
        if rest.is_empty() {
            return Err(error("a number with a unit is expected"));
        }
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let (nanoseconds, after) = read_term(rest).map_err(error)?;
            total = total.saturating_add(nanoseconds);
            rest = after;
        }
        let magnitude = i128::try_from(total).unwrap_or(i128::MAX);
        let signed = if negative { -magnitude } else { magnitude };
        let nanoseconds = i64::try_from(signed).map_err(|_| error("longer than 292 years"))?;
        Ok(GoDuration { nanoseconds })
    }
}

/// Reads `1.5h` from the beginning; gives nanoseconds, and what follows.
fn read_term(text: &str) -> Result<(u128, &str), &'static str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, mut rest) = text.split_at(digits(text));
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = after.split_at(digits(after));
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err("a number with a unit is expected");
    }
    let unit_len = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_len);
    if unit.is_empty() {
        return Err("missing unit");
    }
    let &(_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or("unknown unit")?;
    // Nineteen digits hold every value a duration can have, and more of a fraction than a nanosecond shows.
    let number = |text: &str| text.get(..19.min(text.len())).unwrap_or_default().parse::<u128>().unwrap_or(0);
    if whole.trim_start_matches('0').len() > 19 {
        return Err("longer than 292 years");
    }
    let whole = number(whole.trim_start_matches('0'));
    let fraction_scale = 10u128.pow(u32::try_from(fraction.len().min(19)).unwrap_or(19));
    let nanoseconds = whole * u128::from(scale) + number(fraction) * u128::from(scale) / fraction_scale;
    Ok((nanoseconds, rest))
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.nanoseconds.unsigned_abs();
        if self.nanoseconds < 0 {
            f.write_str("-")?;
        }
        match total {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{total}ns"),
            1_000..1_000_000 => write!(f, "{}µs", decimal(total, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", decimal(total, 1_000_000)),
            _ => {
                let (minutes, below) = (total / 60_000_000_000, total % 60_000_000_000);
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write!(f, "{}s", decimal(below, 1_000_000_000))
            }
        }
    }
}

/// `total / unit` with the digits it needs.
fn decimal(total: u64, unit: u64) -> String {
    let (whole, below) = (total / unit, total % unit);
    if below == 0 {
        return whole.to_string();
    }
    let width = usize::try_from(unit.ilog10()).unwrap_or(9);
    let fraction = format!("{below:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("-0", 0),
            ("5s", 5_000_000_000),
            ("+1h", 3_600_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("-1.5h", -5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1us2ns", 1_002),
            ("1µs", 1_000),
            ("1μs", 1_000),
            ("100ms", 100_000_000),
            ("0.000000001s", 1),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(text.parse(), Ok(GoDuration::from_nanoseconds(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in ["", "1", "10", "1d", "s", "1 s", " 1s", "1s ", "-", ".", ".s", "1e3s", "1h-1m", "3000000h", "1.5"]
        {
            assert!(text.parse::<GoDuration>().is_err(), "{text:?} was accepted");
        }
        assert!("9223372036854775808ns".parse::<GoDuration>().is_err());
        assert!("99999999999999999999999999999999h".parse::<GoDuration>().is_err());
    }

    #[test]
    fn writes_what_go_writes() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (-5, "-5ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (86_400_000_000_000, "24h0m0s"),
            (3_661_001_000_000, "1h1m1.001s"),
        ] {
            assert_eq!(GoDuration::from_nanoseconds(nanoseconds).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn every_duration_survives_its_text(nanoseconds: i64) {
            let duration = GoDuration::from_nanoseconds(nanoseconds);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[-+]?[0-9.smhuµn e]{0,30}") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
