//! Raw values by key, each with where it was written, and the layers in which they are filled.

use super::parse::nearest;
use super::{Given, OptionSpec, Options, Url, UrlPart};
use crate::describe::{OptionDescription, Sensitive};
use crate::error::{Result, StorageError};
use serde_json::Value;
use std::collections::BTreeMap;

/// Raw values by key. What is set first wins, so the layers are filled strongest first: table, URL, environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    map: BTreeMap<String, Given>,
}

impl Values {
    /// What is set for a key.
    pub fn get(&self, key: &str) -> Option<&Given> {
        self.map.get(key)
    }

    /// What is set for a key, if it is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|given| given.value.as_str())
    }

    /// Whether a key is set.
    pub fn contains(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Sets a key that is not set yet; says whether it did.
    pub fn offer(&mut self, key: &str, value: impl Into<Value>, origin: impl Into<String>) -> bool {
        let free = !self.contains(key);
        if free {
            self.map.insert(key.to_owned(), Given::new(value, origin));
        }
        free
    }

    /// Every set key, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Given)> {
        self.map.iter().map(|(key, given)| (key.as_str(), given))
    }

    /// Fills from a URL what the declarations say and nobody has set: query parameters, then host, port, user, password
    /// and path. An override of `Plugin::from_url` that takes the host apart by itself calls this last.
    ///
    /// # Errors
    /// As [`Values::fill_from_query`]; a path that does not decode to UTF-8.
    pub fn fill_from_url<O: Options>(&mut self, url: &Url) -> Result<()> {
        self.fill_from_query::<O>(url)?;
        for spec in O::specs() {
            let OptionDescription { name, url: part, .. } = &spec.described;
            let value = match part {
                Some(UrlPart::Host) => Some(url.host.clone()),
                Some(UrlPart::Port) => url.port.map(|port| port.to_string()),
                Some(UrlPart::User) => url.user.clone(),
                Some(UrlPart::Password) => url.password.clone(),
                Some(UrlPart::Path) => Some(url.path()?),
                None => None,
            };
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                self.offer(name, value, "url");
            }
        }
        Ok(())
    }

    /// Fills the query parameters alone: each is a declared key, or one of its `query` names.
    ///
    /// # Errors
    /// INVALID_INPUT that names every parameter nobody declared. A secret is taken only by a `query` name, so that no
    /// one puts it into a URL by chance.
    pub fn fill_from_query<O: Options>(&mut self, url: &Url) -> Result<()> {
        let specs = O::specs();
        let mut unknown = Vec::new();
        for (parameter, value) in &url.query {
            match specs.iter().find(|spec| spec.described.takes_parameter(parameter)) {
                Some(spec) if value.is_empty() && spec.empty_is_unset => {}
                Some(spec) => {
                    self.offer(&spec.described.name, value.clone(), format!("url parameter {parameter}"));
                }
                None => unknown.push(refused_parameter(parameter, &specs)),
            }
        }
        match unknown.as_slice() {
            [] => Ok(()),
            [one] => Err(StorageError::invalid_input(format!("unknown url parameter {one}"))),
            more => Err(StorageError::invalid_input(format!("unknown url parameters {}", more.join(", ")))),
        }
    }

    /// The strongest layer. A key without a value, and an empty text or list where that says nothing (a `${NAME}` that
    /// is not set becomes an empty text), counts as not set.
    pub(crate) fn from_table(table: &BTreeMap<String, Given>, specs: &[OptionSpec]) -> Self {
        let says_nothing = |key: &str, value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty() && is_empty_unset(specs, key),
            Value::Array(items) => items.is_empty() && is_empty_unset(specs, key),
            _ => false,
        };
        let set = table.iter().filter(|(key, given)| !says_nothing(key, &given.value));
        Self { map: set.map(|(key, given)| (key.clone(), given.clone())).collect() }
    }

    /// The weakest layer above the defaults: of each key's variables, the first that has a value.
    pub(crate) fn fill_from_environment(&mut self, env: &BTreeMap<String, Sensitive>, specs: &[OptionSpec]) {
        for OptionSpec { described, .. } in specs {
            let found = described.env.iter().find_map(|name| {
                let value = env.get(name).filter(|value| !value.0.is_empty())?;
                Some((name, value.0.clone()))
            });
            if let Some((name, value)) = found {
                self.offer(&described.name, value, format!("environment {name}"));
            }
        }
    }
}

fn refused_parameter(parameter: &str, specs: &[OptionSpec]) -> String {
    let described = || specs.iter().map(|spec| &spec.described);
    if described().any(|option| option.secret && option.name == parameter) {
        return format!("`{parameter}` (a secret: set it in the configuration or the environment)");
    }
    let plain = described().filter(|option| !option.hidden && !option.secret).map(|option| &option.name);
    let names = plain.chain(described().flat_map(|option| &option.query));
    format!("`{parameter}`{}", nearest(parameter, names))
}

fn is_empty_unset(specs: &[OptionSpec], key: &str) -> bool {
    specs.iter().find(|spec| spec.described.name == key).is_some_and(|spec| spec.empty_is_unset)
}

impl From<BTreeMap<String, Given>> for Values {
    fn from(map: BTreeMap<String, Given>) -> Self {
        Self { map }
    }
}
