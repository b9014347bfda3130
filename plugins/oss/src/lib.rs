#![doc = include_str!("../README.md")]

mod client;
mod config;
mod credentials;
mod error;
mod listing;
mod storage;
mod upload;
mod xml;

#[cfg(test)]
mod tests;

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{Context, Location, Plugin, Result, async_trait, export_plugin};

pub use config::OssOptions;
pub use storage::Bucket;

/// Replicas in a bucket of Alibaba Cloud Object Storage Service.
pub struct OssPlugin;

#[async_trait]
impl Plugin for OssPlugin {
    type Options = OssOptions;
    type Storage = Bucket;

    fn from_url(url: &Url, set: &mut Values) -> Result<()> {
        config::from_url(url, set)
    }

    fn check(options: &OssOptions, findings: &mut Findings) {
        config::check(options, findings);
    }

    fn locate(options: &OssOptions) -> Result<Location> {
        config::locate(options)
    }

    async fn open(options: OssOptions, context: Context) -> Result<Bucket> {
        Bucket::open(&options, context)
    }
}

export_plugin!(OssPlugin, name: "oss", schemes: ["oss"], layouts: ["ltx", "hex"]);
