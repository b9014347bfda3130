//! Where a value was written, for messages and for `config explain`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The place a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    #[default]
    Default,
    /// A line of the configuration file.
    File {
        /// The file as it was named.
        file: Arc<str>,
        /// Counted from 1, in the file as it is on disk.
        line: u32,
    },
    /// An environment variable.
    Environment(String),
    /// A flag, with its dash.
    Flag(String),
    /// An argument of the command, `DB_PATH` or `REPLICA_URL`.
    Argument,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { file, line } => write!(f, "{file}:{line}"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
            Origin::Argument => f.write_str("command line"),
        }
    }
}

/// Origins by key, `snapshot.interval` or `dbs[0].replica.bucket`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    by_key: BTreeMap<String, Origin>,
}

impl Origins {
    /// Where the value of `key` comes from; built in if nobody wrote it.
    pub fn of(&self, key: &str) -> Origin {
        self.by_key.get(key).cloned().unwrap_or_default()
    }

    pub(super) fn set(&mut self, key: String, origin: Origin) {
        self.by_key.insert(key, origin);
    }
}
