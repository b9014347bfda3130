//! SQLite's own file formats: database header, WAL header, WAL frame, WAL checksum, lock page.
//!
//! Pure: works on bytes given to it. Which frames count as committed, and whether a WAL continues what was copied, is
//! decided in `db`.

mod frame;
mod header;
mod lock_page;
mod wal_checksum;
mod wal_header;

pub use frame::{FRAME_HEADER_LEN, FrameHeader, frame_len, frame_offset};
pub use header::{DATABASE_HEADER_LEN, DatabaseHeader, NotADatabaseHeader};
pub use lock_page::{PENDING_BYTE, lock_page};
pub use wal_checksum::{ByteOrder, WalChecksum};
pub use wal_header::{Salt, WAL_HEADER_LEN, WalHeader, WalHeaderError};
