#![doc = include_str!("../README.md")]

mod batch;
mod client;
mod config;
mod credentials;
mod error;
mod listing;
mod object;
mod storage;
mod upload;

#[cfg(test)]
mod tests;

use litestream_sdk::options::Findings;
use litestream_sdk::{Context, Location, Plugin, Result, async_trait, export_plugin};

pub use config::GcsOptions;
pub use storage::Bucket;

/// Replicas in a bucket of Google Cloud Storage.
pub struct GcsPlugin;

#[async_trait]
impl Plugin for GcsPlugin {
    type Options = GcsOptions;
    type Storage = Bucket;

    fn check(options: &GcsOptions, findings: &mut Findings) {
        config::check(options, findings);
    }

    fn locate(options: &GcsOptions) -> Result<Location> {
        config::locate(options)
    }

    async fn open(options: GcsOptions, context: Context) -> Result<Bucket> {
        Bucket::open(&options, context)
    }
}

export_plugin!(GcsPlugin, name: "gcs", schemes: ["gs"]);
