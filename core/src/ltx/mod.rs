//! The LTX transaction file: names, header, pages, index, trailer, merge.
//!
//! Pure: works on byte streams given to it, opens no file and makes no request.
//!
//! ```text
//! header (100) | page frames ... | end marker (6) | page index | index size (8) | trailer (16)
//! ```

mod checksum;
mod decoder;
mod encoder;
mod error;
mod file_name;
mod frame_reader;
mod header;
mod ids;
mod info;
mod merge;
mod page;
mod page_index;
mod page_order;
mod page_size;
mod trailer;
mod varint;

pub(crate) use checksum::ContentDigest;
pub use checksum::{CHECKSUM_FLAG, DatabaseChecksum, FileChecksum, page_checksum};
pub use decoder::{Decoder, Verified, verify};
pub use encoder::Encoder;
pub use error::{HeaderError, LtxError};
pub use file_name::{FileName, ParseFileNameError, is_contiguous};
pub(crate) use frame_reader::{Frame, FrameReader};
pub use header::{HEADER_LEN, Header};
pub use ids::{Level, ParseTxidError, Pos, Txid};
pub use info::LtxInfo;
pub use merge::{Merge, compact};
pub use page_size::{PageSize, Pgno};
pub use trailer::{TRAILER_LEN, Trailer};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
