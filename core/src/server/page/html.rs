//! Text for a page: escaped, and in words for people.

/// Text between tags or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            control if control.is_control() => escaped.push('\u{fffd}'),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// A link to the page of a database, perhaps at one restore point.
pub(super) fn link(path: &str, point: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("path", path);
    if let Some(txid) = point {
        query.append_pair("txid", txid);
    }
    format!("/database?{}", escape(&query.finish()))
}

/// `5s`, `12m`, `3h`, `9d`.
pub(super) fn duration(seconds: i64) -> String {
    match seconds.max(0) {
        short @ ..60 => format!("{short}s"),
        minutes @ 60..3600 => format!("{}m", minutes / 60),
        hours @ 3600..172_800 => format!("{}h", hours / 3600),
        days => format!("{}d", days / 86_400),
    }
}

/// `1,234,567`
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `567 B`, `16 kB`, `1.2 MB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    if unit == 0 || value >= 10.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// `2026-11-23 19:00:00 UTC`
pub(super) fn time(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_database_is_called_leaves_its_place() {
        assert_eq!(escape("<a href='x'>&\"\u{1b}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\u{fffd}");
        assert_eq!(link("/a b&c\"<.db", None), "/database?path=%2Fa+b%26c%22%3C.db");
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 999, 1500, 16_512, 4_152_000].map(size), ["0 B", "999 B", "1.5 kB", "17 kB", "4.2 MB"]);
        assert_eq!([-5, 59, 60, 7200, 200_000].map(duration), ["0s", "59s", "1m", "2h", "2d"]);
    }
}
