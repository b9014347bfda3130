//! Merges files of one replica into one: fetches what is not local, merges on a blocking thread, spools the result.
//!
//! Memory and open connections do not depend on sizes or numbers: at most one input is a stream from the store (the
//! largest, so that a database's snapshot does not land on the local disk twice), the others are spooled one after
//! another before it is opened.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::PathBuf;

use litestream_sdk::{ErrorKind, StorageError};
use tokio::runtime::Handle;

use crate::db::MetaDir;
use crate::ltx::{Decoder, Encoder, FileName, Header, Level, LtxError, LtxInfo, Merge, Txid};
use crate::replica::{BodyReader, ReplicaClient, Spool, SpoolWriter};
use crate::restore::Source;

/// Inputs of one merge. More wait for the next run: file handles and page buffers are held for each.
pub const MAX_INPUTS: usize = 64;

/// Bytes of a decoder's read-ahead.
const READ_AHEAD: usize = 64 << 10;

/// Why a merge gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// An input that a listing or our own memory promised is not there.
    #[error("{0} is missing on the replica")]
    Missing(FileName),
    /// The store.
    #[error("{0}")]
    Store(#[from] StorageError),
    /// An input, or the result, is not a valid LTX file.
    #[error("merging ltx files: {0}")]
    Ltx(#[from] LtxError),
    /// The local disk.
    #[error("local temporary file: {0}")]
    Local(#[from] std::io::Error),
}

/// A merged file.
pub struct Merged {
    /// Its bytes.
    pub spool: Spool,
    /// Its header.
    pub header: Header,
}

type Input = Box<dyn Read + Send>;

/// Merges `inputs`, oldest first and contiguous.
///
/// # Errors
/// See [`MergeError`].
pub async fn merge(client: &ReplicaClient, meta: &MetaDir, inputs: &[LtxInfo]) -> Result<Merged, MergeError> {
    let largest = inputs.iter().enumerate().max_by_key(|(_, file)| file.size).map(|(index, _)| index);
    let mut sources: Vec<Option<Input>> = Vec::with_capacity(inputs.len());
    for (index, file) in inputs.iter().enumerate() {
        sources.push(match local_copy(meta, file).await? {
            Some(local) => Some(local),
            None if Some(index) == largest => None,
            None => Some(spooled(client, meta, file).await?),
        });
    }
    if let Some(index) = largest
        && sources[index].is_none()
    {
        let body = client.open(&inputs[index], 0, None).await.map_err(|error| missing(&inputs[index], error))?;
        sources[index] = Some(Box::new(BodyReader::new(Handle::current(), body)));
    }
    let names: Vec<FileName> = inputs.iter().map(LtxInfo::file_name).collect();
    // A merged file is hardly ever larger than its inputs together.
    let spool = SpoolWriter::new(meta.root()).expecting(inputs.iter().map(|file| file.size).sum());
    blocking(move || merge_blocking(sources.into_iter().flatten().collect(), &names, spool)).await
}

fn merge_blocking(sources: Vec<Input>, names: &[FileName], spool: SpoolWriter) -> Result<Merged, MergeError> {
    let mut decoders = Vec::with_capacity(sources.len());
    for (source, name) in sources.into_iter().zip(names) {
        let decoder = Decoder::new(BufReader::with_capacity(READ_AHEAD, source))?;
        name.check(decoder.header())?;
        decoders.push(decoder);
    }
    let merge = Merge::new(decoders)?;
    let header = merge.header().clone();
    write(merge, header, spool)
}

/// A snapshot `1..=max` made of one local file that holds every page.
///
/// # Errors
/// See [`MergeError`]; [`MergeError::Ltx`] if a page is missing.
pub async fn snapshot_of(path: PathBuf, directory: PathBuf) -> Result<Merged, MergeError> {
    blocking(move || {
        let file = File::open(path)?;
        let spool = SpoolWriter::new(&directory).expecting(file.metadata()?.len());
        let file: Input = Box::new(file);
        let decoder = Decoder::new(BufReader::with_capacity(READ_AHEAD, file))?;
        let merge = Merge::new(vec![decoder])?;
        // The encoder demands every page of a file that begins with the first transaction.
        let header = Header { min_txid: Txid::FIRST, ..merge.header().clone() };
        write(merge, header, spool)
    })
    .await
}

fn write<R: Read>(mut merge: Merge<R>, header: Header, spool: SpoolWriter) -> Result<Merged, MergeError> {
    let mut encoder = Encoder::new(spool, &header)?;
    while let Some((pgno, page)) = merge.next_page()? {
        encoder.encode_page(pgno, page)?;
    }
    // Every input's checksum is compared before anything of the result is shown to anybody.
    merge.finish()?;
    let (writer, _) = encoder.finish()?;
    Ok(Merged { spool: writer.finish()?, header })
}

/// A file of level 0 that we still have: no request, no transfer.
async fn local_copy(meta: &MetaDir, file: &LtxInfo) -> Result<Option<Input>, MergeError> {
    if file.level != Level::RAW || file.min_txid != file.max_txid {
        return Ok(None);
    }
    let path = meta.l0_path(file.max_txid);
    blocking(move || match File::open(path) {
        Ok(local) => Ok(Some(Box::new(local) as Input)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    })
    .await
}

async fn spooled(client: &ReplicaClient, meta: &MetaDir, file: &LtxInfo) -> Result<Input, MergeError> {
    let mut body = client.open(file, 0, None).await.map_err(|error| missing(file, error))?;
    let mut writer = SpoolWriter::new(meta.root());
    while let Some(chunk) = body.next().await.map_err(|error| missing(file, error))? {
        writer = blocking(move || writer.write_all(&chunk).map(|()| writer).map_err(MergeError::from)).await?;
    }
    let spool = blocking(move || Ok(writer.finish()?)).await?;
    Ok(Box::new(spool.reader()))
}

fn missing(file: &LtxInfo, error: StorageError) -> MergeError {
    if error.kind == ErrorKind::NOT_FOUND { MergeError::Missing(file.file_name()) } else { error.into() }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MergeError> + Send + 'static,
) -> Result<T, MergeError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| Err(std::io::Error::other(ended).into()))
}
