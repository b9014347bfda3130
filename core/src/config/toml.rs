//! TOML to a [`Table`]. toml_edit keeps the place of every value, which the plain parser does not.

use std::ops::Range;

use toml_edit::{ImDocument, Item, Key, TableLike, Value};

use super::document::{Content, Entry, Node, Scalar, SyntaxError, Table};

/// Reads a file.
pub(super) fn parse(text: &str) -> Result<Table, SyntaxError> {
    let lines = Lines::of(text);
    let document = ImDocument::parse(text).map_err(|error| SyntaxError {
        line: lines.of_span(error.span()).unwrap_or(1),
        // The error's own Display repeats the line, secrets included.
        message: error.message().to_owned(),
    })?;
    Ok(table(document.as_table(), &lines))
}

/// Where lines begin.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Lines {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    fn of_span(&self, span: Option<Range<usize>>) -> Option<u32> {
        let start = span?.start;
        u32::try_from(self.starts.partition_point(|line_start| *line_start <= start)).ok()
    }
}

fn table(table: &dyn TableLike, lines: &Lines) -> Table {
    let mut entries = Vec::new();
    for (name, item) in table.iter() {
        let key_line = table.key(name).and_then(Key::span);
        let line = lines.of_span(key_line).or(lines.of_span(item.span())).unwrap_or(1);
        entries.push(Entry { key: name.to_owned(), line, value: node(item, line, lines) });
    }
    Table { entries }
}

/// `line` is that of the key, for what has no place of its own.
fn node(item: &Item, line: u32, lines: &Lines) -> Node {
    let line = lines.of_span(item.span()).unwrap_or(line);
    let content = match item {
        Item::None => Content::Null,
        Item::Value(value) => return of_value(value, line, lines),
        Item::Table(inner) => Content::Table(table(inner, lines)),
        Item::ArrayOfTables(tables) => {
            let each = |inner: &toml_edit::Table| Node {
                line: lines.of_span(inner.span()).unwrap_or(line),
                anchored: false,
                content: Content::Table(table(inner, lines)),
            };
            Content::List(tables.iter().map(each).collect())
        }
    };
    Node { line, anchored: false, content }
}

fn of_value(value: &Value, line: u32, lines: &Lines) -> Node {
    let line = lines.of_span(value.span()).unwrap_or(line);
    let bare = |text: String| Content::Scalar(Scalar { text, bare: true });
    let content = match value {
        Value::String(text) => Content::Scalar(Scalar { text: text.value().clone(), bare: false }),
        Value::Integer(number) => bare(number.value().to_string()),
        Value::Float(number) => bare(number.value().to_string()),
        Value::Boolean(switch) => bare(switch.value().to_string()),
        Value::Datetime(time) => bare(time.value().to_string()),
        Value::Array(values) => Content::List(values.iter().map(|value| of_value(value, line, lines)).collect()),
        Value::InlineTable(inner) => Content::Table(table(inner, lines)),
    };
    Node { line, anchored: false, content }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Step;

    #[test]
    fn every_key_knows_its_line() {
        let text = "addr = \":9090\"\n\n[socket]\nenabled = true\n\n[[dbs]]\npath = \"/a\"\n\n[dbs.replica]\nurl = \"file:///r\"\n";
        let root = parse(text).unwrap();
        let line = |path: &[Step<'_>]| root.line_of(path.iter().copied());
        assert_eq!(line(&[Step::Key("addr")]), Some(1));
        assert_eq!(line(&[Step::Key("socket"), Step::Key("enabled")]), Some(4));
        assert_eq!(line(&[Step::Key("dbs"), Step::Index(0)]), Some(6));
        assert_eq!(line(&[Step::Key("dbs"), Step::Index(0), Step::Key("path")]), Some(7));
        assert_eq!(line(&[Step::Key("dbs"), Step::Index(0), Step::Key("replica"), Step::Key("url")]), Some(10));
    }

    #[test]
    fn a_syntax_error_has_a_line_and_repeats_nothing_of_the_file() {
        let error = parse("a = 1\nsecret-access-key = \"hunter2\n").map(|_| ()).unwrap_err();
        assert_eq!(error.line, 2);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(([ab] = )|(\\[\\[?a\\]?\\])|[-\\[\\]{}=.,#'\"\\\\ \\t\\n0-9eE_:TZé]){0,60}") {
            let _ = parse(&text).map(|root| root.to_dict());
        }
    }
}
