//! `logging.type: text`: what Go's `slog.TextHandler` writes, byte for byte.

use std::fmt::Write;

use jiff::Zoned;
use litestream_core::config::GoDuration;
use tracing::Level;

use super::Line;
use super::fields::Value;
use crate::go_quote::{is_print, quote};

/// One line without its end.
pub fn format(line: &Line<'_>) -> String {
    let mut text = format!("time={} level={}", time(&line.time), level_name(line.level));
    if let Some(source) = &line.source {
        push_pair(&mut text, "source", &format!("{}:{}", source.file, source.line));
    }
    push_pair(&mut text, "msg", line.message);
    for field in line.fields {
        push_pair(&mut text, field.name, &value_text(&field.value));
    }
    text
}

/// ` name=value`, quoted where needed.
pub fn push_pair(text: &mut String, name: &str, value: &str) {
    text.push(' ');
    push_word(text, name);
    text.push('=');
    push_word(text, value);
}

/// A value before quoting.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(state) => state.to_string(),
        Value::Duration(length) => GoDuration::from(*length).to_string(),
    }
}

/// The level's name in text and JSON.
pub fn level_name(level: Level) -> &'static str {
    level.as_str()
}

fn time(time: &Zoned) -> String {
    let zone = if time.offset().is_zero() { "Z".to_owned() } else { time.strftime("%:z").to_string() };
    let mut text = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    write!(text, ".{:03}{zone}", time.millisecond()).expect("writing to a String cannot fail");
    text
}

fn push_word(text: &mut String, word: &str) {
    if needs_quotes(word) { text.push_str(&quote(word.as_bytes())) } else { text.push_str(word) }
}

/// slog's rule. A backslash alone needs no quotes, nor does DEL.
fn needs_quotes(word: &str) -> bool {
    let needs = |c: char| match c {
        ' ' | '=' | '"' => true,
        '\\' | '\x7f' => false,
        c => !is_print(c),
    };
    word.is_empty() || word.chars().any(needs)
}
