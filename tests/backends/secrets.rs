//! What opens a storage is told to nobody.

use super::Backend;
use crate::harness::*;

/// The secret, which stands in the replica table, is in no log at the finest level, in no error, and in no description of
/// the configuration; neither is a wrong one, with which nothing works.
pub fn it_is_shown_nowhere(backend: &Backend, secret: &str) {
    let (sandbox, program) = (Sandbox::new(), backend.equip(Program::ours()));
    let database = sandbox.database("app.db");
    let config = |replica: &str| {
        sandbox.config(&format!("logging:\n  level: trace\ndbs:\n  - path: ROOT/app.db\n    replica:\n{replica}"))
    };
    let good = backend.replica_at("secrets", 6);
    assert!(good.contains(secret));
    let (right, wrong) = (config(&good), config(&good.replace(secret, &format!("wrong-{secret}"))));
    let unknown_key = config(&format!("{good}      no-such-key: x\n"));
    let output = sandbox.fresh("restored.db");
    let mut texts = String::new();
    for (config, command, works) in [
        (&right, &["replicate", "-once"][..], true),
        (&right, &["config", "explain"], true),
        (&wrong, &["replicate", "-once"], false),
        (&unknown_key, &["config", "check"], false),
        (&right, &["restore", "-o", output.to_str().unwrap()], true),
    ] {
        let mut args = [command, &["-config", config.to_str().unwrap()]].concat();
        if command[0] == "restore" {
            args.push(database.to_str().unwrap());
        }
        let finished = program.run(&sandbox, &args);
        assert_eq!(finished.status.success(), works, "{finished}");
        texts.push_str(&finished.text());
    }
    assert_same(&database, &output);
    assert!(texts.contains("level=TRACE") || texts.contains("level=DEBUG"), "a fine level is on: {texts}");
    let at = texts.find(secret);
    assert_eq!(at, None, "{}", at.map_or("", |at| &texts[at.saturating_sub(300)..at]));
}
