//! Unsigned LEB128, as Go's `binary.Uvarint`: seven bits a byte, low group first, top bit set on all but the last.

/// Longest encoding of a 64-bit number.
pub(super) const MAX_LEN: usize = 10;

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number a byte at a time.
#[derive(Default)]
pub(super) struct Reader {
    value: u64,
    len: usize,
}

/// More than 10 bytes, or more than 64 bits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Reader {
    /// Takes the next byte; `Some` with the last one.
    pub(super) fn take(&mut self, byte: u8) -> Result<Option<u64>, Overflow> {
        if self.len == MAX_LEN - 1 && byte > 1 {
            return Err(Overflow);
        }
        self.value |= u64::from(byte & 0x7f) << (7 * self.len);
        self.len += 1;
        Ok((byte < 0x80).then_some(self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<u64>, Overflow> {
        let mut reader = Reader::default();
        bytes.iter().map(|&byte| reader.take(byte)).find(|result| *result != Ok(None)).unwrap_or(Ok(None))
    }

    #[test]
    fn numbers_of_every_length_come_back() {
        for shift in 0..64 {
            for value in [(1u64 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put(&mut bytes, value);
                assert!(bytes.len() <= MAX_LEN);
                assert_eq!(read(&bytes), Ok(Some(value)));
            }
        }
        assert_eq!(read(&[0xa1, 0x03]), Ok(Some(0x1a1)));
    }

    #[test]
    fn more_than_64_bits_are_refused_and_less_than_a_number_is_none() {
        assert_eq!(read(&[0xff; 9]), Ok(None));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Ok(Some(u64::MAX)));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Err(Overflow));
        assert_eq!(read(&[0x80; 20]), Err(Overflow));
    }
}
