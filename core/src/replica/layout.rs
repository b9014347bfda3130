//! Where an LTX file lies on a replica: the one place that knows.
//!
//! | layout | object of level n | used by |
//! |---|---|---|
//! | ltx | `<path>/ltx/<n>/<name>`, n decimal | everything we begin; the reference on all but S3 and OSS |
//! | hex | `<path>/<nnnn>/<name>`, four hex digits | the reference on S3 and OSS |
//!
//! With an empty path the hex layout begins with a slash, `/0000/<name>`, as the reference writes it.

use litestream_sdk::{ObjectKey, ReplicaPath, Result};

use crate::config::LayoutChoice;
use crate::ltx::{FileName, Level};

/// One of the two ways to name objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `ltx/<n>/`
    #[default]
    Ltx,
    /// `<nnnn>/`
    Hex,
}

/// The layout of a replica key `layout`, if it does not depend on what the replica holds.
pub fn fixed(choice: LayoutChoice) -> Option<Layout> {
    match choice {
        LayoutChoice::Auto => None,
        LayoutChoice::Ltx => Some(Layout::Ltx),
        LayoutChoice::Hex => Some(Layout::Hex),
    }
}

impl Layout {
    /// The directory of all levels, if they have one of their own: what one recursive listing can cover.
    ///
    /// # Errors
    /// None for a valid path.
    pub fn levels_dir(self, path: &ReplicaPath) -> Result<Option<ReplicaPath>> {
        match self {
            Layout::Ltx => path.child("ltx").map(Some),
            Layout::Hex => Ok(None),
        }
    }

    /// The directory of one level.
    ///
    /// # Errors
    /// None for a valid path.
    pub fn level_dir(self, path: &ReplicaPath, level: Level) -> Result<ReplicaPath> {
        match self {
            Layout::Ltx => path.child("ltx")?.child(level.to_string()),
            Layout::Hex => {
                let base = if path.is_empty() { path.clone().with_absolute(true) } else { path.clone() };
                base.child(format!("{:04x}", level.number()))
            }
        }
    }

    /// The object of one file.
    ///
    /// # Errors
    /// None for a valid path.
    pub fn object(self, path: &ReplicaPath, level: Level, name: FileName) -> Result<ObjectKey> {
        self.level_dir(path, level)?.object(name.to_string())
    }

    /// The level of an object below [`Layout::levels_dir`], given as the text below it, and its file name.
    pub fn parse_below_levels(below: &[u8]) -> Option<(Level, FileName)> {
        let (level, name) = std::str::from_utf8(below).ok()?.split_once('/')?;
        let number: u8 = level.parse().ok()?;
        let level = Level::new(number).filter(|found| found.to_string() == level)?;
        Some((level, name.parse().ok()?))
    }
}

/// True for a segment that a layout puts below a replica path (`ltx`, `0000` to `0009`, the 0.3 `generations`): another
/// database's replica may not begin there.
pub fn layout_segment(segment: &[u8]) -> bool {
    let hex = |text: &[u8]| text.len() == 4 && text.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    segment == b"ltx" || segment == b"generations" || hex(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltx::Txid;

    fn key(layout: Layout, path: &str, level: u8) -> String {
        let path = ReplicaPath::parse(path).unwrap();
        let name = FileName::new(Txid(1), Txid(0x2b));
        layout.object(&path, Level::new(level).unwrap(), name).unwrap().to_string()
    }

    #[test]
    fn names_are_the_references() {
        let name = "0000000000000001-000000000000002b.ltx";
        assert_eq!(key(Layout::Ltx, "prod/a.db", 0), format!("prod/a.db/ltx/0/{name}"));
        assert_eq!(key(Layout::Ltx, "", 9), format!("ltx/9/{name}"));
        assert_eq!(key(Layout::Ltx, "/srv/r", 9), format!("/srv/r/ltx/9/{name}"));
        assert_eq!(key(Layout::Hex, "prod/a.db", 9), format!("prod/a.db/0009/{name}"));
        assert_eq!(key(Layout::Hex, "", 0), format!("/0000/{name}"));
    }

    #[test]
    fn foreign_objects_below_the_levels_are_not_ours() {
        let name = "0000000000000001-000000000000002b.ltx";
        assert!(Layout::parse_below_levels(format!("9/{name}").as_bytes()).is_some());
        for foreign in
            [format!("10/{name}"), format!("09/{name}"), format!("+1/{name}"), name.to_owned(), "0/x.ltx".into()]
        {
            assert_eq!(Layout::parse_below_levels(foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn segments_of_layouts_are_recognised() {
        assert!([&b"ltx"[..], b"generations", b"0000", b"00ff"].into_iter().all(layout_segment));
        assert!(![&b"ltx2"[..], b"a.db", b"00FF", b"000", b"00000"].into_iter().any(layout_segment));
    }
}
