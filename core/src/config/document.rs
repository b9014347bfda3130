//! A configuration file as a tree in which every value knows its line, the same for YAML and TOML.
//!
//! A scalar stays the text it was written as until the schema says what it is, as in Go: `path: 0600` is the file
//! `0600`, `permissions: 0600` is 384, and `password: 1e5` is five characters. A parser that decides types first
//! cannot give the text back.

use std::sync::Arc;

use figment::value::{Dict, Num, Tag, Value};

use super::origin::Origin;

/// A parsed file.
pub(super) struct Document {
    /// The file as it was named.
    pub(super) file: Arc<str>,
    pub(super) root: Table,
    /// Keys that were given twice: the line of the one that does not count, and the key.
    pub(super) overridden: Vec<(u32, String)>,
}

/// One value.
#[derive(Clone)]
pub(super) struct Node {
    /// Where it begins, counted from 1.
    pub(super) line: u32,
    /// It is there to be named elsewhere in the file (`&name`).
    pub(super) anchored: bool,
    pub(super) content: Content,
}

/// What a value is.
#[derive(Clone)]
pub(super) enum Content {
    /// Nothing: as if the key were not there.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Table(Table),
}

/// Text, and whether it was written without quotes, so that it may be a number or a switch.
#[derive(Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) bare: bool,
}

/// Keys and values in the order of the file, each key once.
#[derive(Clone, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// One key and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The line of the key.
    pub(super) line: u32,
    pub(super) value: Node,
}

/// A step into a tree.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Reads `dbs.0.replica` as figment writes it.
pub(super) fn steps<'a>(path: &'a [String]) -> impl Iterator<Item = Step<'a>> {
    path.iter().map(|part| part.parse().map_or(Step::Key(part), Step::Index))
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Puts a value, and gives back the one that stood there.
    pub(super) fn put(&mut self, entry: Entry) -> Option<Entry> {
        match self.entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => Some(std::mem::replace(known, entry)),
            None => {
                self.entries.push(entry);
                None
            }
        }
    }

    /// The line of the deepest key on the way that exists.
    pub(super) fn line_of<'a>(&self, path: impl IntoIterator<Item = Step<'a>>) -> Option<u32> {
        let mut table = Some(self);
        let mut list: &[Node] = &[];
        let mut line = None;
        for step in path {
            let (found, node) = match step {
                Step::Key(key) => match table.and_then(|table| table.get(key)) {
                    Some(entry) => (entry.line, &entry.value),
                    None => break,
                },
                Step::Index(index) => match list.get(index) {
                    Some(node) => (node.line, node),
                    None => break,
                },
            };
            line = Some(found);
            table = node.as_table();
            list = node.as_list();
        }
        line
    }

    /// Gives every line the number that `source` has for it.
    pub(super) fn map_lines(&mut self, source: &dyn Fn(u32) -> u32) {
        for entry in &mut self.entries {
            entry.line = source(entry.line);
            entry.value.map_lines(source);
        }
    }

    /// As figment wants it; keys without a value are left out, so that the layer below shows through.
    pub(super) fn to_dict(&self) -> Dict {
        let present = self.entries.iter().filter(|entry| !matches!(entry.value.content, Content::Null));
        present.map(|entry| (entry.key.clone(), entry.value.to_value())).collect()
    }
}

impl Node {
    pub(super) fn as_table(&self) -> Option<&Table> {
        match &self.content {
            Content::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Empty if it is no list.
    pub(super) fn as_list(&self) -> &[Node] {
        match &self.content {
            Content::List(nodes) => nodes,
            _ => &[],
        }
    }

    fn map_lines(&mut self, source: &dyn Fn(u32) -> u32) {
        self.line = source(self.line);
        match &mut self.content {
            Content::Null | Content::Scalar(_) => {}
            Content::List(nodes) => nodes.iter_mut().for_each(|node| node.map_lines(source)),
            Content::Table(table) => table.map_lines(source),
        }
    }

    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Empty(Tag::Default, figment::value::Empty::None),
            Content::Scalar(scalar) => scalar.to_value(),
            Content::List(nodes) => Value::Array(Tag::Default, nodes.iter().map(Node::to_value).collect()),
            Content::Table(table) => Value::Dict(Tag::Default, table.to_dict()),
        }
    }
}

impl Scalar {
    /// A bare number or switch only where its text can be had back exactly; all else stays text.
    fn to_value(&self) -> Value {
        if self.bare {
            match (self.text.as_str(), self.text.parse::<i64>()) {
                ("true", _) => return Value::Bool(Tag::Default, true),
                ("false", _) => return Value::Bool(Tag::Default, false),
                (text, Ok(number)) if number.to_string() == text => return Value::Num(Tag::Default, Num::I64(number)),
                _ => {}
            }
        }
        Value::String(Tag::Default, self.text.clone())
    }
}

impl Document {
    /// Where the deepest existing key on the way stands.
    pub(super) fn origin<'a>(&self, path: impl IntoIterator<Item = Step<'a>>) -> Origin {
        Origin::File { file: self.file.clone(), line: self.root.line_of(path).unwrap_or(1) }
    }

    pub(super) fn at(&self, line: u32) -> Origin {
        Origin::File { file: self.file.clone(), line }
    }
}

/// A file that is not YAML or TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: u32,
    /// Without any of the file's text, which may hold secrets.
    pub(super) message: String,
}
