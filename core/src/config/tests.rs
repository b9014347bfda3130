//! Whole files through `load`. What Litestream 0.5.17 answers to each was taken from the program itself.

use super::*;

mod guide;
mod layers;
mod mistakes;
mod names;
mod packaged;
mod values;

/// A directory with one configuration file.
pub(super) struct File {
    directory: tempfile::TempDir,
    name: &'static str,
}

impl File {
    pub(super) fn new(name: &'static str, text: &str) -> File {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(name), text).unwrap();
        File { directory, name }
    }

    pub(super) fn request(&self) -> LoadRequest {
        let environment = Environment::empty("/w").with_home("/home/u");
        let path = self.directory.path().join(self.name).display().to_string();
        LoadRequest::new(Source::File(path), environment)
    }
}

pub(super) fn load_yaml(text: &str) -> Result<Loaded, ConfigError> {
    load(&File::new("c.yml", text).request())
}

/// Everything but the directory of the file, which differs each time.
pub(super) fn without_directory(text: &str) -> String {
    text.lines().map(one_line_without_directory).collect::<Vec<_>>().join("\n")
}

fn one_line_without_directory(line: &str) -> String {
    let Some(at) = line.find("/c.") else { return line.to_owned() };
    let start = line[..at].rfind([' ', '(']).map_or(0, |start| start + 1);
    format!("{}{}", &line[..start], &line[at + 1..])
}

fn error(text: &str) -> String {
    without_directory(&load_yaml(text).map(|_| ()).expect_err(text).to_string())
}

fn warnings(text: &str) -> Vec<String> {
    let loaded = load_yaml(text).unwrap_or_else(|error| panic!("{error} in {text}"));
    loaded.warnings.iter().map(|warning| without_directory(&warning.to_string())).collect()
}

const R: &str = "replica: {type: file, path: /r}";

/// So that two files can be compared.
pub(super) fn without_origins(mut config: Config) -> Config {
    for entry in &mut config.dbs {
        entry.origin = Origin::Default;
        entry.replica.origin = Origin::Default;
        entry.replica.values.values_mut().for_each(|given| given.origin.clear());
    }
    config.replica_defaults.values_mut().for_each(|given| given.origin.clear());
    config
}
