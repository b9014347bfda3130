//! One declared key, and the trait that [`options!`](crate::options!) implements.

use super::{OptionType, Problem, Values};
use crate::describe::OptionDescription;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The part of a URL that gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UrlPart {
    /// The authority without userinfo and port.
    Host,
    /// The port, when it is a number.
    Port,
    /// The user of the userinfo, decoded.
    User,
    /// The password of the userinfo, decoded.
    Password,
    /// The path, decoded, with its leading slash.
    Path,
}

/// One declared key. The same members as its description, plus what only the parser needs.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct OptionSpec {
    /// What the host sees.
    pub described: OptionDescription,
    /// Refused in the table when the replica has a `url`.
    pub not_with_url: bool,
    /// An empty text counts as not set.
    pub empty_is_unset: bool,
}

impl OptionSpec {
    /// A field of type `T` without attributes.
    #[doc(hidden)]
    pub fn new<T: OptionType>(field: &str, doc_lines: &[&str]) -> Self {
        let described = OptionDescription {
            name: key_of(field),
            type_name: T::type_name(),
            required: T::absent().is_none(),
            secret: T::SECRET,
            global: true,
            help: doc_lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned(),
            ..OptionDescription::default()
        };
        Self { described, not_with_url: false, empty_is_unset: T::EMPTY_IS_UNSET }
    }

    #[doc(hidden)]
    pub fn set_default(&mut self, default: Value) {
        self.described.default = Some(default);
        self.described.required = false;
    }
}

/// A field's name as a key: kebab case.
#[doc(hidden)]
pub fn key_of(field: &str) -> String {
    field.trim_start_matches("r#").replace('_', "-")
}

/// A set of options. Implemented by [`options!`](crate::options!), not by hand.
pub trait Options: Sized + Send + 'static {
    /// The declared keys, in order.
    fn specs() -> Vec<OptionSpec>;

    /// Reads every key.
    ///
    /// # Errors
    /// Every problem at once: unknown keys, missing ones, values that cannot be used.
    fn parse(values: &Values) -> Result<Self, Vec<Problem>>;

    /// The effective values in one canonical form each (`5MiB` and `5242880` are equal), without absent ones.
    /// Holds secrets.
    fn canonical(&self) -> Vec<(String, Value)>;
}

/// Where [`Plugin::check`](crate::Plugin::check) reports rules between options.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<String>,
}

impl Findings {
    /// The configuration is refused because of `key` (empty: because of several).
    pub fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(key, message));
    }

    /// The user should know this; the configuration is accepted.
    pub fn warning(&mut self, message: impl Into<String>) {
        self.warnings.push(message.into());
    }
}
