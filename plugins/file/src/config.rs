//! Where a file replica lies: `path` or `url`, and the names that come of it on disk.
//!
//! `path` is raw. With `url` the reference writes the text of the URL itself, percent-encoded, so `file:///srv/re p`
//! is the directory `/srv/re%20p`. A directory's databases get their names escaped; a single database keeps the text as
//! it was written if it is legal in a URL, and that makes three spellings of one place. We write what the reference
//! writes, and offer the other two for reading.

use std::path::{Component, Path, PathBuf};

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{DbPath, Location, ReplicaPath, Result, ShownBytes, StorageError, options};

use crate::escape::{as_written, bad_escape, escape, unescape};

/// Extra of a location: where a single database is written.
const SINGLE: &str = "single";
/// Extra of a location: a further place where a single database may lie.
const ALSO: &str = "also";

options! {
    /// The keys of a file replica.
    pub struct FileOptions {
        /// Directory of the replica. `~` is the home directory; a relative path begins at the working directory.
        path: String = "", [location, not_with_url];
        /// The path of a replica URL, as it was written.
        url_path: String = "", [location, hidden];
        /// The home directory, for `~`.
        home: String = "", [location, hidden, env = "HOME"];
    }
}

/// Takes the path out of a URL. The host part counts as the first directory, as it does for the reference.
pub(crate) fn from_url(url: &Url, set: &mut Values) -> Result<()> {
    // First of all: a URL with a mistake is not also a missing path.
    set.offer("url-path", format!("/{}{}", url.authority(), url.raw_path), "url");
    if let Some((name, _)) = url.query.first() {
        return Err(StorageError::invalid_input(format!("a file url has no parameters, and `{name}` is one")));
    }
    if let Some(bad) = bad_escape(&url.raw_path) {
        return Err(StorageError::invalid_input(format!("invalid URL escape {bad:?}")));
    }
    Ok(())
}

/// Refuses a configuration that names no place.
pub(crate) fn check(options: &FileOptions, findings: &mut Findings) {
    if options.path.is_empty() && options.url_path.is_empty() {
        findings.problem("path", "file replica path required");
    }
}

/// The base on disk, absolute.
pub(crate) fn locate(options: &FileOptions) -> Result<Location> {
    if options.url_path.is_empty() {
        let path = absolute(&options.path, &options.home)?;
        return Ok(Location::new(ReplicaPath::clean(path.as_os_str().as_encoded_bytes())?));
    }
    let written = clean(Path::new(&options.url_path));
    let written = written.to_str().unwrap_or(&options.url_path);
    let (decoded, single) = (unescape(written), as_written(written));
    let escaped = escape(&decoded);
    let location = Location::new(ReplicaPath::clean(&escaped)?).with_extra(SINGLE, &single).with_extra(ALSO, &escaped);
    // A raw name that is no text or no path cannot be handed over; nobody can have written it by `path` either.
    let raw = String::from_utf8(decoded).ok().filter(|raw| ReplicaPath::clean(raw).is_ok());
    Ok(match raw {
        Some(raw) => location.with_extra(ALSO, raw),
        None => location,
    })
}

/// The place of one database.
pub(crate) fn resolve(at: &Location, db: &DbPath) -> Result<ReplicaPath> {
    match at.extra(SINGLE) {
        None => Ok(at.base.join(db)),
        Some(single) if db.is_empty() => ReplicaPath::clean(single),
        Some(_) => db.segments().try_fold(at.base.clone(), |path, segment| path.child(escape(segment))),
    }
}

/// As the reference expands paths: `~`, then the working directory, then `.` and `..` by their text.
fn absolute(path: &str, home: &str) -> Result<PathBuf> {
    let path = match path.strip_prefix('~') {
        Some(below) if below.is_empty() || below.starts_with('/') => {
            if home.is_empty() {
                return Err(StorageError::invalid_input("`~` cannot be expanded: HOME is not set"));
            }
            PathBuf::from(format!("{home}{below}"))
        }
        _ => PathBuf::from(path),
    };
    let whole = std::path::absolute(&path).map_err(|error| {
        StorageError::invalid_input(format!(
            "`{}` cannot be made absolute: {error}",
            ShownBytes(path.as_os_str().as_encoded_bytes())
        ))
    })?;
    Ok(clean(&whole))
}

/// Takes out `.`, `..`, doubled and trailing slashes of an absolute path, by the text alone.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}
