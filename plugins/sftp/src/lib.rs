#![doc = include_str!("../README.md")]

mod config;
mod connect;
mod error;
mod host_key;
mod pool;
mod session;
mod storage;
mod upload;
mod walk;

#[cfg(test)]
mod tests;

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{Context, Location, Plugin, Result, async_trait, export_plugin};

pub use config::SftpOptions;
pub use storage::Sftp;

/// Replicas on a server that speaks SFTP.
pub struct SftpPlugin;

#[async_trait]
impl Plugin for SftpPlugin {
    type Options = SftpOptions;
    type Storage = Sftp;

    fn from_url(url: &Url, set: &mut Values) -> Result<()> {
        config::from_url(url, set)
    }

    fn check(options: &SftpOptions, findings: &mut Findings) {
        config::check(options, findings);
    }

    fn locate(options: &SftpOptions) -> Result<Location> {
        config::locate(options)
    }

    async fn open(options: SftpOptions, context: Context) -> Result<Sftp> {
        Sftp::open(options, context).await
    }
}

export_plugin!(SftpPlugin, name: "sftp", schemes: ["sftp"]);
