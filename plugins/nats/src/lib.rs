#![doc = include_str!("../README.md")]

mod bucket;
mod config;
mod connect;
mod error;
mod meta;
mod storage;
mod upload;

#[cfg(test)]
mod tests;

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{Context, DbPath, Location, Plugin, ReplicaPath, Result, async_trait, export_plugin};

pub use config::NatsOptions;
pub use storage::Nats;

/// Replicas in an object store of NATS JetStream.
pub struct NatsPlugin;

#[async_trait]
impl Plugin for NatsPlugin {
    type Options = NatsOptions;
    type Storage = Nats;

    fn from_url(url: &Url, set: &mut Values) -> Result<()> {
        config::from_url(url, set)
    }

    fn check(options: &NatsOptions, findings: &mut Findings) {
        config::check(options, findings);
    }

    fn locate(options: &NatsOptions) -> Result<Location> {
        config::locate(options)
    }

    fn resolve(at: &Location, db: &DbPath) -> Result<ReplicaPath> {
        config::resolve(at, db)
    }

    async fn open(options: NatsOptions, context: Context) -> Result<Nats> {
        Nats::open(options, context).await
    }
}

export_plugin!(NatsPlugin, name: "nats", schemes: ["nats"]);
