//! Which names of a file are keys: known ones pass, ignored and misplaced ones are warned of, the rest is an error.
//!
//! Names inside a replica, and names at the top that may be defaults for replicas, are judged in `resolve`, where the
//! plugins are at hand.

use super::document::{Content, Document, Entry, Node, Table};
use super::error::{UnknownKey, Warning};
use super::keys::{self, IGNORED, KEYS, NEVER_GLOBAL, Place, REFERENCE_REPLICA_KEYS, keys_of, nearest};

/// What the names of a file say.
#[derive(Default)]
pub(super) struct NameCheck<'d> {
    pub(super) unknown: Vec<UnknownKey>,
    pub(super) warnings: Vec<Warning>,
    /// Top-level entries that are defaults for replicas if a plugin says so.
    pub(super) replica_defaults: Vec<&'d Entry>,
}

/// Looks at every name of the file.
pub(super) fn check(document: &Document) -> NameCheck<'_> {
    let mut check = NameCheck::default();
    for entry in &document.root.entries {
        check.top(document, entry);
    }
    check
}

impl<'d> NameCheck<'d> {
    fn top(&mut self, document: &'d Document, entry: &'d Entry) {
        let name = entry.key.as_str();
        match name {
            _ if is_extension(name) => {}
            "levels" => self.list("levels", &entry.value, |check, place, table| {
                check.table(document, place, table, &["interval"]);
            }),
            "dbs" => self.list("dbs", &entry.value, |check, place, table| {
                check.database(document, place, table);
            }),
            _ if is_key(Place::Global, name) => self.inside(document, Place::Global, "", entry),
            _ if NEVER_GLOBAL.contains(&name) => {
                self.warn(document, entry, name, "it belongs into the `replica` of a database");
            }
            _ if is_key(Place::Replica, name) => {
                self.inside(document, Place::Replica, "", entry);
                self.ignored(document, entry, name);
            }
            _ if self.ignored(document, entry, name) => {}
            _ if is_key(Place::Database, name) => {
                self.warn(document, entry, name, "it belongs into an element of `dbs`");
            }
            // Litestream ignores it, and the file's author does not mean it for a key.
            _ if entry.value.anchored => {}
            _ => match entry.value.content {
                Content::Table(_) => {
                    let known = keys_of(Place::Global).map(|key| first_part(key.name));
                    self.unknown(document, entry, name.to_owned(), did_you_mean(name, known));
                }
                _ => self.replica_defaults.push(entry),
            },
        }
    }

    fn database(&mut self, document: &'d Document, place: &str, table: &'d Table) {
        let is_dir = table.get("dir").is_some();
        for entry in &table.entries {
            let name = entry.key.as_str();
            let whole = format!("{place}.{name}");
            match name {
                _ if is_extension(name) => {}
                "pattern" | "exclude" | "recursive" if !is_dir => {
                    self.warn(document, entry, &whole, "it needs `dir`");
                }
                "restore-if-db-not-exists" if is_dir => {
                    self.warn(document, entry, &whole, "databases of a `dir` are restored one by one, with `restore`");
                }
                _ if is_key(Place::Database, name) => {
                    self.inside(document, Place::Database, place, entry);
                }
                _ if is_key(Place::Replica, name) || REFERENCE_REPLICA_KEYS.contains(&name) => {
                    self.warn(document, entry, &whole, "it belongs into `replica`");
                }
                _ if self.ignored(document, entry, &whole) => {}
                _ if is_key(Place::Global, name) => {
                    self.warn(document, entry, &whole, "it belongs to the top of the file");
                }
                _ => {
                    let known = keys_of(Place::Database).map(|key| first_part(key.name));
                    self.unknown(document, entry, whole, did_you_mean(name, known));
                }
            }
        }
    }

    /// The names inside a known key, if it has any.
    fn inside(&mut self, document: &'d Document, place: Place, prefix: &str, entry: &'d Entry) {
        let Some(table) = entry.value.as_table() else { return };
        let parts = keys_of(place).filter_map(|key| key.name.strip_prefix(entry.key.as_str())?.strip_prefix('.'));
        let parts: Vec<&str> = parts.collect();
        if parts.is_empty() {
            return; // A table where a value is expected is an error of the schema, or the business of a plugin.
        }
        let dot = if prefix.is_empty() { "" } else { "." };
        self.table(document, &format!("{prefix}{dot}{}", entry.key), table, &parts);
    }

    fn table(&mut self, document: &'d Document, place: &str, table: &'d Table, known: &[&str]) {
        for entry in &table.entries {
            let name = entry.key.as_str();
            if !known.contains(&name) && !is_extension(name) {
                let hint = did_you_mean(name, known.iter().copied());
                self.unknown(document, entry, format!("{place}.{name}"), hint);
            }
        }
    }

    fn list(&mut self, name: &str, node: &'d Node, mut each: impl FnMut(&mut Self, &str, &'d Table)) {
        for (index, node) in node.as_list().iter().enumerate() {
            if let Some(table) = node.as_table() {
                each(self, &format!("{name}[{index}]"), table);
            }
        }
    }

    /// True for a key that 0.3 had, or near it.
    fn ignored(&mut self, document: &Document, entry: &Entry, whole: &str) -> bool {
        let ignored = IGNORED.iter().find(|ignored| ignored.name == entry.key);
        if let Some(ignored) = ignored {
            self.warn(document, entry, whole, ignored.instead);
        }
        ignored.is_some()
    }

    fn warn(&mut self, document: &Document, entry: &Entry, whole: &str, instead: &str) {
        let message = no_effect(whole, instead);
        self.warnings.push(Warning { origin: document.at(entry.line).to_string(), message });
    }

    fn unknown(&mut self, document: &Document, entry: &Entry, key: String, hint: Option<String>) {
        self.unknown.push(UnknownKey { origin: document.at(entry.line).to_string(), key, hint });
    }
}

/// The text of a warning about a key that is accepted and does nothing.
pub(super) fn no_effect(key: &str, instead: &str) -> String {
    format!("{key:?} has no effect here: {instead}")
}

/// The hint of an unknown key.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|known| format!("did you mean {known:?}?"))
}

/// Names that begin with `x-` are the user's own, for YAML anchors and notes.
pub(super) fn is_extension(name: &str) -> bool {
    name.starts_with("x-")
}

/// Whether the name, or the table of that name, is a key of the place.
pub(super) fn is_key(place: Place, name: &str) -> bool {
    KEYS.iter().any(|key| key.place == place && first_part(key.name) == name)
}

fn first_part(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// Environment variables that were probably meant to set a key.
pub(super) fn misspelt_variables<'e>(names: impl Iterator<Item = &'e str>) -> Vec<(&'e str, String)> {
    let known: Vec<String> = KEYS.iter().filter_map(keys::Key::variable).collect();
    let ours = names.filter(|name| name.starts_with("LITESTREAM_") && !known.iter().any(|known| known == name));
    let near = ours.filter_map(|name| {
        let best = known.iter().min_by_key(|known| strsim::osa_distance(name, known))?;
        (strsim::osa_distance(name, best) <= 2).then(|| (name, best.clone()))
    });
    near.collect()
}
