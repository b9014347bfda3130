//! `logging.type: json`: what Go's `slog.JSONHandler` writes. Dotted names become nested objects, durations nanoseconds.

use std::fmt::Write;

use jiff::Zoned;
use serde_json::json;

use super::Line;
use super::fields::{Field, Value};
use super::text::level_name;

/// One line without its end.
///
/// Written by hand and not as a map: an event may repeat the name of a standard member (`level`), and both must show.
pub fn format(line: &Line<'_>) -> String {
    let mut text = String::from("{");
    push_member(&mut text, "time", &json!(time(&line.time)));
    push_member(&mut text, "level", &json!(level_name(line.level)));
    if let Some(source) = &line.source {
        let place = json!({ "function": source.module, "file": source.file, "line": source.line });
        push_member(&mut text, "source", &place);
    }
    push_member(&mut text, "msg", &json!(line.message));
    push_fields(&mut text, line.fields);
    text.push('}');
    text
}

/// Neighbours with one dotted prefix share an object, as the reference's groups do.
fn push_fields(text: &mut String, fields: &[Field]) {
    let mut rest = fields;
    while let [first, ..] = rest {
        let Some((group, _)) = first.name.split_once('.') else {
            push_member(text, first.name, &value(&first.value));
            rest = &rest[1..];
            continue;
        };
        let of_group =
            |field: &Field| field.name.split_once('.').filter(|(name, _)| *name == group).map(|(_, key)| key);
        let end = rest.iter().position(|field| of_group(field).is_none()).unwrap_or(rest.len());
        let members = rest[..end].iter().filter_map(|field| Some((of_group(field)?.to_owned(), value(&field.value))));
        push_member(text, group, &members.collect::<serde_json::Map<_, _>>().into());
        rest = &rest[end..];
    }
}

fn push_member(text: &mut String, name: &str, value: &serde_json::Value) {
    let comma = if text.ends_with('{') { "" } else { "," };
    write!(text, "{comma}{}:{value}", json!(name)).expect("writing to a String cannot fail");
}

fn value(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => json!(text),
        Value::Integer(number) => i64::try_from(*number)
            .map(|n| json!(n))
            .or_else(|_| u64::try_from(*number).map(|n| json!(n)))
            .unwrap_or_else(|_| json!(number.to_string())),
        Value::Float(number) => json!(number),
        Value::Bool(state) => json!(state),
        Value::Duration(length) => json!(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)),
    }
}

/// RFC 3339 with as many digits as are not zero.
fn time(time: &Zoned) -> String {
    let zone = if time.offset().is_zero() { "Z".to_owned() } else { time.strftime("%:z").to_string() };
    format!("{}{zone}", time.strftime("%Y-%m-%dT%H:%M:%S%.f"))
}
