//! A number of bytes in a configuration, in the grammar of the reference.

use std::fmt;
use std::str::FromStr;

/// A number of bytes: `5MB` (powers of 1000), `8MiB` (powers of 1024), `4096`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(
    /// Bytes.
    pub u64,
);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map(Self)
    }
}

impl fmt::Display for Size {
    /// In the largest power of 1024 that divides it: `8MiB`, `1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut units = ["", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter();
        let mut unit = units.next().unwrap_or_default();
        while let (true, Some(larger)) = (rest != 0 && rest % 1024 == 0, units.clone().next()) {
            (rest, unit) = (rest / 1024, larger);
            units.next();
        }
        write!(f, "{rest}{unit}")
    }
}

fn factor(unit: &str) -> Option<u64> {
    let (letter, power) = match unit {
        "" | "b" => return Some(1),
        _ => (unit.get(..1)?, unit.get(1..)?),
    };
    let power_of = ["k", "m", "g", "t", "p", "e"].iter().position(|known| *known == letter)? as u32 + 1;
    match power {
        "" | "b" => Some(1000_u64.pow(power_of)),
        "i" | "ib" => Some(1024_u64.pow(power_of)),
        _ => None,
    }
}

/// A decimal number with an optional unit; commas between digits, spaces and case do not matter.
///
/// # Errors
/// The reference's texts: `empty size string`, `invalid size format: ...`.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("empty size string".into());
    }
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | ',')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = factor(&unit).ok_or_else(|| format!("invalid size format: unhandled size name: {unit}"))?;
    let bytes = scaled(&number.replace(',', ""), factor);
    let bytes = bytes.ok_or_else(|| format!("invalid size format: `{text}` is not a number of bytes"))?;
    u64::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= i64::MAX as u64)
        .ok_or_else(|| format!("invalid size format: too large: {text}"))
}

/// `number * factor` with the fraction cut off, in whole numbers: no size is rounded by a float.
fn scaled(number: &str, factor: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 20 || fraction.len() > 18 {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
    let factor = u128::from(factor);
    let below_one = digits(fraction)? * factor / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    digits(whole)?.checked_mul(factor)?.checked_add(below_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_reference_grammar() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("5MiB", 5 << 20),
            ("5mib", 5 << 20),
            ("5 MB", 5_000_000),
            ("1.5k", 1500),
            ("1,024 B", 1024),
            ("0.5Ki", 512),
            (".5kib", 512),
            ("7EiB", 7 << 60),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_with_its_reason() {
        assert_eq!(parse(" ").unwrap_err(), "empty size string");
        assert_eq!(parse("5x").unwrap_err(), "invalid size format: unhandled size name: x");
        for text in ["-1", "MB", "1.2.3MB", "8EiB", "99999999999999999999999", "5ü", "1e3"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shows_the_largest_whole_unit() {
        for (bytes, text) in [(5 << 20, "5MiB"), (1000, "1000"), (0, "0"), (1 << 60, "1EiB"), (1536, "1536")] {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
    }
}
