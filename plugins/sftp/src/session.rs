//! One SFTP session, and the requests that the store makes of it. Each maps its own errors; one that tells of a broken
//! connection marks the session, and the pool leaves it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures::stream::{self, StreamExt, TryStreamExt};
use litestream_sdk::{Bytes, ErrorKind, Result, StorageError, Timestamp};
use russh::client::Handle;
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::extensions;
use russh_sftp::protocol::{File, FileAttributes, OpenFlags, Packet, Status, StatusCode};

use crate::error::{breaks_connection, failed, status};
use crate::host_key::HostKeyCheck;

/// Bytes in one read or write: what every server takes.
pub(crate) const PIECE: usize = 32 << 10;
/// Pieces of one transfer under way at once, to fill long lines.
pub(crate) const PIECES_AT_ONCE: usize = 32;

/// For the owner alone: a database's content must not become readable by being replicated.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// A name that no file has.
const ABSENT: &str = "/.litestream-rs/no/such/file";

const POSIX_RENAME: &str = "posix-rename@openssh.com";

/// What the server can do beyond SFTP 3.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extensions {
    /// A rename that replaces, in one step.
    pub posix_rename: bool,
    pub fsync: bool,
    /// A second name for a file, which never replaces one.
    pub hardlink: bool,
    pub statvfs: bool,
}

impl Extensions {
    /// From what the server announces.
    pub fn of(announced: &HashMap<String, String>) -> Self {
        let has = |name: &str, version: &str| announced.get(name).is_some_and(|announced| announced == version);
        Self {
            posix_rename: has(POSIX_RENAME, "1"),
            fsync: has(extensions::FSYNC, "1"),
            hardlink: has(extensions::HARDLINK, "1"),
            statvfs: has(extensions::STATVFS, "2"),
        }
    }
}

/// A connection with its session.
pub(crate) struct Session {
    ssh: Handle<HostKeyCheck>,
    sftp: RawSftpSession,
    pub extensions: Extensions,
    broken: AtomicBool,
    /// Leases of this session.
    calls: AtomicU32,
}

/// The right to use a session, counted for the pool.
pub(crate) struct Lease(Arc<Session>);

impl Lease {
    pub fn of(session: Arc<Session>) -> Self {
        session.calls.fetch_add(1, Ordering::Relaxed);
        Self(session)
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        Self::of(self.0.clone())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::ops::Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

/// What is at a path.
pub(crate) struct Found {
    pub is_file: bool,
    pub is_dir: bool,
    pub size: u64,
    pub modified: Option<Timestamp>,
}

impl From<&FileAttributes> for Found {
    fn from(attributes: &FileAttributes) -> Self {
        let kind = attributes.file_type();
        Self {
            is_file: kind.is_file(),
            is_dir: kind.is_dir(),
            size: attributes.size.unwrap_or_default(),
            modified: attributes.mtime.map(|seconds| Timestamp(i64::from(seconds) * 1_000_000_000)),
        }
    }
}

impl Session {
    /// Takes a session that has begun, and finds out what the server does of what it announced.
    pub async fn new(ssh: Handle<HostKeyCheck>, sftp: RawSftpSession, announced: Extensions) -> Self {
        let mut session =
            Self { ssh, sftp, extensions: announced, broken: AtomicBool::new(false), calls: AtomicU32::new(0) };
        if announced.hardlink {
            // Servers made with Go's library announce it in any case. A file that is not there tells, and nothing is made.
            let answer = session.run(session.sftp.hardlink(ABSENT, ABSENT)).await;
            let missing = answer.as_ref().err().and_then(status) == Some(StatusCode::OpUnsupported);
            session.extensions.hardlink = !missing;
        }
        session
    }

    /// Whether the connection lives, as far as is known.
    pub fn is_usable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed) && !self.ssh.is_closed()
    }

    /// Leases at this moment.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Ends the connection.
    pub async fn disconnect(&self) {
        self.broken.store(true, Ordering::Relaxed);
        // It ends with the process at the latest.
        drop(self.ssh.disconnect(russh::Disconnect::ByApplication, "", "en").await);
    }

    async fn run<T>(&self, request: impl Future<Output = Result<T, SftpError>>) -> Result<T, SftpError> {
        request.await.inspect_err(|error| {
            if breaks_connection(error) {
                self.broken.store(true, Ordering::Relaxed);
            }
        })
    }

    /// What is at a path, behind symbolic links; `None` if nothing.
    pub async fn find(&self, path: &str) -> Result<Option<Found>> {
        match self.run(self.sftp.stat(path)).await {
            Ok(found) => Ok(Some(Found::from(&found.attrs))),
            Err(error) if status(&error) == Some(StatusCode::NoSuchFile) => Ok(None),
            Err(error) => Err(failed("looking at", path, &error)),
        }
    }

    /// Everything in a directory; `None` if there is none.
    pub async fn read_dir(&self, path: &str) -> Result<Option<Vec<File>>> {
        let shown = if path.is_empty() { "." } else { path };
        let handle = match self.run(self.sftp.opendir(shown)).await {
            Ok(opened) => opened.handle,
            Err(error) if status(&error) == Some(StatusCode::NoSuchFile) => return Ok(None),
            Err(error) => return Err(failed("reading the directory", shown, &error)),
        };
        let mut entries = Vec::new();
        let read = loop {
            match self.run(self.sftp.readdir(&handle)).await {
                Ok(some) => entries.extend(some.files),
                Err(error) if status(&error) == Some(StatusCode::Eof) => break Ok(Some(entries)),
                Err(error) => break Err(failed("reading the directory", shown, &error)),
            }
        };
        // A handle that cannot be closed is the server's to forget.
        drop(self.run(self.sftp.close(handle)).await);
        read
    }

    /// Removes a file; one that is absent is fine.
    pub async fn remove(&self, path: &str) -> Result<()> {
        match self.run(self.sftp.remove(path)).await {
            Ok(_) => Ok(()),
            Err(error) if status(&error) == Some(StatusCode::NoSuchFile) => Ok(()),
            Err(error) => {
                let removed = failed("deleting", path, &error);
                // A directory is no object, and servers have many words for it.
                let is_dir = status(&error).is_some() && self.find(path).await?.is_some_and(|found| found.is_dir);
                if is_dir { Ok(()) } else { Err(removed) }
            }
        }
    }

    /// Makes a directory and those above it.
    pub async fn make_dirs(&self, path: &str) -> Result<()> {
        let mut missing = vec![path];
        while let Some(dir) = missing.last().copied() {
            let attributes = FileAttributes { permissions: Some(DIR_MODE), ..FileAttributes::empty() };
            match self.run(self.sftp.mkdir(dir, attributes)).await {
                Ok(_) => drop(missing.pop()),
                Err(error) if status(&error) == Some(StatusCode::NoSuchFile) => match dir.rsplit_once('/') {
                    Some((above, _)) if !above.is_empty() => missing.push(above),
                    _ => return Err(failed("making the directory", dir, &error)),
                },
                Err(error) => {
                    // Another write was faster: servers have no status for that.
                    let is_dir = status(&error).is_some() && self.find(dir).await?.is_some_and(|found| found.is_dir);
                    if !is_dir {
                        return Err(failed("making the directory", dir, &error));
                    }
                    missing.pop();
                }
            }
        }
        Ok(())
    }

    /// Gives a file its final name, replacing what has it: in one step where the server can.
    pub async fn replace(&self, from: &str, to: &str) -> Result<()> {
        if self.extensions.posix_rename {
            let names = [packed(from), packed(to)].concat();
            let answer = self.run(async { succeeded(self.sftp.extended(POSIX_RENAME, names).await?) }).await;
            return answer.map_err(|error| failed("renaming to", to, &error));
        }
        match self.run(self.sftp.rename(from, to)).await {
            Ok(_) => return Ok(()),
            // Most likely because there is an older one.
            Err(error) if status(&error).is_some() && self.find(to).await?.is_some() => {}
            Err(error) => return Err(failed("renaming to", to, &error)),
        }
        self.remove(to).await?;
        self.run(self.sftp.rename(from, to)).await.map(drop).map_err(|error| failed("renaming to", to, &error))
    }

    /// Gives a file its final name, which nothing may have.
    ///
    /// # Errors
    /// CONFLICT if something has it.
    pub async fn place_if_absent(&self, from: &str, to: &str) -> Result<()> {
        match self.run(self.sftp.hardlink(from, to)).await {
            Ok(_) => {
                // The object stands; a second name of it that is left over is left out of listings.
                drop(self.remove(from).await);
                Ok(())
            }
            Err(error) => Err(self.conflict_or(to, failed("renaming to", to, &error)).await),
        }
    }

    /// A server says "failure" for a name that is taken.
    async fn conflict_or(&self, to: &str, error: StorageError) -> StorageError {
        match self.find(to).await {
            Ok(Some(_)) if !error.kind.is_retryable() => StorageError::conflict(to),
            _ => error,
        }
    }

    /// What a failed write means. Its own file was there a moment ago, so one that is missing now is worth another try;
    /// and of the failures without a reason, a full disk is the one that somebody can do something about.
    pub async fn why_not_written(&self, dir: &str, mut error: StorageError) -> StorageError {
        if error.kind == ErrorKind::NOT_FOUND {
            error.kind = ErrorKind::TRANSIENT;
        }
        if error.kind != ErrorKind::PERMANENT || !self.extensions.statvfs {
            return error;
        }
        match self.run(self.sftp.statvfs(if dir.is_empty() { "." } else { dir })).await {
            Ok(disk) if disk.blocks_avail.saturating_mul(disk.fragment_size) < PIECE as u64 => {
                let mut full = error.context("the server's disk is full");
                full.kind = ErrorKind::STORAGE_FULL;
                full
            }
            _ => error,
        }
    }

    /// Opens a file to read it; `None` if there is none.
    pub(crate) async fn open(&self, path: &str) -> Result<Option<String>> {
        match self.run(self.sftp.open(path, OpenFlags::READ, FileAttributes::empty())).await {
            Ok(opened) => Ok(Some(opened.handle)),
            Err(error) if status(&error) == Some(StatusCode::NoSuchFile) => Ok(None),
            Err(error) => Err(failed("reading", path, &error)),
        }
    }

    /// Makes a file that must not exist; `None` if its directory does not.
    pub(crate) async fn create(&self, path: &str) -> Result<Option<String>> {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUDE;
        let attributes = FileAttributes { permissions: Some(FILE_MODE), ..FileAttributes::empty() };
        match self.run(self.sftp.open(path, flags, attributes)).await {
            Ok(opened) => Ok(Some(opened.handle)),
            Err(error) if status(&error) == Some(StatusCode::NoSuchFile) => Ok(None),
            Err(error) => Err(failed("writing", path, &error)),
        }
    }

    /// What an open file is.
    pub(crate) async fn describe(&self, handle: &str, path: &str) -> Result<Found> {
        let found = self.run(self.sftp.fstat(handle)).await;
        found.map(|found| Found::from(&found.attrs)).map_err(|error| failed("reading", path, &error))
    }

    /// Exactly these bytes of an open file.
    ///
    /// # Errors
    /// TRANSIENT if it ends before: it was longer a moment ago.
    pub(crate) async fn read_exact(&self, handle: &str, path: &str, at: u64, len: usize) -> Result<Bytes> {
        let pieces = (0..len).step_by(PIECE).map(|start| (at + start as u64, PIECE.min(len - start)));
        let read =
            stream::iter(pieces).map(|(at, len)| self.read_piece(handle, path, at, len)).buffered(PIECES_AT_ONCE);
        let pieces: Vec<Vec<u8>> = read.try_collect().await?;
        Ok(pieces.concat().into())
    }

    /// A server may give less than it is asked for.
    async fn read_piece(&self, handle: &str, path: &str, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut piece: Vec<u8> = Vec::new();
        while piece.len() < len {
            let (from, wanted) = (at + piece.len() as u64, u32::try_from(len - piece.len()).unwrap_or(PIECE as u32));
            let more = match self.run(self.sftp.read(handle, from, wanted)).await {
                Ok(more) => more.data,
                Err(error) if status(&error) == Some(StatusCode::Eof) => Vec::new(),
                Err(error) => return Err(failed("reading", path, &error)),
            };
            if more.is_empty() || more.len() > len - piece.len() {
                return Err(StorageError::transient(format!("reading {path}: the file changed its length meanwhile")));
            }
            if piece.is_empty() { piece = more } else { piece.extend(more) }
        }
        Ok(piece)
    }

    /// One piece to its place in an open file.
    pub(crate) async fn write_piece(&self, handle: &str, path: &str, at: u64, piece: Vec<u8>) -> Result<()> {
        let written = self.run(self.sftp.write(handle, at, piece)).await;
        written.map(drop).map_err(|error| failed("writing", path, &error))
    }

    /// Makes an open file durable, gives it its time, and closes it; the requests go out together, and the server keeps
    /// their order.
    pub(crate) async fn finish(&self, handle: &str, path: &str, time: Timestamp) -> Result<()> {
        let seconds = u32::try_from(time.0.div_euclid(1_000_000_000)).unwrap_or(u32::MAX);
        let times = FileAttributes { atime: Some(seconds), mtime: Some(seconds), ..FileAttributes::empty() };
        let sync =
            async { if self.extensions.fsync { self.run(self.sftp.fsync(handle)).await.map(drop) } else { Ok(()) } };
        let set = self.run(self.sftp.fsetstat(handle, times));
        let close = self.run(self.sftp.close(handle));
        let (synced, set, closed) = futures::join!(sync, set, close);
        let done = synced.and(set.map(drop)).and(closed.map(drop));
        done.map_err(|error| failed("writing", path, &error))
    }

    /// Closes a file that is of no more interest.
    pub(crate) async fn close(&self, handle: &str) {
        drop(self.run(self.sftp.close(handle)).await);
    }
}

/// A text as SFTP sends it: its length, then its bytes.
fn packed(text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&len.to_be_bytes(), text.as_bytes()].concat()
}

/// The status that answers an extension.
fn succeeded(answer: Packet) -> Result<(), SftpError> {
    match answer {
        Packet::Status(Status { status_code: StatusCode::Ok, .. }) => Ok(()),
        Packet::Status(status) => Err(SftpError::Status(status)),
        _ => Err(SftpError::UnexpectedPacket),
    }
}
