//! The host's half: the objects of a loaded library as ordinary values and a [`Storage`] again, so that a host never
//! names a type of the ABI.

use super::convert::{
    bytes_out, capability_in, error_in, info_about, list_out, location_out, read_out, result_in, write_out,
};
use super::guard::Shared;
use super::plugin::module;
use super::services::lend;
use super::streams::{body_in, body_out, pages_in};
use crate::checked::{self, Taken, Wanted};
use crate::context::HostServices;
use crate::describe::{ConfigureAnswer, ConfigureRequest, Description};
use crate::error::{Result, StorageError};
use crate::export::Exported;
use crate::storage::Storage;
use crate::types::{
    Body, Capability, DbPath, ListRequest, Location, ObjectInfo, ObjectKey, Pages, ReadRequest, ReplicaPath,
    WriteRequest,
};
use async_trait::async_trait;
use bytes::Bytes;
use litestream_sdk_abi::abi_stable::std_types::RVec;
use litestream_sdk_abi::{Buf, ENTRY_NONE, HostApi, PluginModV1_Ref, StorageObj};
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What a host tells a plugin about itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostSettings {
    /// The host's version, for logs.
    pub version: String,
    /// Threads that drive the plugin's sockets and timers: 1 or 2.
    pub worker_threads: u32,
    /// Threads for the plugin's blocking work.
    pub blocking_threads: u32,
}

impl HostSettings {
    /// One worker and eight blocking threads.
    pub fn new(version: impl Into<String>) -> Self {
        Self { version: version.into(), worker_threads: 1, blocking_threads: 8 }
    }

    /// Other numbers of threads.
    pub fn with_threads(mut self, worker_threads: u32, blocking_threads: u32) -> Self {
        (self.worker_threads, self.blocking_threads) = (worker_threads, blocking_threads);
        self
    }
}

/// The functions of one loaded plugin, as ordinary Rust.
pub struct HostModule {
    module: PluginModV1_Ref,
    host: HostApi,
}

impl HostModule {
    /// Of a library that [`load`](litestream_sdk_abi::load()) has loaded. `services` live as long as the process from here on.
    pub fn new(module: PluginModV1_Ref, services: Arc<dyn HostServices>, settings: &HostSettings) -> Self {
        let HostSettings { version, worker_threads, blocking_threads } = settings;
        Self { module, host: lend(services, version, *worker_threads, *blocking_threads) }
    }

    /// Of a plugin that is linked into this program, through the same adaptors: for tests and measurements.
    ///
    /// ```
    /// use litestream_sdk::bridge::{HostModule, host::HostSettings};
    /// use litestream_sdk::{NoHost, ObjectKey, Result, describe::ConfigureRequest, memory::MemoryPlugin};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let module = HostModule::in_process::<MemoryPlugin>(std::sync::Arc::new(NoHost), &HostSettings::new("0.1.0"));
    /// let storage = module.open(&ConfigureRequest::new().with_url("memory://bench/base")).await?;
    /// // trait -> Checked -> adaptor -> ABI -> adaptor -> trait: what one call costs
    /// assert!(storage.stat(&ObjectKey::parse("absent")?).await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn in_process<E: Exported>(services: Arc<dyn HostServices>, settings: &HostSettings) -> Self {
        Self::new(module::<E, false>(), services, settings)
    }

    /// What the plugin says about itself.
    ///
    /// # Errors
    /// BROKEN_CONTRACT if the answer cannot be read.
    pub fn describe(&self) -> Result<Description> {
        from_json("describe", &(self.module.describe())())
    }

    /// Checks one configuration. Pure: no I/O happens.
    ///
    /// # Errors
    /// BROKEN_CONTRACT if the answer cannot be read; a refused configuration is an answer, not an error.
    pub fn configure(&self, request: &ConfigureRequest) -> Result<ConfigureAnswer> {
        from_json("configure", &(self.module.configure())(to_json(request)?.into()))
    }

    /// The place of one database. Pure, microseconds.
    ///
    /// # Errors
    /// INVALID_INPUT with a sentence for the user.
    pub fn resolve(&self, at: &Location, db: &DbPath) -> Result<ReplicaPath> {
        self.resolver(at).resolve(db)
    }

    /// For resolving many databases of one location.
    pub fn resolver(&self, at: &Location) -> Resolver {
        Resolver { module: self.module, at: location_out(at) }
    }

    /// Opens a store with a configuration that [`HostModule::configure`] accepted. What comes back checks body lengths
    /// and result counts ([`Checked`](crate::Checked)); the host's own layers go around it.
    ///
    /// # Errors
    /// Whatever the plugin met.
    pub async fn open(&self, request: &ConfigureRequest) -> Result<Arc<dyn Storage>> {
        let opening = (self.module.open())(self.host, to_json(request)?.into());
        let object = result_in(opening.await)?;
        Ok(Arc::new(LoadedStorage::new(object)))
    }
}

impl fmt::Debug for HostModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostModule").finish_non_exhaustive()
    }
}

/// Resolves databases of one location.
pub struct Resolver {
    module: PluginModV1_Ref,
    at: litestream_sdk_abi::LocationAbi,
}

impl Resolver {
    /// The place of one database.
    ///
    /// # Errors
    /// INVALID_INPUT with a sentence for the user.
    pub fn resolve(&self, db: &DbPath) -> Result<ReplicaPath> {
        let place = result_in((self.module.resolve())(&self.at, db.as_bytes().into()))?;
        ReplicaPath::parse(place).map_err(|e| StorageError::broken_contract(format!("resolve gave no valid path: {e}")))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

fn to_json(request: &ConfigureRequest) -> Result<String> {
    serde_json::to_string(request).map_err(|e| StorageError::permanent("writing the configuration").with_source(&e))
}

/// The answer itself is not shown: it may hold secrets.
fn from_json<T: DeserializeOwned>(function: &str, answer: &str) -> Result<T> {
    serde_json::from_str(answer).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        StorageError::broken_contract(format!(
            "the plugin's answer to {function} cannot be read (line {line}, column {column})"
        ))
    })
}

/// A store on the other side of the boundary, checked as [`Checked`](crate::Checked) checks: here and not around it,
/// which would cost each call one more allocation.
struct LoadedStorage {
    object: StorageObj,
    capability: Capability,
}

impl LoadedStorage {
    fn new(object: StorageObj) -> Self {
        let capability = capability_in(object.capability());
        Self { object, capability }
    }
}

#[async_trait]
impl Storage for LoadedStorage {
    fn capability(&self) -> Capability {
        self.capability.clone()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let prefix = request.prefix.clone();
        let pages = pages_in(result_in(self.object.list(list_out(request)).await)?);
        Ok(checked::pages(prefix, pages))
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        info_about(key, result_in(self.object.stat(bytes_out(key.as_bytes())).await)?)
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let (key, wanted) = (request.key.clone(), Wanted::of(&request));
        let answer = result_in(self.object.read(read_out(request)).await)?;
        let info = if answer.info.flags & ENTRY_NONE == 0 { Some(info_about(&key, answer.info)?) } else { None };
        let body = wanted.check(info.as_ref(), body_in(answer.body));
        Ok((info, body))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let (key, taken) = (request.key.clone(), Taken::default());
        let body = body_out(taken.watch(body, request.size), Handle::try_current().ok().map(Shared::Owned));
        let info = info_about(&key, result_in(self.object.write(write_out(request), body).await)?)?;
        taken.judge(&key, info)
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let asked = keys.len();
        let keys: RVec<RVec<u8>> = keys.into_iter().map(|key| key.into_bytes().into()).collect();
        let results = result_in(self.object.delete(keys).await)?;
        checked::results(asked, results.into_iter().map(|result| result.into_result().map_err(error_in)).collect())
    }

    async fn close(&self) -> Result<()> {
        result_in(self.object.close().await)
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        Ok(Bytes::from_owner(result_in(self.object.extension(operation.into(), Buf::from_owner(args)).await)?))
    }
}
