#![doc = include_str!("../README.md")]

mod config;
mod error;
mod escape;
mod storage;
mod temp;
mod walk;

#[cfg(test)]
mod tests;

use std::time::Duration;

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{Context, DbPath, Location, Plugin, ReplicaPath, Result, async_trait, export_plugin};

pub use config::FileOptions;
pub use storage::Files;

/// Replicas in a directory of the local file system.
pub struct FilePlugin;

#[async_trait]
impl Plugin for FilePlugin {
    type Options = FileOptions;
    type Storage = Files;

    /// A disk charges nothing. Twenty files a second are enough to be done within milliseconds of nearly every commit, and
    /// few enough for the directory of raw files under one that never pauses.
    const SYNC_INTERVAL: Duration = Duration::from_millis(50);

    fn from_url(url: &Url, set: &mut Values) -> Result<()> {
        config::from_url(url, set)
    }

    fn check(options: &FileOptions, findings: &mut Findings) {
        config::check(options, findings);
    }

    fn locate(options: &FileOptions) -> Result<Location> {
        config::locate(options)
    }

    fn resolve(at: &Location, db: &DbPath) -> Result<ReplicaPath> {
        config::resolve(at, db)
    }

    async fn open(_options: FileOptions, context: Context) -> Result<Files> {
        Ok(Files::new(context))
    }
}

export_plugin!(FilePlugin, name: "file", schemes: ["file"]);
