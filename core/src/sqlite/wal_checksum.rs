//! The running checksum of a WAL: each frame's covers everything before it in its generation.
//!
//! Over pairs of 32-bit words in the byte order the WAL's magic names, wrapping: `s0 += a + s1; s1 += b + s0`.
//! Each addition waits for the one before; that, not the loads, limits its speed.

/// How the checksummed words are stored. Everything else in a WAL is big-endian in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Written on a little-endian machine: nearly always.
    Little,
    /// Written on a big-endian machine.
    Big,
}

impl ByteOrder {
    /// This machine's, which SQLite uses for the wal-index and for new WAL files.
    pub const NATIVE: ByteOrder = if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big };
}

/// State of the running checksum. The default is where a WAL header starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WalChecksum {
    /// First word.
    pub s0: u32,
    /// Second word.
    pub s1: u32,
}

impl WalChecksum {
    /// The state after `bytes`. SQLite only ever sums multiples of 8; a shorter rest is left out.
    #[must_use]
    pub fn updated(self, order: ByteOrder, bytes: &[u8]) -> WalChecksum {
        match order {
            ByteOrder::Little => self.fold(bytes, u32::from_le_bytes),
            ByteOrder::Big => self.fold(bytes, u32::from_be_bytes),
        }
    }

    fn fold(self, bytes: &[u8], word: impl Fn([u8; 4]) -> u32) -> WalChecksum {
        let (pairs, _) = bytes.as_chunks::<8>();
        let (mut s0, mut s1) = (self.s0, self.s1);
        for &[a, b, c, d, e, f, g, h] in pairs {
            s0 = s0.wrapping_add(word([a, b, c, d])).wrapping_add(s1);
            s1 = s1.wrapping_add(word([e, f, g, h])).wrapping_add(s0);
        }
        WalChecksum { s0, s1 }
    }

    /// From the 8 bytes of a WAL header or frame header, where it is big-endian.
    pub fn from_be_bytes(bytes: [u8; 8]) -> WalChecksum {
        let [a, b, c, d, e, f, g, h] = bytes;
        WalChecksum { s0: u32::from_be_bytes([a, b, c, d]), s1: u32::from_be_bytes([e, f, g, h]) }
    }

    /// As a WAL stores it.
    pub fn to_be_bytes(self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.s0.to_be_bytes(), self.s1.to_be_bytes());
        [a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_definition_in_both_byte_orders() {
        let bytes = [1, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0];
        let sum = WalChecksum::default().updated(ByteOrder::Little, &bytes);
        // (0,0) -> s0 = 1, s1 = 2 + 1 = 3 -> s0 = 1 + 0xffffffff + 3 = 3, s1 = 3 + 3 + 3 = 9
        assert_eq!(sum, WalChecksum { s0: 3, s1: 9 });
        let swapped: Vec<u8> = bytes.chunks(4).flat_map(|word| word.iter().rev().copied()).collect();
        assert_eq!(WalChecksum::default().updated(ByteOrder::Big, &swapped), sum);
    }

    #[test]
    fn continues_where_it_stopped_and_ignores_half_a_pair() {
        let bytes: Vec<u8> = (0..=255).collect();
        let whole = WalChecksum::default().updated(ByteOrder::Little, &bytes);
        let (first, rest) = bytes.split_at(72);
        assert_eq!(WalChecksum::default().updated(ByteOrder::Little, first).updated(ByteOrder::Little, rest), whole);
        assert_eq!(whole.updated(ByteOrder::Little, &[9; 7]), whole);
        assert_eq!(WalChecksum::from_be_bytes(whole.to_be_bytes()), whole);
    }
}
