//! Every example of the guide "Replicating Directories" must hold.

use std::path::Path;

use super::super::*;

fn guide(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/guide").join(name);
    let source = Source::File(path.display().to_string());
    let loaded = load(&LoadRequest::new(source, Environment::empty("/"))).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, [], "{name}");
    loaded.config
}

fn directory(entry: &DbEntry) -> (&str, String, bool) {
    match &entry.target {
        Target::Dir(spec) => (spec.dir.to_str().unwrap(), spec.pattern.to_string(), spec.recursive),
        Target::Path(path) => panic!("{} is no directory", path.display()),
    }
}

/// Type, and the place on the storage as it is written.
fn replica(entry: &DbEntry) -> (&str, String) {
    let value = |key: &str| entry.replica.values.get(key).and_then(|given| given.value.as_str());
    let place = match entry.replica.display_url() {
        Some(url) => url,
        None => [value("bucket"), value("path")].into_iter().flatten().collect::<Vec<_>>().join("/"),
    };
    (entry.replica.kind.as_str(), place)
}

#[test]
fn every_example_says_what_the_guide_says() {
    for (file, dir, recursive, place) in [
        ("configuration.yml", "/var/lib/tenants", true, "backups/tenants"),
        ("recursive-scanning.yml", "/var/lib/databases", true, "s3://mybucket/backups"),
        ("replica-path-behavior.yml", "/var/lib/databases", true, "backups/prod"),
        ("multi-tenant-applications.yml", "/var/lib/tenants", false, "s3://mybucket/tenants"),
        ("organized-by-customer-tier.yml", "/var/lib/customers", true, "s3://mybucket/customers"),
    ] {
        let config = guide(file);
        assert_eq!(config.dbs.len(), 1, "{file}");
        assert_eq!(directory(&config.dbs[0]), (dir, "*.db".to_owned(), recursive), "{file}");
        assert_eq!(replica(&config.dbs[0]), ("s3", place.to_owned()), "{file}");
        assert!(matches!(&config.dbs[0].target, Target::Dir(spec) if !spec.watch), "{file}: watch is off");
    }
}

#[test]
fn two_entries_may_take_different_files_of_one_directory() {
    let config = guide("pattern-matching.yml");
    assert_eq!(directory(&config.dbs[0]), ("/var/lib/data", "*.db".to_owned(), false));
    assert_eq!(directory(&config.dbs[1]), ("/var/lib/data", "*.sqlite".to_owned(), false));
}

#[test]
fn directories_and_single_databases_may_be_mixed() {
    let config = guide("mixed-configuration.yml");
    let (main, tenants) = (&config.dbs[0], &config.dbs[1]);
    assert_eq!(main.target, Target::Path("/var/lib/app/main.db".into()));
    assert_eq!(main.settings.checkpoint_interval, Some(Duration::from_secs(30)));
    assert_eq!(main.replica.sync_interval(), Duration::from_millis(500));
    assert_eq!(tenants.settings.checkpoint_interval, Some(Duration::from_secs(60)));
    assert_eq!(tenants.replica.sync_interval(), Duration::from_secs(1));
    assert_eq!(replica(tenants), ("s3", "s3://mybucket/tenants".to_owned()));
}
