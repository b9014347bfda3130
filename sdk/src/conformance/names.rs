//! N1, N2: names come back as they were, and no two databases share a place.

use super::catalogue::Verdict;
use super::kit::Kit;
use super::{broken, ensure};
use crate::error::Result;
use crate::types::{Capability, DbPath, ObjectKey};
use std::collections::HashMap;

const ODD: [&str; 14] = [
    "a b.db",
    "c%d.db",
    "e+f.db",
    "q?x#y.db",
    "ü.db",
    "日本.db",
    "it's \"so\".db",
    "(1)!*.db",
    "a&b=c.db",
    "%2F.db",
    ".hidden.db",
    "..twice",
    "at@colon:semi;tilde~",
    "dot.at.end.",
];

pub(super) async fn odd_names(kit: &Kit) -> Result<Verdict> {
    for name in ODD {
        let key = kit.key(format!("{name}/ltx/0/1"))?;
        kit.put(&key, name).await.map_err(|error| error.context(name))?;
        ensure!(kit.get(&key).await.map_err(|error| error.context(name))? == name, "{name}: other bytes came back");
        let listed = kit.names(name).await?;
        ensure!(listed == [key.to_string()], "{name} is listed as {listed:?}");
    }
    let dirs = kit.names("").await?.len();
    ensure!(dirs == ODD.len(), "{dirs} objects are listed of {}", ODD.len());
    if !kit.capability().has(Capability::BYTE_NAMES) {
        return Ok(Verdict::HalfSkipped("names that are not UTF-8 not claimed: BYTE_NAMES".into()));
    }
    let key: ObjectKey = kit.key(b"raw/\xff\xfe.db/1")?;
    kit.put(&key, "raw").await?;
    ensure!(kit.get(&key).await? == "raw", "a name that is not UTF-8 gave other bytes");
    let listed = kit.names("raw").await?;
    ensure!(listed == [key.to_string()], "a name that is not UTF-8 is listed as {listed:?}");
    Ok(Verdict::Kept)
}

/// Names that an encoding may fold together, and many more made of the bytes that encodings care about.
fn database_names() -> Vec<DbPath> {
    let traps = [
        "a b", "a%20b", "a+b", "a%2520b", "A b", "a/b", "a%2Fb", "a\\b", "ü", "u\u{308}", "%", "%25", "%%", ".a", "a.",
    ];
    let mut names: Vec<Vec<u8>> = traps.iter().map(|name| name.as_bytes().to_vec()).collect();
    let alphabet: Vec<&[u8]> =
        vec![b"a", b"B", b"%", b"2", b"0", b" ", b"+", b"/x", b"-", b"\\", b"\x01", "é".as_bytes(), b"\xff"];
    let mut state: u64 = 1;
    while names.len() < 2000 {
        let mut name = b"n".to_vec();
        for _ in 0..6 {
            // Knuth's MMIX generator: the same names in every run.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            name.extend_from_slice(alphabet[(state >> 33) as usize % alphabet.len()]);
        }
        names.push(name);
    }
    names.iter().filter_map(|name| DbPath::parse(name).ok()).collect()
}

pub(super) async fn injective(kit: &Kit) -> Result<Verdict> {
    let Some((configured, resolve)) = &kit.subject.resolve else { return Err(broken("no resolve at hand")) };
    let mut resolved = 0;
    for from_url in [false, true] {
        let mut at = configured.clone();
        at.from_url = from_url;
        resolve(&at, &DbPath::default()).map_err(|error| error.context("the place of a single database"))?;
        let mut owners = HashMap::new();
        for db in database_names() {
            let place = resolve(&at, &db);
            ensure!(resolve(&at, &db) == place, "{db} has two places");
            let Ok(place) = place else { continue }; // refused with a reason: that database is reported
            resolved += 1;
            if let Some(other) = owners.insert(place.clone(), db.clone()) {
                ensure!(other == db, "{other} and {db} share the place {place}");
            }
        }
    }
    if resolved == 0 {
        return Ok(Verdict::HalfSkipped("this storage holds one database for each configuration".into()));
    }
    Ok(Verdict::Kept)
}
