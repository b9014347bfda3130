//! Sends again what may be sent again: the kinds that pass by themselves, with growing random pauses, within a budget
//! of tries and time, and within a budget of the whole pool, so that an outage meets no storm.
//!
//! [`read`] resumes a transfer, [`list`] a listing, [`write`] begins with a new body, [`delete`] repeats only the keys
//! that failed. Errors of other kinds pass at once.

mod delete;
mod list;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use litestream_sdk::{ErrorKind, ObjectInfo, ObjectKey, Result, Storage, StorageError};
use tokio::time::Instant;

use super::admission::MAX_RETRY_AFTER;

/// The first pause is random between zero and this; the bound doubles each time.
const BASE_PAUSE: Duration = Duration::from_millis(250);
/// Where doubling ends.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Retries a pool may spend ahead of its successes.
const POOL_TOKENS: u32 = 100;
/// Times a stream is picked up again without a single new byte or entry.
const MAX_RESUMES: u32 = 3;

/// How long a caller is ready to wait for a store that has trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Replication, compaction, retention: 6 tries or 5 minutes.
    Background,
    /// Somebody waits at a terminal: 3 tries or 30 seconds.
    Interactive,
}

impl Urgency {
    fn max_tries(self) -> u32 {
        match self {
            Urgency::Background => 6,
            Urgency::Interactive => 3,
        }
    }

    fn max_elapsed(self) -> Duration {
        match self {
            Urgency::Background => Duration::from_secs(5 * 60),
            Urgency::Interactive => Duration::from_secs(30),
        }
    }
}

/// The pool's budget of retries: each takes one, each success gives one back.
struct Tokens(AtomicU32);

impl Tokens {
    fn full() -> Tokens {
        Tokens(AtomicU32::new(POOL_TOKENS))
    }

    fn take(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn give(&self) {
        // A full bucket stays full.
        let _ = self.0.fetch_update(Relaxed, Relaxed, |left| (left < POOL_TOKENS).then_some(left + 1));
    }

    async fn run<T, F: Future<Output = Result<T>>>(&self, urgency: Urgency, mut call: impl FnMut() -> F) -> Result<T> {
        let mut attempts = Attempts::new(urgency);
        loop {
            match call().await {
                Ok(value) => {
                    self.give();
                    return Ok(value);
                }
                Err(error) => self.pause(&mut attempts, error).await?,
            }
        }
    }

    /// Waits before the next try, or gives the error back if there is to be none.
    async fn pause(&self, attempts: &mut Attempts, error: StorageError) -> Result<()> {
        let Some(pause) = attempts.next_pause(&error) else { return Err(error) };
        if !self.take() {
            tracing::debug!(%error, "not tried again: the pool has spent its retries");
            return Err(error);
        }
        if error.kind == ErrorKind::CORRUPT {
            tracing::warn!(%error, "the store says its data is damaged, reading it once more");
        } else {
            tracing::debug!(%error, tries = attempts.tries, pause_ms = pause.as_millis(), "storage call is tried again");
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Repeats what happens before there is a pool: opening it.
pub(in crate::plugin) async fn repeat<T, F: Future<Output = Result<T>>>(
    urgency: Urgency,
    call: impl FnMut() -> F,
) -> Result<T> {
    Tokens::full().run(urgency, call).await
}

/// The layer. Clones share the pool's budget.
#[derive(Clone)]
pub(in crate::plugin) struct Retry {
    inner: Arc<dyn Storage>,
    tokens: Arc<Tokens>,
}

impl Retry {
    pub fn new(inner: Arc<dyn Storage>) -> Retry {
        Retry { inner, tokens: Arc::new(Tokens::full()) }
    }

    pub async fn stat(&self, key: &ObjectKey, urgency: Urgency) -> Result<ObjectInfo> {
        self.tokens.run(urgency, || self.inner.stat(key)).await
    }
}

/// What one operation has tried so far.
struct Attempts {
    max_tries: u32,
    max_elapsed: Duration,
    started: Instant,
    tries: u32,
    met_damage: bool,
}

impl Attempts {
    fn new(urgency: Urgency) -> Attempts {
        Attempts {
            max_tries: urgency.max_tries(),
            max_elapsed: urgency.max_elapsed(),
            started: Instant::now(),
            tries: 0,
            met_damage: false,
        }
    }

    /// For picking up a stream that broke.
    fn resuming(urgency: Urgency) -> Attempts {
        Attempts { max_tries: 1 + MAX_RESUMES, ..Attempts::new(urgency) }
    }

    /// Something came: what was before is forgiven, except damage.
    fn progressed(&mut self) {
        self.tries = 0;
        self.started = Instant::now();
    }

    /// The pause before the next try, `None` if this error is final.
    fn next_pause(&mut self, error: &StorageError) -> Option<Duration> {
        self.tries += 1;
        let first_damage = error.kind == ErrorKind::CORRUPT && !std::mem::replace(&mut self.met_damage, true);
        if !(error.kind.is_retryable() || first_damage) || self.tries >= self.max_tries {
            return None;
        }
        let doublings = (self.tries - 1).min(16);
        let bound = BASE_PAUSE.saturating_mul(1 << doublings).min(MAX_PAUSE);
        let asked = error.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        let pause = bound.mul_f64(fastrand::f64()).max(asked);
        (self.started.elapsed() + pause <= self.max_elapsed).then_some(pause)
    }
}
