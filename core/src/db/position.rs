//! The saved position: how far into which WAL the newest L0 file reaches, and how to recognise the database again.
//!
//! An LTX header alone is not enough (it holds no running checksum). The state file is written after each L0 file; it may
//! lag behind after a kill, and may be lost: the engine is then only more careful. It is bound to one L0 file by that
//! file's checksum, so that a history rewritten by another program is noticed.
//!
//! Two lines: a JSON object, and its CRC-64 in hex.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::meta::MetaDir;
use super::owner::Owner;
use super::stamp::{Identity, Stamp};
use crate::failpoint;
use crate::ltx::{FileChecksum, PageSize, Txid};
use crate::sqlite::{Salt, WalChecksum};

/// A place in a WAL: everything up to frame `frames` of generation `salt` is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WalPosition {
    /// The generation.
    pub salt: Salt,
    /// Frames copied of it.
    pub frames: u32,
    /// Running checksum after the last of them; means nothing if `frames` is 0.
    pub checksum: WalChecksum,
}

/// What we know about the database at the end of the newest L0 file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// How far the WAL is copied.
    pub wal: WalPosition,
    /// The file it was copied from.
    pub identity: Identity,
    /// Stamp of the database file at a moment when the file alone equalled everything copied, while our read lock was
    /// held; only if a later write is certain to change it.
    pub folded: Option<Stamp>,
    /// Page size of the database.
    pub page_size: PageSize,
    /// Pages in the database.
    pub commit: u32,
}

/// Which L0 file a position or a set of page checksums belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct L0Id {
    /// Its transaction.
    pub txid: Txid,
    /// The checksum in its trailer.
    pub checksum: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// The flat form of the state file. Field names are part of the format.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    txid: u64,
    ltx_checksum: u64,
    ltx_size: u64,
    salt: [u32; 2],
    frames: u32,
    checksum: [u32; 2],
    identity: (u64, u64, i64),
    folded: Option<(u64, u64, u64, i64, i64)>,
    page_size: u32,
    commit: u32,
}

const VERSION: u32 = 1;

impl Position {
    /// Replaces the state file. Not flushed: one that a crash of the machine damages is recognised as lost, which costs care
    /// and not data.
    pub(super) fn save(&self, meta: &MetaDir, l0: L0Id, owner: Option<&Owner<'_>>) -> io::Result<()> {
        let path = meta.position_path();
        let temporary = path.with_extension("position.tmp");
        // A database that is gone lends its owner to nobody.
        let mut file = owner.map_or_else(|| File::create(&temporary), |owner| owner.create_file(&temporary))?;
        file.write_all(&encode(&self.record(l0))?)?;
        drop(file);
        failpoint::around("position-rename", || fs::rename(&temporary, &path))
    }

    /// Reads the state file. `None`: missing, damaged, or of a newer program; all mean "lost".
    pub(super) fn load(meta: &MetaDir) -> io::Result<Option<(L0Id, Position)>> {
        Ok(read_if_present(&meta.position_path())?.as_deref().and_then(decode))
    }

    fn record(&self, l0: L0Id) -> Record {
        let Position { wal, identity, folded, page_size, commit } = self;
        Record {
            version: VERSION,
            txid: l0.txid.0,
            ltx_checksum: l0.checksum,
            ltx_size: l0.size,
            salt: [wal.salt.salt1, wal.salt.salt2],
            frames: wal.frames,
            checksum: [wal.checksum.s0, wal.checksum.s1],
            identity: (identity.dev, identity.ino, identity.birth_ns),
            folded: folded.map(|stamp| (stamp.dev, stamp.ino, stamp.size, stamp.mtime_ns, stamp.ctime_ns)),
            page_size: page_size.get(),
            commit: *commit,
        }
    }
}

fn encode(record: &Record) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(record)?;
    let checksum = crc(&bytes);
    bytes.extend_from_slice(format!("\n{checksum:016x}\n").as_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<(L0Id, Position)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (line, rest) = text.split_once('\n')?;
    let checksum = u64::from_str_radix(rest.strip_suffix('\n')?, 16).ok()?;
    if crc(line.as_bytes()) != checksum {
        return None;
    }
    let record: Record = serde_json::from_str(line).ok()?;
    let l0 = L0Id { txid: Txid(record.txid), checksum: record.ltx_checksum, size: record.ltx_size };
    if record.version != VERSION || !l0.txid.is_some() {
        return None;
    }
    let (dev, ino, birth_ns) = record.identity;
    let folded = record.folded.map(|(dev, ino, size, mtime_ns, ctime_ns)| Stamp { dev, ino, size, mtime_ns, ctime_ns });
    let position = Position {
        wal: WalPosition {
            salt: Salt { salt1: record.salt[0], salt2: record.salt[1] },
            frames: record.frames,
            checksum: WalChecksum { s0: record.checksum[0], s1: record.checksum[1] },
        },
        identity: Identity { dev, ino, birth_ns },
        folded,
        page_size: PageSize::new(record.page_size)?,
        commit: record.commit,
    };
    Some((l0, position))
}

fn crc(bytes: &[u8]) -> u64 {
    let mut checksum = FileChecksum::new();
    checksum.update(bytes);
    checksum.value()
}

fn read_if_present(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> (L0Id, Position) {
        let l0 = L0Id { txid: Txid(43), checksum: u64::MAX, size: 632 };
        let wal = WalPosition {
            salt: Salt { salt1: 0xa539_dfa0, salt2: u32::MAX },
            frames: 7,
            checksum: WalChecksum { s0: 1, s1: u32::MAX },
        };
        let stamp = Stamp { dev: 1, ino: u64::MAX, size: 8192, mtime_ns: -1, ctime_ns: i64::MAX };
        let identity = Identity { dev: 1, ino: u64::MAX, birth_ns: 1_795_000_000_123_456_789 };
        let position = Position { wal, identity, folded: Some(stamp), page_size: PageSize::MAX, commit: 4 };
        (l0, position)
    }

    #[test]
    fn a_saved_position_is_loaded_again() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let meta = MetaDir::new(directory.path());
        assert_eq!(Position::load(&meta).expect("missing is no error"), None);
        let (l0, position) = position();
        for position in [position.clone(), Position { folded: None, ..position }] {
            position.save(&meta, l0, None).expect("save");
            assert_eq!(Position::load(&meta).expect("load"), Some((l0, position)));
        }
    }

    #[test]
    fn every_damaged_byte_and_every_cut_makes_it_lost_and_never_wrong() {
        let (l0, position) = position();
        let good = encode(&position.record(l0)).expect("encode");
        assert!(decode(&good).is_some());
        for at in 0..good.len() {
            assert_eq!(decode(&good[..at]), None, "cut at {at}");
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert!(decode(&bytes).is_none_or(|loaded| loaded == (l0, position.clone())), "damaged at {at}");
        }
        let newer = Record { version: VERSION + 1, ..position.record(l0) };
        assert_eq!(decode(&encode(&newer).expect("encode")), None);
    }
}
