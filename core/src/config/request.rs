//! What a command asks for: which file, which flags, and the process's surroundings as plain values.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Read if neither `-config` nor `LITESTREAM_CONFIG` names a file.
pub const DEFAULT_CONFIG_PATH: &str = "/etc/litestream.yml";

/// How to load a configuration.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// Where the file is.
    pub source: Source,
    /// Whether `$NAME` in the file is filled in; off with `-no-expand-env`.
    pub expand_env: bool,
    /// Whether unknown keys are warnings only.
    pub lenient: bool,
    /// The surroundings.
    pub environment: Environment,
    /// Flags that set keys, the strongest layer.
    pub flags: Vec<FlagSetting>,
    /// `replicate DB_PATH REPLICA_URL...`: the one database, in place of `dbs`.
    pub database: Option<DatabaseArgument>,
}

impl LoadRequest {
    /// A file with nothing else changed.
    pub fn new(source: Source, environment: Environment) -> LoadRequest {
        LoadRequest { source, expand_env: true, lenient: false, environment, flags: Vec::new(), database: None }
    }
}

/// Where the configuration file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `LITESTREAM_CONFIG`, or [`DEFAULT_CONFIG_PATH`].
    Default,
    /// `-config`, as written.
    File(String),
    /// No file: the command line says it all.
    None,
}

/// A flag that sets a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagSetting {
    /// The key, `logging.level`.
    pub key: &'static str,
    /// Its value, as it would be written in the file.
    pub value: String,
    /// The flag with its dash, for messages.
    pub flag: &'static str,
}

/// A database named on the command line.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseArgument {
    /// As written.
    pub path: String,
    /// As written; more than one is refused with the reference's words.
    pub replica_urls: Vec<String>,
}

impl fmt::Debug for DatabaseArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseArgument").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Environment variables, working directory, home and process id. Read once from the process, or made up by a test.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    directory: PathBuf,
    home: Option<PathBuf>,
    process_id: u32,
}

impl Environment {
    /// This process's own. Bytes that are not UTF-8 are replaced.
    pub fn of_process() -> Environment {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Environment {
            variables: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            home: std::env::home_dir(),
            process_id: std::process::id(),
        }
    }

    /// No variables, no home, in `directory`.
    pub fn empty(directory: impl Into<PathBuf>) -> Environment {
        Environment { directory: directory.into(), ..Environment::default() }
    }

    /// With a variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Environment {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// With a home directory.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Environment {
        self.home = Some(home.into());
        self
    }

    /// The value of a variable; an empty one is a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// The directory relative paths start from.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a service keeps what belongs to no single database: the directory that systemd gives it, else the user's.
    pub fn state_directory(&self) -> PathBuf {
        const NAME: &str = "litestream-rs";
        let set = |name: &str| self.get(name).filter(|text| text.starts_with('/'));
        // systemd lists several, divided by colons, if the unit asks for several.
        let given = set("STATE_DIRECTORY").and_then(|text| text.split(':').next()).map(PathBuf::from);
        let users = || match set("XDG_STATE_HOME") {
            Some(base) => Some(Path::new(base).join(NAME)),
            None => self.home.as_ref().map(|home| home.join(".local/state").join(NAME)),
        };
        given.or_else(users).unwrap_or_else(|| Path::new("/var/lib").join(NAME))
    }

    /// Makes a path as users write it absolute.
    pub fn expand_path(&self, text: &str) -> Result<PathBuf, super::ExpandPathError> {
        super::path::expand_path(text, &self.directory, self.home.as_deref())
    }

    /// The value of `$NAME` inside a file.
    pub(super) fn substitute(&self, name: &str) -> Option<String> {
        if name == "PID" { Some(self.process_id.to_string()) } else { self.get(name).map(str::to_owned) }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("directory", &self.directory).finish_non_exhaustive()
    }
}
