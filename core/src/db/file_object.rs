//! Raw reads of the database file and of the WAL through SQLite's own open files.
//!
//! Closing any descriptor of a database file drops all locks the process holds on it, so this program opens none: SQLite
//! lends its own. It also answers whether the file still stands at its path.

#![allow(unsafe_code, reason = "SQLite's file objects are C structures with function pointers")]

use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::ptr;

use rusqlite::ffi;

use super::open::Connection;

/// One of SQLite's open files, borrowed from the connection that owns it.
pub(super) struct FileObject<'connection> {
    file: *mut ffi::sqlite3_file,
    methods: *const ffi::sqlite3_io_methods,
    owner: PhantomData<&'connection Connection>,
}

impl Connection {
    /// The database file.
    pub(super) fn database_file(&self) -> io::Result<FileObject<'_>> {
        self.file_object(ffi::SQLITE_FCNTL_FILE_POINTER)
    }

    /// The WAL file. Only inside a transaction of a database in WAL mode; otherwise it would be the rollback journal.
    pub(super) fn wal_file(&self) -> io::Result<FileObject<'_>> {
        self.file_object(ffi::SQLITE_FCNTL_JOURNAL_POINTER)
    }

    /// Whether another file, or none, stands at the path this connection was opened with.
    pub(super) fn has_moved(&self) -> io::Result<bool> {
        let mut moved: std::ffi::c_int = 0;
        self.file_control(ffi::SQLITE_FCNTL_HAS_MOVED, (&raw mut moved).cast())?;
        Ok(moved != 0)
    }

    fn file_object(&self, operation: i32) -> io::Result<FileObject<'_>> {
        let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
        self.file_control(operation, (&raw mut file).cast())?;
        if file.is_null() {
            return Err(io::Error::other("sqlite has no such file"));
        }
        // SAFETY: SQLite answered with a file object of this connection, which lives as long as the connection.
        let methods = unsafe { (*file).pMethods };
        if methods.is_null() {
            return Err(io::Error::other("sqlite has not opened the file"));
        }
        Ok(FileObject { file, methods, owner: PhantomData })
    }

    fn file_control(&self, operation: i32, argument: *mut c_void) -> io::Result<()> {
        // SAFETY: the handle is open and used by this thread only; each caller passes a variable of the type that the
        // operation documents.
        let code = unsafe { ffi::sqlite3_file_control(self.sqlite.handle(), c"main".as_ptr(), operation, argument) };
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(sqlite_error("file control", code)) }
    }
}

impl FileObject<'_> {
    /// Fills `buffer` from `offset`. `Ok(false)`: the file ends before that, and the rest of the buffer is zeros.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        let too_large = || io::Error::from(io::ErrorKind::InvalidInput);
        let amount = i32::try_from(buffer.len()).map_err(|_| too_large())?;
        let offset = i64::try_from(offset).map_err(|_| too_large())?;
        // SAFETY: `methods` belongs to this open file object; the buffer has `amount` bytes. SQLite is idle: this thread
        // is the only user of the connection.
        let code = unsafe {
            let read = (*self.methods).xRead.ok_or_else(|| io::Error::other("file without xRead"))?;
            read(self.file, buffer.as_mut_ptr().cast(), amount, offset)
        };
        match code {
            ffi::SQLITE_OK => Ok(true),
            ffi::SQLITE_IOERR_SHORT_READ => Ok(false),
            _ => Err(sqlite_error("read", code)),
        }
    }

    /// Size of the file in bytes.
    pub(super) fn size(&self) -> io::Result<u64> {
        let mut size: ffi::sqlite3_int64 = 0;
        // SAFETY: as in `read_at`; the result is written to a variable of the documented type.
        let code = unsafe {
            let file_size = (*self.methods).xFileSize.ok_or_else(|| io::Error::other("file without xFileSize"))?;
            file_size(self.file, &raw mut size)
        };
        if code != ffi::SQLITE_OK {
            return Err(sqlite_error("file size", code));
        }
        u64::try_from(size).map_err(|_| io::Error::other("negative file size"))
    }
}

fn sqlite_error(operation: &str, code: i32) -> io::Error {
    io::Error::other(format!("{operation}: {}", ffi::Error::new(code)))
}
