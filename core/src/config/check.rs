//! `config check`: everything that can be said about a configuration before anything starts. Data only.

use litestream_sdk::describe::Configured;

use super::error::{ConfigError, Warning};
use super::load::{Loaded, load};
use super::request::LoadRequest;
use super::resolve::{PluginCatalog, ResolveRequest};

/// A configuration that may start.
#[derive(Clone, Debug)]
pub struct CheckReport {
    /// The configuration, its replicas resolved, with all warnings.
    pub loaded: Loaded,
    /// The plugins' answers, in the order of `dbs`.
    pub configured: Vec<Configured>,
}

/// Loads, resolves and configures, as a start does. Touches neither databases nor storage.
///
/// # Errors
/// What would stop the start, and the warnings found until then.
pub fn check(
    request: &LoadRequest,
    plugins: impl FnOnce(&Loaded) -> Box<dyn PluginCatalog>,
) -> Result<CheckReport, (ConfigError, Vec<Warning>)> {
    let mut loaded = load(request).map_err(|error| (error, Vec::new()))?;
    let plugins = plugins(&loaded);
    let resolve = ResolveRequest { environment: &request.environment, lenient: request.lenient };
    match loaded.config.resolve_replicas(&*plugins, resolve) {
        Ok(warnings) => loaded.warnings.extend(warnings),
        Err(error) => return Err((error, loaded.warnings)),
    }
    match loaded.config.configure_replicas(&*plugins) {
        Ok((configured, warnings)) => {
            loaded.warnings.extend(warnings);
            Ok(CheckReport { loaded, configured })
        }
        Err(error) => Err((error, loaded.warnings)),
    }
}
