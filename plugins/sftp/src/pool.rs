//! The connections to one server: a few, made when they are needed, left when they break.
//!
//! A session carries many requests at once, but a server works through them one after another, and one connection is
//! one processor's worth of encryption. So a new connection is made when all present ones are busy, up to a limit.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litestream_sdk::{Context, LogLevel, Result, StorageError};

use crate::connect::Connector;
use crate::session::{Lease, Session};

/// Connections at once: what servers allow one client without asking (OpenSSH begins to refuse at ten logins).
const CONNECTIONS: usize = 4;
/// Calls at once on each, before another is made.
const CALLS: u32 = 4;
/// Calls at once on all of them.
pub(crate) const MAX_IN_FLIGHT: u32 = CONNECTIONS as u32 * CALLS;

/// Every connection of one store.
pub(crate) struct Pool {
    connector: Connector,
    context: Context,
    sessions: Mutex<Vec<Arc<Session>>>,
    /// Below [`CONNECTIONS`] after the server refused one more, until all are lost.
    limit: AtomicUsize,
    /// One login at a time; what the last one failed with.
    connecting: tokio::sync::Mutex<Option<StorageError>>,
    /// Logins that have ended.
    logins: AtomicU64,
}

impl Pool {
    pub fn new(connector: Connector, context: Context) -> Self {
        Self {
            connector,
            context,
            sessions: Mutex::default(),
            limit: AtomicUsize::new(CONNECTIONS),
            connecting: tokio::sync::Mutex::default(),
            logins: AtomicU64::new(0),
        }
    }

    /// A session to make requests of: one with room, else a new one, else the least busy.
    ///
    /// # Errors
    /// Those of connecting, when there is no connection.
    pub async fn lease(&self) -> Result<Lease> {
        match self.least_busy() {
            Some((lease, count)) if lease.calls() <= CALLS || count >= self.limit.load(Ordering::Relaxed) => Ok(lease),
            Some((lease, count)) => match self.connecting.try_lock() {
                Ok(mut last) => Ok(self.one_more(&mut last, count).await.unwrap_or(lease)),
                Err(_) => Ok(lease),
            },
            None => self.first().await,
        }
    }

    /// Ends every connection.
    pub async fn close(&self) {
        let sessions = std::mem::take(&mut *self.lock());
        for session in sessions {
            session.disconnect().await;
        }
    }

    /// The least busy of the usable sessions, and how many there are.
    fn least_busy(&self) -> Option<(Lease, usize)> {
        let mut sessions = self.lock();
        sessions.retain(|session| session.is_usable());
        let least = sessions.iter().min_by_key(|session| session.calls())?;
        Some((Lease::of(least.clone()), sessions.len()))
    }

    /// The first connection, or the one that others are already making: when a server is gone, a hundred calls do not
    /// try it a hundred times.
    async fn first(&self) -> Result<Lease> {
        let before = self.logins.load(Ordering::Acquire);
        let mut last = self.connecting.lock().await;
        if let Some((lease, _)) = self.least_busy() {
            return Ok(lease);
        }
        if self.logins.load(Ordering::Acquire) != before
            && let Some(error) = &*last
        {
            return Err(error.clone());
        }
        self.limit.store(CONNECTIONS, Ordering::Relaxed);
        self.connect(&mut last).await
    }

    /// A further connection, if the server lets us.
    async fn one_more(&self, last: &mut Option<StorageError>, count: usize) -> Option<Lease> {
        match self.connect(last).await {
            Ok(lease) => Some(lease),
            Err(error) => {
                self.context.log(LogLevel::Debug, format!("going on with {count} connections: {error}"));
                self.limit.store(count, Ordering::Relaxed);
                None
            }
        }
    }

    async fn connect(&self, last: &mut Option<StorageError>) -> Result<Lease> {
        let connected = self.connector.connect().await;
        self.logins.fetch_add(1, Ordering::Release);
        *last = connected.as_ref().err().cloned();
        let session = Arc::new(connected?);
        self.lock().push(session.clone());
        Ok(Lease::of(session))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections at this moment.
    #[cfg(test)]
    pub fn connections(&self) -> usize {
        self.lock().iter().filter(|session| session.is_usable()).count()
    }
}
