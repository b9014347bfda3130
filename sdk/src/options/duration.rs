//! A duration in a configuration, in Go's grammar: `300ms`, `1.5h`, `1h30m`.

use std::time::Duration;

const HINT: &str = "expected a duration such as 30s or 1h30m";

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000, // micro sign and Greek mu
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Numbers with units, added up. `0` needs no unit.
///
/// # Errors
/// What is wrong, with an example. Negative durations are refused: no option of a storage has a use for one.
pub fn parse(text: &str) -> Result<Duration, String> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    if unsigned.starts_with('-') {
        return Err(format!("{HINT}, not a negative one"));
    }
    if unsigned.is_empty() {
        return Err(HINT.into());
    }
    let mut total: u64 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(format!("{HINT}: `{number}` has no unit"));
        }
        let nanos = unit_nanos(unit).ok_or_else(|| format!("{HINT}: unknown unit `{unit}`"))?;
        let part = scaled(number, nanos).ok_or_else(|| HINT.to_owned())?;
        total = total.checked_add(part).filter(|sum| *sum <= i64::MAX as u64).ok_or("the duration is too long")?;
        rest = after;
    }
    Ok(Duration::from_nanos(total))
}

/// `number * unit` with the fraction cut off at a nanosecond.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits beyond the eighteenth are far below a nanosecond of an hour.
    let fraction = &fraction[..fraction.len().min(18)];
    let numerator: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let below_one = numerator * u128::from(unit) / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_mul(unit)?.checked_add(u64::try_from(below_one).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_durations() {
        for (text, nanos) in [
            ("0", 0),
            ("+0", 0),
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1h15m30.918273645s", 4_530_918_273_645),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("5µs", 5_000),
            ("5μs", 5_000),
            ("7us9ns", 7_009),
            ("+3s", 3_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in ["", "10", "1d", "s", ".s", "1.2.3s", "-5s", "1 s", "1h30", "300000h10000000h", "9999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("1d").unwrap_err().ends_with("unknown unit `d`"));
    }
}
