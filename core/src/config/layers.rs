//! The layers, weakest first: built-in values, file, environment, flags. figment puts them over each other and
//! remembers which one each value came from.
//!
//! Tables are joined key by key; a list replaces the list below it whole.

use figment::error::{Actual, Kind};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Deserialize;

use super::check_keys::is_key;
use super::document::{Document, steps};
use super::error::ConfigError;
use super::keys::{KEYS, Key, NEVER_GLOBAL, Place};
use super::origin::Origin;
use super::request::{DatabaseArgument, LoadRequest};
use super::yaml;

/// A layer that is already a tree. Its name carries the origin through figment.
struct Layer {
    origin: Origin,
    tree: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.tree.clone())]))
    }
}

/// The layers of one configuration.
pub(super) struct Layers<'a> {
    document: Option<&'a Document>,
    /// The origin of each layer, as figment knows it by its text.
    origins: Vec<Origin>,
    figment: Figment,
}

impl<'a> Layers<'a> {
    /// Puts everything over each other.
    pub(super) fn new(request: &LoadRequest, document: Option<&'a Document>) -> Layers<'a> {
        let mut layers = Layers { document, origins: Vec::new(), figment: figment_of(defaults(Place::Global)) };
        if let Some(document) = document {
            layers.push(Origin::File { file: document.file.clone(), line: 0 }, document.root.to_dict());
        }
        let variable_of = |key: &Key| {
            let name = key.variable()?;
            let value = request.environment.get(&name)?;
            Some((name, value))
        };
        if let Some(level) = request.environment.get("LOG_LEVEL").filter(|level| !level.is_empty()) {
            layers.push_key(Origin::Environment("LOG_LEVEL".to_owned()), "logging.level", level);
        }
        for key in KEYS {
            if let Some((name, value)) = variable_of(key) {
                layers.push_key(Origin::Environment(name), key.name, value);
            }
        }
        for flag in &request.flags {
            layers.push_key(Origin::Flag(flag.flag.to_owned()), flag.key, &flag.value);
        }
        if let Some(argument) = &request.database {
            layers.push(Origin::Argument, database_of(argument));
        }
        layers
    }

    fn push(&mut self, origin: Origin, tree: Dict) {
        self.origins.push(origin.clone());
        let figment = std::mem::take(&mut self.figment);
        self.figment = figment.merge(Layer { origin, tree });
    }

    fn push_key(&mut self, origin: Origin, key: &str, value: &str) {
        self.push(origin, nested(key, Value::String(Tag::Default, value.to_owned())));
    }

    /// Reads everything into `T`.
    pub(super) fn extract<'de, T: Deserialize<'de>>(&self) -> Result<T, ConfigError> {
        self.figment.extract().map_err(|error| self.value_error(&[], &error))
    }

    /// Reads a table inside the tree at `place`, over the layers given (weakest first).
    pub(super) fn extract_table<'de, T: Deserialize<'de>>(
        &self,
        place: &[String],
        weakest: Dict,
        over: impl IntoIterator<Item = Dict>,
    ) -> Result<T, ConfigError> {
        let whole = over
            .into_iter()
            .fold(figment_of(weakest), |figment, tree| figment.merge(Layer { origin: Origin::Default, tree }));
        whole.extract().map_err(|error| self.value_error(place, &error))
    }

    /// The layer a key outside all lists got its value from. Costs a copy of the tree: not for each database.
    pub(super) fn layer_of(&self, key: &str) -> Origin {
        let name = self.figment.find_metadata(key).map(|metadata| metadata.name.clone());
        let origin = self.origins.iter().rev().find(|origin| name.as_deref() == Some(origin.to_string().as_str()));
        origin.cloned().unwrap_or_default()
    }

    /// The place of the value at `path`, which `layer` holds: the line of the deepest key that is there.
    pub(super) fn place(&self, layer: &Origin, path: &[String]) -> Origin {
        match (layer, self.document) {
            (Origin::File { .. }, Some(document)) => document.origin(steps(path)),
            (layer, _) => layer.clone(),
        }
    }

    /// The place of a value of the file, whether or not a stronger layer hides it.
    pub(super) fn in_file(&self, path: &[String]) -> Origin {
        self.document.map_or(Origin::Default, |document| document.origin(steps(path)))
    }

    /// The program's own replica keys at the top of the file, which fill every replica.
    pub(super) fn replica_defaults(&self) -> Dict {
        let tree = self.document.map(|document| document.root.to_dict()).unwrap_or_default();
        let is_default = |key: &str| is_key(Place::Replica, key) && !NEVER_GLOBAL.contains(&key);
        tree.into_iter().filter(|(key, value)| is_default(key) && !is_unset(value)).collect()
    }

    fn origin(&self, path: &[String]) -> Origin {
        // figment's own metadata end at a list.
        let tables = path.iter().take_while(|part| part.parse::<usize>().is_err());
        let key = tables.map(String::as_str).collect::<Vec<_>>().join(".");
        self.place(&self.layer_of(&key), path)
    }

    fn value_error(&self, place: &[String], error: &figment::Error) -> ConfigError {
        let path: Vec<String> = place.iter().chain(&error.path).cloned().collect();
        ConfigError::Value { origin: self.origin(&path), key: key_text(&path), message: message_of(&error.kind) }
    }
}

/// What is wrong with a value, without the value: a URL with a password may stand where a table is expected.
fn message_of(kind: &Kind) -> String {
    let expected = |expected: &dyn std::fmt::Display| match expected.to_string() {
        name if name.starts_with("struct ") || name == "a map" => "a table".to_owned(),
        name if name == "a sequence" => "a list".to_owned(),
        name => name,
    };
    let found = |actual: &Actual| match actual {
        Actual::Seq => "a list",
        Actual::Map => "a table",
        Actual::Bool(_) | Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number or switch",
        _ => "text",
    };
    match kind {
        Kind::InvalidType(actual, wanted) => format!("expected {}, found {}", expected(wanted), found(actual)),
        kind => kind.to_string(),
    }
}

/// `dbs[0].replica` of `["dbs", "0", "replica"]`.
pub(super) fn key_text(path: &[String]) -> String {
    path.iter().fold(String::new(), |mut text, part| {
        match part.parse::<usize>() {
            Ok(index) => text.push_str(&format!("[{index}]")),
            Err(_) if text.is_empty() => text.push_str(part),
            Err(_) => {
                text.push('.');
                text.push_str(part);
            }
        }
        text
    })
}

/// The built-in values of a place.
pub(super) fn defaults(place: Place) -> Dict {
    let mut tree = Dict::new();
    for key in KEYS.iter().filter(|key| key.place == place && !key.default.is_empty()) {
        let value = yaml::parse(&format!("value: {}", key.default)).map(|parsed| parsed.root.to_dict());
        let value = value.ok().and_then(|mut table| table.remove("value"));
        join(&mut tree, nested(key.name, value.expect("a test reads every built-in value")));
    }
    tree
}

fn figment_of(tree: Dict) -> Figment {
    Figment::from(Layer { origin: Origin::Default, tree })
}

/// `{socket: {path: value}}` of `socket.path`.
fn nested(key: &str, value: Value) -> Dict {
    match key.split_once('.') {
        None => Dict::from([(key.to_owned(), value)]),
        Some((table, rest)) => Dict::from([(table.to_owned(), Value::Dict(Tag::Default, nested(rest, value)))]),
    }
}

fn join(tree: &mut Dict, more: Dict) {
    for (key, value) in more {
        match (tree.get_mut(&key), value) {
            (Some(Value::Dict(_, inside)), Value::Dict(_, value)) => join(inside, value),
            (_, value) => {
                tree.insert(key, value);
            }
        }
    }
}

/// `DB_PATH REPLICA_URL...` as the file would say it.
fn database_of(argument: &DatabaseArgument) -> Dict {
    let text = |text: &str| Value::String(Tag::Default, text.to_owned());
    let replicas = argument.replica_urls.iter().map(|url| Value::Dict(Tag::Default, nested("url", text(url))));
    let database = Dict::from([
        ("path".to_owned(), text(&argument.path)),
        ("replicas".to_owned(), Value::Array(Tag::Default, replicas.collect())),
    ]);
    nested("dbs", Value::Array(Tag::Default, vec![Value::Dict(Tag::Default, database)]))
}

/// True for a value that the reference does not tell from an absent key.
pub(super) fn is_unset(value: &Value) -> bool {
    match value {
        Value::String(_, text) => text.is_empty(),
        Value::Array(_, values) => values.is_empty(),
        Value::Empty(..) => true,
        _ => false,
    }
}
