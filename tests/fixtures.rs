//! The replicas of `tests/fixtures/ltx`, written by Litestream 0.3, 0.5.15 and 0.5.17, restored by the program: the same
//! plan and the same bytes as Litestream's own restore. And the damaged ones: never a database from a damaged file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/ltx").canonicalize().unwrap()
}

fn expected(case: &str) -> Value {
    serde_json::from_slice(&fs::read(fixtures().join(case).join("expected.json")).unwrap()).unwrap()
}

/// A copy of a replica whose files have the times of the original: version control keeps none.
fn replica(sandbox: &Sandbox, case: &str, files: &Value) -> String {
    let source = fixtures().join(case).join("replica");
    for path in files_below(&source).keys() {
        let target = sandbox.write(Path::new("replica").join(path), fs::read(source.join(path)).unwrap());
        let known = files.as_array().unwrap().iter().find(|file| Path::new(file["path"].as_str().unwrap()) == path);
        if let Some(millis) = known.and_then(|file| file["timestamp"].as_u64().or(file["mtime_ms"].as_u64())) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            fs::File::open(target).unwrap().set_modified(time).unwrap();
        }
    }
    sandbox.url("replica")
}

fn sha256(path: &Path) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_replica_restores_to_the_bytes_of_the_reference() {
    let cases = [
        "autovacuum",
        "checkpoint",
        "empty",
        "legacy",
        "multitxn",
        "overflow",
        "ps4096",
        "ps512",
        "ps65536",
        "resnapshot",
        "shrink",
        "truncate",
        "upgrade",
        "v3",
    ];
    for case in cases {
        let (program, sandbox, expected) = (Program::subject(), Sandbox::new(), expected(case));
        let url = replica(&sandbox, case, &expected["files"]);
        for restore in expected["restores"].as_array().unwrap() {
            let txid = restore["txid"].as_str().unwrap();
            let point = if txid == "latest" { vec![] } else { vec!["-txid", txid] };
            let restored = program.restore(&sandbox, &url, &point);
            assert_eq!(sha256(&restored), restore["sha256"].as_str().unwrap(), "{case} at {txid}");
            let Some(plan) = restore["dry_run"].as_array() else { continue };
            let args = [&["restore", "-dry-run", "-o", "OUT"][..], &point, &[&url]].concat();
            let printed = program.must(&sandbox, &args).stdout.replace(&url, "file://REPLICA");
            let plan: Vec<&str> = plan.iter().map(|line| line.as_str().unwrap()).collect();
            assert_eq!(printed.lines().collect::<Vec<_>>(), plan, "{case} at {txid}");
        }
    }
}

#[test]
fn damage_is_refused_and_leaves_nothing() {
    let program = Program::subject();
    let base = expected("ps512");
    let variants = expected("corrupt");
    let variants = variants.as_array().unwrap();
    let intact = variants.iter().find(|variant| variant["variant"] == "none").unwrap();
    for variant in variants {
        let name = variant["variant"].as_str().unwrap();
        let sandbox = Sandbox::new();
        let url = replica(&sandbox, &format!("corrupt/{name}"), &base["files"]);
        let output = sandbox.path("out/restored.db");
        let finished =
            program.run(&sandbox, &["restore", "-integrity-check", "full", "-o", output.to_str().unwrap(), &url]);
        assert!(!finished.stderr.contains("panicked"), "{name}: {finished}");
        if finished.status.success() {
            // What the reference makes of it, or the undamaged state by way of other files: never anything else.
            let allowed = [variant["sha256"].as_str(), intact["sha256"].as_str()];
            assert!(allowed.contains(&Some(&sha256(&output))), "{name}: {finished}");
        } else if program.kind() == Kind::Ours {
            assert!(finished.stderr.starts_with("Error: "), "{name}: {finished}");
            assert!(files_below(&sandbox.path("out")).is_empty(), "{name}: something is left");
        }
    }
}
