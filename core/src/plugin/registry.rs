//! Which plugin serves which replica type: the files found, their claims, and the libraries loaded so far.
//!
//! Finding reads records and loads nothing. A library is loaded when a configuration first needs it, and stays until
//! the process ends. A bad file stops nobody who does not need it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::extent;
use super::loader::LoadedPlugin;
use super::record::{self, Record};
use super::refusal::{ABI, PluginError, Reason, Refusal};
use super::search::{self, SearchPath};
use super::trust::{self, Distrust};

/// One file whose name says that it is a plugin.
#[derive(Clone, Debug)]
pub struct PluginFile {
    /// The file, as found.
    pub path: PathBuf,
    /// What it says of itself, or why it is not used.
    pub record: Result<Record, Refusal>,
    /// The same file with links resolved: what is loaded.
    target: PathBuf,
}

impl PluginFile {
    fn serves(&self, kind: &str) -> bool {
        match &self.record {
            Ok(record) => record.claims().contains(&kind),
            Err(refusal) => match &refusal.record {
                Some(record) => record.claims().contains(&kind),
                None => search::name_of(&self.path) == Some(kind),
            },
        }
    }
}

/// All plugins of this process.
pub struct Registry {
    search: SearchPath,
    files: Vec<PluginFile>,
    /// By resolved path. A failed load is remembered: the file will not become better, and its constructors ran.
    loaded: Mutex<HashMap<PathBuf, Result<Arc<LoadedPlugin>, Refusal>>>,
}

impl Registry {
    /// Looks through the search path. Loads nothing and never fails: what is wrong with a file is kept with it.
    pub fn discover(search: &SearchPath) -> Registry {
        let mut files = Vec::new();
        let mut seen = HashSet::new();
        for dir in search.dirs() {
            let distrust = std::fs::metadata(dir).ok().and_then(|metadata| trust::check(dir, &metadata).err());
            for path in search::plugin_files(dir) {
                files.extend(examine(&path, distrust.as_ref(), &mut seen));
            }
        }
        settle_claims(&mut files);
        for refusal in files.iter().filter_map(|file| file.record.as_ref().err()) {
            tracing::debug!(path = %refusal.path.display(), reason = refusal.what(), "plugin refused");
        }
        Registry { search: search.clone(), files, loaded: Mutex::default() }
    }

    /// Every plugin file found, in the order of the search path.
    pub fn files(&self) -> &[PluginFile] {
        &self.files
    }

    /// The directories searched.
    pub fn searched(&self) -> &[PathBuf] {
        self.search.dirs()
    }

    /// The plugin for a replica type or URL scheme, loaded at the first call. Blocks for the milliseconds that loading
    /// takes.
    ///
    /// # Errors
    ///
    /// Nobody claims the type, or its file is refused.
    pub fn for_type(&self, type_or_scheme: &str) -> Result<Arc<LoadedPlugin>, PluginError> {
        let mut claimants: Vec<&PluginFile> = self.files.iter().filter(|file| file.serves(type_or_scheme)).collect();
        // A usable file beats a refused one of the same name.
        claimants.sort_by_key(|file| file.record.is_err());
        let Some(file) = claimants.first() else { return Err(self.unknown(type_or_scheme)) };
        Ok(self.load(file)?)
    }

    /// Loads one of [`Registry::files`], for `plugin list -v` and `plugin describe`.
    ///
    /// # Errors
    ///
    /// The file is refused, now or already.
    pub fn load(&self, file: &PluginFile) -> Result<Arc<LoadedPlugin>, Refusal> {
        let record = file.record.as_ref().map_err(Clone::clone)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let load = || LoadedPlugin::load(&file.path, &file.target, record).map(Arc::new);
        loaded.entry(file.target.clone()).or_insert_with(load).clone()
    }

    fn unknown(&self, kind: &str) -> PluginError {
        let known = self.files.iter().filter_map(|file| file.record.as_ref().ok()).flat_map(Record::claims);
        let near = known.map(|claim| (strsim::osa_distance(kind, claim), claim)).min();
        PluginError::Unknown {
            kind: kind.to_owned(),
            similar: near.filter(|(distance, _)| *distance <= 2).map(|(_, claim)| claim.to_owned()),
            searched: self.search.dirs().to_vec(),
        }
    }
}

/// Judges one file; `None` when it was met before, under this or another name.
fn examine(path: &Path, distrusted_dir: Option<&Distrust>, seen: &mut HashSet<(u64, u64)>) -> Option<PluginFile> {
    let refused = |target: &Path, refusal| {
        Some(PluginFile { path: path.to_owned(), target: target.to_owned(), record: Err(refusal) })
    };
    let mut candidate = match trust::inspect(path) {
        Ok(candidate) => candidate,
        Err(error) => return refused(path, Refusal::new(path, None, Reason::Unreadable(error.to_string()))),
    };
    if !seen.insert(candidate.identity()) {
        return None;
    }
    let target = candidate.path;
    if !candidate.metadata.is_file() {
        return refused(&target, Refusal::new(path, None, Reason::NoRecord("it is not a regular file".to_owned())));
    }
    if let Some(distrust) = distrusted_dir.cloned().or(candidate.distrust) {
        return refused(&target, Refusal::new(path, None, Reason::Distrusted(distrust)));
    }
    let (claimed, found) = (extent::claimed_len(&candidate.file), candidate.metadata.len());
    if found < claimed {
        return refused(&target, Refusal::new(path, None, Reason::CutShort { claimed, found }));
    }
    match record::read(&mut candidate.file) {
        Err(error) => refused(&target, Refusal::no_record(path, &error)),
        Ok(record) if record.abi != ABI => refused(&target, Refusal::new(path, Some(&record), Reason::Abi)),
        Ok(record) => Some(PluginFile { path: path.to_owned(), target, record: Ok(record) }),
    }
}

/// Refuses every file that claims what another one claims too: which of them was meant is not ours to guess.
fn settle_claims(files: &mut [PluginFile]) {
    let mut claimants: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        for claim in file.record.iter().flat_map(Record::claims) {
            claimants.entry(claim.to_owned()).or_default().push(index);
        }
    }
    for (claim, indexes) in claimants.into_iter().filter(|(_, indexes)| indexes.len() > 1) {
        for index in &indexes {
            let by = indexes.iter().filter(|other| *other != index).map(|other| files[*other].path.clone()).collect();
            let file = &mut files[*index];
            if let Ok(record) = &file.record {
                let reason = Reason::Claimed { claim: claim.clone(), by };
                file.record = Err(Refusal::new(&file.path, Some(record), reason));
            }
        }
    }
}
