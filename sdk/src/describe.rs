//! The control plane: what a plugin says about itself, and what it makes of one configuration. These cross the boundary
//! as JSON, so they can grow; unknown members are ignored on both sides.

use crate::options::{Url, UrlPart};
use crate::types::{Location, ReplicaPath};
use crate::{Result, StorageError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What `describe()` answers: the plugin record and the keys a user can set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// The plugin's name, `s3`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// The ABI it speaks.
    pub abi: u32,
    /// The SDK it was built with.
    pub sdk: String,
    /// The URL schemes and replica types it claims.
    pub schemes: Vec<String>,
    /// The replica layouts that may be chosen with the replica key `layout`.
    #[serde(default = "ltx_only")]
    pub layouts: Vec<String>,
    /// The pace of uploads if the user sets none, in milliseconds.
    #[serde(default = "one_second")]
    pub sync_interval_ms: u64,
    /// Its keys, in the order of declaration.
    #[serde(default)]
    pub options: Vec<OptionDescription>,
}

fn ltx_only() -> Vec<String> {
    vec!["ltx".into()]
}

fn one_second() -> u64 {
    1000
}

impl Description {
    /// The pace of uploads if the user sets none; never zero.
    pub fn sync_interval(&self) -> Duration {
        Duration::from_millis(self.sync_interval_ms.max(1))
    }

    /// The option of that name.
    pub fn option(&self, name: &str) -> Option<&OptionDescription> {
        self.options.iter().find(|option| option.name == name)
    }

    /// Whether a URL query parameter of this name carries a secret.
    pub fn is_secret_parameter(&self, parameter: &str) -> bool {
        let names =
            |option: &OptionDescription| option.name == parameter || option.query.iter().any(|q| q == parameter);
        self.options.iter().any(|option| option.secret && names(option))
    }

    /// A replica URL for people: userinfo and the values of secret parameters are cut out.
    pub fn shown_url(&self, url: &str) -> String {
        match Url::parse(url) {
            Ok(url) => url.redacted(|parameter| self.is_secret_parameter(parameter)),
            Err(_) => "<unreadable url>".to_owned(),
        }
    }
}

/// One key a user can set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct OptionDescription {
    /// Kebab case.
    pub name: String,
    /// `string`, `bool`, `integer`, `size`, `duration`, `secret`, `list of ...`, or a name of the author's.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The value that holds when nobody sets one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether a configuration without it is refused.
    #[serde(skip_serializing_if = "is_false")]
    pub required: bool,
    /// Never printed.
    #[serde(skip_serializing_if = "is_false")]
    pub secret: bool,
    /// Says where databases go; not part of the connection pool's identity.
    #[serde(skip_serializing_if = "is_false")]
    pub location: bool,
    /// May stand at the top of the configuration and fill every replica.
    #[serde(skip_serializing_if = "is_false")]
    pub global: bool,
    /// Left out of help and key tables.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// Environment variables that give it, first found wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Further names as a URL query parameter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// The part of a URL that gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<UrlPart>,
    /// The plugin's version that brought it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub since: String,
    /// What it does, for people.
    pub help: String,
}

impl OptionDescription {
    /// Whether a URL query parameter of this name gives this option. A secret is given only by one of its `query` names.
    pub fn takes_parameter(&self, parameter: &str) -> bool {
        (self.name == parameter && !self.secret) || self.query.iter().any(|name| name == parameter)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A raw value and where it was written.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// As the configuration has it: text, a number, a bool, a list.
    pub value: Value,
    /// For messages: `litestream.yml:12`, `environment AWS_REGION`, `url`.
    #[serde(default)]
    pub origin: String,
}

impl Given {
    /// A value and its place.
    pub fn new(value: impl Into<Value>, origin: impl Into<String>) -> Self {
        Self { value: value.into(), origin: origin.into() }
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<value from {}>", self.origin) // which keys are secret is not known here
    }
}

/// One replica's configuration, as the host hands it to the plugin. Holds secrets: its `Debug` shows none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct ConfigureRequest {
    /// The replica's `url`, if it has one.
    pub url: Option<Sensitive>,
    /// The replica's table by key, without the keys the host keeps for itself, flags already put over it.
    pub values: BTreeMap<String, Given>,
    /// The environment variables that the declarations name, and no others.
    pub env: BTreeMap<String, Sensitive>,
}

impl ConfigureRequest {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a URL.
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(Sensitive(url.into()));
        self
    }

    /// With a key of the table.
    pub fn with_value(mut self, key: impl Into<String>, value: impl Into<Value>, origin: impl Into<String>) -> Self {
        self.values.insert(key.into(), Given::new(value, origin));
        self
    }

    /// With an environment variable.
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), Sensitive(value.into()));
        self
    }
}

/// Text that may hold a secret: crosses as plain text, and never prints itself.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive(
    /// The text itself.
    pub String,
);

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// What `configure` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ConfigureAnswer {
    /// Refused, with every reason at once.
    Refused {
        /// At least one.
        problems: Vec<Problem>,
    },
    /// Accepted.
    Accepted(Configured),
}

/// Why a configuration is refused. Never holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The key; empty if it concerns several.
    #[serde(default)]
    pub key: String,
    /// Where the value was written; empty if nowhere.
    #[serde(default)]
    pub origin: String,
    /// What is wrong, for a person.
    pub message: String,
}

impl Problem {
    /// What is wrong with a key that was not set anywhere.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), origin: String::new(), message: message.into() }
    }

    /// Where the value was written.
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), self.origin.as_str()) {
            ("", "") => f.write_str(&self.message),
            ("", origin) => write!(f, "{} ({origin})", self.message),
            (key, "") => write!(f, "{key}: {}", self.message),
            (key, origin) => write!(f, "{key}: {} ({origin})", self.message),
        }
    }
}

/// An accepted configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Configured {
    /// Equal text means one open store. May hold secrets: keep it in memory, never print or persist it.
    pub pool: Sensitive,
    /// Effective values for people, secrets as `<secret>`, without hidden options.
    #[serde(default)]
    pub shown: BTreeMap<String, Shown>,
    /// Where databases go.
    pub location: LocationText,
    /// Things the user should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A value for people, and where it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// As it was given; `<secret>` for a secret.
    pub value: Value,
    /// `default`, `environment NAME`, `url`, or a place in a file.
    pub origin: String,
}

/// A [`Location`] as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocationText {
    /// The base, `/`-separated.
    pub base: String,
    /// Whether the base came from a URL.
    pub from_url: bool,
    /// Further texts for `resolve`.
    pub extras: Vec<(String, String)>,
}

impl TryFrom<&LocationText> for Location {
    type Error = StorageError;

    fn try_from(text: &LocationText) -> Result<Self> {
        let mut location = Self::new(ReplicaPath::parse(&text.base)?);
        location.from_url = text.from_url;
        location.extras.clone_from(&text.extras);
        Ok(location)
    }
}

impl TryFrom<&Location> for LocationText {
    type Error = StorageError;

    fn try_from(location: &Location) -> Result<Self> {
        let base = location.base.to_utf8()?.to_owned();
        Ok(Self { base, from_url: location.from_url, extras: location.extras.clone() })
    }
}
