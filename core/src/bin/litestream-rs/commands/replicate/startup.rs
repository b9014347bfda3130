//! The first lines of the daemon's log, which operators and tests look for.

use std::fmt::Display;

use litestream_core::config::{Config, Loaded};

use crate::commands::version::VERSION;

/// Who this is, and what is doubtful about the configuration.
pub fn log_beginning(loaded: &Loaded) {
    let config = &loaded.config;
    let level = match (config.logging.level_text.as_str(), &loaded.path) {
        ("", None) => "INFO",
        (text, _) => text,
    };
    tracing::info!(version = VERSION, level, "litestream");
    log_warnings(&loaded.warnings);
    if config.dbs.is_empty() {
        tracing::error!("no databases specified in configuration");
    }
    if !config.retention_enabled {
        tracing::warn!("retention is disabled: nothing is deleted from replicas, and they grow without limit");
    }
    if config.mcp_addr.is_some() {
        tracing::warn!(key = "mcp-addr", "this version of litestream-rs does not serve this key yet; it has no effect");
    }
}

/// Each on a line of its own.
pub fn log_warnings<T: Display>(warnings: &[T]) {
    for warning in warnings {
        tracing::warn!(%warning, "configuration");
    }
}

/// What will happen periodically.
pub fn log_monitors(config: &Config) {
    for (level, interval) in (1..).zip(&config.levels) {
        tracing::info!(system = "store", level, ?interval, "starting compaction monitor");
    }
    let interval = config.snapshot.interval;
    tracing::info!(system = "store", level = 9, ?interval, "starting compaction monitor");
    if let Some(retention) = config.l0_retention {
        let interval = config.l0_retention_check_interval;
        tracing::info!(system = "store", ?interval, ?retention, "starting L0 retention monitor");
    }
}
