//! WAL files made by hand, for what no SQLite on this machine writes.

use std::path::Path;

use litestream_core::ltx::Pgno;
use litestream_core::sqlite::{
    ByteOrder, FRAME_HEADER_LEN, FrameHeader, WAL_HEADER_LEN, WalChecksum, WalHeader, frame_len, frame_offset,
};

/// A frame without what is computed.
#[derive(Clone, Debug)]
pub struct Frame {
    pub pgno: u32,
    pub commit: u32,
    pub page: Vec<u8>,
}

/// The header and the valid frames of a WAL file.
pub fn read(path: &Path) -> (WalHeader, Vec<Frame>) {
    let bytes = std::fs::read(path).expect("read wal");
    let header = WalHeader::parse(bytes[..WAL_HEADER_LEN].try_into().expect("32 bytes")).expect("wal header");
    let (mut sum, mut frames) = (header.checksum, Vec::new());
    for bytes in bytes[WAL_HEADER_LEN..].chunks_exact(frame_len(header.page_size) as usize) {
        let (head, page) = bytes.split_at(FRAME_HEADER_LEN);
        let frame = FrameHeader::parse(head.try_into().expect("24 bytes"));
        if !frame.follows(header.order, header.salt, sum, page) {
            break;
        }
        sum = frame.checksum;
        frames.push(Frame { pgno: frame.pgno.0, commit: frame.commit, page: page.to_vec() });
    }
    (header, frames)
}

/// Writes a WAL file anew, with checksums in the given byte order.
pub fn write(path: &Path, header: &WalHeader, order: ByteOrder, frames: &[Frame]) {
    let mut bytes = WalHeader { order, ..*header }.to_bytes().to_vec();
    let mut sum = WalChecksum::from_be_bytes(bytes[24..].try_into().expect("8 bytes"));
    for frame in frames {
        sum = push(&mut bytes, header, order, sum, frame);
    }
    std::fs::write(path, bytes).expect("write wal");
}

/// Appends valid frames behind the newest commit, as a writer does before it publishes them. Nobody is told.
pub fn append_unpublished(path: &Path, more: &[Frame]) {
    let (header, frames) = read(path);
    let mut bytes = std::fs::read(path).expect("read wal");
    let end = frame_offset(frames.len() as u32, header.page_size) as usize;
    let last = end - frame_len(header.page_size) as usize;
    let mut sum = WalChecksum::from_be_bytes(bytes[last + 16..last + 24].try_into().expect("8 bytes"));
    bytes.truncate(end);
    for frame in more {
        sum = push(&mut bytes, &header, header.order, sum, frame);
    }
    // In place: the engine holds the file open.
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().write(true).open(path).expect("open wal");
    file.write_all_at(&bytes[end..], end as u64).expect("write wal");
}

fn push(bytes: &mut Vec<u8>, header: &WalHeader, order: ByteOrder, sum: WalChecksum, frame: &Frame) -> WalChecksum {
    let mut head = FrameHeader {
        pgno: Pgno(frame.pgno),
        commit: frame.commit,
        salt: header.salt,
        checksum: WalChecksum::default(),
    };
    head.checksum = head.expected_checksum(order, sum, &frame.page);
    bytes.extend_from_slice(&head.to_bytes());
    bytes.extend_from_slice(&frame.page);
    head.checksum
}
