//! From a checked file to a loaded library.
//!
//! By now owner, mode and record are judged. What is left to compare: whether the system can load it, abi_stable's
//! header, the layout of every shared type, and whether the library says the same as its record. A library is never
//! unloaded: its threads and tables outlive any handle.

use std::path::Path;
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use litestream_sdk::bridge::host::{HostModule, HostSettings, Resolver};
use litestream_sdk::describe::{ConfigureAnswer, ConfigureRequest, Configured, Description, Problem};
use litestream_sdk::{DbPath, Location, ReplicaPath, Result, Storage};
use litestream_sdk_abi::load::{LoadError, Reason as LoadReason};

use super::host_services::Services;
use super::record::Record;
use super::refusal::{Reason, Refusal};

/// The extra of a location that names a further place where a single database may lie.
const ALSO: &str = "also";

/// A plugin library in this process.
pub struct LoadedPlugin {
    record: Record,
    description: Description,
    module: HostModule,
}

impl LoadedPlugin {
    /// Loads `target`; `shown` is its name as found, for messages.
    pub(super) fn load(shown: &Path, target: &Path, record: &Record) -> Result<LoadedPlugin, Refusal> {
        let refused = |reason| Refusal::new(shown, Some(record), reason);
        open_now(target).map_err(|error| refused(Reason::NotLoadable(error)))?;
        let module = litestream_sdk_abi::load(target).map_err(|error| refused(reason_of(error)))?;
        let services = Arc::new(Services::new(&record.name));
        let module = HostModule::new(module, services, &HostSettings::new(env!("CARGO_PKG_VERSION")));
        let description = module.describe().map_err(|error| refused(Reason::Contradiction(error.to_string())))?;
        if let Some(difference) = difference(record, &description) {
            return Err(refused(Reason::Contradiction(difference)));
        }
        tracing::debug!(plugin = record.name, version = record.version, path = %shown.display(), "plugin loaded");
        Ok(LoadedPlugin { record: record.clone(), description, module })
    }

    /// What it says of itself.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The same with its keys.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Judges the configuration of one replica. Pure; all problems at once.
    pub fn configure(&self, request: &ConfigureRequest) -> ConfigureAnswer {
        self.module.configure(request).unwrap_or_else(|error| {
            let what = format!("the plugin {} failed: {error}", self.record.name);
            ConfigureAnswer::Refused { problems: vec![Problem::new("", what)] }
        })
    }

    /// The place of one database. Pure, microseconds.
    ///
    /// # Errors
    ///
    /// INVALID_INPUT with the reason, for the user.
    pub fn resolve(&self, at: &Location, db: &DbPath) -> Result<ReplicaPath> {
        self.module.resolve(at, db)
    }

    /// For resolving the many databases of one location.
    pub fn resolver(&self, at: &Location) -> Resolver {
        self.module.resolver(at)
    }

    /// Where the single database that a configuration names may lie, best guess first: for reading. The first is the
    /// only one to write to; a plugin whose names can be spelled in several ways offers the others.
    ///
    /// # Errors
    ///
    /// INVALID_INPUT with the reason, for the user.
    pub fn places(&self, configured: &Configured) -> Result<Vec<ReplicaPath>> {
        let at = Location::try_from(&configured.location)?;
        let mut places = vec![self.resolve(&at, &DbPath::default())?];
        for (_, place) in at.extras.iter().filter(|(key, _)| key == ALSO) {
            let place = ReplicaPath::parse(place)?;
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Ok(places)
    }

    /// Opens a store without any layer. Everybody but [`super::Stores`] wants [`super::Stores::open`].
    ///
    /// # Errors
    ///
    /// NO_STORE, UNAUTHENTICATED, and whatever connecting meets.
    pub async fn open(&self, request: &ConfigureRequest) -> Result<Arc<dyn Storage>> {
        self.module.open(request).await
    }
}

/// Maps the library with every symbol bound at once (a missing one is an error here, not a crash later), and with its
/// symbols to itself (two plugins may bring the same C library). The loading proper then shares this handle.
#[allow(unsafe_code, reason = "the one place that loads foreign code")]
fn open_now(path: &Path) -> Result<(), String> {
    // SAFETY: loading runs the library's constructors. The file and its directory belong to root or to the user we run
    // as, nobody else can write them (`trust`), and its record says that it is a plugin for this program.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| one_line(&error))?;
    std::mem::forget(library);
    Ok(())
}

/// The loader's own words, which libloading keeps in the source.
fn one_line(error: &dyn std::error::Error) -> String {
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn reason_of(error: LoadError) -> Reason {
    match error.reason {
        LoadReason::OtherLayout { library, detail, .. } => {
            // Thousands of lines, for whoever builds the plugin.
            tracing::debug!(path = %error.path.display(), detail, "the plugin's types differ");
            Reason::Layout { built_with: library }
        }
        LoadReason::NotOpenable { message } | LoadReason::OtherHeader { message } | LoadReason::Failed { message } => {
            Reason::NotLoadable(message)
        }
        _ => Reason::NotLoadable("it has no plugin header".to_owned()),
    }
}

/// The first member in which the loaded library differs from its record.
fn difference(record: &Record, described: &Description) -> Option<String> {
    let members = [
        ("abi", record.abi.to_string(), described.abi.to_string()),
        ("name", record.name.clone(), described.name.clone()),
        ("version", record.version.clone(), described.version.clone()),
        ("sdk", record.sdk.clone(), described.sdk.clone()),
        ("schemes", record.schemes.join(" "), described.schemes.join(" ")),
        ("layouts", record.layouts.join(" "), described.layouts.join(" ")),
    ];
    let (member, recorded, said) = members.into_iter().find(|(_, recorded, said)| recorded != said)?;
    Some(format!("{member} is {recorded:?} in the record and {said:?} in the library"))
}
