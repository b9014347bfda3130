//! Paths that cannot be wrong: validated once, at the edge, and never checked again.
//!
//! All three types hold bytes, because file names are bytes. A segment is not empty, not `.` or `..`, and has neither
//! `/` nor NUL; every other byte is legal, also control characters, `\` and bytes that are not UTF-8. One leading `/`
//! may be kept ("absolute"): SFTP and WebDAV tell `/abs` from `rel`, and the reference's S3 writes the key
//! `/0000/...` when the configured path is empty.
//!
//! What a segment *means* (percent-encoding, drive letters, levels) is not known here.

use crate::error::{Result, StorageError};
use std::fmt;

const NOT_UTF8: &str = "is not UTF-8, which this storage needs in every name";

fn check_segment(segment: &[u8]) -> Result<()> {
    if !matches!(segment, b"" | b"." | b"..") && !segment.contains(&b'/') && !segment.contains(&0) {
        return Ok(());
    }
    let shown = ShownBytes(segment);
    Err(StorageError::invalid_input(format!(
        "`{shown}` is not a path segment: it must not be empty, `.` or `..`, nor hold `/` or NUL"
    )))
}

/// Checks the text of a whole path, which may begin with one slash.
fn check(text: &[u8]) -> Result<()> {
    let relative = text.strip_prefix(b"/").unwrap_or(text);
    if relative.is_empty() {
        return Ok(());
    }
    let wrong = relative.split(|byte| *byte == b'/').try_for_each(check_segment);
    wrong.map_err(|error| error.context(format!("path `{}`", ShownBytes(text))))
}

/// Splits off a leading slash and checks what is left.
fn checked(text: &[u8]) -> Result<Box<[u8]>> {
    check(text)?;
    Ok(text.into())
}

/// Shows any bytes to people: UTF-8 as it is; control characters and bytes that are not UTF-8 as `\xNN`.
#[derive(Clone, Copy)]
pub struct ShownBytes<'a>(
    /// What to show.
    pub &'a [u8],
);

impl fmt::Display for ShownBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    let mut buffer = [0; 4];
                    escape(character.encode_utf8(&mut buffer).as_bytes(), f)?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            escape(chunk.invalid(), f)?;
        }
        Ok(())
    }
}

fn escape(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

macro_rules! path_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// Segments joined by `/`, after one `/` if absolute. Checked by every constructor.
            text: Box<[u8]>,
        }

        impl $name {
            /// The text form: segments joined by `/`, with one leading `/` if absolute.
            pub fn as_bytes(&self) -> &[u8] {
                &self.text
            }

            /// The text form as it is kept, without a copy.
            pub fn into_bytes(self) -> Vec<u8> {
                self.text.into_vec()
            }

            /// The text form for a storage whose names are UTF-8.
            ///
            /// # Errors
            /// INVALID_INPUT with a sentence for the user when a name is not UTF-8.
            pub fn to_utf8(&self) -> Result<&str> {
                std::str::from_utf8(&self.text).map_err(|_| StorageError::invalid_input(format!("`{self}` {NOT_UTF8}")))
            }

            /// Whether the text begins with `/`.
            pub fn is_absolute(&self) -> bool {
                self.text.first() == Some(&b'/')
            }

            /// The text without the leading slash.
            pub fn relative_bytes(&self) -> &[u8] {
                self.text.strip_prefix(b"/").unwrap_or(&self.text)
            }

            /// The segments, first to last; none for an empty path.
            pub fn segments(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
                self.relative_bytes().split(|byte| *byte == b'/').filter(|segment| !segment.is_empty())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                ShownBytes(&self.text).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{self}`")
            }
        }
    };
}

path_type! {
    /// A database's path below its configured directory. Relative; empty for a single database.
    #[derive(Default)]
    DbPath
}

path_type! {
    /// Where the replica of one database begins inside a store (a bucket, a server, a file system), or a configured
    /// base above it. May be empty, may be absolute.
    #[derive(Default)]
    ReplicaPath
}

path_type! {
    /// The name of one object inside a store. Never empty.
    ObjectKey
}

impl DbPath {
    /// Takes a relative path as it is; empty is the single database.
    ///
    /// # Errors
    /// INVALID_INPUT for an absolute path or a segment that is none.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self> {
        let text = text.as_ref();
        if text.first() == Some(&b'/') {
            let shown = ShownBytes(text);
            return Err(StorageError::invalid_input(format!(
                "database path `{shown}` must be relative to its directory"
            )));
        }
        Ok(Self { text: checked(text)? })
    }

    /// Whether this is the single database of an entry without a directory.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl ReplicaPath {
    /// Takes a path as it is, and refuses what is not clean. For text from a configuration use [`ReplicaPath::clean`].
    ///
    /// # Errors
    /// INVALID_INPUT for an empty segment, `.`, `..` or NUL.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self> {
        Ok(Self { text: checked(text.as_ref())? })
    }

    /// Takes configured text: drops `//`, `.` and a trailing slash, keeps a leading one.
    ///
    /// # Errors
    /// INVALID_INPUT for `..` (a path must not lead out of its base) and NUL.
    pub fn clean(text: impl AsRef<[u8]>) -> Result<Self> {
        let text = text.as_ref();
        let segments = text.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty() && *segment != b".");
        let joined = segments.collect::<Vec<_>>().join(&b'/');
        Self::parse(joined).map(|path| path.with_absolute(text.first() == Some(&b'/')))
    }

    /// Whether there is no segment (an absolute path may be `/` and empty).
    pub fn is_empty(&self) -> bool {
        self.relative_bytes().is_empty()
    }

    /// The same path with or without its leading slash.
    pub fn with_absolute(self, absolute: bool) -> Self {
        match (self.is_absolute(), absolute) {
            (false, true) => Self { text: [b"/", &*self.text].concat().into() },
            (true, false) => Self { text: self.relative_bytes().into() },
            _ => self,
        }
    }

    /// `self/db`: the place of one database below this base.
    pub fn join(&self, db: &DbPath) -> Self {
        self.extend(&db.text)
    }

    /// `self/segment`.
    ///
    /// # Errors
    /// INVALID_INPUT if `segment` is not one segment.
    pub fn child(&self, segment: impl AsRef<[u8]>) -> Result<Self> {
        check_segment(segment.as_ref())?;
        Ok(self.extend(segment.as_ref()))
    }

    /// Rewrites each segment, for stores whose names need an encoding.
    ///
    /// # Errors
    /// INVALID_INPUT if the rewritten text is not a segment.
    pub fn map(&self, mut rewrite: impl FnMut(&[u8]) -> Vec<u8>) -> Result<Self> {
        let segments: Vec<Vec<u8>> = self.segments().map(&mut rewrite).collect();
        segments.iter().try_for_each(|segment| check_segment(segment))?;
        Self::parse(segments.join(&b'/')).map(|path| path.with_absolute(self.is_absolute()))
    }

    /// `self/below`: an object inside this place. `below` may have several segments.
    ///
    /// # Errors
    /// INVALID_INPUT if `below` is empty, absolute or not a path.
    pub fn object(&self, below: impl AsRef<[u8]>) -> Result<ObjectKey> {
        let below = DbPath::parse(below)?;
        if below.is_empty() {
            return Err(StorageError::invalid_input("an object name is never empty"));
        }
        Ok(ObjectKey { text: self.extend(&below.text).text })
    }

    /// Whether `other` is this path or lies below it, segment by segment (`a` does not contain `ab`).
    pub fn contains(&self, other: &ReplicaPath) -> bool {
        if self.text.is_empty() {
            return true;
        }
        match other.text.strip_prefix(&*self.text) {
            Some(rest) => rest.is_empty() || rest[0] == b'/' || self.is_empty(),
            None => false,
        }
    }

    fn extend(&self, more: &[u8]) -> Self {
        let slash: &[u8] = if self.is_empty() || more.is_empty() { b"" } else { b"/" };
        Self { text: [&*self.text, slash, more].concat().into() }
    }
}

impl ObjectKey {
    /// Takes a name as it is.
    ///
    /// # Errors
    /// INVALID_INPUT for an empty name, an empty segment, `.`, `..` or NUL. In a listing such a name belongs to
    /// somebody else: leave it out, and go on.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self> {
        Self::from_vec(text.as_ref().to_vec())
    }

    /// As [`ObjectKey::parse`], without a copy.
    pub(crate) fn from_vec(text: Vec<u8>) -> Result<Self> {
        check(&text)?;
        if matches!(text.as_slice(), b"" | b"/") {
            return Err(StorageError::invalid_input("an object name is never empty"));
        }
        Ok(Self { text: text.into() })
    }

    /// Of bytes that are known to be a key: those of another one, or of the host, which has none but keys to send.
    pub(crate) fn from_key(text: Vec<u8>) -> Self {
        debug_assert!(check(&text).is_ok() && !matches!(text.as_slice(), b"" | b"/"));
        Self { text: text.into() }
    }

    /// The part below `prefix`, or `None` if the object is not there. The empty relative prefix holds every object,
    /// and gives an absolute name with its slash.
    pub fn below(&self, prefix: &ReplicaPath) -> Option<&[u8]> {
        let rest = self.text.strip_prefix(&*prefix.text)?;
        if prefix.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
    }

    /// The last segment.
    pub fn name(&self) -> &[u8] {
        self.segments().next_back().unwrap_or_default()
    }

    /// The directory that holds the object; empty for a top-level one.
    pub fn parent(&self) -> ReplicaPath {
        let absolute = usize::from(self.is_absolute());
        let end = self.text.iter().rposition(|byte| *byte == b'/').unwrap_or(0).max(absolute);
        ReplicaPath { text: self.text[..end].into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(text: &str) -> ReplicaPath {
        ReplicaPath::parse(text).unwrap()
    }

    #[test]
    fn refuses_segments_that_lead_elsewhere() {
        for bad in ["a//b", "a/", "./a", "a/..", "..", "a/./b", "a\0b", "//a"] {
            assert!(ReplicaPath::parse(bad).is_err(), "{bad:?} was accepted");
            assert!(ObjectKey::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(ObjectKey::parse("").is_err() && ObjectKey::parse("/").is_err());
        assert!(DbPath::parse("/a").is_err());
    }

    #[test]
    fn accepts_every_other_byte() {
        for good in [&b"a b"[..], b"c%2Fd", b"\\", b"\x01", b"\xff\xfe", b"...", b"-", "ü".as_bytes()] {
            assert_eq!(ObjectKey::parse(good).unwrap().as_bytes(), good);
        }
    }

    #[test]
    fn cleans_configured_text() {
        for (text, cleaned) in [("a//b/", "a/b"), ("./a/./", "a"), ("//a", "/a"), ("", ""), ("/", "/"), (".", "")] {
            assert_eq!(ReplicaPath::clean(text).unwrap(), replica(cleaned), "{text}");
        }
        assert!(ReplicaPath::clean("a/../b").is_err());
    }

    #[test]
    fn joins_without_doubled_slashes() {
        let db = DbPath::parse("team/a.db").unwrap();
        for (base, whole) in [("", "team/a.db"), ("/", "/team/a.db"), ("p", "p/team/a.db"), ("/p/q", "/p/q/team/a.db")]
        {
            assert_eq!(replica(base).join(&db), replica(whole));
            assert_eq!(replica(base).join(&DbPath::default()), replica(base));
        }
        assert_eq!(replica("/").object("0000/x").unwrap().to_string(), "/0000/x");
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let key = ObjectKey::parse("p/ab/x").unwrap();
        assert_eq!(key.below(&replica("p")), Some(&b"ab/x"[..]));
        assert_eq!(key.below(&replica("p/a")), None);
        assert_eq!(key.below(&replica("")), Some(&b"p/ab/x"[..]));
        assert_eq!(key.below(&replica("/")), None);
        assert_eq!(ObjectKey::parse("/p/x").unwrap().below(&replica("/")), Some(&b"p/x"[..]));
        assert!(replica("p").contains(&replica("p/ab")) && replica("p").contains(&replica("p")));
        assert!(!replica("p/a").contains(&replica("p/ab")) && replica("").contains(&replica("/x")));
        assert!(replica("/").contains(&replica("/x")) && !replica("/").contains(&replica("x")));
    }

    #[test]
    fn knows_name_and_parent() {
        for (key, parent, name) in [("a", "", "a"), ("/a", "/", "a"), ("a/b/c", "a/b", "c"), ("/a/b", "/a", "b")] {
            let key = ObjectKey::parse(key).unwrap();
            assert_eq!((key.parent(), key.name()), (replica(parent), name.as_bytes()));
        }
    }

    #[test]
    fn shows_odd_bytes_readably() {
        assert_eq!(ObjectKey::parse(b"\xffa\tb\x7fc").unwrap().to_string(), "\\xffa\\x09b\\x7fc");
        let error = DbPath::parse(b"\xff.db").unwrap().to_utf8().unwrap_err();
        assert_eq!(error.message, "`\\xff.db` is not UTF-8, which this storage needs in every name");
    }

    #[test]
    fn rewrites_segments_and_keeps_the_slash() {
        let path = replica("/a b/c").map(|s| s.iter().map(|b| if *b == b' ' { b'_' } else { *b }).collect()).unwrap();
        assert_eq!(path, replica("/a_b/c"));
        assert!(replica("a").map(|_| b"..".to_vec()).is_err());
    }
}
