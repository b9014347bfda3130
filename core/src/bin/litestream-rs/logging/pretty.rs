//! `logging.type: pretty`: short lines for people who watch, coloured on a terminal.

use tracing::Level;

use super::Line;
use super::text::{push_pair, value_text};
use crate::go_quote::quote;

const FAINT: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// One line without its end.
pub fn format(line: &Line<'_>, colour: bool) -> String {
    let paint = |code: &str, text: &str| if colour { format!("{code}{text}{RESET}") } else { text.to_owned() };
    let (name, code) = level(line.level);
    let mut text = format!("{} {}", paint(FAINT, &line.time.strftime("%H:%M:%S").to_string()), paint(code, name));
    if let Some(source) = &line.source {
        text.push_str(&format!(" {}", paint(FAINT, &format!("{}:{}", source.file, source.line))));
    }
    // A message may hold a file name, and a file name may hold an escape sequence.
    let harmless = !line.message.contains(char::is_control);
    text.push_str(&format!(" {}", if harmless { line.message.to_owned() } else { quote(line.message.as_bytes()) }));
    for field in line.fields {
        let mut pair = String::new();
        push_pair(&mut pair, field.name, &value_text(&field.value));
        let code = if field.name == "error" { "\x1b[31m" } else { FAINT };
        let split = pair.find('=').map_or(pair.len(), |at| at + 1);
        let (name, value) = pair.split_at(split);
        let value = if field.name == "error" { paint(code, value) } else { value.to_owned() };
        text.push_str(&paint(code, name));
        text.push_str(&value);
    }
    text
}

fn level(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ERROR => ("ERR", "\x1b[91m"),
        Level::WARN => ("WRN", "\x1b[93m"),
        Level::INFO => ("INF", "\x1b[92m"),
        Level::DEBUG => ("DBG", "\x1b[36m"),
        Level::TRACE => ("TRACE", FAINT),
    }
}
