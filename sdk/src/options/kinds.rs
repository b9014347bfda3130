//! The types a key can have. An author can add one by implementing [`OptionType`].

use super::{Secret, Size, duration, size};
use serde_json::Value;
use std::time::Duration;

/// A type that a key of [`options!`](crate::options!) can have.
pub trait OptionType: Sized {
    /// Whether values are never printed.
    const SECRET: bool = false;
    /// Whether an empty text (an unset `${NAME}`) counts as not set.
    const EMPTY_IS_UNSET: bool = false;

    /// The name in descriptions and key tables.
    fn type_name() -> String;

    /// Reads a raw value: text (from a URL, the environment or a file), or what the file's format made of it.
    ///
    /// # Errors
    /// What was expected, for a person. The value itself may be repeated: of a secret the SDK shows neither.
    fn from_value(value: &Value) -> Result<Self, String>;

    /// One form for equal values, such that `from_value` reads it back; `None` if absent.
    fn to_value(&self) -> Option<Value>;

    /// What holds when nobody sets the key; `None` if somebody must.
    fn absent() -> Option<Self> {
        None
    }
}

/// Files may write a text as a number (`bucket: 2024`).
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl OptionType for String {
    const EMPTY_IS_UNSET: bool = true;

    fn type_name() -> String {
        "string".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        text(value).ok_or_else(|| "expected text".into())
    }

    fn to_value(&self) -> Option<Value> {
        Some(self.as_str().into())
    }
}

impl OptionType for Secret {
    const SECRET: bool = true;
    const EMPTY_IS_UNSET: bool = true;

    fn type_name() -> String {
        "secret".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        text(value).map(Self::new).ok_or_else(|| "expected text".into())
    }

    fn to_value(&self) -> Option<Value> {
        Some(self.expose().into())
    }
}

impl OptionType for bool {
    fn type_name() -> String {
        "bool".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let word = match value {
            Value::Bool(flag) => return Ok(*flag),
            other => text(other).unwrap_or_default().to_ascii_lowercase(),
        };
        match word.as_str() {
            "true" | "yes" | "on" | "1" | "t" | "y" => Ok(true),
            "false" | "no" | "off" | "0" | "f" | "n" => Ok(false),
            _ => Err("expected true or false".into()),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some((*self).into())
    }
}

macro_rules! integers {
    ($($kind:ty),+) => {$(
        impl OptionType for $kind {
            fn type_name() -> String {
                "integer".into()
            }

            fn from_value(value: &Value) -> Result<Self, String> {
                let number = text(value).and_then(|text| text.trim().parse().ok());
                number.ok_or_else(|| format!("expected a whole number from {} to {}", <$kind>::MIN, <$kind>::MAX))
            }

            fn to_value(&self) -> Option<Value> {
                Some((*self).into())
            }
        }
    )+};
}

integers!(u16, u32, u64, i64);

impl OptionType for Size {
    fn type_name() -> String {
        "size".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let text = text(value).ok_or("expected a number of bytes such as 8MiB")?;
        size::parse(&text).map(Self)
    }

    fn to_value(&self) -> Option<Value> {
        Some(self.0.into())
    }
}

impl OptionType for Duration {
    fn type_name() -> String {
        "duration".into()
    }

    /// A bare number in a file is nanoseconds, as the reference reads it; text needs a unit.
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Number(number) => {
                let nanos = number.as_u64().filter(|nanos| *nanos <= i64::MAX as u64);
                nanos.map(Self::from_nanos).ok_or_else(|| "expected a duration such as 30s".into())
            }
            Value::String(text) => duration::parse(text),
            _ => Err("expected a duration such as 30s".into()),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(u64::try_from(self.as_nanos()).unwrap_or(u64::MAX).into())
    }
}

impl<T: OptionType> OptionType for Option<T> {
    const SECRET: bool = T::SECRET;
    const EMPTY_IS_UNSET: bool = T::EMPTY_IS_UNSET;

    fn type_name() -> String {
        T::type_name()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        T::from_value(value).map(Some)
    }

    fn to_value(&self) -> Option<Value> {
        self.as_ref().and_then(T::to_value)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A list in a file, or one text with commas.
impl<T: OptionType> OptionType for Vec<T> {
    const SECRET: bool = T::SECRET;
    const EMPTY_IS_UNSET: bool = true;

    fn type_name() -> String {
        format!("list of {}", T::type_name())
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => items.iter().map(T::from_value).collect(),
            Value::String(text) => text.split(',').map(|item| T::from_value(&item.trim().into())).collect(),
            single => T::from_value(single).map(|item| vec![item]),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(self.iter().filter_map(T::to_value).collect())
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}
