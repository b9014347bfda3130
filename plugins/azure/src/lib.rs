#![doc = include_str!("../README.md")]

mod batch;
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

use litestream_sdk::options::Findings;
use litestream_sdk::{Context, Location, Plugin, Result, async_trait, export_plugin};

pub use config::AzureOptions;
pub use storage::Container;

/// Replicas in a container of Azure Blob Storage.
pub struct AzurePlugin;

#[async_trait]
impl Plugin for AzurePlugin {
    type Options = AzureOptions;
    type Storage = Container;

    fn check(options: &AzureOptions, findings: &mut Findings) {
        config::check(options, findings);
    }

    fn locate(options: &AzureOptions) -> Result<Location> {
        config::locate(options)
    }

    async fn open(options: AzureOptions, _context: Context) -> Result<Container> {
        Container::open(&options)
    }
}

export_plugin!(AzurePlugin, name: "azure", schemes: ["abs"]);
