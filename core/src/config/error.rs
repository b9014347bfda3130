//! What is wrong with a configuration, in words that name the place.

use std::fmt;
use std::path::PathBuf;

use super::origin::Origin;
use super::path::ExpandPathError;

/// A configuration that cannot be used. Holds no value of a key that may be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such file.
    #[error("config file not found: {}", .0.display())]
    NotFound(PathBuf),
    /// The file is there and cannot be read.
    #[error("cannot read config file {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is neither `.yml`, `.yaml` nor `.toml`-shaped text.
    #[error("{origin}: {message}")]
    Syntax {
        /// The line.
        origin: Origin,
        /// The parser's answer.
        message: String,
    },
    /// Keys nobody knows.
    #[error("{}", lines(.0))]
    UnknownKeys(Vec<UnknownKey>),
    /// A value of the wrong kind.
    #[error("{origin}: {key}: {message}")]
    Value {
        /// Where it was written.
        origin: Origin,
        /// The key, `dbs[0].replica.sync-interval`.
        key: String,
        /// What was expected.
        message: String,
    },
    /// Values that are well written and make no sense. Texts are the reference's.
    #[error("{message}{}", at(.origin))]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where it was written.
        origin: Origin,
    },
    /// A path that cannot be made absolute.
    #[error(transparent)]
    Path(#[from] ExpandPathError),
    /// Plugins refused what concerns them; all their problems at once.
    #[error("{}", lines(.0))]
    Replicas(Vec<ReplicaProblem>),
}

impl ConfigError {
    pub(super) fn invalid(message: impl Into<String>, origin: Origin) -> ConfigError {
        ConfigError::Invalid { message: message.into(), origin }
    }
}

/// A key that is not known where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// Where it was written, `litestream.yml:12`.
    pub origin: String,
    /// With its place, `dbs[0].recusive`.
    pub key: String,
    /// The known key that was probably meant, or where this one belongs.
    pub hint: Option<String>,
}

impl UnknownKey {
    /// What is left of the error with `--lenient`.
    pub(super) fn into_warning(self) -> Warning {
        let hint = self.hint.map_or(String::new(), |hint| format!("; {hint}"));
        Warning { origin: self.origin, message: format!("unknown key {:?} is ignored{hint}", self.key) }
    }
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: unknown key {:?}", self.origin, self.key)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// One thing a replica cannot be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaProblem {
    /// The replica, `dbs[2].replica`.
    pub place: String,
    /// The key, if one is to blame; may be empty.
    pub key: String,
    /// Where it was written.
    pub origin: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ReplicaProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.message)?,
            key => write!(f, "{}.{key}: {}", self.place, self.message)?,
        }
        if self.origin.is_empty() { Ok(()) } else { write!(f, " ({})", self.origin) }
    }
}

/// Something that works, probably not as meant. To be logged at WARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it was written, `litestream.yml:12`.
    pub origin: String,
    /// What happens, and what to write instead.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

fn lines<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("\n")
}

/// Scripts compare the reference's texts, so the place comes after them.
fn at(origin: &Origin) -> String {
    match origin {
        Origin::Default => String::new(),
        origin => format!(" ({origin})"),
    }
}
