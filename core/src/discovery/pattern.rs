//! Which names a directory entry takes: `pattern` and `exclude`.
//!
//! A pattern without `/` is Go's `filepath.Match` against the base name, byte for byte, because existing
//! configuration files were written for it: `!` does not negate, `{` is a character, a leading dot is not special.
//! The reference never matches anything with a pattern that holds a `/`; such a pattern means the path below the
//! entry's directory here, in globset's dialect (`**`, `{a,b}`, `[!a]`).
//!
//! Syntax is judged once, when the pattern is read, and never touches the file system.

mod name;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use self::name::NamePattern;

/// A pattern that cannot be read. The text is Go's, which users know from the reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct PatternError {
    /// The pattern as written.
    pub pattern: String,
}

/// One compiled `pattern` or `exclude` entry.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    Name(NamePattern),
    Path(GlobMatcher),
}

impl Pattern {
    /// Reads a pattern. An error is always reported, also where the reference would only meet it by chance.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let error = || PatternError { pattern: text.to_owned() };
        let matcher = if text.contains('/') {
            let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
            Matcher::Path(glob.map_err(|_| error())?.compile_matcher())
        } else {
            Matcher::Name(NamePattern::parse(text.as_bytes()).ok_or_else(error)?)
        };
        Ok(Pattern { text: text.to_owned(), matcher })
    }

    /// True if the pattern names paths, so that it can only find something below subdirectories it may enter.
    pub fn is_path_pattern(&self) -> bool {
        matches!(self.matcher, Matcher::Path(_))
    }

    /// Whether `directory/name` is meant; `directory` is relative to the entry's directory and empty at its top.
    pub fn matches(&self, directory: &Path, name: &OsStr) -> bool {
        match &self.matcher {
            Matcher::Name(pattern) => pattern.matches(name.as_bytes()),
            Matcher::Path(glob) => glob.is_match(directory.join(name)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let path = Path::new(path);
        let name = path.file_name().expect("test paths have a name");
        Pattern::parse(pattern).unwrap().matches(path.parent().unwrap_or(Path::new("")), name)
    }

    #[test]
    fn a_pattern_without_a_slash_sees_only_the_base_name() {
        assert!(matches("*.db", "team/a.db"));
        assert!(matches("*.db", ".dot.db"));
        assert!(!matches("team*", "team/a.db"));
    }

    #[test]
    fn a_pattern_with_a_slash_sees_the_relative_path() {
        assert!(matches("team/*.db", "team/a.db"));
        assert!(!matches("team/*.db", "team/x/a.db"), "one star must not cross a directory");
        assert!(matches("**/*.db", "a.db"));
        assert!(matches("**/*.db", "x/y/a.db"));
        assert!(matches("{a,b}/[!x].db", "b/y.db"));
        assert!(!matches("{a,b}/[!x].db", "b/x.db"));
    }

    #[test]
    fn names_that_are_not_utf8_can_match() {
        let name = OsStr::from_bytes(b"caf\xe9.db");
        assert!(Pattern::parse("*.db").unwrap().matches(Path::new(""), name));
        assert!(Pattern::parse("**/*.db").unwrap().matches(Path::new("x"), name));
    }

    #[test]
    fn a_bad_pattern_is_refused_even_where_nothing_would_be_matched_with_it() {
        for bad in ["[a", "[", "a[]", "[]a]", "[-]", "\\", "a\\", "[a-]", "s/[a"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(Pattern::parse("[a").unwrap_err().to_string(), "syntax error in pattern");
    }
}
