//! YAML to a [`Table`]. Events come from saphyr-parser; anchors, merge keys and limits are handled here.
//!
//! As the reference reads it: only the first document counts, of a key given twice the last one counts, and tags other
//! than `!!str` mean nothing.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::document::{Content, Entry, Node, Scalar, SyntaxError, Table};

/// Deeper nesting is an attack or an accident, and would exhaust the stack.
const MAX_DEPTH: u32 = 64;

/// Values, counted after aliases are filled in: an alias of an alias of an alias grows without end.
const MAX_NODES: usize = 2_000_000;

/// A parsed file, and the keys that a later one of the same name replaced.
pub(super) struct Parsed {
    pub(super) root: Table,
    pub(super) overridden: Vec<(u32, String)>,
}

/// Reads the first document. An empty one is an empty table.
pub(super) fn parse(text: &str) -> Result<Parsed, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder =
        Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), overridden: Vec::new(), nodes: 0 };
    let root = loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamEnd | Event::DocumentEnd => break Table::default(),
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            event => {
                let node = builder.node(event, span, 0)?;
                match node.content {
                    Content::Null => break Table::default(),
                    Content::Table(table) => break table,
                    Content::Scalar(_) | Content::List(_) => {
                        return Err(error(node.line, "the file must be a mapping of keys to values"));
                    }
                }
            }
        }
    };
    Ok(Parsed { root, overridden: builder.overridden })
}

struct Builder<'input> {
    parser: Parser<'input, StrInput<'input>>,
    anchors: HashMap<usize, Node>,
    overridden: Vec<(u32, String)>,
    nodes: usize,
}

impl<'input> Builder<'input> {
    fn next(&mut self) -> Result<(Event<'input>, Span), SyntaxError> {
        match self.parser.next_event() {
            Some(event) => event.map_err(|scan| scan_error(&scan)),
            None => Err(error(1, "unexpected end of file")),
        }
    }

    fn node(&mut self, event: Event<'input>, span: Span, depth: u32) -> Result<Node, SyntaxError> {
        let line = line_of(&span);
        if depth > MAX_DEPTH {
            return Err(error(line, "nested too deeply"));
        }
        self.count(1, line)?;
        let (anchor, content) = match event {
            Event::Alias(anchor) => return self.alias(anchor, line),
            Event::Scalar(text, style, anchor, tag) => {
                let is_tag =
                    |name: &str| tag.as_ref().is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == name);
                if is_tag("binary") {
                    return Err(error(line, "the tag !!binary is not supported; write the text itself"));
                }
                let bare = style == ScalarStyle::Plain && !is_tag("str");
                let is_null = bare && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let scalar = Scalar { text: text.into_owned(), bare };
                (anchor, if is_null { Content::Null } else { Content::Scalar(scalar) })
            }
            Event::SequenceStart(anchor, _) => (anchor, Content::List(self.list(depth)?)),
            Event::MappingStart(anchor, _) => (anchor, Content::Table(self.table(depth)?)),
            _ => return Err(error(line, "a value is expected")),
        };
        let node = Node { line, anchored: anchor > 0, content };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, line: u32) -> Result<Node, SyntaxError> {
        let node = self.anchors.get(&anchor).cloned();
        let node = node.ok_or_else(|| error(line, "an alias must come after its anchor, not inside it"))?;
        self.count(size_of(&node), line)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, line: u32) -> Result<(), SyntaxError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES { Err(error(line, "too many values")) } else { Ok(()) }
    }

    fn list(&mut self, depth: u32) -> Result<Vec<Node>, SyntaxError> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, span) => nodes.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn table(&mut self, depth: u32) -> Result<Table, SyntaxError> {
        let mut table = Table::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(table);
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let line = key.line;
            match key.content {
                Content::Scalar(Scalar { text, bare: true }) if text == "<<" => merge(&mut table, value)?,
                Content::Scalar(Scalar { text: key, .. }) => {
                    if let Some(older) = table.put(Entry { key, line, value }) {
                        self.overridden.push((older.line, older.key));
                    }
                }
                Content::Null => {}
                Content::List(_) | Content::Table(_) => return Err(error(line, "a key must be text")),
            }
        }
    }
}

/// `<<: *defaults`. As the reference reads it, keys below it win over it and it wins over keys above it; of several
/// tables the first one wins.
fn merge(table: &mut Table, value: Node) -> Result<(), SyntaxError> {
    match value.content {
        Content::Table(defaults) => {
            for entry in defaults.entries {
                table.put(entry);
            }
            Ok(())
        }
        Content::List(tables) => tables.into_iter().rev().try_for_each(|each| merge(table, each)),
        Content::Null => Ok(()),
        Content::Scalar(_) => Err(error(value.line, "a merge key (<<) needs a mapping")),
    }
}

fn size_of(node: &Node) -> usize {
    match &node.content {
        Content::Null | Content::Scalar(_) => 1,
        Content::List(nodes) => 1 + nodes.iter().map(size_of).sum::<usize>(),
        Content::Table(table) => 1 + table.entries.iter().map(|entry| 1 + size_of(&entry.value)).sum::<usize>(),
    }
}

fn line_of(span: &Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX)
}

fn scan_error(error: &ScanError) -> SyntaxError {
    let line = u32::try_from(error.marker().line()).unwrap_or(u32::MAX);
    SyntaxError { line, message: error.info().to_owned() }
}

fn error(line: u32, message: &str) -> SyntaxError {
    SyntaxError { line, message: message.to_owned() }
}

#[cfg(test)]
mod tests;
