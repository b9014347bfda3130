//! The LTX transaction file: names, header, pages, index, trailer, merge.
//!
//! Pure: works on byte streams given to it, opens no file and makes no request.

mod ids;

pub use ids::{Level, ParseTxidError, Pos, Txid};
