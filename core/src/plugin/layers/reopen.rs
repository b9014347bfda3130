//! Replaces a store that panicked or broke the contract: it is opened again once, and if that did not help, left failed
//! for a while that grows each time.
//!
//! Calls that are under way on the old store end as they may; it is closed when the last of them is gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use litestream_sdk::{
    Body, Capability, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, StorageError,
    WriteRequest,
};
use tokio::time::Instant;

use super::timeout::{ANSWER, within};

/// The first pause after a second failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(10 * 60);
/// A store that lived this long is forgiven what was before.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10 * 60);

/// Makes a new store from the same options.
pub(in crate::plugin) type Opener = Arc<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Storage>>> + Send + Sync>;

pub(in crate::plugin) struct Reopen {
    shared: Arc<Shared>,
    capability: Capability,
}

struct Shared {
    opener: Opener,
    state: Mutex<State>,
    /// One reopening at a time.
    opening: tokio::sync::Mutex<()>,
}

struct State {
    current: Option<Arc<dyn Storage>>,
    /// Tells calls on an older store from those on the current one.
    generation: u64,
    opened_at: Instant,
    failures: u32,
    failed_until: Instant,
    /// What made it fail.
    reason: Option<StorageError>,
}

impl Reopen {
    /// Opens the store for the first time.
    pub async fn open(opener: Opener) -> Result<Reopen> {
        let store = within(ANSWER, "open", opener()).await?;
        let capability = store.capability();
        let now = Instant::now();
        let state =
            State { current: Some(store), generation: 0, opened_at: now, failures: 0, failed_until: now, reason: None };
        let shared = Shared { opener, state: Mutex::new(state), opening: tokio::sync::Mutex::default() };
        Ok(Reopen { shared: Arc::new(shared), capability })
    }

    /// The answer, and which store gave it.
    async fn call<T, F>(&self, call: impl FnOnce(Arc<dyn Storage>) -> F) -> Result<(T, u64)>
    where
        F: Future<Output = Result<T>>,
    {
        let (store, generation) = self.shared.store().await?;
        match call(store).await {
            Ok(answer) => Ok((answer, generation)),
            Err(error) => {
                self.shared.judge(generation, &error);
                Err(error)
            }
        }
    }

    fn judged<T>(
        &self,
        generation: u64,
        stream: impl Stream<Item = Result<T>> + Send + 'static,
    ) -> impl Stream<Item = Result<T>> + Send + 'static {
        let shared = self.shared.clone();
        stream.inspect(move |item| {
            if let Err(error) = item {
                shared.judge(generation, error);
            }
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<(Arc<dyn Storage>, u64)> {
        let state = self.lock();
        state.current.clone().map(|store| (store, state.generation))
    }

    async fn store(&self) -> Result<(Arc<dyn Storage>, u64)> {
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let _opening = self.opening.lock().await;
        if let Some(current) = self.current() {
            return Ok(current);
        }
        if let Some(error) = self.lock().refusal() {
            return Err(error);
        }
        let opened = within(ANSWER, "open again", (self.opener)()).await;
        let mut state = self.lock();
        match opened {
            Ok(store) => {
                state.generation += 1;
                state.opened_at = Instant::now();
                state.current = Some(store.clone());
                Ok((store, state.generation))
            }
            Err(error) => {
                state.fail(error.clone());
                Err(error)
            }
        }
    }

    /// Fails the store if the plugin itself is at fault.
    fn judge(&self, generation: u64, error: &StorageError) {
        if !matches!(error.kind, ErrorKind::PLUGIN_PANIC | ErrorKind::BROKEN_CONTRACT) {
            return;
        }
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        let Some(old) = state.current.take() else { return };
        state.fail(error.clone());
        tracing::error!(%error, failures = state.failures, "storage plugin failed, its store is opened again");
        // Outside of the lock: the last reference may be this one, and its end is the plugin's code.
        drop(state);
        drop(old);
    }
}

impl State {
    fn fail(&mut self, reason: StorageError) {
        let now = Instant::now();
        if now - self.opened_at >= FORGIVEN_AFTER {
            self.failures = 0;
        }
        self.failures += 1;
        // The first failure costs no pause.
        let pause = match self.failures.checked_sub(2) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(MAX_PAUSE),
        };
        self.failed_until = now + pause;
        self.reason = Some(reason);
    }

    fn refusal(&self) -> Option<StorageError> {
        let left = self.failed_until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let reason = self.reason.as_ref().map(ToString::to_string).unwrap_or_default();
        let message =
            format!("the store is out of use for {} s more, since its plugin failed: {reason}", left.as_secs());
        Some(StorageError::permanent(message))
    }
}

#[async_trait]
impl Storage for Reopen {
    fn capability(&self) -> Capability {
        self.capability.clone()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let (pages, generation) = self.call(|store| async move { store.list(request).await }).await?;
        Ok(self.judged(generation, pages).boxed())
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        Ok(self.call(|store| async move { store.stat(key).await }).await?.0)
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let ((info, body), generation) = self.call(|store| async move { store.read(request).await }).await?;
        let size = body.size_hint();
        Ok((info, super::hinted(Body::new(self.judged(generation, body.into_stream())), size)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        Ok(self.call(|store| async move { store.write(request, body).await }).await?.0)
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let (results, generation) = self.call(|store| async move { store.delete(keys).await }).await?;
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            self.shared.judge(generation, error);
        }
        Ok(results)
    }

    async fn close(&self) -> Result<()> {
        let current = self.shared.lock().current.take();
        match current {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        Ok(self.call(|store| async move { store.extension(operation, args).await }).await?.0)
    }
}
