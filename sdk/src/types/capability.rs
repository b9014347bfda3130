//! What one open store can promise beyond the contract every store keeps.

use std::ops::RangeInclusive;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// What a store can do and how much at once. Constant after `open`; each bit it claims is checked by the conformance
/// suite. Build it with [`Capability::new`] and `with_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// Sum of the bit constants. Bits that a host does not know mean nothing to it.
    pub bits: u64,
    /// Calls that may be under way at once, at least 1.
    pub max_in_flight: u32,
    /// Keys in one `delete`, at least 1.
    pub delete_batch: u32,
    /// Least and most useful bytes of `WriteRequest::buffer`: for parts of p bytes sent c at a time,
    /// `2 * p ..= (c + 1) * p`.
    pub write_buffer: RangeInclusive<u64>,
    /// Bytes that one read may hold inside the plugin, for the host's memory budget.
    pub read_buffer: u64,
    /// Largest object in bytes.
    pub max_object: u64,
    /// Longest key in bytes.
    pub max_key: u32,
    /// Precision of the stored time; zero if none is kept.
    pub time_step: Duration,
}

impl Capability {
    /// `WriteRequest::if_absent` is decided by the server, in one step.
    pub const IF_ABSENT: u64 = 1 << 0;
    /// `stat` or `write` give a version, and `read` honours it.
    pub const READ_VERSION: u64 = 1 << 1;
    /// Listings give the written time, not the server's.
    pub const LIST_TIME_EXACT: u64 = 1 << 2;
    /// Serves `ListMode::RollUp`.
    pub const ROLL_UP: u64 = 1 << 3;
    /// Segments need not be UTF-8.
    pub const BYTE_NAMES: u64 = 1 << 4;
    /// An absolute path and the same relative one are different places.
    pub const LEADING_SLASH: u64 = 1 << 5;
    /// `start_after` costs nothing: the host may skip ahead with it.
    pub const SEEK_LIST: u64 = 1 << 6;
    /// Serves [`CopyRequest`](super::CopyRequest): objects are copied without passing through this machine.
    pub const COPY: u64 = 1 << 7;

    const NAMES: [(u64, &'static str); 8] = [
        (Self::IF_ABSENT, "IF_ABSENT"),
        (Self::READ_VERSION, "READ_VERSION"),
        (Self::LIST_TIME_EXACT, "LIST_TIME_EXACT"),
        (Self::ROLL_UP, "ROLL_UP"),
        (Self::BYTE_NAMES, "BYTE_NAMES"),
        (Self::LEADING_SLASH, "LEADING_SLASH"),
        (Self::SEEK_LIST, "SEEK_LIST"),
        (Self::COPY, "COPY"),
    ];

    /// These bits, and cautious numbers: 16 calls at once, 1000 keys in a delete, 1 to 4 MiB for a write, 1 MiB for a
    /// read, objects of any size, keys of 1024 bytes, times to the nanosecond.
    pub fn new(bits: u64) -> Self {
        Self {
            bits,
            max_in_flight: 16,
            delete_batch: 1000,
            write_buffer: MIB..=4 * MIB,
            read_buffer: MIB,
            max_object: u64::MAX,
            max_key: 1024,
            time_step: Duration::from_nanos(1),
        }
    }

    /// Whether every one of `bits` is claimed.
    pub fn has(&self, bits: u64) -> bool {
        self.bits & bits == bits
    }

    /// The names of the claimed bits that this SDK knows, in order.
    pub fn names(&self) -> Vec<&'static str> {
        Self::NAMES.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| *name).collect()
    }

    /// The name of one bit.
    pub fn name_of(bit: u64) -> &'static str {
        Self::NAMES.iter().find(|(known, _)| *known == bit).map_or("unknown bit", |(_, name)| name)
    }

    /// Calls at once.
    pub fn with_max_in_flight(mut self, calls: u32) -> Self {
        self.max_in_flight = calls;
        self
    }

    /// Keys in one delete.
    pub fn with_delete_batch(mut self, keys: u32) -> Self {
        self.delete_batch = keys;
        self
    }

    /// Least and most useful bytes for one write.
    pub fn with_write_buffer(mut self, bytes: RangeInclusive<u64>) -> Self {
        self.write_buffer = bytes;
        self
    }

    /// Bytes that one read may hold.
    pub fn with_read_buffer(mut self, bytes: u64) -> Self {
        self.read_buffer = bytes;
        self
    }

    /// Largest object.
    pub fn with_max_object(mut self, bytes: u64) -> Self {
        self.max_object = bytes;
        self
    }

    /// Longest key.
    pub fn with_max_key(mut self, bytes: u32) -> Self {
        self.max_key = bytes;
        self
    }

    /// Precision of stored times; zero if none is kept.
    pub fn with_time_step(mut self, step: Duration) -> Self {
        self.time_step = step;
        self
    }
}

impl Default for Capability {
    fn default() -> Self {
        Self::new(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_bits() {
        let capability = Capability::new(Capability::ROLL_UP | Capability::IF_ABSENT | 1 << 40);
        assert_eq!(capability.names(), ["IF_ABSENT", "ROLL_UP"]);
        assert!(!capability.has(Capability::IF_ABSENT | Capability::SEEK_LIST));
        assert_eq!(Capability::name_of(Capability::SEEK_LIST), "SEEK_LIST");
    }
}
