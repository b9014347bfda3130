//! From one replica's configuration to options, a pool and a location: the layers, and every problem at once.
//!
//! Layers inside a replica, weakest first: declared default, environment, URL, table (the host has put flags over the
//! table). Nothing here reads the environment, a file or a clock.

use crate::describe::{
    ConfigureAnswer, ConfigureRequest, Configured, Description, LocationText, OptionDescription, Problem, Sensitive,
    Shown,
};
use crate::error::{Result, StorageError};
use crate::options::{Findings, OptionSpec, Options, Url, Values};
use crate::storage::Plugin;
use crate::types::Location;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const SECRET: &str = "<secret>";

/// The plugin's description: its record and its declared options.
///
/// # Errors
/// BROKEN_CONTRACT if the record is no description.
pub fn describe<P: Plugin>(record: &str) -> Result<Description> {
    let description: Result<Description, _> = serde_json::from_str(record);
    let mut description =
        description.map_err(|e| StorageError::broken_contract("the plugin record").with_source(&e))?;
    description.sync_interval_ms = u64::try_from(P::SYNC_INTERVAL.as_millis()).unwrap_or(u64::MAX);
    description.options = P::Options::specs().into_iter().map(|spec| spec.described).collect();
    Ok(description)
}

/// Judges one configuration. Pure.
pub fn configure<P: Plugin>(request: &ConfigureRequest) -> ConfigureAnswer {
    let refused = |problems| ConfigureAnswer::Refused { problems };
    let read = match read::<P>(request) {
        Ok(read) => read,
        Err(problems) => return refused(problems),
    };
    let located = P::locate(&read.options).and_then(|location| {
        let from_url = location.from_url || request.url.is_some();
        LocationText::try_from(&Location { from_url, ..location })
    });
    match located {
        Ok(location) => ConfigureAnswer::Accepted(Configured {
            pool: pool(&read.options, &read.specs),
            shown: shown(&read.specs, &read.values),
            location,
            warnings: read.warnings,
        }),
        Err(error) => {
            let key = read.specs.iter().find(|spec| spec.described.location).map(|spec| spec.described.name.as_str());
            let origin = key.and_then(|key| read.values.get(key)).map(|given| given.origin.clone());
            let problem = Problem::new(key.unwrap_or_default(), error.message);
            refused(vec![problem.with_origin(origin.unwrap_or_default())])
        }
    }
}

/// The options of a configuration, for `open`.
///
/// # Errors
/// INVALID_INPUT with every problem in its message.
pub fn options<P: Plugin>(request: &ConfigureRequest) -> Result<P::Options> {
    read::<P>(request).map(|read| read.options).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
        StorageError::invalid_input(problems.join("; "))
    })
}

struct Read<O> {
    options: O,
    values: Values,
    specs: Vec<OptionSpec>,
    warnings: Vec<String>,
}

fn read<P: Plugin>(request: &ConfigureRequest) -> Result<Read<P::Options>, Vec<Problem>> {
    let specs = P::Options::specs();
    let mut values = Values::from_table(&request.values, &specs);
    let mut problems = Vec::new();
    let mut url_is_usable = true;
    if let Some(Sensitive(url)) = &request.url {
        if let Err(error) = Url::parse(url).and_then(|url| {
            problems.extend(beside_url(&url, &values, &specs));
            P::from_url(&url, &mut values)
        }) {
            problems.push(Problem::new("url", error.message));
            url_is_usable = false;
        }
    }
    values.fill_from_environment(&request.env, &specs);
    let options = match P::Options::parse(&values) {
        Ok(options) => options,
        Err(found) => {
            // A key that the broken URL would have given is not missing: its problem is the URL.
            let excused = |problem: &Problem| !url_is_usable && !values.contains(&problem.key);
            problems.extend(found.into_iter().filter(|problem| !excused(problem)));
            return Err(problems);
        }
    };
    let mut findings = Findings::default();
    P::check(&options, &mut findings);
    problems.extend(findings.problems.into_iter().map(|problem| match values.get(&problem.key) {
        Some(given) if problem.origin.is_empty() => problem.with_origin(given.origin.clone()),
        _ => problem,
    }));
    if problems.is_empty() { Ok(Read { options, values, specs, warnings: findings.warnings }) } else { Err(problems) }
}

/// Keys that a URL replaces must not stand beside it.
fn beside_url(url: &Url, values: &Values, specs: &[OptionSpec]) -> Vec<Problem> {
    let both = specs.iter().filter(|spec| spec.not_with_url).filter_map(|spec| {
        let name = &spec.described.name;
        let given = values.get(name)?;
        let message = format!("cannot specify url & {name} for {} replica", url.scheme);
        Some(Problem::new(name, message).with_origin(given.origin.clone()))
    });
    both.collect()
}

/// Equal for two configurations of one connection pool, however they are written.
fn pool<O: Options>(options: &O, specs: &[OptionSpec]) -> Sensitive {
    let is_location = |name: &str| specs.iter().any(|spec| spec.described.location && spec.described.name == name);
    let values = options.canonical().into_iter().filter(|(name, _)| !is_location(name));
    let canonical: BTreeMap<String, Value> = values.collect();
    Sensitive(Value::Object(Map::from_iter(canonical)).to_string())
}

fn shown(specs: &[OptionSpec], values: &Values) -> BTreeMap<String, Shown> {
    let visible = specs.iter().filter(|spec| !spec.described.hidden);
    let effective = visible.filter_map(|OptionSpec { described, .. }| {
        let OptionDescription { name, default, secret, .. } = described;
        let (value, origin) = match values.get(name) {
            Some(given) => (given.value.clone(), given.origin.clone()),
            None => (default.clone()?, "default".to_owned()),
        };
        let value = if *secret { SECRET.into() } else { value };
        Some((name.clone(), Shown { value, origin }))
    });
    effective.collect()
}
