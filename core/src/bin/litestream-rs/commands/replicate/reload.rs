//! SIGHUP: the configuration is read again, and what differs in `dbs` is carried out.
//!
//! A configuration that is refused changes nothing. Keys outside of `dbs` hold from the next start on, which is said.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;

use litestream_core::config::{self, Config, LoadRequest, ResolveRequest, Source, Warning};
use litestream_core::fleet::{Entry, Fleet, Reloaded};
use litestream_core::plugin::{Registry, Stores};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::servers::Servers;
use super::{missing, startup};

/// What a reload needs of the start.
pub struct Reload {
    hangups: Option<Signal>,
    load: LoadRequest,
    /// What holds for keys outside of `dbs`.
    started: Config,
    restore_missing: bool,
}

/// What runs.
pub struct Running<'a> {
    pub fleet: &'a Fleet,
    pub registry: &'a Arc<Registry>,
    pub stores: &'a Arc<Stores>,
    pub servers: &'a Servers,
}

impl Reload {
    /// Takes the signal over, if there is a file to read again. Else it ends the process, as it does by itself. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub fn install(load: LoadRequest, started: Config, once: bool, restore_missing: bool) -> io::Result<Reload> {
        let has_file = load.source != Source::None;
        let hangups = (has_file && !once).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Reload { hangups, load, started, restore_missing })
    }

    /// Reloads at each signal, as long as it is polled. Signals that come during a reload are one more.
    pub async fn serve(&mut self, running: Running<'_>) -> Infallible {
        // Each answer has a number: one that says the same as the last is not held back.
        for reload in 1_u64.. {
            match &mut self.hangups {
                Some(hangups) => drop(hangups.recv().await),
                None => pending().await,
            }
            tracing::info!(signal = "hangup", reload, "signal received, reloading the configuration");
            match self.reload(&running).await {
                Ok(Reloaded { unchanged, changed, added, removed, .. }) => {
                    tracing::info!(reload, unchanged, changed, added, removed, "configuration reloaded");
                }
                Err(error) => {
                    let error = crate::failure::chain(&error);
                    tracing::error!(reload, error, "configuration not reloaded: everything stays as it was");
                }
            }
        }
        pending().await
    }

    async fn reload(&self, running: &Running<'_>) -> anyhow::Result<Reloaded> {
        let (load, registry, stores) = (self.load.clone(), Arc::clone(running.registry), Arc::clone(running.stores));
        // A file is read, and plugins may be loaded.
        let read = tokio::task::spawn_blocking(move || read(&load, &registry, &stores)).await;
        let Read { mut config, entries, warnings } = read??;
        startup::log_warnings(&warnings);
        for key in self.started.keys_that_differ(&config) {
            tracing::warn!(key, "the key was changed: it holds from the next start on");
        }
        config.dbs.retain(|entry| match &entry.target {
            config::Target::Path(path) => running.fleet.status(path).is_none(),
            config::Target::Dir(_) => false,
        });
        missing::restore(&config, running.registry, running.stores, self.restore_missing).await?;
        let reloaded = running.fleet.reload(entries).await?;
        running.servers.take_up_registrations().await;
        Ok(reloaded)
    }
}

struct Read {
    config: Config,
    entries: Vec<Entry>,
    warnings: Vec<Warning>,
}

fn read(load: &LoadRequest, registry: &Registry, stores: &Arc<Stores>) -> anyhow::Result<Read> {
    let loaded = config::load(load)?;
    let (mut config, mut warnings) = (loaded.config, loaded.warnings);
    // A file that is being written is empty for a moment; nobody means that by a reload.
    anyhow::ensure!(!config.dbs.is_empty(), "no databases specified in configuration");
    let resolve = ResolveRequest { environment: &load.environment, lenient: load.lenient };
    warnings.extend(config.resolve_replicas(registry, resolve)?);
    let entries = Entry::all_of(&config, registry, stores)?;
    Ok(Read { config, entries, warnings })
}
