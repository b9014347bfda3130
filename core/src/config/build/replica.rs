//! One replica table: the program's own keys out, the rest kept as it was written.

use figment::value::{Dict, Num, Value};
use litestream_sdk::describe::{Given, Sensitive};
use serde_json::Value as Json;

use super::{Builder, Result};
use crate::config::check_keys::{is_extension, is_key};
use crate::config::error::ConfigError;
use crate::config::keys::Place;
use crate::config::layers::{defaults, is_unset, key_text};
use crate::config::replica::{LayoutChoice, ReplicaConfig, is_url, scheme_of, scheme_required};
use crate::config::scalar::Text;
use crate::config::schema::ReplicaSchema;

/// A replica table, read and not yet judged.
pub(super) struct Replica {
    /// `dbs`, `0`, `replica`.
    pub(super) place: Vec<String>,
    pub(super) schema: ReplicaSchema,
    /// What is not the program's own.
    rest: Dict,
}

impl Builder<'_> {
    /// Reads a table; defaults from the top of the file fill its own keys.
    pub(super) fn replica(&self, place: Vec<String>, table: &Dict) -> Result<Replica> {
        let (own, rest): (Dict, Dict) = table.clone().into_iter().partition(|(key, _)| is_key(Place::Replica, key));
        let own = own.into_iter().filter(|(_, value)| !is_unset(value)).collect();
        let over = [self.replica_defaults.clone(), own];
        let schema = self.layers.extract_table(&place, defaults(Place::Replica), over)?;
        Ok(Replica { place, schema, rest })
    }

    /// What the rest of the program sees. Order and words of the errors are the reference's.
    pub(super) fn replica_config(&self, replica: Replica) -> Result<ReplicaConfig> {
        let Replica { place, schema, rest } = replica;
        let at = |key: &str| {
            let steps: Vec<String> = place.iter().cloned().chain([key.to_owned()]).collect();
            self.origin_in_dbs(&steps)
        };
        if let Some(Value::String(_, path)) = rest.get("path")
            && is_url(path)
        {
            let shown = crate::config::replica::without_secrets(path);
            let message = format!("replica path cannot be a url, please use the 'url' field instead: {shown}");
            return Err(ConfigError::invalid(message, at("path")));
        }
        if !schema.age.identities.0.is_empty() || !schema.age.recipients.0.is_empty() {
            let message = "age encryption is not currently supported, if you need encryption please revert back to Litestream v0.3.x";
            return Err(ConfigError::invalid(message, at("age")));
        }
        let layout = match schema.layout.0.as_str() {
            "auto" => LayoutChoice::Auto,
            "ltx" => LayoutChoice::Ltx,
            "hex" => LayoutChoice::Hex,
            other => {
                let key = format!("{}.layout", key_text(&place));
                let message = format!("{other:?} is not auto, ltx or hex");
                return Err(ConfigError::Value { origin: at("layout"), key, message });
            }
        };
        let url = schema.url.and_then(Text::non_empty);
        let kind = match &url {
            Some(url) => scheme_of(url).ok_or_else(|| scheme_required(url, at("url")))?,
            None => schema.r#type.0,
        };
        let values = rest.iter().filter(|(key, value)| !is_extension(key) && !is_unset(value));
        let values = values.map(|(key, value)| (key.clone(), Given::new(to_json(value), at(key).to_string())));
        Ok(ReplicaConfig {
            kind,
            url: url.map(Sensitive),
            values: values.collect(),
            environment: Default::default(),
            sync_interval: schema.sync_interval.map(|value| value.to_std()),
            max_sync_ltx_files: u64::try_from(schema.max_sync_ltx_files.0).ok().filter(|files| *files > 0),
            auto_recover: schema.auto_recover.0,
            layout,
            origin: self.origin_in_dbs(&place),
            place: key_text(&place),
        })
    }
}

/// A value as a plugin gets it.
pub(super) fn to_json(value: &Value) -> Json {
    match value {
        Value::String(_, text) => Json::from(text.as_str()),
        Value::Bool(_, switch) => Json::from(*switch),
        Value::Num(_, Num::I64(number)) => Json::from(*number),
        // The parsers make no other numbers, and no characters.
        Value::Num(..) | Value::Char(..) | Value::Empty(..) => Json::Null,
        Value::Dict(_, table) => table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect(),
        Value::Array(_, values) => values.iter().map(to_json).collect(),
    }
}
