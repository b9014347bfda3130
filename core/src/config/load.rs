//! From a request to a configuration: finds and reads the file, and runs the steps in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::build::{self, Built};
use super::check_keys::{check, misspelt_variables};
use super::document::{Document, SyntaxError};
use super::error::{ConfigError, UnknownKey, Warning};
use super::expand::{Expanded, expand};
use super::layers::Layers;
use super::origin::{Origin, Origins};
use super::request::{DEFAULT_CONFIG_PATH, LoadRequest, Source};
use super::{Config, bare_duration, toml, yaml};

/// A configuration, and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What holds.
    pub config: Config,
    /// What is probably not meant, in the order of the file. To be logged once logging works.
    pub warnings: Vec<Warning>,
    /// Where each value came from.
    pub origins: Origins,
    /// The file that was read.
    pub path: Option<PathBuf>,
}

/// Loads a configuration. Opens the one file, and nothing it names.
///
/// # Errors
/// The first thing that is wrong; of unknown keys, all.
pub fn load(request: &LoadRequest) -> Result<Loaded, ConfigError> {
    let path = locate(request)?;
    let document = path.as_deref().map(|path| read(request, path)).transpose()?;
    let mut warnings = Vec::new();
    let mut replica_defaults = Vec::new();
    if let Some(document) = &document {
        let names = check(document);
        let overridden = document.overridden.iter().map(|(line, key)| Warning {
            origin: document.at(*line).to_string(),
            message: format!("{key:?} is given twice; this one does not count"),
        });
        warnings.extend(overridden);
        warnings.extend(names.warnings);
        warnings.extend(bare_duration::check(document));
        replica_defaults = names.replica_defaults;
        if !request.lenient && !names.unknown.is_empty() {
            return Err(ConfigError::UnknownKeys(names.unknown));
        }
        warnings.extend(names.unknown.into_iter().map(UnknownKey::into_warning));
    }
    for (name, meant) in misspelt_variables(request.environment.names()) {
        let message = format!("{name} sets nothing; did you mean {meant}?");
        warnings.push(Warning { origin: Origin::Environment(name.to_owned()).to_string(), message });
    }
    let layers = Layers::new(request, document.as_ref());
    let Built { config, origins, warnings: later } = build::build(request, &layers, &replica_defaults)?;
    warnings.extend(later);
    Ok(Loaded { config, warnings, origins, path })
}

/// The file to read; `None` if none is wanted.
fn locate(request: &LoadRequest) -> Result<Option<PathBuf>, ConfigError> {
    let named = match &request.source {
        Source::None => return Ok(None),
        Source::File(path) => path.as_str(),
        Source::Default => {
            let variable = request.environment.get("LITESTREAM_CONFIG").filter(|path| !path.is_empty());
            variable.unwrap_or(DEFAULT_CONFIG_PATH)
        }
    };
    Ok(Some(request.environment.expand_path(named)?))
}

fn read(request: &LoadRequest, path: &Path) -> Result<Document, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ConfigError::NotFound(path.to_owned()),
        _ => ConfigError::Read { path: path.to_owned(), source },
    })?;
    let file: Arc<str> = path.to_string_lossy().into();
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let origin = Origin::File { file: file.clone(), line: u32::try_from(line).unwrap_or(u32::MAX) };
        ConfigError::Syntax { origin, message: "the file is not UTF-8 text".to_owned() }
    })?;
    let expanded = match request.expand_env {
        true => expand(&text, |name| request.environment.substitute(name)),
        false => Expanded::verbatim(text),
    };
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    parse(&expanded, is_toml, file)
}

/// Parses, and gives every line its number in the file.
fn parse(expanded: &Expanded, is_toml: bool, file: Arc<str>) -> Result<Document, ConfigError> {
    let parsed = match is_toml {
        true => toml::parse(&expanded.text).map(|root| yaml::Parsed { root, overridden: Vec::new() }),
        false => yaml::parse(&expanded.text),
    };
    let yaml::Parsed { mut root, mut overridden } = parsed.map_err(|SyntaxError { line, message }| {
        let origin = Origin::File { file: file.clone(), line: expanded.source_line(line) };
        ConfigError::Syntax { origin, message }
    })?;
    root.map_lines(&|line| expanded.source_line(line));
    overridden.iter_mut().for_each(|(line, _)| *line = expanded.source_line(*line));
    Ok(Document { file, root, overridden })
}
