//! Which keys of a running program only a restart can change.

use super::Config;

impl Config {
    /// The keys outside of `dbs` that have another value in `new`. What fills replicas is not among them: it is part of
    /// each replica.
    pub fn keys_that_differ(&self, new: &Config) -> Vec<&'static str> {
        // Without `..`: a new key must be thought of here.
        let Config {
            addr,
            mcp_addr,
            socket,
            levels,
            snapshot,
            l0_retention,
            l0_retention_check_interval,
            verify_compaction,
            retention_enabled,
            validation_interval,
            heartbeat,
            exec,
            logging,
            shutdown_sync_timeout,
            shutdown_sync_interval,
            plugin_dirs,
            max_open_databases,
            memory_budget_bytes,
            upload_concurrency,
            scan_interval,
            max_metric_databases,
            dbs: _,
            replica_defaults: _,
        } = self;
        let keys = [
            ("addr", *addr == new.addr),
            ("mcp-addr", *mcp_addr == new.mcp_addr),
            ("socket", *socket == new.socket),
            ("levels", *levels == new.levels),
            ("snapshot", *snapshot == new.snapshot),
            ("l0-retention", *l0_retention == new.l0_retention),
            ("l0-retention-check-interval", *l0_retention_check_interval == new.l0_retention_check_interval),
            ("verify-compaction", *verify_compaction == new.verify_compaction),
            ("retention.enabled", *retention_enabled == new.retention_enabled),
            ("validation.interval", *validation_interval == new.validation_interval),
            ("heartbeat-url, heartbeat-interval", *heartbeat == new.heartbeat),
            ("exec", *exec == new.exec),
            ("logging", *logging == new.logging),
            ("shutdown-sync-timeout", *shutdown_sync_timeout == new.shutdown_sync_timeout),
            ("shutdown-sync-interval", *shutdown_sync_interval == new.shutdown_sync_interval),
            ("plugin-dir", *plugin_dirs == new.plugin_dirs),
            ("max-open-databases", *max_open_databases == new.max_open_databases),
            ("memory-budget", *memory_budget_bytes == new.memory_budget_bytes),
            ("upload-concurrency", *upload_concurrency == new.upload_concurrency),
            ("scan-interval", *scan_interval == new.scan_interval),
            ("max-metric-databases", *max_metric_databases == new.max_metric_databases),
        ];
        keys.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, LoadRequest, Source, load};

    #[test]
    fn what_only_a_restart_changes_is_named() {
        let config = |environment: Environment| load(&LoadRequest::new(Source::None, environment)).unwrap().config;
        let old = config(Environment::empty("/"));
        assert!(old.keys_that_differ(&old.clone()).is_empty());
        let set = [("LITESTREAM_SCAN_INTERVAL", "7s"), ("LITESTREAM_SNAPSHOT__RETENTION", "9h")];
        let new = config(set.into_iter().fold(Environment::empty("/"), |all, (name, value)| all.with(name, value)));
        assert_eq!(old.keys_that_differ(&new), ["snapshot", "scan-interval"]);
    }
}
