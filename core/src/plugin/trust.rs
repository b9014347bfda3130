//! Whose code may run here. Loading a library is running it, so the file and the directories it was found in must be
//! in the hands of root or of the user we run as, and of nobody else.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a file or directory is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// A third person's.
    #[error("{} belongs to user {owner}, who is neither root nor the user running this program ({running})", path.display())]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// Our user id.
        running: u32,
    },
    /// Others may change it.
    #[error("{} can be written by {who} (mode {mode:04o})", path.display())]
    Writable {
        /// The file or directory.
        path: PathBuf,
        /// `its group` or `everybody`.
        who: &'static str,
        /// Permission bits.
        mode: u32,
    },
}

impl Distrust {
    /// What makes it trusted.
    pub fn remedy(&self) -> String {
        match self {
            Distrust::Owner { path, .. } => {
                format!("if you trust it, make it yours or root's: chown root {}", path.display())
            }
            Distrust::Writable { path, .. } => {
                format!("if you trust what is there now: chmod go-w {}", path.display())
            }
        }
    }
}

/// Judges one file or directory.
pub(super) fn check(path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
    let (owner, running, mode) = (metadata.uid(), rustix::process::geteuid().as_raw(), metadata.mode() & 0o7777);
    if owner != 0 && owner != running {
        return Err(Distrust::Owner { path: path.to_owned(), owner, running });
    }
    let who = match mode & 0o022 {
        0 => return Ok(()),
        0o020 => "its group",
        _ => "everybody",
    };
    Err(Distrust::Writable { path: path.to_owned(), who, mode })
}

/// A plugin file, open, with its links resolved and its place judged.
pub(super) struct Candidate {
    /// Absolute, without links: what is given to the loader.
    pub path: PathBuf,
    pub file: File,
    pub metadata: Metadata,
    /// The first objection, if any.
    pub distrust: Option<Distrust>,
}

impl Candidate {
    /// Tells two names of one file from two files.
    pub fn identity(&self) -> (u64, u64) {
        (self.metadata.dev(), self.metadata.ino())
    }
}

/// Follows links, opens the file and judges it and the directory it really lies in.
pub(super) fn inspect(path: &Path) -> io::Result<Candidate> {
    let path = fs::canonicalize(path)?;
    let file = File::open(&path)?;
    let metadata = file.metadata()?;
    let mut distrust = check(&path, &metadata).err();
    if let Some(parent) = path.parent()
        && distrust.is_none()
    {
        distrust = check(parent, &fs::metadata(parent)?).err();
    }
    Ok(Candidate { path, file, metadata, distrust })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with_mode(path: &Path, mode: u32) -> Option<Distrust> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        check(path, &fs::metadata(path).unwrap()).err()
    }

    #[test]
    fn what_others_may_write_is_refused_with_the_command_that_helps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        fs::write(&path, b"").unwrap();
        for mode in [0o600, 0o644, 0o755, 0o444] {
            assert_eq!(with_mode(&path, mode), None, "{mode:o}");
        }
        for (mode, who) in [(0o664, "its group"), (0o666, "everybody"), (0o602, "everybody"), (0o775, "its group")] {
            let distrust = with_mode(&path, mode).expect("it is writable by others");
            assert!(distrust.to_string().contains(who), "{distrust}");
            assert_eq!(distrust.remedy(), format!("if you trust what is there now: chmod go-w {}", path.display()));
        }
    }

    #[test]
    fn the_real_place_of_a_linked_file_is_judged() {
        let (open, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (target, link) = (open.path().join("real.so"), own.path().join("link.so"));
        fs::write(&target, b"").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert_eq!(inspect(&link).unwrap().distrust, None);
        fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(inspect(&link).unwrap().distrust, Some(Distrust::Writable { .. })));
    }

    #[test]
    fn a_third_persons_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        fs::write(&path, b"").unwrap();
        // Only root can give a file away.
        if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
            eprintln!("skipped: not root");
            return;
        }
        let distrust = check(&path, &fs::metadata(&path).unwrap()).unwrap_err();
        assert!(distrust.to_string().contains("user 12345"), "{distrust}");
    }
}
