//! A read that broke is picked up where it stopped.
//!
//! With a version the store itself makes sure that it is still the same object. Without one the object is read again
//! from the start, and what was given already must come again, byte for byte by checksum.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use futures::stream;
use litestream_sdk::{Body, Capability, ObjectInfo, ReadRequest, Result, StorageError};

use super::{Attempts, Retry, Urgency};

impl Retry {
    pub async fn read(&self, request: ReadRequest, urgency: Urgency) -> Result<(Option<ObjectInfo>, Body)> {
        let (info, body) = self.tokens.run(urgency, || self.inner.read(request.clone())).await?;
        let size = body.size_hint();
        let has_versions = self.inner.capability().has(Capability::READ_VERSION);
        let version = request.version.clone().or_else(|| info.as_ref().and_then(|info| info.version.clone()));
        let reading = Reading {
            retry: self.clone(),
            version: version.filter(|_| has_versions),
            request,
            body: Some(body),
            pending: None,
            given: 0,
            digest: Digest::new(CrcAlgorithm::Crc64GoIso),
            attempts: Attempts::resuming(urgency),
        };
        let chunks = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|chunk| (chunk, reading)))
        });
        Ok((info, crate::plugin::layers::hinted(Body::new(chunks), size)))
    }
}

struct Reading {
    retry: Retry,
    /// As it was asked for first.
    request: ReadRequest,
    version: Option<String>,
    /// `None` after an error.
    body: Option<Body>,
    /// Came with the end of what was given already.
    pending: Option<Bytes>,
    /// Bytes given to the reader.
    given: u64,
    /// Their checksum, where no version says that the object is the same.
    digest: Digest,
    attempts: Attempts,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.step().await {
                Ok(Some(chunk)) => {
                    self.attempts.progressed();
                    self.given += chunk.len() as u64;
                    if self.version.is_none() {
                        self.digest.update(&chunk);
                    }
                    return Ok(Some(chunk));
                }
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.body = None;
                    self.retry.tokens.pause(&mut self.attempts, error).await?;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>> {
        if self.body.is_none() {
            self.body = Some(self.reopen().await?);
            self.retry.tokens.give();
        }
        if let Some(chunk) = self.pending.take() {
            return Ok(Some(chunk));
        }
        match &mut self.body {
            Some(body) => body.next().await,
            None => Ok(None),
        }
    }

    /// A body that stands after the last byte given.
    async fn reopen(&mut self) -> Result<Body> {
        self.pending = None;
        let mut request = self.request.clone();
        if let Some(version) = &self.version {
            request.offset += self.given;
            request.len = request.len.map(|len| len.saturating_sub(self.given));
            request.version = Some(version.clone());
            return Ok(self.retry.inner.read(request).await?.1);
        }
        let (_, mut body) = self.retry.inner.read(request).await?;
        let mut again = Digest::new(CrcAlgorithm::Crc64GoIso);
        let mut left = self.given;
        while left > 0 {
            let Some(mut chunk) = body.next().await? else { return Err(self.changed()) };
            let known = chunk.split_to(chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            again.update(&known);
            left -= known.len() as u64;
            if !chunk.is_empty() {
                self.pending = Some(chunk);
            }
        }
        if again.finalize() == self.digest.finalize() { Ok(body) } else { Err(self.changed()) }
    }

    fn changed(&self) -> StorageError {
        StorageError::conflict(&self.request.key).context("the object changed while it was read")
    }
}
