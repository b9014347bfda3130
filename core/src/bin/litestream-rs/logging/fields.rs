//! Fields of log events and spans, collected from `tracing` with their types.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use tracing::field::{Field as TracingField, Visit};

/// A value with as much type as the formats make use of.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, quoted where the format asks for it.
    Text(String),
    /// Any whole number, in decimal.
    Integer(i128),
    /// A fraction.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Go's notation in text, nanoseconds in JSON.
    Duration(Duration),
}

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// As written in the code, dots and hyphens included.
    pub name: &'static str,
    /// What it holds.
    pub value: Value,
}

/// The fields of one event or span, in order, without the message.
#[derive(Debug, Default)]
pub struct Fields {
    /// The text of the event.
    pub message: String,
    /// Everything else.
    pub list: Vec<Field>,
}

impl Fields {
    /// Puts the name of a database, as the reference calls it, in front of its path.
    pub fn name_database(&mut self) {
        let Some(at) = self.list.iter().position(|field| field.name == "path") else { return };
        let Value::Text(path) = &self.list[at].value else { return };
        // `replicating to` has the path of the replica, as in the reference.
        if !self.list.iter().any(|field| field.name == "db" || field.name == "type") {
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            self.list.insert(at, Field { name: "db", value: Value::Text(name) });
        }
    }

    fn push(&mut self, field: &TracingField, value: Value) {
        // `r#type = ..` is the only way to write a field that is called like a keyword.
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        match (name, value) {
            ("message", Value::Text(text)) => self.message = text,
            (name, value) => self.list.push(Field { name, value }),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &TracingField, value: &dyn Debug) {
        let plain = format!("{value:?}");
        let value = as_duration(value, &plain).map_or(Value::Text(plain), Value::Duration);
        self.push(field, value);
    }

    fn record_str(&mut self, field: &TracingField, value: &str) {
        self.push(field, Value::Text(value.to_owned()));
    }

    fn record_error(&mut self, field: &TracingField, value: &(dyn Error + 'static)) {
        self.push(field, Value::Text(value.to_string()));
    }

    fn record_i64(&mut self, field: &TracingField, value: i64) {
        self.push(field, Value::Integer(value.into()));
    }

    fn record_u64(&mut self, field: &TracingField, value: u64) {
        self.push(field, Value::Integer(value.into()));
    }

    fn record_i128(&mut self, field: &TracingField, value: i128) {
        self.push(field, Value::Integer(value));
    }

    fn record_u128(&mut self, field: &TracingField, value: u128) {
        self.push(field, i128::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer));
    }

    fn record_f64(&mut self, field: &TracingField, value: f64) {
        self.push(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &TracingField, value: bool) {
        self.push(field, Value::Bool(value));
    }
}

/// The duration behind a `?duration`, of which `tracing` shows only the `Debug` text.
///
/// Nothing else is taken for one: with a precision, a `Duration` shows more digits, a text never does, and a type that ignores
/// precision shows the same.
fn as_duration(value: &dyn Debug, plain: &str) -> Option<Duration> {
    if !plain.starts_with(|c: char| c.is_ascii_digit()) || !plain.ends_with('s') {
        return None;
    }
    let exact = format!("{value:.9?}");
    let (number, unit_nanos) = [("ns", 1), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)]
        .into_iter()
        .find_map(|(unit, nanos)| exact.strip_suffix(unit).map(|number| (number, nanos)))?;
    let (whole, fraction) = number.split_once('.')?;
    if exact.len() <= plain.len() || fraction.len() != 9 {
        return None;
    }
    let fraction_nanos = fraction.parse::<u64>().ok()? * unit_nanos / 1_000_000_000;
    let nanos = whole.parse::<u64>().ok()?.checked_mul(unit_nanos)?.checked_add(fraction_nanos)?;
    Some(Duration::from_nanos(nanos))
}
