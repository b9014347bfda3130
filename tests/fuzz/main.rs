//! Parsers under damaged input, for as long as one likes: `FUZZ_SECONDS=600 cargo test --test fuzz -- --nocapture TARGET`.
//!
//! Every run first takes the kept inputs (`corpus/TARGET`) and the fixtures as they are, then mutates them. An input that
//! is answered in a new way joins the pool that later mutations start from, so a run finds its way deeper into a parser
//! without instrumenting it. What breaks a rule is written to a file and named; it belongs into the corpus with the fix.

#![allow(clippy::unwrap_used, reason = "a test that cannot set its scene stops at the line that failed")]

mod mutation;
mod targets;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use litestream_core::clock;

/// Inputs that a run remembers beside those it began with.
const POOL: usize = 4096;

/// One parser, and what must hold of whatever it is given.
trait Target {
    /// Directory of its kept inputs.
    const NAME: &'static str;

    /// Inputs that are right.
    fn seeds() -> Vec<Vec<u8>>;

    /// Words that its inputs are made of.
    fn words() -> &'static [&'static str] {
        &[]
    }

    /// Made once for a run.
    fn new() -> Self;

    /// Takes one input, panics if a rule is broken, and says in short how it was answered.
    fn run(&mut self, input: &[u8]) -> String;
}

fn seconds() -> Duration {
    let chosen = std::env::var("FUZZ_SECONDS").ok();
    Duration::from_secs(chosen.map_or(1, |text| text.parse().expect("FUZZ_SECONDS is a number")))
}

fn seed() -> u64 {
    std::env::var("FUZZ_SEED")
        .ok()
        .map_or_else(|| fastrand::u64(..), |text| text.parse().expect("FUZZ_SEED is a number"))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(name);
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn fuzz<T: Target>() {
    let seed = seed();
    eprintln!("{}: FUZZ_SEED={seed}", T::NAME);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut target, mut answers) = (T::new(), BTreeSet::new());
    let mut pool = T::seeds();
    assert!(!pool.is_empty());
    pool.extend(corpus(T::NAME));
    for input in &pool {
        answers.insert(check(&mut target, input));
    }
    let (deadline, mut runs) = (clock::monotonic() + seconds(), 0u64);
    while clock::monotonic() < deadline {
        let start = &pool[random.usize(..pool.len())];
        let other = &pool[random.usize(..pool.len())];
        let input = mutation::mutate(&mut random, start, other, T::words());
        let is_new = answers.insert(check(&mut target, &input));
        if is_new && pool.len() < POOL {
            keep::<T>(&input, pool.len());
            pool.push(input);
        }
        runs += 1;
    }
    eprintln!("{}: {runs} inputs, {} different answers", T::NAME, answers.len());
}

fn check<T: Target>(target: &mut T, input: &[u8]) -> String {
    std::panic::catch_unwind(AssertUnwindSafe(|| target.run(input))).unwrap_or_else(|_| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}-finding", T::NAME));
        std::fs::write(&path, input).unwrap();
        panic!("{}: a rule is broken by {}", T::NAME, path.display())
    })
}

/// With `FUZZ_KEEP` set, a directory: what was answered in a new way is left there.
fn keep<T: Target>(input: &[u8], number: usize) {
    if let Some(directory) = std::env::var_os("FUZZ_KEEP") {
        let directory = PathBuf::from(directory).join(T::NAME);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(number.to_string()), input).unwrap();
    }
}

#[test]
fn ltx() {
    fuzz::<targets::Ltx>();
}

#[test]
fn page_index() {
    fuzz::<targets::PageIndex>();
}

#[test]
fn wal() {
    fuzz::<targets::Wal>();
}

#[test]
fn names() {
    fuzz::<targets::Names>();
}

#[test]
fn config_yaml() {
    fuzz::<targets::Yaml>();
}

#[test]
fn config_toml() {
    fuzz::<targets::Toml>();
}

#[test]
fn urls() {
    fuzz::<targets::Urls>();
}
