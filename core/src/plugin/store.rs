//! An open store as the rest of core sees it: a plugin's [`Storage`] inside the [layers](super::layers).

use std::sync::Arc;

use futures::StreamExt;
use litestream_sdk::{
    Body, Capability, CopyRequest, Entry, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Page, Pages, ReadRequest,
    Result, Storage, StorageError, WriteRequest,
};

use crate::metrics::{Metrics, Operation};

use super::budget::ByteBudget;
use super::layers::admission::Admission;
use super::layers::concurrency::Concurrency;
use super::layers::lending::Lending;
use super::layers::measure::Measure;
use super::layers::one_writer::OneWriter;
use super::layers::rate::Rate;
use super::layers::reopen::{Opener, Reopen};
use super::layers::retry::{Retry, Urgency, repeat};
use super::layers::timeout::Timeout;
use super::source::WriteSource;

/// One connection pool, shared by every database of every replica whose options differ only in location.
///
/// All calls may run at once; what waits, waits inside. Dropping a call cancels it.
pub struct Store {
    replica_type: String,
    capability: Capability,
    measure: Measure,
    one_writer: OneWriter,
    retry: Retry,
    layered: Arc<dyn Storage>,
}

/// What a store needs from its process.
#[derive(Clone, Copy)]
pub struct StoreSettings<'a> {
    /// Where memory for bodies comes from.
    pub budget: &'a ByteBudget,
    /// Calls at once, if fewer than the store would take.
    pub max_in_flight: Option<u32>,
    /// Where operations are counted.
    pub metrics: &'a Metrics,
}

impl Store {
    /// Opens a store and puts the layers around it.
    ///
    /// # Errors
    ///
    /// Those of opening, after three tries or 30 s where trying again may help.
    pub(super) async fn open(replica_type: &str, opener: Opener, settings: StoreSettings<'_>) -> Result<Store> {
        let reopen = repeat(Urgency::Interactive, || Reopen::open(opener.clone())).await?;
        let capability = reopen.capability();
        let ceiling = settings.max_in_flight.unwrap_or(u32::MAX).min(capability.max_in_flight);
        let admission = Admission::new(ceiling);
        #[cfg(feature = "failpoints")]
        let reopen = super::layers::crash::Crash(Arc::new(reopen));
        let timeout = Arc::new(Timeout::new(Arc::new(reopen)));
        let rate = Arc::new(Rate::new(timeout, admission.clone()));
        let lending = Arc::new(Lending::new(rate, settings.budget.clone()));
        let layered: Arc<dyn Storage> = Arc::new(Concurrency::new(lending, admission));
        Ok(Store {
            replica_type: replica_type.to_owned(),
            capability,
            measure: Measure::new(settings.metrics.replicas(), replica_type),
            one_writer: OneWriter::default(),
            retry: Retry::new(layered.clone()),
            layered,
        })
    }

    /// A store around a [`Storage`] that is part of this program: for tests, and for programs that link a backend.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub async fn around(replica_type: &str, storage: Arc<dyn Storage>, settings: StoreSettings<'_>) -> Result<Store> {
        let opener: Opener = Arc::new(move || {
            let storage = storage.clone();
            Box::pin(async move { Ok(storage) })
        });
        Store::open(replica_type, opener, settings).await
    }

    /// What the store can do. Constant.
    pub fn capability(&self) -> &Capability {
        &self.capability
    }

    /// `s3`, `file`: the type of the replicas it serves, for logs and metrics.
    pub fn replica_type(&self) -> &str {
        &self.replica_type
    }

    /// As [`Storage::list`]. A listing that breaks is begun again; nothing is given twice.
    ///
    /// # Errors
    ///
    /// NO_STORE, UNSUPPORTED, and the common ones, here or from the stream.
    pub async fn list(&self, request: ListRequest, urgency: Urgency) -> Result<Pages> {
        let mut running = self.measure.begin(Operation::List, &request.prefix);
        let pages = running.wait(self.retry.list(request, urgency)).await?;
        Ok(running.stream(pages, |_: &Page| 0).boxed())
    }

    /// As [`Storage::stat`].
    ///
    /// # Errors
    ///
    /// NOT_FOUND, and the common ones.
    pub async fn stat(&self, key: &ObjectKey, urgency: Urgency) -> Result<ObjectInfo> {
        self.measure.begin(Operation::Stat, key).wait(self.retry.stat(key, urgency)).await
    }

    /// As [`Storage::read`]. A transfer that breaks is picked up where it stopped.
    ///
    /// # Errors
    ///
    /// NOT_FOUND, CONFLICT, and the common ones, here or from the body.
    pub async fn read(&self, request: ReadRequest, urgency: Urgency) -> Result<(Option<ObjectInfo>, Body)> {
        let mut running = self.measure.begin(Operation::Get, &request.key);
        let (info, body) = running.wait(self.retry.read(request, urgency)).await?;
        let size = body.size_hint();
        let body = Body::new(running.stream(body.into_stream(), |chunk| chunk.len() as u64));
        Ok((info, super::layers::hinted(body, size)))
    }

    /// As [`Storage::write`]. The size is taken from the source and the buffer from the byte budget, whatever the
    /// request says of them.
    ///
    /// # Errors
    ///
    /// CONFLICT, STORAGE_FULL, INVALID_INPUT (the key or the object is larger than the store takes), the source's own,
    /// and the common ones.
    pub async fn write(
        &self,
        mut request: WriteRequest,
        source: &dyn WriteSource,
        urgency: Urgency,
    ) -> Result<ObjectInfo> {
        request.size = source.size();
        self.check_limits(&request)?;
        let mut running = self.measure.begin(Operation::Put, &request.key);
        let _turn = self.one_writer.turn(&request.key).await;
        let info = running.wait(self.retry.write(request, source, urgency)).await?;
        running.moved(info.size);
        Ok(info)
    }

    /// Copies an object inside the store, which claims `Capability::COPY`. Tried once: the caller can write instead.
    ///
    /// # Errors
    ///
    /// Anything; the target is then the old object or the new one.
    pub async fn copy(&self, request: CopyRequest) -> Result<()> {
        let mut running = self.measure.begin(Operation::Put, &request.to);
        let _turn = self.one_writer.turn(&request.to).await;
        running.wait(request.send(&*self.layered)).await
    }

    /// Deletes any number of objects; one result for each key, in order. An absent object is `Ok`.
    pub async fn delete(&self, keys: Vec<ObjectKey>, urgency: Urgency) -> Vec<Result<()>> {
        if keys.is_empty() {
            return Vec::new();
        }
        let mut running = self.measure.begin(Operation::Delete, format_args!("{} objects", keys.len()));
        let results = running.wait(async { Ok(self.retry.delete(keys, urgency).await) }).await.unwrap_or_default();
        results.iter().filter_map(|result| result.as_ref().err()).for_each(|error| running.failed(error));
        results
    }

    /// The first objects and directories below a prefix: proves address, credentials and bucket in one request.
    ///
    /// # Errors
    ///
    /// NO_STORE, UNAUTHENTICATED, PERMISSION_DENIED, and the common ones.
    pub async fn probe(&self, request: ListRequest) -> Result<Vec<Entry>> {
        let mut pages = self.list(request.with_limit(1), Urgency::Interactive).await?;
        Ok(pages.next().await.transpose()?.unwrap_or_default())
    }

    /// Flushes and disconnects, within 10 s. Call it once, after everything else has ended.
    ///
    /// # Errors
    ///
    /// Only for the log.
    pub async fn close(&self) -> Result<()> {
        self.layered.close().await
    }

    /// The layers below retry, for tests that need a call which callers do not have.
    #[cfg(test)]
    pub(super) fn layered(&self) -> &dyn Storage {
        &*self.layered
    }

    fn check_limits(&self, request: &WriteRequest) -> Result<()> {
        let (key, max_key) = (request.key.as_bytes().len(), self.capability.max_key as usize);
        if key > max_key {
            let key = &request.key;
            return Err(too_large(format!(
                "the name {key} has {} bytes, the store takes {max_key}",
                key.as_bytes().len()
            )));
        }
        match request.size {
            Some(size) if size > self.capability.max_object => Err(too_large(format!(
                "the object {} has {size} bytes, the store takes {}",
                request.key, self.capability.max_object
            ))),
            _ => Ok(()),
        }
    }
}

fn too_large(message: String) -> StorageError {
    StorageError::new(ErrorKind::INVALID_INPUT, message)
}

#[cfg(test)]
mod tests;
