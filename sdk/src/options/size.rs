//! A number of bytes in a configuration.

/// A number of bytes: `5MB` (powers of 1000), `8MiB` (powers of 1024), `4096`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(
    /// Bytes.
    pub u64,
);
