#![doc = include_str!("../README.md")]

mod client;
mod config;
mod directories;
mod error;
mod held;
mod storage;
mod upload;
mod xml;

#[cfg(test)]
mod tests;

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{Context, Location, Plugin, Result, async_trait, export_plugin};

pub use config::WebdavOptions;
pub use storage::Webdav;

/// Replicas on a WebDAV server.
pub struct WebdavPlugin;

#[async_trait]
impl Plugin for WebdavPlugin {
    type Options = WebdavOptions;
    type Storage = Webdav;

    fn from_url(url: &Url, set: &mut Values) -> Result<()> {
        config::from_url(url, set)
    }

    fn check(options: &WebdavOptions, findings: &mut Findings) {
        config::check(options, findings);
    }

    fn locate(options: &WebdavOptions) -> Result<Location> {
        config::locate(options)
    }

    async fn open(options: WebdavOptions, context: Context) -> Result<Webdav> {
        Webdav::open(&options, context)
    }
}

export_plugin!(WebdavPlugin, name: "webdav", schemes: ["webdav", "webdavs"]);
