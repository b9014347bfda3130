//! Paths as users write them: `~`, relative, with a `sqlite://` in front.

use std::path::{Component, Path, PathBuf};

/// Text that cannot become a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot expand ~ path, no home directory available: {text}")]
pub struct ExpandPathError {
    text: String,
}

/// Makes `text` an absolute, clean path: a leading `sqlite3://` or `sqlite://` goes, `~` and `~/` become `home`, the
/// rest is relative to `directory`. No link is followed. The empty text is `directory`.
pub fn expand_path(text: &str, directory: &Path, home: Option<&Path>) -> Result<PathBuf, ExpandPathError> {
    let text = text.strip_prefix("sqlite3://").or_else(|| text.strip_prefix("sqlite://")).unwrap_or(text);
    let below_home = if text == "~" { Some("") } else { text.strip_prefix("~/") };
    let joined = match below_home {
        Some(rest) => home.ok_or_else(|| ExpandPathError { text: text.to_owned() })?.join(rest.trim_start_matches('/')),
        None => directory.join(text),
    };
    Ok(clean(&joined))
}

/// Takes out `.`, `..` and doubled slashes by the text alone, as Go's `filepath.Clean` does.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            component => cleaned.push(component),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each was run through the reference.
    #[test]
    fn follows_the_reference() {
        let expand = |text| expand_path(text, Path::new("/w/d"), Some(Path::new("/root"))).unwrap();
        for (text, path) in [
            ("a", "/w/d/a"),
            ("/a//b/../c/", "/a/c"),
            ("../../../..", "/"),
            ("", "/w/d"),
            ("~", "/root"),
            ("~/x", "/root/x"),
            ("~root/x", "/w/d/~root/x"),
            ("sqlite3://~/x/../y//z/", "/root/y/z"),
            ("sqlite:///a", "/a"),
            ("sqlite://sqlite3:///a", "/w/d/sqlite3:/a"),
            ("file:///a", "/w/d/file:/a"),
        ] {
            assert_eq!(expand(text), Path::new(path), "{text}");
        }
    }

    #[test]
    fn a_tilde_without_a_home_is_an_error() {
        assert!(expand_path("~/x", Path::new("/"), None).is_err());
        assert!(expand_path("x", Path::new("/"), None).is_ok());
    }
}
