//! The bucket as messages of a stream: descriptions by name, chunks by content.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::object_store::{Object, ObjectStore};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context as JetStream};
use futures::StreamExt;
use litestream_sdk::{ErrorKind, Result, StorageError};

use crate::connect::Connection;
use crate::error;
use crate::meta::{Meta, chunks_subject, subject};

/// An open bucket.
pub(crate) struct Bucket {
    pub name: String,
    pub jetstream: JetStream,
    connection: Connection,
    stream: Stream,
    store: ObjectStore,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// What is under a name.
pub(crate) struct Found {
    /// `None` if it was deleted, or is nothing of ours.
    pub meta: Option<Meta>,
    /// Of the message, for conditions.
    pub sequence: u64,
}

impl Bucket {
    /// Opens a bucket, which must exist.
    ///
    /// # Errors
    /// NO_STORE if it does not.
    pub async fn open(connection: Connection, name: &str, timeout: Duration) -> Result<Self> {
        let mut jetstream = jetstream::new(connection.client.clone());
        jetstream.set_timeout(timeout);
        let what = format!("opening the NATS bucket `{name}`");
        let stream = jetstream.get_stream(format!("OBJ_{name}")).await.map_err(|failed| match failed.kind() {
            GetStreamErrorKind::JetStream(answer) => error::answered(&what, &answer),
            _ => error::asking(&what, &failed),
        })?;
        let store = jetstream.get_object_store(name).await.map_err(|failed| error::asking(&what, &failed))?;
        Ok(Self { name: name.to_owned(), jetstream, connection, stream, store, timeout })
    }

    /// Whether its connection has given up.
    pub fn has_ended(&self) -> bool {
        self.connection.has_ended()
    }

    /// The newest message under a name; `None` if there is none.
    pub async fn find(&self, name: &str) -> Result<Option<Found>> {
        match self.stream.get_last_raw_message_by_subject(&subject(&self.name, name)).await {
            Ok(message) => {
                let meta = Meta::parse(&message.payload).filter(|meta| !meta.deleted);
                Ok(Some(Found { meta, sequence: message.sequence }))
            }
            Err(failed) => match failed.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(answer) => {
                    Err(error::answered(&format!("looking at {name}"), &answer))
                }
                _ => Err(error::asking(&format!("looking at {name}"), &failed)),
            },
        }
    }

    /// The description of an object that is there.
    pub async fn description(&self, name: &str) -> Result<Meta> {
        let found = self.find(name).await?;
        found.and_then(|found| found.meta).ok_or_else(|| StorageError::not_found(name))
    }

    /// Every object of the bucket: names are hidden in subjects, so nothing less can be asked for.
    pub async fn list(&self) -> Result<Vec<Meta>> {
        let what = format!("listing the NATS bucket `{}`", self.name);
        let failed = |failed: &(dyn std::error::Error + 'static)| error::asking(&what, failed);
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            deliver_subject: self.connection.client.new_inbox(),
            filter_subject: format!("$O.{}.M.>", self.name),
            ..OrderedConfig::default()
        };
        let consumer = self.stream.create_consumer(config).await.map_err(|error| failed(&error))?;
        let mut pending = consumer.cached_info().num_pending;
        let mut messages = consumer.messages().await.map_err(|error| failed(&error))?;
        let mut all = Vec::new();
        while pending > 0 {
            let next = tokio::time::timeout(self.timeout, messages.next()).await;
            let next = next.map_err(|_| StorageError::new(ErrorKind::TIMEOUT, format!("{what}: no answer")))?;
            let ended = || StorageError::transient(format!("{what}: it ended too early"));
            let message = next.ok_or_else(ended)?.map_err(|error| failed(&error))?;
            pending = message.info().map_err(|error| StorageError::transient(format!("{what}: {error}")))?.pending;
            all.extend(Meta::parse(&message.payload).filter(|meta| !meta.deleted));
        }
        Ok(all)
    }

    /// The content of an object.
    pub async fn read(&self, name: &str) -> Result<Object> {
        use async_nats::jetstream::object_store::GetErrorKind;
        self.store.get(name).await.map_err(|failed| match failed.kind() {
            GetErrorKind::NotFound | GetErrorKind::BucketLink => StorageError::not_found(name),
            _ => error::asking(&format!("reading {name}"), &failed),
        })
    }

    /// Removes an object and every trace of it. The reference leaves a message behind that says so: a bucket that a
    /// busy database has used for a year would take minutes to list.
    pub async fn delete(&self, name: &str) -> Result<()> {
        let Some(found) = self.find(name).await? else { return Ok(()) };
        self.purge(&subject(&self.name, name)).await?;
        match found.meta {
            Some(meta) => self.purge(&chunks_subject(&self.name, &meta.nuid)).await,
            None => Ok(()),
        }
    }

    /// Removes the messages of a subject.
    pub async fn purge(&self, subject: &str) -> Result<()> {
        let purged = self.stream.purge().filter(subject).await;
        purged
            .map(drop)
            .map_err(|failed| error::asking(&format!("deleting in the NATS bucket `{}`", self.name), &failed))
    }

    /// Ends the connection.
    pub async fn close(&self) {
        // It ends with the process at the latest.
        drop(self.connection.client.drain().await);
    }
}
