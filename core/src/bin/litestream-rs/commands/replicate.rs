//! `replicate`: the daemon, and its single run.

mod exec;
mod first_sync;
mod heartbeat;
mod missing;
mod once;
mod reload;
mod servers;
mod startup;
mod systemd;

use std::convert::Infallible;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use litestream_core::clock;
use litestream_core::config::{
    self, Config, DatabaseArgument, Environment, FlagSetting, LoadRequest, Loaded, ResolveRequest, Source,
};
use litestream_core::fleet::{Fleet, FleetParts, Mode, OnceRequest, Progress, ShutdownReport, ShutdownRequest};
use litestream_core::plugin::{ByteBudget, Registry, Stores};
use litestream_core::server::RestoreCommand;

use crate::args::{Args, Command, Example, Flag, Kind};
use crate::exit_code::Exit;
use crate::failure::UsageError;
use crate::setup::{self, CONFIG, LENIENT, NO_EXPAND_ENV, PLUGIN_DIR};
use crate::signals::Signals;
use crate::{logging, runtime};
use exec::ExecChild;
use first_sync::FirstSync;
use reload::{Reload, Running};
use servers::Servers;
use systemd::Systemd;

const EXEC: Flag = Flag::value(
    "exec",
    Kind::Text,
    "CMD",
    "Executes a subcommand. Litestream will exit when the child\n\
     process exits. Useful for simple process management.",
);
const ONCE: Flag = Flag::switch(
    "once",
    "Replicate once and exit. This performs a single sync of all\n\
     databases and their replicas, then exits. Cannot be used with -exec.",
);
const FORCE_SNAPSHOT: Flag = Flag::switch(
    "force-snapshot",
    "Force a snapshot to be taken for all databases. Requires -once.\n\
     This is useful for creating a complete backup before maintenance\n\
     or when migrating databases between hosts.",
);
const ENFORCE_RETENTION: Flag = Flag::switch(
    "enforce-retention",
    "Enforce retention policies for old snapshots. Requires -once.\n\
     This removes snapshots that are older than the configured\n\
     snapshot retention period.",
);
const LOG_LEVEL: Flag = Flag {
    kind: Kind::Choice(&["trace", "debug", "info", "warn", "error"]),
    ..Flag::value(
        "log-level",
        Kind::Text,
        "LEVEL",
        "Sets the log level. Overrides the config file setting.\nValid values: trace, debug, info, warn, error",
    )
};
const RESTORE_IF_DB_NOT_EXISTS: Flag = Flag::switch(
    "restore-if-db-not-exists",
    "Restores the database from the replica if it doesn't exist.\n\
     On first start with no backup, proceeds normally.",
);

/// `replicate [flags] [DB_PATH REPLICA_URL]`.
pub const COMMAND: Command = Command {
    name: "replicate",
    deprecated_alias: None,
    summary: "runs a server to replicate databases",
    about: "The replicate command starts a server to monitor & replicate databases.\n\
            You can specify your databases & replicas in a configuration file, whole\n\
            directories of databases included, or you can replicate a single database file\n\
            by specifying its path and its replica in the command line arguments.",
    synopsis: &["[arguments]", "[arguments] DB_PATH REPLICA_URL"],
    flags: &[
        &CONFIG,
        &NO_EXPAND_ENV,
        &LENIENT,
        &PLUGIN_DIR,
        &EXEC,
        &ONCE,
        &FORCE_SNAPSHOT,
        &ENFORCE_RETENTION,
        &LOG_LEVEL,
        &RESTORE_IF_DB_NOT_EXISTS,
    ],
    notes: "On SIGINT or SIGTERM all databases are synced once more, within\n\
            shutdown-sync-timeout; a second signal ends the waiting.\n\
            On SIGHUP the configuration file is read again, and databases are added,\n\
            removed and changed as it says; the others are not touched.",
    examples: &[
        Example { what: "Replicate what the configuration says", line: "replicate -config /etc/litestream.yml" },
        Example { what: "Replicate one database", line: "replicate /path/to/db s3://mybucket/db" },
        Example { what: "Sync everything once, from a scheduled job", line: "replicate -once" },
    ],
    run,
};

/// What was asked for, beside the configuration.
struct Request {
    environment: Environment,
    /// How the configuration was read, to read it again so.
    load: LoadRequest,
    /// The words of `exec`.
    exec: Option<Vec<String>>,
    once: Option<OnceRequest>,
    restore_missing: bool,
    /// For the status page.
    restore_command: RestoreCommand,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    let environment = Environment::of_process();
    let load = load_request(args, environment.clone())?;
    let loaded = config::load(&load)?;
    let request = read_request(args, &loaded, load, environment)?;
    let registry = setup::plugins(args, Some(&loaded.config), &request.environment);
    logging::start(&loaded.config.logging);
    startup::log_beginning(&loaded);
    runtime::block_on(replicate(loaded, request, registry))
}

/// The configuration to load: a file, or the database and replica of the command line.
fn load_request(args: &Args, environment: Environment) -> anyhow::Result<LoadRequest> {
    let mut request = setup::load_request(args, environment);
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    if let Some(flag) = args.positionals.iter().map(text).find(|text| text.starts_with('-')) {
        let message = format!("flag {flag:?} must be positioned before DB_PATH and REPLICA_URL arguments");
        return Err(UsageError::new(message));
    }
    match args.positionals.as_slice() {
        [] => {}
        [path] => {
            let message = format!("must specify at least one replica URL for {}", text(path));
            return Err(UsageError::new(message));
        }
        [path, urls @ ..] => {
            if args.is_given(&CONFIG) {
                return Err(UsageError::new("cannot specify a replica URL and the -config flag"));
            }
            request.source = Source::None;
            let replica_urls = urls.iter().map(text).collect();
            request.database = Some(DatabaseArgument { path: text(path), replica_urls });
        }
    }
    for (flag, key, shown) in [(&EXEC, "exec", "-exec"), (&LOG_LEVEL, "logging.level", "-log-level")] {
        if let Some(value) = args.text(flag).filter(|value| !value.is_empty()) {
            request.flags.push(FlagSetting { key, value: value.to_owned(), flag: shown });
        }
    }
    Ok(request)
}

fn read_request(args: &Args, loaded: &Loaded, load: LoadRequest, environment: Environment) -> anyhow::Result<Request> {
    let config = &loaded.config;
    let once = args.switch(&ONCE);
    let (force_snapshot, enforce_retention) = (args.switch(&FORCE_SNAPSHOT), args.switch(&ENFORCE_RETENTION));
    let contradiction = match (once, config.exec.is_some(), force_snapshot, enforce_retention) {
        (true, true, ..) => Some("cannot specify -once flag with -exec"),
        (false, _, true, _) => Some("cannot specify -force-snapshot flag without -once"),
        (false, _, _, true) => Some("cannot specify -enforce-retention flag without -once"),
        _ => None,
    };
    if let Some(contradiction) = contradiction {
        return Err(UsageError::new(contradiction));
    }
    Ok(Request {
        environment,
        load,
        exec: config.exec.as_deref().map(exec::split).transpose()?,
        once: once.then_some(OnceRequest { force_snapshot, enforce_retention }),
        restore_missing: args.switch(&RESTORE_IF_DB_NOT_EXISTS),
        restore_command: RestoreCommand {
            config_flags: setup::flags_to_config(args, loaded.path.as_deref()),
            plugin_flags: setup::flags_to_plugins(args),
            replica_url: args.positionals.get(1).map(|url| url.to_string_lossy().into_owned()),
            registrations: None,
        },
    })
}

/// From the first look at the plugins to the last line of the log.
async fn replicate(loaded: Loaded, request: Request, registry: Registry) -> anyhow::Result<Exit> {
    // Before anything slow: a directory on a hung mount must not keep a signal from ending the process.
    let mut signals = Signals::install()?;
    let config = loaded.config;
    let (once, restore_missing) = (request.once.is_some(), request.restore_missing);
    let mut reload = Reload::install(request.load.clone(), config.clone(), once, restore_missing)?;
    let registry = Arc::new(registry);
    let mut servers = Servers::plan(&config, request.restore_command.clone())?;
    let (heartbeat, systemd) = (config.heartbeat.clone(), Systemd::of(&request.environment));
    let shutdown = ShutdownRequest { timeout: config.shutdown_sync_timeout, interval: config.shutdown_sync_interval };
    let stores = Arc::new(Stores::new(ByteBudget::new(config.memory_budget_bytes), None));
    let starting = start(config, &request, &registry, &stores);
    let fleet = tokio::select! {
        started = starting => Arc::new(started?),
        received = signals.next() => {
            tracing::info!(signal = received.as_str(), "signal received, litestream shutting down");
            tracing::info!("litestream shut down");
            return Ok(Exit::Success);
        }
    };
    servers.prepare_control(&fleet, &registry, &stores, &request.environment).await;
    let servers = match request.once {
        None => servers.start(&fleet, &stores).await,
        Some(_) => servers,
    };
    let (result, shutdown) = match request.once {
        Some(what) => {
            // Nothing is tried again: a failure is reported and the next run comes.
            let single = ShutdownRequest { timeout: Duration::ZERO, ..shutdown };
            (once::run(&fleet, what, &mut signals).await, single)
        }
        None => {
            systemd.ready(fleet.progress().databases);
            let running = Running { fleet: &fleet, registry: &registry, stores: &stores, servers: &servers };
            let ended = tokio::select! {
                ended = run_until_end(&fleet, request.exec.as_deref(), &mut signals) => ended,
                never = heartbeat::send(heartbeat.as_ref(), &fleet) => match never {},
                never = reload.serve(running) => match never {},
                never = systemd.watch(&fleet) => match never {},
            };
            systemd.stopping();
            (ended, shutdown)
        }
    };
    // Together: a request that waits for a sync is answered by the last one.
    let ending = async { tokio::join!(shut_down(&fleet, shutdown, &mut signals), servers.close()) };
    let (report, ()) = tokio::select! {
        ended = ending => ended,
        // A last sync may take longer than a watchdog's patience.
        never = systemd.watch(&fleet) => match never {},
    };
    if !report.interrupted {
        stores.close().await;
    }
    tracing::info!("litestream shut down");
    result.map(|()| Exit::Success)
}

/// The last sync of everything. A signal ends the waiting.
async fn shut_down(fleet: &Fleet, request: ShutdownRequest, signals: &mut Signals) -> ShutdownReport {
    let cut = async {
        signals.next().await;
    };
    tokio::select! {
        report = fleet.shutdown(request, cut) => report,
        never = tell_who_waits(fleet, request.timeout) => match never {},
    }
}

/// Says what a shutdown is waiting for, as long as it does.
async fn tell_who_waits(fleet: &Fleet, timeout: Duration) -> Infallible {
    let started = clock::monotonic();
    tokio::time::sleep(SHUTDOWN_PATIENCE).await;
    loop {
        let Progress { databases, uploaded, missing, failing, .. } = fleet.progress();
        let waiting = databases.saturating_sub(uploaded + missing);
        let remaining = Duration::from_secs(timeout.saturating_sub(started.elapsed()).as_secs());
        if failing > 0 {
            tracing::warn!(
                databases = waiting,
                failing,
                ?remaining,
                "shutdown sync failed, retrying (press Ctrl+C again to skip)"
            );
        } else {
            tracing::info!(databases = waiting, ?remaining, "waiting for the last sync (press Ctrl+C again to skip)");
        }
        tokio::time::sleep(SHUTDOWN_NEWS).await;
    }
}

async fn start(
    mut config: Config,
    request: &Request,
    registry: &Registry,
    stores: &Arc<Stores>,
) -> anyhow::Result<Fleet> {
    let resolve = ResolveRequest { environment: &request.environment, lenient: request.load.lenient };
    startup::log_warnings(&config.resolve_replicas(registry, resolve)?);
    missing::restore(&config, registry, stores, request.restore_missing).await?;
    let mode = if request.once.is_some() { Mode::Once } else { Mode::Continuous };
    if mode == Mode::Continuous {
        startup::log_monitors(&config);
    }
    let state_directory = Some(request.environment.state_directory());
    Ok(Fleet::start(FleetParts { state_directory, ..FleetParts::of(&config, registry, stores, mode)? }).await?)
}

/// A last sync that takes longer is waited for with a word.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(1);

/// How often that word is repeated.
const SHUTDOWN_NEWS: Duration = Duration::from_secs(5);

/// A signal that comes this soon after the child's end came to both.
const SAME_MOMENT: Duration = Duration::from_millis(100);

/// Replicates until a signal comes or the child ends. The error is the child's.
async fn run_until_end(fleet: &Fleet, exec: Option<&[String]>, signals: &mut Signals) -> anyhow::Result<()> {
    let mut child = exec.map(ExecChild::start).transpose()?;
    let child_ends = async {
        match &mut child {
            Some(child) => child.wait().await,
            None => std::future::pending().await,
        }
    };
    let received = tokio::select! {
        biased;
        received = signals.next() => received,
        ended = child_ends => {
            // Ctrl+C at a terminal goes to both: whichever is noticed first, it is the signal that ends us.
            let signal = if ended.is_err() { signals.within(SAME_MOMENT).await } else { None };
            let Some(received) = signal else {
                tracing::info!("subprocess exited, litestream shutting down");
                return ended;
            };
            received
        }
        never = FirstSync::show(fleet) => match never {},
    };
    tracing::info!(signal = received.as_str(), "signal received, litestream shutting down");
    match &mut child {
        None => Ok(()),
        Some(child) => tokio::select! {
            ended = child.end(received) => ended,
            _ = signals.next() => {
                tracing::warn!("exec process did not close, going on without it");
                Ok(())
            }
        },
    }
}
