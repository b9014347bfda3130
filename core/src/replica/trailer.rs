//! The identity of a local LTX file: its last bytes, the checksum of everything before.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::ltx::TRAILER_LEN;

/// The trailer of a local file, to compare with [`ReplicaClient::trailer`](super::ReplicaClient::trailer). Blocks.
///
/// # Errors
/// The file cannot be read, or is shorter than a trailer.
pub fn local_trailer(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let start = size.checked_sub(TRAILER_LEN as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut trailer = vec![0; TRAILER_LEN];
    file.read_exact_at(&mut trailer, start)?;
    Ok(trailer)
}
