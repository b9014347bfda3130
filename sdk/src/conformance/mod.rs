//! The promises of [`Storage`], each as a check that uses the trait alone: the same code judges a struct in `cargo test`,
//! a loaded library, and a user's real bucket (`litestream-rs plugin check`).
//!
//! Everything happens below one directory that the caller names ([`fresh_root`]) and is removed at the end. Checks are
//! skipped only for a capability that is not claimed. Each check is itself tested: [`crate::fault::Defect`] breaks one
//! promise at a time, and the check must notice (`conformance/tests.rs`).
//!
//! | file | checks |
//! |---|---|
//! | `write.rs`, `create.rs` | W1 to W10: what is written is there whole or not at all |
//! | `read.rs` | R1 to R3, P1 |
//! | `list.rs` | L1 to L5 |
//! | `delete.rs` | D1 |
//! | `names.rs` | N1, N2: names, and places of databases |
//! | `concurrency.rs` | C1, C2 |
//! | `options.rs` | O1 |
//!
//! Not here, because they need a second client, a proxy or wrong credentials: R4 a cut connection, L6 foreign names,
//! L7 a wrong bucket, D2 a key that may not be deleted, E1 and E2 errors of the server, P2 a panic.

mod concurrency;
mod create;
mod delete;
mod kit;
mod list;
mod names;
mod options;
mod read;
mod report;
mod write;

#[cfg(test)]
mod tests;

pub use report::{CheckResult, Outcome, Report};

use crate::checked::Checked;
use crate::configure;
use crate::context::Context;
use crate::describe::{ConfigureAnswer, ConfigureRequest, Description};
use crate::error::{ErrorKind, Result, StorageError};
use crate::export::Exported;
use crate::storage::{Plugin, Storage};
use crate::types::{Capability, DbPath, Location, ReplicaPath};
use futures::future::BoxFuture;
use kit::Kit;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

type Resolve = dyn Fn(&Location, &DbPath) -> Result<ReplicaPath> + Send + Sync;
type Configure = dyn Fn(&ConfigureRequest) -> ConfigureAnswer + Send + Sync;

/// What is judged: an open store, and as much of its plugin as is at hand.
#[derive(Clone)]
pub struct Subject {
    storage: Arc<dyn Storage>,
    resolve: Option<(Location, Arc<Resolve>)>,
    configure: Option<(Description, ConfigureRequest, Arc<Configure>)>,
}

impl Subject {
    /// An open store alone; it is wrapped in [`Checked`].
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage: Arc::new(Checked::from(storage)), resolve: None, configure: None }
    }

    /// A plugin of this program and a store that it opens from `request`: adds N2 and O1.
    ///
    /// # Errors
    /// INVALID_INPUT for a request that is refused; whatever `open` meets.
    pub async fn of_plugin<E: Exported>(request: &ConfigureRequest, context: Context) -> Result<Self> {
        let options = configure::options::<E::Plugin>(request)?;
        let location = E::Plugin::locate(&options)?;
        let storage = E::Plugin::open(options, context).await?;
        let description = configure::describe::<E::Plugin>(E::RECORD)?;
        Ok(Self::new(Arc::new(storage)).with_resolve(location, E::Plugin::resolve).with_configure(
            description,
            request.clone(),
            configure::configure::<E::Plugin>,
        ))
    }

    /// Adds the check of `resolve`, for databases of this location.
    pub fn with_resolve(
        mut self,
        at: Location,
        resolve: impl Fn(&Location, &DbPath) -> Result<ReplicaPath> + Send + Sync + 'static,
    ) -> Self {
        self.resolve = Some((at, Arc::new(resolve)));
        self
    }

    /// Adds the check of `configure`, starting from a request that is accepted.
    pub fn with_configure(
        mut self,
        description: Description,
        accepted: ConfigureRequest,
        configure: impl Fn(&ConfigureRequest) -> ConfigureAnswer + Send + Sync + 'static,
    ) -> Self {
        self.configure = Some((description, accepted, Arc::new(configure)));
        self
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

/// How hard to look.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Only the checks of these ids; all if empty.
    pub only: Vec<String>,
    /// Also what takes minutes: more keys, every buffer size, a 2 GiB object.
    pub full: bool,
    /// A check that has not ended by then has failed; one that belongs to a full run gets thirty times as long.
    pub time_limit: Duration,
    /// How long a cancelled write is watched for things that appear late.
    pub settle: Duration,
    /// How long a writer may sit on all the bytes it was lent.
    pub stall: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            full: false,
            time_limit: Duration::from_secs(120),
            settle: Duration::from_millis(300),
            stall: Duration::from_secs(20),
        }
    }
}

impl Settings {
    /// Only these checks.
    pub fn with_only(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Also what takes minutes.
    pub fn with_full(mut self, full: bool) -> Self {
        self.full = full;
        self
    }

    /// Other waiting times, all shortened for tests of the checks themselves.
    pub fn with_waits(mut self, settle: Duration, stall: Duration) -> Self {
        (self.settle, self.stall) = (settle, stall);
        self
    }
}

/// When a check can say something.
enum Gate {
    Always,
    /// A capability bit.
    Claims(u64),
    /// The store keeps times.
    KeepsTime,
    /// `Settings::full`.
    Full,
    /// `Subject::with_resolve`.
    Resolve,
    /// `Subject::with_configure`.
    Configure,
}

/// What a check found when nothing was wrong.
enum Verdict {
    Kept,
    /// One half could not be judged; why.
    HalfSkipped(String),
}

type Run = for<'a> fn(&'a Kit) -> BoxFuture<'a, Result<Verdict>>;

struct Check {
    id: &'static str,
    promise: &'static str,
    gate: Gate,
    run: Run,
}

macro_rules! checks {
    ($($id:literal $gate:expr, $run:path, $promise:literal;)+) => {
        &[$(Check { id: $id, promise: $promise, gate: $gate, run: |kit| Box::pin($run(kit)) },)+]
    };
}

const CHECKS: &[Check] = checks! {
    "W1" Gate::Always, write::round_trip, "what was written is read back, from 0 bytes up";
    "W2" Gate::Always, write::unknown_size, "a body of unknown size is streamed";
    "W3" Gate::Always, write::wrong_length, "a body shorter or longer than announced leaves nothing";
    "W4" Gate::Always, write::failing_body, "an error in the body leaves nothing";
    "W5" Gate::Always, write::cancelled, "a cancelled write leaves nothing and changes nothing";
    "W6" Gate::Always, write::replace, "a replace is atomic for readers";
    "W7" Gate::Claims(Capability::IF_ABSENT), create::one_wins, "of many creators at once one wins";
    "W8" Gate::KeepsTime, write::time, "the given time is kept";
    "W9" Gate::Always, write::buffer, "no more of a body is held than was granted";
    "W10" Gate::Claims(Capability::IF_ABSENT), create::large_body, "if-absent holds for large bodies, and leaves no parts";
    "R1" Gate::Always, read::ranges, "ranges are exact, and an error past the end";
    "R2" Gate::Always, read::missing, "a missing object is NOT_FOUND, a missing prefix is empty";
    "R3" Gate::Claims(Capability::READ_VERSION), read::version, "a changed object is noticed";
    "L1" Gate::Always, list::order, "a listing is complete, each directory in byte order";
    "L2" Gate::Always, list::start_after, "start-after is strict and needs no such key";
    "L3" Gate::Always, list::prefix, "a prefix ends at a segment";
    "L4" Gate::Always, list::directories, "a shallow list gives each directory once";
    "L5" Gate::Always, list::pages, "more than one page";
    "D1" Gate::Always, delete::results, "each key has its result; missing is success; repeating is harmless";
    "N1" Gate::Always, names::odd_names, "odd names come back as they were";
    "N2" Gate::Resolve, names::injective, "no two databases share a place";
    "C1" Gate::Always, concurrency::no_mixing, "32 calls at once do not mix";
    "C2" Gate::Always, concurrency::any_order, "calls at once do not wait for each other";
    "O1" Gate::Configure, options::problems, "all problems come at once, and secrets in no text";
    "P1" Gate::Full, read::large, "a 2 GiB object passes through little memory";
};

/// The ids and promises of all checks, in order.
pub fn checks() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHECKS.iter().map(|check| (check.id, check.promise))
}

/// A directory below `base` that nobody has used: `<base>/check-<random>`.
pub fn fresh_root(base: &ReplicaPath) -> ReplicaPath {
    let random = RandomState::new().hash_one(std::process::id());
    base.child(format!("check-{random:016x}")).expect("hex digits are a segment")
}

/// Runs the checks one after another below `root`, which must be empty, and removes what they wrote.
pub async fn run(subject: &Subject, root: &ReplicaPath, settings: &Settings) -> Report {
    let mut results = Vec::new();
    let chosen = |check: &&Check| settings.only.is_empty() || settings.only.iter().any(|id| id == check.id);
    for check in CHECKS.iter().filter(chosen) {
        let started = Instant::now();
        let outcome = run_one(check, subject, root, settings).await;
        results.push(CheckResult { id: check.id, promise: check.promise, outcome, took: started.elapsed() });
    }
    let removed = kit::remove_all(&*subject.storage, root).await;
    Report { results, removed }
}

async fn run_one(check: &Check, subject: &Subject, root: &ReplicaPath, settings: &Settings) -> Outcome {
    if let Some(reason) = check.gate.closed(subject, settings) {
        return Outcome::Skip(reason);
    }
    let kit = match Kit::new(subject.clone(), root, check.id, settings.clone()) {
        Ok(kit) => kit,
        Err(error) => return Outcome::Fail(error.to_string()),
    };
    // What takes minutes on a good line may take an hour on a slow one.
    let time_limit = if matches!(check.gate, Gate::Full) { settings.time_limit * 30 } else { settings.time_limit };
    match tokio::time::timeout(time_limit, (check.run)(&kit)).await {
        Ok(Ok(Verdict::Kept)) => Outcome::Ok,
        Ok(Ok(Verdict::HalfSkipped(reason))) => Outcome::Skip(reason),
        Ok(Err(error)) => Outcome::Fail(format!("{}: {error}", error.kind)),
        Err(_) => Outcome::Fail(format!("no end after {time_limit:?}")),
    }
}

impl Gate {
    /// Why the check cannot say anything here.
    fn closed(&self, subject: &Subject, settings: &Settings) -> Option<String> {
        let capability = subject.storage.capability();
        match self {
            Self::Claims(bit) if !capability.has(*bit) => Some(format!("not claimed: {}", Capability::name_of(*bit))),
            Self::KeepsTime if capability.time_step.is_zero() => Some("not claimed: the store keeps no time".into()),
            Self::Full if !settings.full => Some("only in a full check".into()),
            Self::Resolve if subject.resolve.is_none() => Some("only the open store is at hand".into()),
            Self::Configure if subject.configure.is_none() => Some("only the open store is at hand".into()),
            _ => None,
        }
    }
}

/// The promise is broken: what was seen.
fn broken(what: impl Into<String>) -> StorageError {
    StorageError::new(ErrorKind::BROKEN_CONTRACT, what)
}

/// Ends a check with what was seen unless the promise holds.
macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::conformance::broken(format!($($what)+)));
        }
    };
}
use ensure;

/// The body of the test that [`conformance!`](crate::conformance!) makes.
#[doc(hidden)]
pub fn test<F>(subject: impl FnOnce(Context) -> F)
where
    F: Future<Output = Result<Subject>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime for the test").block_on(async {
        let context = Context::without_host();
        let subject = subject(context.clone()).await.unwrap_or_else(|error| panic!("opening the store: {error}"));
        let report = run(&subject, &fresh_root(&ReplicaPath::default()), &Settings::default()).await;
        subject.storage.close().await.unwrap_or_else(|error| panic!("closing the store: {error}"));
        context.finish_cleaning(Duration::from_secs(10)).await;
        println!("{report}");
        assert!(report.is_ok(), "\n{report}");
    });
}

#[doc(hidden)]
pub async fn opened<S, F>(open: impl FnOnce(Context) -> F, context: Context) -> Result<Subject>
where
    S: Storage,
    F: Future<Output = Result<S>>,
{
    Ok(Subject::new(Arc::new(open(context).await?)))
}

/// Makes a test that runs the conformance suite, at the end of a plugin's `lib.rs`.
///
/// ```ignore
/// // The whole plugin, configured as a user would; adds the checks of `resolve` and of the options:
/// litestream_sdk::conformance!(PluginExport, || ConfigureRequest::new().with_url("kv:///tmp/t.redb"));
/// // An open store alone:
/// litestream_sdk::conformance!(|context| async move { KvPlugin::open(options(), context).await });
/// ```
#[macro_export]
macro_rules! conformance {
    ($export:ty, $request:expr) => {
        #[cfg(test)]
        #[test]
        fn conformance() {
            $crate::conformance::test(|context| async move {
                $crate::conformance::Subject::of_plugin::<$export>(&($request)(), context).await
            });
        }
    };
    ($open:expr) => {
        #[cfg(test)]
        #[test]
        fn conformance() {
            $crate::conformance::test(|context| $crate::conformance::opened($open, context));
        }
    };
}
