//! The last 16 bytes of every LTX file. Both fields big-endian.
//!
//! | offset from the end | size | field | |
//! |---|---|---|---|
//! | -16 | 8 | post_apply_checksum | 0 unless checksums of the database are kept |
//! | -8 | 8 | file_checksum | bit 63 always set; covers everything before it, pages uncompressed |

/// Bytes of an encoded trailer.
pub const TRAILER_LEN: usize = 16;

/// What closes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Checksum of the database after this file, 0 where none is kept.
    pub post_apply_checksum: u64,
    /// Checksum of the file's logical content.
    pub file_checksum: u64,
}

impl Trailer {
    /// Decodes; the rules about it need the header and the content, so they are the decoder's.
    pub fn parse(bytes: &[u8; TRAILER_LEN]) -> Trailer {
        let (post, file) = bytes.split_at(8);
        let field = |half: &[u8]| u64::from_be_bytes(half.try_into().expect("half of 16 bytes is 8"));
        Trailer { post_apply_checksum: field(post), file_checksum: field(file) }
    }

    /// Encodes.
    pub fn to_bytes(self) -> [u8; TRAILER_LEN] {
        let mut bytes = [0; TRAILER_LEN];
        bytes[..8].copy_from_slice(&self.post_apply_checksum.to_be_bytes());
        bytes[8..].copy_from_slice(&self.file_checksum.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let trailer = Trailer { post_apply_checksum: 1, file_checksum: 0x8000_0000_0000_0002 };
        assert_eq!(trailer.to_bytes()[7..9], [1, 0x80]);
        assert_eq!(Trailer::parse(&trailer.to_bytes()), trailer);
    }
}
