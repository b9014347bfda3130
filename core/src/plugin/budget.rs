//! The memory for bytes under way, one amount for the whole process.
//!
//! A write reserves what the store may hold of its body before it begins, and gives it back when the last chunk lent
//! to the plugin is freed. So the number of uploads at once follows from the memory there is, not the other way round.
//!
//! A read reserves what the plugin may hold while it fetches the next chunk, out of a share that no write can take: the
//! body of a write may itself be read from a store, and would otherwise wait for memory that this very write holds.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units of this many, so that the count of the largest budget fits.
const UNIT: u64 = 4096;
/// Of the whole, one part in so many is for reads.
const READ_SHARE: u64 = 4;

/// One amount of bytes, shared by everything that holds data under way.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    writes: Share,
    reads: Share,
}

#[derive(Clone, Debug)]
struct Share {
    units: Arc<Semaphore>,
    total_units: u32,
}

/// A part of the budget. Dropping it gives the bytes back.
#[derive(Debug)]
pub struct Reservation {
    bytes: u64,
    _permit: OwnedSemaphorePermit,
}

impl Reservation {
    /// How many bytes may be held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl ByteBudget {
    /// A budget of `total` bytes (at least one unit of 4 KiB for writes, and one for reads).
    pub fn new(total: u64) -> ByteBudget {
        let reads = total / READ_SHARE;
        ByteBudget { writes: Share::new(total - reads), reads: Share::new(reads) }
    }

    /// All bytes.
    pub fn total(&self) -> u64 {
        (u64::from(self.writes.total_units) + u64::from(self.reads.total_units)) * UNIT
    }

    /// Bytes that nobody holds now.
    pub fn available(&self) -> u64 {
        self.writes.available() + self.reads.available()
    }

    /// Waits for at least `least` bytes; gives up to `most` while there is plenty, but never more than half of what is
    /// free beyond the least, so that the next one finds something too. First come, first served.
    ///
    /// More than the whole budget is granted to one holder at a time, who then has all of it: a budget that is too
    /// small makes things slow, never impossible.
    pub async fn reserve(&self, least: u64, most: u64) -> Reservation {
        let wish = (self.writes.available() / 2).clamp(least, most.max(least));
        match self.writes.try_take(wish) {
            Some(reservation) => reservation,
            None => self.writes.take(least).await,
        }
    }

    /// Waits for `bytes` of the share for reads. To be held only while a plugin works on a piece of a read: it waits for
    /// nothing but other such pieces.
    pub(super) async fn reserve_read(&self, bytes: u64) -> Reservation {
        self.reads.take(bytes).await
    }
}

impl Share {
    fn new(bytes: u64) -> Share {
        let total_units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Share { units: Arc::new(Semaphore::new(total_units as usize)), total_units }
    }

    fn available(&self) -> u64 {
        self.units.available_permits() as u64 * UNIT
    }

    fn try_take(&self, bytes: u64) -> Option<Reservation> {
        let permit = self.units.clone().try_acquire_many_owned(self.units_for(bytes)).ok()?;
        Some(Reservation { bytes, _permit: permit })
    }

    async fn take(&self, bytes: u64) -> Reservation {
        let permit = self.units.clone().acquire_many_owned(self.units_for(bytes)).await;
        Reservation { bytes, _permit: permit.expect("the budget is never closed") }
    }

    fn units_for(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.total_units)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test]
    async fn plenty_is_shared_and_scarcity_waits() {
        let budget = ByteBudget::new(80 * MIB); // 60 of them for writes
        let first = budget.reserve(10 * MIB, 26 * MIB).await;
        let second = budget.reserve(10 * MIB, 26 * MIB).await;
        let third = budget.reserve(10 * MIB, 26 * MIB).await;
        assert_eq!([first.bytes(), second.bytes(), third.bytes()], [26 * MIB, 17 * MIB, 10 * MIB]);
        assert!(budget.reserve(10 * MIB, 26 * MIB).now_or_never().is_none());
        drop(first);
        drop((second, third));
        assert_eq!(budget.available(), 80 * MIB);
    }

    #[tokio::test]
    async fn reads_wait_for_reads_and_never_for_writes() {
        let budget = ByteBudget::new(8 * MIB);
        let _all_writes = budget.reserve(100 * MIB, 100 * MIB).await;
        let first = budget.reserve_read(MIB).now_or_never().expect("a share of their own");
        let _second = budget.reserve_read(MIB).now_or_never().expect("two of two MiB");
        assert!(budget.reserve_read(MIB).now_or_never().is_none());
        drop(first);
        assert!(budget.reserve_read(MIB).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_write_larger_than_the_budget_goes_alone() {
        let budget = ByteBudget::new(MIB);
        let large = budget.reserve(10 * MIB, 10 * MIB).await;
        assert_eq!(large.bytes(), 10 * MIB);
        assert!(budget.reserve(1, 1).now_or_never().is_none());
        drop(large);
        assert!(budget.reserve(1, 1).now_or_never().is_some());
    }
}
