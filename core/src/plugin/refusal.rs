//! Why a plugin file is not used, or no plugin was found: two lines, what is wrong and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

use super::record::{Record, RecordError};
use super::search;
use super::trust::Distrust;

/// The ABI this program speaks.
pub const ABI: u32 = litestream_sdk_abi::ABI;

/// A plugin file that is not used. Shown as two lines.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The file, as found.
    pub path: PathBuf,
    /// What it says of itself, where that could be read.
    pub record: Option<Box<Record>>,
    /// The reason.
    pub reason: Reason,
}

/// The reasons, in the order in which they are looked for.
#[derive(Clone, Debug)]
pub enum Reason {
    /// The file cannot be opened or read.
    Unreadable(String),
    /// It, or its directory, is in the wrong hands.
    Distrusted(Distrust),
    /// Its end is missing: a copy that was interrupted.
    CutShort {
        /// Bytes it should have.
        claimed: u64,
        /// Bytes it has.
        found: u64,
    },
    /// It is not a plugin, or its record is damaged.
    NoRecord(String),
    /// It was built for another ABI.
    Abi,
    /// Other files claim the same name or scheme.
    Claimed {
        /// The name or scheme.
        claim: String,
        /// The other claimants.
        by: Vec<PathBuf>,
    },
    /// The dynamic loader refuses it.
    NotLoadable(String),
    /// It claims our ABI, yet its types are laid out otherwise. The comparison is in the debug log.
    Layout {
        /// Version of the ABI crate it was built with.
        built_with: String,
    },
    /// Loaded, it says something else than its record.
    Contradiction(String),
}

impl Refusal {
    pub(super) fn new(path: &Path, record: Option<&Record>, reason: Reason) -> Refusal {
        Refusal { path: path.to_owned(), record: record.cloned().map(Box::new), reason }
    }

    pub(super) fn no_record(path: &Path, error: &RecordError) -> Refusal {
        let reason = match error {
            RecordError::Io(error) => Reason::Unreadable(error.to_string()),
            other => Reason::NoRecord(other.to_string()),
        };
        Refusal::new(path, None, reason)
    }

    /// What is wrong, in one line.
    pub fn what(&self) -> String {
        let path = self.path.display();
        let (abi, sdk) = self.record.as_ref().map_or((0, "?"), |record| (record.abi, record.sdk.as_str()));
        match &self.reason {
            Reason::Unreadable(why) => format!("plugin {path} cannot be read: {why}"),
            Reason::Distrusted(why) => format!("plugin {path} is not loaded: {why}"),
            Reason::CutShort { claimed, found } => {
                format!("plugin {path} is cut short: it has {found} of {claimed} bytes")
            }
            Reason::NoRecord(why) => format!("{path} is not a litestream-rs plugin: {why}"),
            Reason::Abi => format!("plugin {path} speaks ABI {abi} (SDK {sdk}); this program speaks ABI {ABI}"),
            Reason::Claimed { claim, by } => {
                let others: Vec<_> = by.iter().map(|other| other.display().to_string()).collect();
                format!("plugins {path} and {} both claim {claim:?}", others.join(" and "))
            }
            Reason::NotLoadable(why) => format!("plugin {path} cannot be loaded: {why}"),
            Reason::Layout { built_with } => format!(
                "plugin {path} was built with SDK {sdk} (ABI crate {built_with}); its types differ from those of ABI {ABI} in this program"
            ),
            Reason::Contradiction(what) => format!("plugin {path} contradicts its own record: {what}"),
        }
    }

    /// What to do, in one line.
    pub fn remedy(&self) -> String {
        let name = self.record.as_ref().map(|record| record.name.as_str());
        let name = name.or_else(|| search::name_of(&self.path)).unwrap_or("?");
        let rebuild = format!("install a build of the plugin {name:?} made with SDK 1.x");
        match &self.reason {
            Reason::Unreadable(_) => "make the file readable for the user running this program".to_owned(),
            Reason::Distrusted(why) => why.remedy(),
            Reason::CutShort { .. } => "copy it there again, or remove it".to_owned(),
            Reason::NoRecord(_) => format!("remove the file, or {rebuild}"),
            Reason::Abi if self.record.as_ref().is_some_and(|record| record.abi > ABI) => {
                format!("{rebuild}, or a newer litestream-rs")
            }
            Reason::Claimed { .. } => "keep one of these files and remove the others".to_owned(),
            Reason::NotLoadable(_) => {
                format!("install a build of the plugin {name:?} for this system, and the libraries it needs")
            }
            Reason::Layout { .. } => format!("{rebuild}; the comparison of the types is in the log at level debug"),
            Reason::Abi | Reason::Contradiction(_) => rebuild,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what(), self.remedy())
    }
}

impl std::error::Error for Refusal {}

/// Why there is no plugin for a replica type. Shown as two lines.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PluginError {
    /// Nobody claims the type.
    #[error(
        "no plugin for the replica type {kind:?}{}\nput {} into one of {}, or name its directory with --plugin-dir",
        did_you_mean(.similar.as_deref()),
        search::file_name(kind).display(),
        list(.searched)
    )]
    Unknown {
        /// The type or URL scheme asked for.
        kind: String,
        /// The nearest type that some plugin serves.
        similar: Option<String>,
        /// Where plugins were looked for.
        searched: Vec<PathBuf>,
    },
    /// The file that would serve it is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

fn did_you_mean(similar: Option<&str>) -> String {
    similar.map(|similar| format!("; did you mean {similar:?}?")).unwrap_or_default()
}

fn list(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}
