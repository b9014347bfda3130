//! One declared key, and the trait that [`options!`](crate::options!) implements.

use super::{Problem, Values};
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
    fn canonical(&self) -> Vec<(&'static str, Value)>;
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
