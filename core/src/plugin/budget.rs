//! The memory for bytes under way, one amount for the whole process.
//!
//! A write reserves what the store may hold of its body before it begins, and gives it back when the last chunk lent
//! to the plugin is freed. So the number of uploads at once follows from the memory there is, not the other way round.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units of this many, so that the count of the largest budget fits.
const UNIT: u64 = 4096;

/// One amount of bytes, shared by everything that holds data under way.
#[derive(Clone, Debug)]
pub struct ByteBudget {
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
    /// A budget of `total` bytes (at least one unit of 4 KiB).
    pub fn new(total: u64) -> ByteBudget {
        let units = u32::try_from(total / UNIT).unwrap_or(u32::MAX).max(1);
        ByteBudget { units: Arc::new(Semaphore::new(units as usize)), total_units: units }
    }

    /// Bytes that nobody holds now.
    pub fn available(&self) -> u64 {
        self.units.available_permits() as u64 * UNIT
    }

    /// Waits for at least `least` bytes; gives up to `most` while there is plenty, but never more than half of what is
    /// free beyond the least, so that the next one finds something too. First come, first served.
    ///
    /// More than the whole budget is granted to one holder at a time, who then has all of it: a budget that is too
    /// small makes things slow, never impossible.
    pub async fn reserve(&self, least: u64, most: u64) -> Reservation {
        let wish = (self.available() / 2).clamp(least, most.max(least));
        if let Ok(permit) = self.units.clone().try_acquire_many_owned(self.units_for(wish)) {
            return Reservation { bytes: wish, _permit: permit };
        }
        let permit = self.units.clone().acquire_many_owned(self.units_for(least)).await;
        Reservation { bytes: least, _permit: permit.expect("the budget is never closed") }
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
        let budget = ByteBudget::new(64 * MIB);
        let first = budget.reserve(10 * MIB, 30 * MIB).await;
        let second = budget.reserve(10 * MIB, 30 * MIB).await;
        let third = budget.reserve(10 * MIB, 30 * MIB).await;
        assert_eq!([first.bytes(), second.bytes(), third.bytes()], [30 * MIB, 17 * MIB, 10 * MIB]);
        assert!(budget.reserve(10 * MIB, 30 * MIB).now_or_never().is_none());
        drop(first);
        drop((second, third));
        assert_eq!(budget.available(), 64 * MIB);
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
