//! Warns of `interval: 30`, which Go reads as thirty nanoseconds and which nobody ever means.

use super::document::{Content, Document, Node, Table};
use super::error::Warning;
use super::keys::{Place, keys_of};

/// Below a millisecond a number was surely meant to have a unit.
const SURELY_MEANT_WITH_UNIT_NS: u64 = 1_000_000;

/// Looks at every duration of the file.
pub(super) fn check(document: &Document) -> Vec<Warning> {
    let mut search = Search { document, warnings: Vec::new() };
    search.table(&document.root, "", "");
    search.warnings
}

struct Search<'d> {
    document: &'d Document,
    warnings: Vec<Warning>,
}

impl Search<'_> {
    /// `shown` has the numbers of list elements in it, `name` has not.
    fn table(&mut self, table: &Table, shown: &str, name: &str) {
        for entry in &table.entries {
            let below = |prefix: &str| match prefix {
                "" => entry.key.clone(),
                prefix => format!("{prefix}.{}", entry.key),
            };
            self.node(&entry.value, &below(shown), &below(name));
        }
    }

    fn node(&mut self, node: &Node, shown: &str, name: &str) {
        match &node.content {
            Content::Null => {}
            Content::Table(table) => self.table(table, shown, name),
            Content::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    self.node(node, &format!("{shown}[{index}]"), name);
                }
            }
            Content::Scalar(scalar) => {
                let number = scalar.text.parse::<i64>().ok().filter(|_| scalar.bare && is_duration(name));
                if number.is_some_and(|number| (1..SURELY_MEANT_WITH_UNIT_NS).contains(&number.unsigned_abs())) {
                    let text = &scalar.text;
                    let message = format!(
                        "{shown:?}: a bare number is nanoseconds, so {text} is less than a millisecond; \
                         write a unit, as in {text}s"
                    );
                    self.warnings.push(Warning { origin: self.document.at(node.line).to_string(), message });
                }
            }
        }
    }
}

fn is_duration(name: &str) -> bool {
    let is = |place: Place, name: &str| keys_of(place).any(|key| key.name == name && key.kind == "duration");
    let in_replica = name.strip_prefix("dbs.replica.").or_else(|| name.strip_prefix("dbs.replicas."));
    match (in_replica, name.strip_prefix("dbs.")) {
        (Some(name), _) => is(Place::Replica, name),
        (None, Some(name)) => is(Place::Database, name),
        (None, None) => name == "levels.interval" || is(Place::Global, name) || is(Place::Replica, name),
    }
}
