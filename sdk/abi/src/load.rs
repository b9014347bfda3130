//! Opens a plugin library. Which file, and whether to trust it, is the host's business.

use crate::module::PluginModV1_Ref;
use abi_stable::library::{LibraryError, RootModule, lib_header_from_path};
use std::fmt;
use std::path::{Path, PathBuf};

/// Loads one library, checks the layout of every type it shares with this program, and gives its functions.
///
/// Loading runs the library's constructors: the caller has checked owner, mode and record before. The library stays
/// loaded for the life of the process. abi_stable resolves symbols lazily; a host that wants `RTLD_NOW` opens the file
/// itself first, and the two share one handle.
///
/// Not `RootModule::load_from_file`: that keeps one module per *type* in a global, so the second plugin of a process
/// would silently be the first.
///
/// # Errors
/// See [`LoadError`]; the file may then stay mapped, but nothing of it is used.
pub fn load(path: &Path) -> Result<PluginModV1_Ref, LoadError> {
    let error = |reason: Reason| LoadError { path: path.to_owned(), reason };
    let header = lib_header_from_path(path).map_err(|e| error(Reason::of_opening(e)))?;
    header.init_root_module::<PluginModV1_Ref>().map_err(|e| {
        let library = header.version_strings().version.as_str().to_owned();
        error(Reason::of_layout(e, library))
    })
}

/// Why a file is no usable plugin.
#[derive(Debug)]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a library file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The system's loader refused it: absent, another architecture, cut short, an unresolved symbol.
    NotOpenable {
        /// The loader's words.
        message: String,
    },
    /// A library, but not one of a litestream-rs plugin.
    NoHeader,
    /// Made with another abi_stable.
    OtherHeader {
        /// abi_stable's words.
        message: String,
    },
    /// A plugin of another ABI crate.
    OtherLayout {
        /// The version of the ABI crate in the library.
        library: String,
        /// The version of the ABI crate in this program.
        program: String,
        /// Thousands of lines for a developer: log them at debug, never print them.
        detail: String,
    },
    /// Its constructor failed or panicked.
    Failed {
        /// Its words.
        message: String,
    },
}

impl Reason {
    fn of_opening(error: LibraryError) -> Self {
        match error {
            LibraryError::OpenError { err, .. } => Self::NotOpenable { message: err.to_string() },
            LibraryError::GetSymbolError { .. } => Self::NoHeader,
            other => Self::OtherHeader { message: one_line(&other) },
        }
    }

    fn of_layout(error: LibraryError, library: String) -> Self {
        match error {
            LibraryError::RootModule { err, .. } => Self::Failed { message: err.to_string() },
            other => Self::OtherLayout {
                library,
                program: PluginModV1_Ref::VERSION_STRINGS.version.as_str().to_owned(),
                detail: other.to_string(),
            },
        }
    }
}

/// abi_stable's texts begin with an empty line and are set for a terminal.
fn one_line(error: &LibraryError) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.reason {
            Reason::NotOpenable { message } => write!(f, "cannot be opened as a library: {message}"),
            Reason::NoHeader => f.write_str("is a library, but not a litestream-rs plugin (it has no plugin header)"),
            Reason::OtherHeader { message } => write!(f, "has a plugin header of another kind: {message}"),
            Reason::OtherLayout { library, program, .. } => write!(
                f,
                "was built with ABI crate {library}, whose types differ from those of this program (ABI crate {program})"
            ),
            Reason::Failed { message } => write!(f, "failed to start: {message}"),
        }
    }
}

impl std::error::Error for LoadError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("litestream-abi-load-{}-{}", std::process::id(), bytes.len()));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let absent = load(Path::new("/does/not/exist.so")).map(|_| ()).unwrap_err();
        assert!(matches!(absent.reason, Reason::NotOpenable { .. }));
        assert!(absent.to_string().starts_with("/does/not/exist.so: cannot be opened as a library: "), "{absent}");

        let text = file_with(b"not a library");
        let refused = load(&text).map(|_| ()).unwrap_err();
        std::fs::remove_file(&text).unwrap();
        assert!(matches!(refused.reason, Reason::NotOpenable { .. }), "{refused}");
    }
}
