//! The replica of one database: LTX files by level, over a store that knows objects.
//!
//! Retries, timeouts and the resuming of broken streams are the store's layers; a call here is one operation.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use litestream_sdk::{
    Body, Capability, CopyRequest, Entry, ErrorKind, ListRequest, ObjectInfo, ObjectKey, ReadRequest, ReplicaPath,
    StorageError, Time, Timestamp, WriteRequest,
};

use crate::clock::UnixMillis;
use crate::config::LayoutChoice;
use crate::ltx::{FileName, HEADER_LEN, Header, Level, LtxInfo, TRAILER_LEN, Txid};
use crate::plugin::{Store, Urgency, WriteSource};
use crate::restore::Source;

use super::layout::{Layout, fixed};

type Result<T> = std::result::Result<T, StorageError>;

/// Files named in one delete request.
const DELETE_AT_ONCE: usize = 1000;

/// See the module.
#[derive(Clone)]
pub struct ReplicaClient {
    store: Arc<Store>,
    path: ReplicaPath,
    layout: Layout,
    urgency: Urgency,
}

impl ReplicaClient {
    /// A replica whose layout is known.
    pub fn new(store: Arc<Store>, path: ReplicaPath, layout: Layout) -> ReplicaClient {
        ReplicaClient { store, path, layout, urgency: Urgency::Background }
    }

    /// A replica with the layout that its files show, or `ltx` while it is empty. Costs a request or two only where the
    /// choice is open and the store's plugin knows two layouts.
    ///
    /// # Errors
    /// Those of listing.
    pub async fn detect(
        store: Arc<Store>,
        path: ReplicaPath,
        choice: LayoutChoice,
        hex_known: bool,
        urgency: Urgency,
    ) -> Result<ReplicaClient> {
        let client = ReplicaClient::new(store, path, Layout::Ltx).with_urgency(urgency);
        match fixed(choice) {
            Some(layout) => Ok(ReplicaClient { layout, ..client }),
            None if !hex_known => Ok(client),
            None => {
                let hex = ReplicaClient { layout: Layout::Hex, ..client.clone() };
                // Both may be there if somebody set `layout`, then unset it: the one with files of level 0 goes on.
                for candidate in [&client, &hex] {
                    for level in [Level::RAW, Level::SNAPSHOT] {
                        if candidate.has_files(level).await? {
                            return Ok(candidate.clone());
                        }
                    }
                }
                Ok(client)
            }
        }
    }

    /// How long the store may try.
    #[must_use]
    pub fn with_urgency(self, urgency: Urgency) -> ReplicaClient {
        ReplicaClient { urgency, ..self }
    }

    /// Where the replica begins inside its store.
    pub fn path(&self) -> &ReplicaPath {
        &self.path
    }

    /// How its objects are named.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The store it lies in.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Every LTX file of every level, sorted by level, first and last transaction. One request where the layout allows.
    ///
    /// # Errors
    /// Those of listing.
    pub async fn list_all(&self) -> Result<Vec<LtxInfo>> {
        let mut files = match self.layout.levels_dir(&self.path)? {
            Some(dir) => {
                let parse = |key: &ObjectKey| Layout::parse_below_levels(key.below(&dir)?);
                self.collect(ListRequest::below(dir.clone()), parse).await?
            }
            None => {
                let mut files = Vec::new();
                for level in Level::all() {
                    files.extend(self.list_level(level, Txid::NONE).await?);
                }
                files
            }
        };
        files.sort_unstable_by_key(|file| (file.level, file.min_txid, file.max_txid));
        Ok(files)
    }

    /// The files of one level that begin at `from` or later, sorted.
    ///
    /// # Errors
    /// Those of listing.
    pub async fn list_level(&self, level: Level, from: Txid) -> Result<Vec<LtxInfo>> {
        let dir = self.layout.level_dir(&self.path, level)?;
        let mut request = ListRequest::below(dir.clone());
        if from > Txid::FIRST && self.store.capability().has(Capability::SEEK_LIST) {
            // Every name that begins with this id is greater than the id alone.
            request = request.with_start_after(dir.object(from.to_string())?);
        }
        let parse = |key: &ObjectKey| {
            let name = std::str::from_utf8(key.below(&dir)?).ok()?.parse().ok()?;
            Some((level, name))
        };
        let mut files = self.collect(request, parse).await?;
        files.retain(|file| file.min_txid >= from);
        files.sort_unstable_by_key(|file| (file.min_txid, file.max_txid));
        Ok(files)
    }

    async fn collect(
        &self,
        request: ListRequest,
        parse: impl Fn(&ObjectKey) -> Option<(Level, FileName)>,
    ) -> Result<Vec<LtxInfo>> {
        let mut pages = self.store.list(request, self.urgency).await?;
        let mut files = Vec::new();
        while let Some(page) = pages.next().await {
            for entry in page? {
                let Entry::Object(object) = entry else { continue };
                let Some((level, name)) = parse(&object.key) else { continue };
                files.push(info(level, name, &object));
            }
        }
        Ok(files)
    }

    async fn has_files(&self, level: Level) -> Result<bool> {
        let request = ListRequest::below(self.layout.level_dir(&self.path, level)?).with_limit(1);
        let mut pages = self.store.list(request, self.urgency).await?;
        Ok(pages.next().await.transpose()?.is_some_and(|page| !page.is_empty()))
    }

    /// Whether the store decides in one step that a name is new.
    pub fn can_refuse_existing(&self) -> bool {
        self.store.capability().has(Capability::IF_ABSENT)
    }

    /// Writes one file. With `only_new`, and on a store that can, an existing object of that name is CONFLICT.
    ///
    /// # Errors
    /// CONFLICT, STORAGE_FULL, and the common ones.
    pub async fn write_file(
        &self,
        level: Level,
        name: FileName,
        created_at: UnixMillis,
        only_new: bool,
        source: &dyn WriteSource,
    ) -> Result<()> {
        let key = self.layout.object(&self.path, level, name)?;
        let time = Timestamp(created_at.max(0).saturating_mul(1_000_000));
        let only_new = only_new && self.can_refuse_existing();
        let request = WriteRequest::new(key, time).with_if_absent(only_new);
        self.store.write(request, source, self.urgency).await.map(drop)
    }

    /// Puts a file into another level as it is, if the store can copy it without its bytes passing through here. False if
    /// it cannot or did not: then the file has to be written, and that will say what is wrong.
    pub async fn promote(&self, file: &LtxInfo, level: Level) -> bool {
        let name = file.file_name();
        let object = |level| self.layout.object(&self.path, level, name);
        let (true, Ok(from), Ok(to)) =
            (self.store.capability().has(Capability::COPY), object(file.level), object(level))
        else {
            return false;
        };
        match self.store.copy(CopyRequest::new(from, to)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(level = level.number(), file = %name, %error, "not copied by the store, writing it");
                false
            }
        }
    }

    /// The last bytes of a file: its checksums, which tell two files of one name apart.
    ///
    /// # Errors
    /// NOT_FOUND, and the common ones.
    pub async fn trailer(&self, file: &LtxInfo) -> Result<Vec<u8>> {
        let start = file.size.saturating_sub(TRAILER_LEN as u64);
        let body = self.open(file, start, Some(file.size - start)).await?;
        Ok(body.collect(TRAILER_LEN as u64).await?.to_vec())
    }

    /// Size and name of one file, if it is there.
    ///
    /// # Errors
    /// The common ones.
    pub async fn find(&self, level: Level, name: FileName) -> Result<Option<LtxInfo>> {
        let key = self.layout.object(&self.path, level, name)?;
        match self.store.stat(&key, self.urgency).await {
            Ok(object) => Ok(Some(info(level, name, &object))),
            Err(error) if error.kind == ErrorKind::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes files; those that are gone already are fine. Stops at the first error, with a part done.
    ///
    /// # Errors
    /// Why one of them stays.
    pub async fn delete(&self, files: impl IntoIterator<Item = (Level, FileName)>) -> Result<()> {
        let keys = files.into_iter().map(|(level, name)| self.layout.object(&self.path, level, name));
        let keys = keys.collect::<Result<Vec<ObjectKey>>>()?;
        for batch in keys.chunks(DELETE_AT_ONCE) {
            for result in self.store.delete(batch.to_vec(), self.urgency).await {
                result?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Source for ReplicaClient {
    async fn list(&self, level: Level) -> Result<Vec<LtxInfo>> {
        self.list_level(level, Txid::NONE).await
    }

    async fn list_at_once(&self) -> Result<Option<Vec<LtxInfo>>> {
        match self.layout.levels_dir(&self.path)? {
            Some(_) => self.list_all().await.map(Some),
            None => Ok(None),
        }
    }

    async fn open(&self, file: &LtxInfo, offset: u64, len: Option<u64>) -> Result<Body> {
        let key = self.layout.object(&self.path, file.level, file.file_name())?;
        let mut request = ReadRequest::from_offset(key, offset);
        request.len = len;
        self.store.read(request, self.urgency).await.map(|(_, body)| body)
    }

    async fn exact_time(&self, file: &LtxInfo) -> Result<UnixMillis> {
        if self.store.capability().has(Capability::LIST_TIME_EXACT) {
            return Ok(file.created_at);
        }
        let key = self.layout.object(&self.path, file.level, file.file_name())?;
        if let Time::Exact(time) = self.store.stat(&key, self.urgency).await?.time {
            return Ok(millis(time));
        }
        // The store keeps no times: the file itself says when it was written.
        let head = self.open(file, 0, Some(HEADER_LEN as u64)).await?.collect(HEADER_LEN as u64).await?;
        let header = <[u8; HEADER_LEN]>::try_from(&head[..]).ok().and_then(|bytes| Header::parse(&bytes).ok());
        let damaged = || StorageError::new(ErrorKind::CORRUPT, format!("{} has no ltx header", file.file_name()));
        header.map(|header| header.timestamp).ok_or_else(damaged)
    }
}

fn info(level: Level, name: FileName, object: &ObjectInfo) -> LtxInfo {
    LtxInfo {
        level,
        min_txid: name.min_txid,
        max_txid: name.max_txid,
        size: object.size,
        created_at: object.time.known().map_or(0, millis),
    }
}

fn millis(time: Timestamp) -> UnixMillis {
    time.0.div_euclid(1_000_000)
}
