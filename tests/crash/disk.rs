//! What a power cut may do to local state that was not made safe by an fsync, and what has to be whole whatever happened.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fastrand::Rng;
use litestream_core::ltx::{self, FileName};

use crate::harness::files_below;

/// Loses one thing, or nothing. `l0_too`: also an L0 file, which is synced, so that only a lying disk can lose it.
pub fn lose_something(random: &mut Rng, meta: &Path, ledger: &Path, l0_too: bool) {
    match random.u8(..7) {
        0 => truncate(&meta.join("litestream-rs.position"), 0),
        1 => {
            let len = fs::metadata(ledger).map_or(0, |metadata| metadata.len());
            truncate(ledger, random.u64(..=len));
        }
        2 => {
            let path = meta.join("litestream-rs.pages");
            let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            truncate(&path, random.u64(..=len));
        }
        3 if l0_too => {
            if let Some((newest, _)) = newest_l0(meta) {
                truncate(&newest, 0);
            }
        }
        4 if meta.join("ltx/0").is_dir() => fs::write(meta.join("ltx/0/0000000000000001.ltx.tmp"), b"half").unwrap(),
        5 => keep_or_put_back(&meta.join("litestream-rs.position")),
        // Its WAL may be of another time then.
        6 => keep_or_put_back(ledger),
        _ => {}
    }
}

/// What was never made safe: the old content is there again.
fn keep_or_put_back(now: &Path) {
    let kept = now.with_extension("kept");
    if kept.exists() {
        fs::rename(&kept, now).unwrap();
    } else if now.exists() {
        fs::copy(now, &kept).unwrap();
    }
}

/// The newest local L0 file, and when it was written: numbers are given again if nobody saw them before they were lost.
pub fn newest_l0(meta: &Path) -> Option<(PathBuf, SystemTime)> {
    let names = fs::read_dir(meta.join("ltx/0")).ok()?.map(|entry| entry.unwrap().path());
    let newest = names.filter(|path| path.extension().is_some_and(|extension| extension == "ltx")).max()?;
    let modified = fs::metadata(&newest).ok()?.modified().unwrap();
    Some((newest, modified))
}

fn truncate(path: &Path, len: u64) {
    if let Ok(file) = File::options().write(true).open(path) {
        file.set_len(len).unwrap();
    }
}

/// What the program should have removed.
pub fn temporary_files(meta: &Path) -> Vec<PathBuf> {
    let is_temporary = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "tmp");
    files_below(meta).into_keys().filter(is_temporary).collect()
}

/// Fails unless every LTX file below a directory is whole and is what its name says.
pub fn verify_all(root: &Path) {
    for relative in files_below(root).into_keys() {
        let name = relative.file_name().unwrap().to_str().unwrap();
        let Ok(name) = name.parse::<FileName>() else { continue };
        let path = root.join(&relative);
        let verified = ltx::verify(File::open(&path).unwrap(), Some(name));
        verified.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
