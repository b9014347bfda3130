//! The files of `config/`, and the table of keys in its README.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::super::schema::{
    AgeSchema, DatabaseSchema, FileSchema, LevelSchema, LoggingSchema, ReplicaSchema, RetentionSchema, SnapshotSchema,
    SocketSchema, ValidationSchema,
};
use super::super::*;
use super::{File, without_origins};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(directory().join(name)).unwrap()
}

fn loaded(path: &Path) -> Loaded {
    let request = LoadRequest::new(Source::File(path.display().to_string()), Environment::empty("/"));
    load(&request).unwrap_or_else(|error| panic!("{error}"))
}

fn config_of(name: &'static str, text: &str) -> Config {
    let loaded = load(&File::new(name, text).request()).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    assert_eq!(loaded.warnings, [], "{text}");
    without_origins(loaded.config)
}

#[test]
fn every_file_is_valid_and_gives_no_warning() {
    let files = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let is_config =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yml" || extension == "toml");
    let mut seen = 0;
    for path in files.filter(is_config) {
        assert_eq!(loaded(&path).warnings, [], "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn the_packaged_file_says_what_is_built_in_and_names_every_key() {
    let mut packaged = config_of("c.yml", &text("litestream.yml"));
    assert_eq!(packaged.logging.level_text, "info");
    packaged.logging.level_text.clear();
    assert_eq!(packaged, config_of("c.yml", ""));
    for name in ["litestream.yml", "litestream.toml"] {
        let text = text(name);
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
        let unnamed = ["replicas", "name", "url", "validation-interval", "age"];
        for key in KEYS.iter().flat_map(|key| key.name.split('.').next()).filter(|key| !unnamed.contains(key)) {
            assert!(words.contains(key), "{name} does not name {key}");
        }
    }
}

#[test]
fn yaml_and_toml_of_the_packaged_file_are_the_same_also_where_they_are_commented_out() {
    let both = ["litestream.yml", "litestream.toml"].map(text);
    let uncommented = both.each_ref().map(|text| uncomment(text));
    assert_eq!(config_of("c.yml", &both[0]), config_of("c.toml", &both[1]));
    let (yaml, toml) = (config_of("c.yml", &uncommented[0]), config_of("c.toml", &uncommented[1]));
    assert_eq!(yaml, toml);
    assert_eq!(yaml.dbs.len(), 2);
    assert_eq!(*yaml.dbs[0].settings, DbSettings::default(), "the sample shows the built-in values");
    assert_eq!(yaml.dbs[0].monitor_interval, Some(Duration::from_secs(1)));
}

/// As the file tells its reader to do.
fn uncomment(text: &str) -> String {
    let start = text.find("\n#dbs:").or_else(|| text.find("\n#[[dbs]]")).expect("the sample of dbs") + 1;
    let sample = text[start..].lines().map(|line| line.strip_prefix('#').unwrap_or(line));
    format!("{}{}", &text[..start], sample.collect::<Vec<_>>().join("\n"))
}

/// A row of the README.
fn row(key: &Key) -> String {
    let mut layers = vec!["file".to_owned()];
    if key.environment {
        layers.push("environment".to_owned());
    }
    if !key.flag.is_empty() {
        layers.push(format!("`{}`", key.flag));
    }
    let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
    format!("| `{}` | {} | {default} | {} | {} |", key.name, key.kind, layers.join(", "), key.since)
}

#[test]
fn the_readme_lists_every_key_as_it_is() {
    let readme = text("README.md");
    let rows: Vec<&str> =
        readme.lines().filter(|line| line.ends_with("Litestream |") || line.ends_with(" 0.1 |")).collect();
    let expected: Vec<String> = KEYS.iter().map(row).collect();
    assert_eq!(rows.join("\n"), expected.join("\n"));
}

/// The names a struct reads, as serde sees them.
struct FieldNames(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut FieldNames {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0 = fields;
        Err(de::Error::custom("seen"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn names<'de, T: Deserialize<'de>>(prefix: &str) -> Vec<String> {
    let mut names = FieldNames(&[]);
    assert!(T::deserialize(&mut names).is_err());
    names.0.iter().map(|name| format!("{prefix}{name}")).collect()
}

#[test]
fn the_table_of_keys_has_exactly_the_keys_that_are_read() {
    let groups = ["socket", "snapshot", "retention", "validation", "logging", "age"];
    let read = |place: Place| match place {
        Place::Global => [
            names::<FileSchema>(""),
            names::<SocketSchema>("socket."),
            names::<SnapshotSchema>("snapshot."),
            names::<RetentionSchema>("retention."),
            names::<ValidationSchema>("validation."),
            names::<LoggingSchema>("logging."),
        ]
        .concat(),
        Place::Database => [names::<DatabaseSchema>(""), names::<SnapshotSchema>("snapshot.")].concat(),
        Place::Replica => [names::<ReplicaSchema>(""), names::<AgeSchema>("age.")].concat(),
    };
    for place in [Place::Global, Place::Database, Place::Replica] {
        let mut read: Vec<String> = read(place).into_iter().filter(|name| !groups.contains(&name.as_str())).collect();
        let mut table: Vec<&str> = keys_of(place).map(|key| key.name).collect();
        read.sort();
        table.sort_unstable();
        assert_eq!(read, table, "{place:?}");
    }
    assert_eq!(names::<LevelSchema>(""), ["interval"]);
}
