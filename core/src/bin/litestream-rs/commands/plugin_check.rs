//! `plugin check`: holds a user's own storage to every promise of the plugin contract, through the loaded plugin.
//!
//! It works on the plugin alone, without the layers that replication puts around it: those would hide what it is to find.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use litestream_core::clock;
use litestream_core::config::LoggingConfig;
use litestream_core::fleet::{Destination, PluginDestination};
use litestream_core::plugin::LoadedPlugin;
use litestream_sdk::conformance::{self, CheckResult, Report, Settings, Subject};
use litestream_sdk::{
    Body, DbPath, ErrorKind, ListRequest, ReplicaPath, Size, Storage, StorageError, Timestamp, WriteRequest,
};
use serde_json::json;
use tokio::time::timeout;

use super::JSON;
use crate::args::{Args, Command, Example, Flag, Kind};
use crate::exit_code::Exit;
use crate::failure::UsageError;
use crate::setup::{CONFIG, LENIENT, NO_EXPAND_ENV, PLUGIN_DIR};
use crate::signals::Signals;
use crate::{commands, logging, output, replica, runtime};

const FULL: Flag = Flag::switch("full", "Also makes the checks that take minutes: many keys, one large object.");
const LARGE: Flag =
    Flag::value("large", Kind::Text, "SIZE", "Size of the large object of a full check.").default("2GiB");
const ONLY: Flag =
    Flag::value("only", Kind::Text, "IDS", "Makes only these checks, separated by commas: -only W6,L5.").repeatable();

/// What is written to see whether anything can be.
const PROBE: &str = "written by litestream-rs plugin check";
/// An answer to `open` and to the first request.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a plugin cannot stop in the middle, such as one file written, is over by then.
const STRAGGLERS: Duration = Duration::from_secs(1);

/// `plugin check [-full] [-large SIZE] [-only IDS] [-json] REPLICA_URL|DB_PATH`.
pub const COMMAND: Command = Command {
    name: "plugin check",
    deprecated_alias: None,
    summary: "check whether a storage keeps every promise replication relies on",
    about: "The plugin check command runs the conformance suite of the plugin contract\n\
            against a storage, through its plugin, and says of each promise whether it is\n\
            kept and what it means if not.\n\
            \n\
            It writes below a directory of its own, check-<random>, inside the replica's\n\
            place, and removes it at the end.",
    synopsis: &["[arguments] REPLICA_URL", "[arguments] DB_PATH", "[arguments] DIRECTORY"],
    flags: &[&CONFIG, &NO_EXPAND_ENV, &LENIENT, &PLUGIN_DIR, &FULL, &LARGE, &ONLY, &JSON],
    notes: "With a database or a directory of the configuration, its replica is checked. The\n\
            exit code is 0 if no promise is broken; a promise that the storage does not make\n\
            is skipped. With -json each check is one object on a line.",
    examples: &[
        Example { what: "Check a bucket", line: "plugin check s3://mybucket/some/prefix" },
        Example { what: "Check the replica of a configured database", line: "plugin check /var/lib/app.db" },
        Example { what: "Look again at two promises", line: "plugin check -only W6,L5 s3://mybucket/some/prefix" },
    ],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    let example = "plugin check s3://bucket/prefix";
    let argument = commands::one_positional(args, "replica URL or database path required", example)?;
    let settings = settings(args)?;
    let chosen = replica::choose_place(args, &argument)?;
    logging::start(&LoggingConfig { stderr: true, ..chosen.config().logging.clone() });
    let name = chosen.name.clone();
    let show = if args.switch(&JSON) { Show::Lines } else { Show::Table };
    runtime::block_on(async {
        let mut signals = Signals::install()?;
        let destination = chosen.destination(args)?;
        let store = tokio::select! {
            opened = OpenStore::open(destination, name) => opened?,
            received = signals.next() => anyhow::bail!("{}", received.as_str()),
        };
        let ended = tokio::select! {
            exit = store.run(&settings, show) => exit,
            received = signals.next() => Err(store.interrupted(received.as_str()).await),
        };
        store.close().await;
        ended
    })
}

fn settings(args: &Args) -> anyhow::Result<Settings> {
    let listed: Vec<String> = args.texts(&ONLY).flat_map(|ids| ids.split(',')).map(|id| id.trim().to_owned()).collect();
    let is_known = |id: &String| conformance::checks().any(|(known, _)| known.eq_ignore_ascii_case(id));
    if let Some(unknown) = listed.iter().find(|id| !is_known(id)) {
        let known: Vec<&str> = conformance::checks().map(|(id, _)| id).collect();
        let note = format!("the checks are {}", known.join(" "));
        return Err(UsageError::with_note(format!("unknown check: {unknown:?}"), Some(note)));
    }
    let large = args.text(&LARGE).unwrap_or_default();
    let Size(large) = large.parse().map_err(|why| UsageError::new(format!("-large {large}: {why}")))?;
    Ok(Settings::default().with_only(listed).with_full(args.switch(&FULL)).with_large_object(large))
}

/// How results are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Table,
    /// JSON, one object on a line.
    Lines,
}

/// An open store and what is known of it.
struct OpenStore {
    /// For messages: a URL without secrets, or a path.
    name: String,
    plugin: Arc<LoadedPlugin>,
    storage: Arc<dyn Storage>,
    subject: Subject,
    /// Where everything happens.
    root: ReplicaPath,
}

impl OpenStore {
    async fn open(destination: PluginDestination, name: String) -> anyhow::Result<OpenStore> {
        let (plugin, request) = (Arc::clone(destination.plugin()), destination.request().clone());
        let base = destination.resolve(&DbPath::default())?;
        let opened = within(plugin.open(&request)).await;
        let storage = opened.map_err(|error| unusable(&name, &plugin, &error))?;
        let root = conformance::fresh_root(&base);
        let (resolving, configuring) = (Arc::clone(&plugin), Arc::clone(&plugin));
        let subject = Subject::new(Arc::clone(&storage))
            .with_resolve(destination.location().clone(), move |at, db| resolving.resolve(at, db))
            .with_configure(plugin.description().clone(), request, move |request| configuring.configure(request));
        Ok(OpenStore { name, plugin, storage, subject, root })
    }

    /// Runs the checks. If it is dropped, [`OpenStore::interrupted`] removes what they wrote.
    async fn run(&self, settings: &Settings, show: Show) -> anyhow::Result<Exit> {
        let probed = within(probe(&*self.storage, &self.root)).await;
        probed.map_err(|error| unusable(&self.name, &self.plugin, &error))?;
        output::print(&self.title(show))?;
        let mut printed: io::Result<()> = Ok(());
        let tell = |result: &CheckResult| {
            let line = if show == Show::Lines { result.to_json() } else { result.to_string() };
            printed = output::print(&format!("{line}\n"));
        };
        let report = conformance::run_and_tell(&self.subject, &self.root, settings, tell).await;
        printed?;
        output::print(&self.summary(&report, show))?;
        Ok(if report.is_ok() && report.removed.is_ok() { Exit::Success } else { Exit::Failure })
    }

    async fn interrupted(&self, how: &str) -> anyhow::Error {
        match self.remove_what_comes().await {
            Ok(objects) => anyhow::anyhow!("{how}; {objects} objects below {} were removed", self.root),
            Err(error) => anyhow::anyhow!("{how}; objects may be left below {}: {error}", self.root),
        }
    }

    /// Removes everything, and a moment later once more: a write that was on its way may have come to its end meanwhile.
    async fn remove_what_comes(&self) -> Result<u64, StorageError> {
        let first = within(self.subject.remove_all(&self.root)).await?;
        tokio::time::sleep(STRAGGLERS).await;
        Ok(first + within(self.subject.remove_all(&self.root)).await?)
    }

    fn title(&self, show: Show) -> String {
        let (record, capability) = (self.plugin.record(), self.storage.capability());
        let (name, version, sdk, abi) = (&record.name, &record.version, &record.sdk, record.abi);
        let (claims, in_flight) = (capability.names(), capability.max_in_flight);
        if show == Show::Lines {
            let title = json!({
                "plugin": name, "version": version, "sdk": sdk, "abi": abi, "replica": self.name,
                "below": self.root.to_string(), "claims": claims, "max_in_flight": in_flight,
            });
            return format!("{title}\n");
        }
        let claims = if claims.is_empty() { "nothing beyond the contract".to_owned() } else { claims.join(" ") };
        format!(
            "plugin {name} {version} (SDK {sdk}, ABI {abi})  {}\nclaims {claims}, {in_flight} in flight\n",
            self.name
        )
    }

    fn summary(&self, report: &Report, show: Show) -> String {
        if show == Show::Table {
            return format!("{} below {}\n", report.summary(), self.root);
        }
        let removed = report.removed.as_ref().map_err(ToString::to_string);
        let mut summary = json!({ "checks": report.results.len(), "failed": report.failed().count() });
        match removed {
            Ok(objects) => summary["removed"] = json!(objects),
            Err(error) => summary["left_behind"] = json!(error),
        }
        format!("{summary}\n")
    }

    async fn close(&self) {
        if let Err(error) = within(self.storage.close()).await {
            tracing::debug!(plugin = self.plugin.record().name, %error, "the store did not close cleanly");
        }
    }
}

async fn within<T>(work: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
    let late = || StorageError::new(ErrorKind::TIMEOUT, format!("no answer within {PATIENCE:?}"));
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(late()))
}

/// Proves address, credentials and bucket, and that writing and deleting is allowed at all: without that every check
/// would fail, and none would say why.
async fn probe(storage: &dyn Storage, root: &ReplicaPath) -> Result<(), StorageError> {
    let mut pages = storage.list(ListRequest::below(root.clone()).with_limit(1)).await?;
    pages.next().await.transpose()?;
    let key = root.object("probe")?;
    let size = PROBE.len() as u64;
    let buffer = size.max(*storage.capability().write_buffer.start());
    let request = WriteRequest::new(key.clone(), timestamp()).with_size(size).with_buffer(buffer);
    storage.write(request, Body::from_bytes(PROBE)).await?;
    storage.delete(vec![key]).await?.into_iter().collect()
}

fn timestamp() -> Timestamp {
    Timestamp(i64::try_from(clock::unix_time().as_nanos()).unwrap_or(i64::MAX))
}

/// Why nothing can be checked, with what a person can do about it.
fn unusable(name: &str, plugin: &LoadedPlugin, error: &StorageError) -> anyhow::Error {
    let note = match error.kind {
        ErrorKind::NO_STORE => Some("create it first: a plugin makes no bucket or root".to_owned()),
        ErrorKind::UNAUTHENTICATED | ErrorKind::PERMISSION_DENIED => credentials(plugin),
        _ => None,
    };
    UsageError::with_note(format!("cannot use {name}: {}: {error}", error.kind), note)
}

fn credentials(plugin: &LoadedPlugin) -> Option<String> {
    let secrets = plugin.description().options.iter().filter(|option| option.secret);
    let keys: Vec<&str> = secrets.clone().map(|option| option.name.as_str()).collect();
    let variables: Vec<&str> = secrets.flat_map(|option| &option.env).map(String::as_str).collect();
    match (keys.is_empty(), variables.is_empty()) {
        (true, _) => None,
        (false, true) => Some(format!("its secrets are the keys {}", keys.join(", "))),
        (false, false) => {
            Some(format!("its secrets are the keys {}, or the variables {}", keys.join(", "), variables.join(", ")))
        }
    }
}
