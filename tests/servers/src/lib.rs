//! Real storage servers on the loopback address, for the tests of plugins, and a browser: found, started on free ports, waited for, and
//! stopped; and a [`Proxy`] that breaks connections on the way to them.
//!
//! Each server has a directory of its own and ends, with its files, when its [`Server`] is dropped or this process dies,
//! however it dies. A server that is not installed makes its tests say SKIPPED; with `CI=true` they fail, since a skipped
//! test proves nothing. `scripts/install-test-servers.sh` installs all of them.
//!
//! | function | server | made by the function |
//! |---|---|---|
//! | [`seaweed`] | S3, all conditions and checks of the protocol | buckets |
//! | [`rclone_s3`] | a second S3, also over TLS; ignores `If-None-Match` | buckets |
//! | [`azurite`] | Azure blobs | containers |
//! | [`gcs_emulator`] | Google Cloud Storage; no paging, no conditions | one bucket |
//! | [`openssh`] | SFTP, login by key | keys |
//! | [`openssh_with_password`] | SFTP, root's login by password; for root alone | keys |
//! | [`rclone_sftp`] | SFTP, login by password | host key |
//! | [`rclone_webdav`] | WebDAV | |
//! | [`nats`] | NATS with JetStream | object-store buckets |
//! | [`nats_with_login`] | the same with user and password, also over TLS | object-store buckets |
//! | [`chromedriver`] | a browser without a screen, driven by WebDriver | |
//! | [`oss_fake`] | Alibaba Cloud OSS: a fake, in this process | one bucket |
#![allow(clippy::disallowed_methods, reason = "waits for other processes; no clock of the program is involved")]

mod azure;
mod browser;
mod gcs;
mod http;
mod locate;
mod nats;
mod oss;
mod port;
mod process;
mod proxy;
mod s3;
mod sftp;
#[cfg(test)]
mod tests;
mod webdav;

pub use azure::{AZURITE_ACCOUNT, AZURITE_KEY, azurite};
pub use browser::chromedriver;
pub use gcs::gcs_emulator;
pub use locate::find;
pub use nats::{nats, nats_with_login};
pub use oss::{OSS_BUCKET, OSS_KEY, OSS_REGION, OSS_SECRET, OssFake, oss_fake};
pub use port::free_port;
pub use process::Server;
pub use proxy::{Fault, Proxy, Request, Rule};
pub use s3::{S3_KEY, S3_SECRET, rclone_s3, seaweed};
pub use sftp::{openssh, openssh_with_password, rclone_sftp};
pub use webdav::rclone_webdav;
