#![doc = include_str!("../README.md")]

mod client;
mod config;
mod copy;
mod credentials;
mod encryption;
mod error;
mod listing;
mod provider;
mod storage;
mod upload;
mod url;
mod xml;

#[cfg(test)]
mod tests;

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{Context, Location, Plugin, Result, async_trait, export_plugin};

pub use config::S3Options;
pub use storage::Bucket;

/// Replicas in a bucket of Amazon S3, or of a store that speaks its protocol.
pub struct S3Plugin;

#[async_trait]
impl Plugin for S3Plugin {
    type Options = S3Options;
    type Storage = Bucket;

    fn from_url(url: &Url, set: &mut Values) -> Result<()> {
        url::fill(url, set)
    }

    fn check(options: &S3Options, findings: &mut Findings) {
        config::check(options, findings);
    }

    fn locate(options: &S3Options) -> Result<Location> {
        config::locate(options)
    }

    async fn open(options: S3Options, context: Context) -> Result<Bucket> {
        Bucket::open(options, context).await
    }
}

export_plugin!(S3Plugin, name: "s3", schemes: ["s3"], layouts: ["ltx", "hex"]);
