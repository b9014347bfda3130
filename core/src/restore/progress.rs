//! How far a restore is, for whoever shows it.

/// Told about bytes as they arrive. Called often and from async code: it must be quick and must not block.
pub trait Progress: Send + Sync {
    /// An attempt starts that will fetch at most `bytes`. Comes again, from zero, if the attempt before failed and
    /// other files can serve.
    fn begin(&self, bytes: u64);

    /// `bytes` more have come. An attempt may succeed before all have: newer files can make older ones unnecessary.
    fn advance(&self, bytes: u64);

    /// The database is there. Never comes if the restore fails.
    fn finish(&self);
}

/// Tells nobody.
impl Progress for () {
    fn begin(&self, _bytes: u64) {}
    fn advance(&self, _bytes: u64) {}
    fn finish(&self) {}
}
