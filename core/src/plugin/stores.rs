//! The open stores of this process: one for each pool, however many replicas name it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use litestream_sdk::Result;
use litestream_sdk::describe::{ConfigureRequest, Configured, Sensitive};
use tokio::sync::OnceCell;

use crate::metrics::{self, Metrics};

use super::budget::ByteBudget;
use super::layers::reopen::Opener;
use super::loader::LoadedPlugin;
use super::store::{Store, StoreSettings};

/// The plugin's name and the canonical text of the options. The text may hold secrets: it stays here.
type Pool = (String, Sensitive);

/// Opens stores and keeps them. One for each process.
pub struct Stores {
    budget: ByteBudget,
    max_in_flight: Option<u32>,
    metrics: &'static Metrics,
    open: Mutex<HashMap<Pool, Arc<OnceCell<Arc<Store>>>>>,
}

impl Stores {
    /// No store yet. `max_in_flight` limits the calls at once of each store, if it would take more.
    pub fn new(budget: ByteBudget, max_in_flight: Option<u32>) -> Stores {
        Stores { budget, max_in_flight, metrics: metrics::global(), open: Mutex::default() }
    }

    /// The memory for data under way.
    pub fn budget(&self) -> &ByteBudget {
        &self.budget
    }

    /// The store of a configuration that [`LoadedPlugin::configure`] accepted; opened at the first call, shared by all
    /// that name the same pool.
    ///
    /// # Errors
    ///
    /// Those of opening. The next call tries again.
    pub async fn open(
        &self,
        plugin: &Arc<LoadedPlugin>,
        request: &ConfigureRequest,
        configured: &Configured,
    ) -> Result<Arc<Store>> {
        let pool = (plugin.record().name.clone(), configured.pool.clone());
        let cell = self.lock().entry(pool).or_default().clone();
        let open = || async {
            let (opening, request) = (plugin.clone(), request.clone());
            let opener: Opener = Arc::new(move || {
                let (plugin, request) = (opening.clone(), request.clone());
                Box::pin(async move { plugin.open(&request).await })
            });
            let settings =
                StoreSettings { budget: &self.budget, max_in_flight: self.max_in_flight, metrics: self.metrics };
            Store::open(plugin.record().replica_type(), opener, settings).await.map(Arc::new)
        };
        cell.get_or_try_init(open).await.cloned()
    }

    /// Closes every store, each within 10 s. Nothing may be under way any more, and nothing may follow.
    pub async fn close(&self) {
        let cells: Vec<_> = self.lock().drain().map(|(_, cell)| cell).collect();
        let closing = cells.iter().filter_map(|cell| cell.get()).map(|store| async {
            if let Err(error) = store.close().await {
                tracing::debug!(replica = store.replica_type(), %error, "store did not close cleanly");
            }
        });
        join_all(closing).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Pool, Arc<OnceCell<Arc<Store>>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
