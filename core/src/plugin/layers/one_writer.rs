//! One write of a key at a time in this process, as the contract promises to plugins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litestream_sdk::ObjectKey;

type Line = Arc<tokio::sync::Mutex<()>>;

/// The keys being written.
#[derive(Clone, Default)]
pub(in crate::plugin) struct OneWriter {
    lines: Arc<Mutex<HashMap<ObjectKey, Line>>>,
}

/// Held while a key is being written, or waited for.
pub(in crate::plugin) struct Turn {
    writer: OneWriter,
    key: ObjectKey,
    /// `None` only inside `drop`.
    line: Option<Line>,
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl OneWriter {
    /// Waits until nobody else writes `key`.
    pub async fn turn(&self, key: &ObjectKey) -> Turn {
        let line = self.lock().entry(key.clone()).or_default().clone();
        let mut turn = Turn { writer: self.clone(), key: key.clone(), line: Some(line.clone()), guard: None };
        turn.guard = Some(line.lock_owned().await);
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        self.line = None;
        let mut lines = self.writer.lock();
        // Whoever waits holds a clone; with none, the key can be forgotten.
        if lines.get(&self.key).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn writes_of_one_key_go_one_after_another_and_leave_nothing_behind() {
        let writer = OneWriter::default();
        let (a, b) = (ObjectKey::parse("a").unwrap(), ObjectKey::parse("b").unwrap());
        let first = writer.turn(&a).await;
        let _other = writer.turn(&b).now_or_never().expect("another key is free");
        let mut second = Box::pin(writer.turn(&a));
        assert!((&mut second).now_or_never().is_none());
        let mut impatient = Box::pin(writer.turn(&a));
        assert!((&mut impatient).now_or_never().is_none());
        drop(first);
        drop(second.now_or_never().expect("it is its turn"));
        drop(impatient);
        assert_eq!(writer.lock().len(), 1, "only b is left");
    }
}
