//! The kinds of values a key can have, read by Go's rules from what a file, a variable or a flag gives.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::duration::GoDuration;

/// Any scalar, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// `None` for the empty text, which in the reference is the same as an absent key.
    pub(super) fn non_empty(self) -> Option<String> {
        Some(self.0).filter(|text| !text.is_empty())
    }
}

/// A bool with the words of YAML 1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Switch(pub(super) bool);

/// An integer with Go's prefixes; a leading `0` means octal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Integer(pub(super) i64);

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

/// One text, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts(pub(super) Vec<String>);

/// The words YAML 1.1 has for a bool.
pub(super) fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// `10`, `0600`, `0o600`, `0x1f`, `0b11`, `1_000`, `-5`; a fraction is cut off.
pub(super) fn parse_integer(text: &str) -> Option<i64> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let with_base = |prefix: &str, base| Some((lower.strip_prefix(prefix).filter(|rest| !rest.is_empty())?, base));
    let based = with_base("0x", 16).or(with_base("0o", 8)).or(with_base("0b", 2)).or(with_base("0", 8));
    let (digits, base) = based.unwrap_or((&lower, 10));
    let magnitude = match i128::from_str_radix(digits, base) {
        Ok(number) if !digits.starts_with(['+', '-']) => number,
        _ => whole_part(&lower)?,
    };
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Of a decimal fraction, `1.5` or `1e3`.
fn whole_part(text: &str) -> Option<i128> {
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-'));
    let number = text.parse::<f64>().ok().filter(|number| decimal && number.abs() < 9.3e18)?;
    #[allow(clippy::cast_possible_truncation, reason = "cutting off is what is wanted, and the range was checked")]
    Some(number as i128)
}

/// A scalar on its way from figment: its text, and whether it was a bare number.
struct Raw {
    text: String,
    is_number: bool,
}

struct RawVisitor {
    expected: &'static str,
}

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw { text: text.to_owned(), is_number: false })
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw { text: value.to_string(), is_number: false })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw { text: number.to_string(), is_number: true })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw { text: number.to_string(), is_number: true })
    }
}

fn raw<'de, D: Deserializer<'de>>(deserializer: D, expected: &'static str) -> Result<Raw, D::Error> {
    deserializer.deserialize_any(RawVisitor { expected })
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Text(raw(deserializer, "text")?.text))
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = raw(deserializer, "true or false")?.text;
        let switch = parse_switch(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not true or false")))?;
        Ok(Switch(switch))
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = raw(deserializer, "a whole number")?.text;
        let number =
            parse_integer(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not a whole number")))?;
        Ok(Integer(number))
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Raw { text, is_number } = raw(deserializer, "a duration such as 30s")?;
        duration_of(&text, is_number).map_err(de::Error::custom)
    }
}

/// A bare number is nanoseconds. Text in a form that only a bare number can have (`1_000`, `0x10`) is one, too.
pub(super) fn duration_of(text: &str, is_number: bool) -> Result<GoDuration, String> {
    let number = || parse_integer(text).map(GoDuration::from_nanoseconds);
    match text.parse::<GoDuration>() {
        Ok(duration) => Ok(duration),
        Err(error) => {
            let quoted = !is_number && text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
            if quoted { None } else { number() }.ok_or_else(|| error.to_string())
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = raw(deserializer, "a size such as 64MiB")?.text;
        let size = text.parse::<litestream_sdk::Size>().map_err(de::Error::custom)?;
        Ok(Bytes(size.0))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a list of texts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(TextsVisitor)
    }
}
