//! What is judged: an open store, and as much around it as is at hand.

use super::surroundings::{FaultProxy, ForeignClient, KeyLock};
use crate::checked::Checked;
use crate::configure;
use crate::context::Context;
use crate::describe::{ConfigureAnswer, ConfigureRequest, Description};
use crate::error::Result;
use crate::export::Exported;
use crate::storage::{Plugin, Storage};
use crate::types::{DbPath, Location, ReplicaPath};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

type Resolve = dyn Fn(&Location, &DbPath) -> Result<ReplicaPath> + Send + Sync;
pub(super) type Configure = dyn Fn(&ConfigureRequest) -> ConfigureAnswer + Send + Sync;
type Open = dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Storage>>> + Send + Sync;

/// An open store, with what a check may need beside it. Each `with_*` adds checks; what is not given is skipped by name.
#[derive(Clone)]
pub struct Subject {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) resolve: Option<(Location, Arc<Resolve>)>,
    pub(super) configure: Option<(Description, ConfigureRequest, Arc<Configure>)>,
    pub(super) foreign: Option<Arc<dyn ForeignClient>>,
    pub(super) locks: Option<Arc<dyn KeyLock>>,
    pub(super) wrong_bucket: Option<Arc<Open>>,
    pub(super) wrong_secret: Option<Arc<Open>>,
    pub(super) network: Option<Network>,
}

/// The same store again, through something that can spoil what passes.
#[derive(Clone)]
pub(super) struct Network {
    pub storage: Arc<dyn Storage>,
    pub proxy: Arc<dyn FaultProxy>,
}

impl Subject {
    /// An open store alone; it is wrapped in [`Checked`].
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage: checked(storage),
            resolve: None,
            configure: None,
            foreign: None,
            locks: None,
            wrong_bucket: None,
            wrong_secret: None,
            network: None,
        }
    }

    /// A plugin of this program and a store that it opens from `request`: adds N2 and O1.
    ///
    /// # Errors
    /// INVALID_INPUT for a request that is refused; whatever `open` meets.
    pub async fn of_plugin<E: Exported>(request: &ConfigureRequest, context: Context) -> Result<Self> {
        let options = configure::options::<E::Plugin>(request)?;
        let location = E::Plugin::locate(&options)?;
        let storage = E::Plugin::open(options, context).await?;
        let description = configure::describe::<E::Plugin>(E::RECORD)?;
        Ok(Self::new(Arc::new(storage)).with_resolve(location, E::Plugin::resolve).with_configure(
            description,
            request.clone(),
            configure::configure::<E::Plugin>,
        ))
    }

    /// Adds the check of `resolve` (N2), for databases of this location.
    pub fn with_resolve(
        mut self,
        at: Location,
        resolve: impl Fn(&Location, &DbPath) -> Result<ReplicaPath> + Send + Sync + 'static,
    ) -> Self {
        self.resolve = Some((at, Arc::new(resolve)));
        self
    }

    /// Adds the check of `configure` (O1), starting from a request that is accepted.
    pub fn with_configure(
        mut self,
        description: Description,
        accepted: ConfigureRequest,
        configure: impl Fn(&ConfigureRequest) -> ConfigureAnswer + Send + Sync + 'static,
    ) -> Self {
        self.configure = Some((description, accepted, Arc::new(configure)));
        self
    }

    /// Adds the check of names that belong to somebody else (L6).
    pub fn with_foreign_client(mut self, client: Arc<dyn ForeignClient>) -> Self {
        self.foreign = Some(client);
        self
    }

    /// Adds the check of a delete that fails for one key (D2).
    pub fn with_locks(mut self, locks: Arc<dyn KeyLock>) -> Self {
        self.locks = Some(locks);
        self
    }

    /// Adds the check of a bucket, container, share or root that does not exist (L7). `open` opens a store that names
    /// such a one; it may fail itself.
    pub fn with_wrong_bucket<F>(mut self, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Arc<dyn Storage>>> + Send + 'static,
    {
        self.wrong_bucket = Some(Arc::new(move || open().boxed()));
        self
    }

    /// Adds the check of credentials that the server refuses (E1). `open` opens the same store with them; it may fail
    /// itself. If there is a proxy, open it through that: its requests are counted.
    pub fn with_wrong_secret<F>(mut self, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Arc<dyn Storage>>> + Send + 'static,
    {
        self.wrong_secret = Some(Arc::new(move || open().boxed()));
        self
    }

    /// Adds the checks of a bad network (R4, E2). `storage` reaches the same objects as the subject, with the same base,
    /// but through `proxy`.
    pub fn with_network(mut self, storage: Arc<dyn Storage>, proxy: Arc<dyn FaultProxy>) -> Self {
        self.network = Some(Network { storage: checked(storage), proxy });
        self
    }

    /// Removes every object below `root`; gives their number. [`super::run`] does it at its end: for a run that was
    /// dropped before.
    ///
    /// # Errors
    /// Those of listing and deleting; objects may be left then.
    pub async fn remove_all(&self, root: &ReplicaPath) -> Result<u64> {
        super::kit::remove_all(&*self.storage, root).await
    }

    /// Why a check that needs more than the store cannot be made; `None` if it can.
    pub(super) fn lacks(&self, need: Need) -> Option<&'static str> {
        let (at_hand, what) = match need {
            Need::Resolve => (self.resolve.is_some(), "only the open store is at hand"),
            Need::Configure => (self.configure.is_some(), "only the open store is at hand"),
            Need::ForeignClient => (self.foreign.is_some(), "needs a second client: a test of the plugin has one"),
            Need::Locks => (self.locks.is_some(), "needs a key that may not be deleted: a test of the plugin has one"),
            Need::WrongBucket => (self.wrong_bucket.is_some(), "needs a wrong bucket: a test of the plugin has one"),
            Need::WrongSecret => (self.wrong_secret.is_some(), "needs a wrong secret: a test of the plugin has one"),
            Need::Network => (self.network.is_some(), "needs a network that fails: a test of the plugin has one"),
        };
        (!at_hand).then_some(what)
    }
}

/// What a check needs beside the store.
#[derive(Clone, Copy)]
pub(super) enum Need {
    Resolve,
    Configure,
    ForeignClient,
    Locks,
    WrongBucket,
    WrongSecret,
    Network,
}

pub(super) fn checked(storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
    Arc::new(Checked::from(storage))
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}
