//! The second step: what plugins say about their keys decides which names in a replica are keys, which top-level keys
//! fill it, and which environment variables it gets.

use std::collections::BTreeSet;

use litestream_sdk::describe::{Description, Given, OptionDescription, Sensitive};
use serde_json::Value as Json;

use super::check_keys::{did_you_mean, is_extension, is_key, no_effect};
use super::error::{ConfigError, ReplicaProblem, UnknownKey, Warning};
use super::keys::{IGNORED, Place, REFERENCE_REPLICA_KEYS, keys_of};
use super::request::Environment;
use super::scalar::parse_integer;
use super::{Config, LayoutChoice, ReplicaConfig};
use crate::plugin::{PluginError, Registry};

/// The plugins, as far as configuration needs them.
pub trait PluginCatalog {
    /// What the plugin for a replica type or URL scheme says of itself.
    ///
    /// # Errors
    /// There is none, or it is refused.
    fn describe(&self, type_or_scheme: &str) -> Result<Description, PluginError>;

    /// Every plugin that can be loaded; asked only when a name is not a key of those in use.
    fn installed(&self) -> Vec<Description>;
}

impl PluginCatalog for Registry {
    fn describe(&self, type_or_scheme: &str) -> Result<Description, PluginError> {
        Ok(self.for_type(type_or_scheme)?.description().clone())
    }

    fn installed(&self) -> Vec<Description> {
        let loaded = self.files().iter().filter_map(|file| self.load(file).ok());
        loaded.map(|plugin| plugin.description().clone()).collect()
    }
}

/// How strict to be, and with which variables.
#[derive(Clone, Copy, Debug)]
pub struct ResolveRequest<'a> {
    /// The surroundings the configuration was loaded with.
    pub environment: &'a Environment,
    /// Whether unknown keys are warnings only.
    pub lenient: bool,
}

impl Config {
    /// Completes every replica: takes out what is no key of its plugin, fills in global defaults and environment
    /// variables. After that [`ReplicaConfig::configure_request`] is what the plugin judges.
    ///
    /// # Errors
    /// A replica type nobody serves, or unknown keys: all of them, for all replicas.
    pub fn resolve_replicas(
        &mut self,
        plugins: &dyn PluginCatalog,
        request: ResolveRequest<'_>,
    ) -> Result<Vec<Warning>, ConfigError> {
        let mut findings = Findings::default();
        let mut used: Vec<Description> = Vec::new();
        for entry in &mut self.dbs {
            match plugins.describe(&entry.replica.kind) {
                Ok(plugin) => {
                    resolve(&mut entry.replica, &plugin, &self.replica_defaults, request.environment, &mut findings);
                    if !used.iter().any(|other| other.name == plugin.name) {
                        used.push(plugin);
                    }
                }
                Err(error) => findings.problems.push(missing_plugin(&entry.replica, &error)),
            }
        }
        self.check_defaults(plugins, &used, &mut findings);
        findings.into_result(request.lenient)
    }

    /// The same for one replica, for a command that needs no other one.
    ///
    /// # Errors
    /// As [`Config::resolve_replicas`].
    pub fn resolve_replica(
        &self,
        replica: &mut ReplicaConfig,
        plugins: &dyn PluginCatalog,
        request: ResolveRequest<'_>,
    ) -> Result<Vec<Warning>, ConfigError> {
        let mut findings = Findings::default();
        match plugins.describe(&replica.kind) {
            Ok(plugin) => resolve(replica, &plugin, &self.replica_defaults, request.environment, &mut findings),
            Err(error) => findings.problems.push(missing_plugin(replica, &error)),
        }
        findings.into_result(request.lenient)
    }

    /// Judges the top-level names that are nobody's default.
    fn check_defaults(&self, plugins: &dyn PluginCatalog, used: &[Description], findings: &mut Findings) {
        let mut installed: Option<Vec<Description>> = None;
        for (name, given) in &self.replica_defaults {
            let declared = used.iter().filter_map(|plugin| plugin.option(name));
            match declared.map(|option| option.global).reduce(|one, other| one || other) {
                Some(true) => {}
                Some(false) => findings.warn(given, name, "it is read in `replica` only, for each replica anew"),
                None => {
                    let installed = installed.get_or_insert_with(|| plugins.installed());
                    let declared = installed.iter().any(|plugin| plugin.option(name).is_some());
                    if declared || REFERENCE_REPLICA_KEYS.contains(&name.as_str()) {
                        findings.warn(given, name, "it does not concern the replicas of this file");
                    } else {
                        let options = installed.iter().flat_map(|plugin| &plugin.options);
                        let known = keys_of(Place::Global).map(|key| key.name);
                        let known = known.chain(options.map(|option| option.name.as_str()));
                        findings.unknown(given, name.clone(), did_you_mean(name, known));
                    }
                }
            }
        }
    }
}

/// What is wrong or odd, gathered over all replicas.
#[derive(Default)]
struct Findings {
    warnings: Vec<Warning>,
    unknown: Vec<UnknownKey>,
    problems: Vec<ReplicaProblem>,
}

impl Findings {
    fn warn(&mut self, given: &Given, key: &str, instead: &str) {
        self.warnings.push(Warning { origin: given.origin.clone(), message: no_effect(key, instead) });
    }

    fn unknown(&mut self, given: &Given, key: String, hint: Option<String>) {
        self.unknown.push(UnknownKey { origin: given.origin.clone(), key, hint });
    }

    fn into_result(mut self, lenient: bool) -> Result<Vec<Warning>, ConfigError> {
        if !self.problems.is_empty() {
            return Err(ConfigError::Replicas(self.problems));
        }
        if !lenient && !self.unknown.is_empty() {
            return Err(ConfigError::UnknownKeys(self.unknown));
        }
        self.warnings.extend(self.unknown.into_iter().map(UnknownKey::into_warning));
        Ok(self.warnings)
    }
}

/// The reference's words, then what the plugin search has to say.
fn missing_plugin(replica: &ReplicaConfig, error: &PluginError) -> ReplicaProblem {
    let kind = &replica.kind;
    let message = match error {
        PluginError::Unknown { .. } => format!("unknown replica type in config: {kind:?}: {error}"),
        PluginError::Refused(_) => error.to_string(),
    };
    let (place, origin) = (replica.place.clone(), replica.origin.to_string());
    ReplicaProblem { place, key: String::new(), origin, message }
}

fn resolve(
    replica: &mut ReplicaConfig,
    plugin: &Description,
    defaults: &std::collections::BTreeMap<String, Given>,
    environment: &Environment,
    findings: &mut Findings,
) {
    let place = replica.place.clone();
    replica.sync_interval.get_or_insert_with(|| plugin.sync_interval());
    replica.values.retain(|name, given| {
        let known = plugin.option(name).is_some();
        if !known {
            judge_undeclared(name, given, &place, plugin, findings);
        }
        known
    });
    for option in &plugin.options {
        if let (true, Some(given)) = (option.global, defaults.get(&option.name)) {
            replica.values.entry(option.name.clone()).or_insert_with(|| given.clone());
        }
        if let Some(given) = replica.values.get_mut(&option.name) {
            as_go_reads_it(option, &mut given.value);
        }
        for name in &option.env {
            if let Some(value) = environment.get(name) {
                replica.environment.insert(name.clone(), Sensitive(value.to_owned()));
            }
        }
    }
    if replica.layout == LayoutChoice::Hex && !plugin.layouts.iter().any(|layout| layout == "hex") {
        let message = format!("replicas of type {:?} have the layouts {}", plugin.name, plugin.layouts.join(", "));
        let (key, origin) = ("layout".to_owned(), replica.origin.to_string());
        findings.problems.push(ReplicaProblem { place, key, origin, message });
    }
}

/// A name in a replica that its plugin does not declare.
fn judge_undeclared(name: &str, given: &Given, place: &str, plugin: &Description, findings: &mut Findings) {
    let key = format!("{place}.{name}");
    if let Some(ignored) = IGNORED.iter().find(|ignored| ignored.name == name) {
        findings.warn(given, &key, ignored.instead);
    } else if REFERENCE_REPLICA_KEYS.contains(&name) {
        findings.warn(given, &key, &format!("it does not concern replicas of type {:?}", plugin.name));
    } else if is_key(Place::Database, name) {
        findings.warn(given, &key, "it belongs beside `replica`, not into it");
    } else if is_key(Place::Global, name) {
        findings.warn(given, &key, "it belongs to the top of the file");
    } else if !is_extension(name) {
        let options = plugin.options.iter().map(|option| option.name.as_str());
        let known: BTreeSet<&str> = options.chain(keys_of(Place::Replica).map(|key| key.name)).collect();
        findings.unknown(given, key, did_you_mean(name, known));
    }
}

/// The forms in which Go accepts a value and the SDK's types do not.
fn as_go_reads_it(option: &OptionDescription, value: &mut Json) {
    match (option.type_name.as_str(), &*value) {
        // `password: true` is four letters.
        (kind, Json::Bool(switch)) if kind != "bool" => *value = Json::from(switch.to_string()),
        // `concurrency: 0x10`, `1_000`.
        ("integer" | "size", Json::String(text)) if text.parse::<i64>().is_err() => {
            if let Some(number) = parse_integer(text) {
                *value = Json::from(number);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
