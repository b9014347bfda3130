//! The promises of [`Storage`], each as a check that uses the trait alone: the same code judges a struct in `cargo test`,
//! a loaded library, and a user's real bucket (`litestream-rs plugin check`).
//!
//! Everything happens below one directory that the caller names ([`fresh_root`]) and is removed at the end. Each check is
//! itself tested: [`crate::fault::Defect`] breaks one promise at a time, and the check must notice
//! (`conformance/tests.rs`).
//!
//! | file | checks |
//! |---|---|
//! | `write.rs`, `create.rs`, `copy.rs` | W1 to W11: what is written is there whole or not at all |
//! | `read.rs` | R1 to R3, R5, P1: the bytes that were asked for |
//! | `network.rs` | R4, E2: a network that fails, a server that asks for mercy |
//! | `list.rs` | L1 to L5 |
//! | `delete.rs` | D1, D2 |
//! | `names.rs` | N1, N2: names, and places of databases |
//! | `concurrency.rs` | C1, C2 |
//! | `hostile.rs` | L6, L7, E1, P2: neighbours, a wrong bucket, a wrong secret, a panic |
//! | `options.rs` | O1 |
//!
//! A check is skipped, by name, for a capability that is not claimed, and where it needs more than the open store. A
//! test of a plugin can hand over the rest, and its server is the place to get it from:
//!
//! ```
//! use litestream_sdk::conformance::{ForeignClient, KeyLock, FaultProxy, Settings, Subject, fresh_root, run};
//! # use litestream_sdk::{Context, ReplicaPath, Result, Storage, describe::ConfigureRequest, memory::MemoryPlugin};
//! # use std::sync::Arc;
//! # type Hooks = (Arc<dyn ForeignClient>, Arc<dyn KeyLock>, Arc<dyn Storage>, Arc<dyn FaultProxy>);
//! # async fn open(_: &str) -> Result<Arc<dyn Storage>> { unimplemented!() }
//! # async fn test((client, locks, through_proxy, proxy): Hooks) -> Result<()> {
//! let request = ConfigureRequest::new().with_url("memory://bucket/base");
//! let subject = Subject::of_plugin::<MemoryPlugin>(&request, Context::without_host()).await?
//!     .with_wrong_bucket(|| open("memory://no-such-bucket/base"))   // L7
//!     .with_wrong_secret(|| open("memory://bucket/base?key=wrong")) // E1
//!     .with_network(through_proxy, proxy)                           // R4, E2
//!     .with_foreign_client(client)                                  // L6
//!     .with_locks(locks);                                           // D2
//! let report = run(&subject, &fresh_root(&ReplicaPath::parse("base")?), &Settings::default()).await;
//! assert!(report.is_ok(), "{report}");
//! # Ok(()) }
//! ```

mod catalogue;
mod concurrency;
mod copy;
mod create;
mod delete;
mod hostile;
mod kit;
mod list;
mod names;
mod network;
mod options;
mod read;
mod report;
mod settings;
mod subject;
mod surroundings;
mod write;

#[cfg(test)]
mod tests;

pub use report::{CheckResult, Outcome, Report};
pub use settings::Settings;
pub use subject::Subject;
pub use surroundings::{FaultProxy, ForeignClient, KeyLock, NetworkFault};

use crate::context::Context;
use crate::error::{ErrorKind, Result, StorageError};
use crate::storage::Storage;
use crate::types::ReplicaPath;
use catalogue::{CHECKS, Check, Gate, Verdict};
use kit::Kit;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

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
    run_and_tell(subject, root, settings, |_| {}).await
}

/// As [`run`], and tells each result as it comes: a real store can take minutes. Dropping the future ends the run; what
/// was written so far is then left for [`Subject::remove_all`].
pub async fn run_and_tell(
    subject: &Subject,
    root: &ReplicaPath,
    settings: &Settings,
    mut tell: impl FnMut(&CheckResult),
) -> Report {
    let mut results = Vec::new();
    for check in CHECKS.iter().filter(|check| settings.chooses(check.id)) {
        let started = Instant::now();
        let outcome = run_one(check, subject, root, settings).await;
        let Check { id, promise, meaning, .. } = *check;
        let result = CheckResult { id, promise, meaning, outcome, took: started.elapsed() };
        tell(&result);
        results.push(result);
    }
    let removed = subject.remove_all(root).await;
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
