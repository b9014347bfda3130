//! Azure blobs, on Azurite.

use std::sync::OnceLock;

use litestream_test_servers::{AZURITE_ACCOUNT, AZURITE_KEY, Server, azurite};

use super::{Backend, a_directory_is_lost_and_restored, faults, interop};
use crate::harness::*;

const CONTAINERS: [&str; 5] = ["directory", "ours", "theirs", "faults", "secrets"];

/// One server for all tests of this process, with a container for each; it ends with the process.
fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| azurite(&CONTAINERS)).as_ref()
}

/// A container of a server at this address.
fn backend(address: impl ToString, container: &'static str) -> Backend {
    let endpoint = format!("http://{}/{AZURITE_ACCOUNT}", address.to_string());
    let replica = format!(
        "type: abs\nbucket: {container}\nendpoint: {endpoint}\naccount-name: {AZURITE_ACCOUNT}\n\
         account-key: {AZURITE_KEY}\n"
    );
    Backend {
        plugin: "azure",
        replica: Box::new(move |place| format!("{replica}path: {place}\n")),
        url: Box::new(move |place| {
            format!("abs://{AZURITE_ACCOUNT}@{container}/{}?endpoint={endpoint}", place.replace(' ', "%20"))
        }),
        env: vec![("LITESTREAM_AZURE_ACCOUNT_KEY", AZURITE_KEY.to_owned())],
    }
}

#[test]
fn a_directory_of_databases_survives_the_loss_of_everything_local() {
    let Some(server) = server() else { return };
    a_directory_is_lost_and_restored(&backend(server.address(), "directory"));
}

#[test]
fn the_reference_restores_and_continues_ours() {
    let Some(server) = server() else { return };
    interop::the_reference_restores_and_continues_ours(&backend(server.address(), "ours"), "");
}

#[test]
fn we_restore_and_continue_the_references() {
    let Some(server) = server() else { return };
    interop::we_restore_and_continue_the_references(&backend(server.address(), "theirs"));
}

#[test]
fn a_store_that_fails_is_waited_for_without_a_restart() {
    let Some(server) = server() else { return };
    faults::a_store_that_fails_is_waited_for(&server.address(), |address| backend(address, "faults"), "PUT");
}

/// The key and a signature are in no log at the finest level, in no error, and in no description of the configuration.
#[test]
fn secrets_are_shown_nowhere() {
    let Some(server) = server() else { return };
    let (backend, sandbox) = (backend(server.address(), "secrets"), Sandbox::new());
    let program = Program::ours();
    let signature = "sv=2021-08-06&ss=b&srt=sco&sp=rwdlac&se=2030-01-01T00:00:00Z&sig=aHVudGVyMg%3D%3D";
    sandbox.database("app.db");
    let config = |text: String| {
        sandbox.config(&format!("logging:\n  level: trace\ndbs:\n  - path: ROOT/app.db\n    replica:\n{text}"))
    };
    let good = backend.replica_at("secrets", 6);
    let mut texts = String::new();
    for (replica, command, works) in [
        (good.clone(), &["replicate", "-once"][..], true),
        (good.clone(), &["config", "explain"], true),
        (good.replace("bucket: secrets", "bucket: nowhere"), &["replicate", "-once"], false),
        (format!("{good}      sas-token: {signature}\n"), &["replicate", "-once"], false),
        (format!("{good}      sas-token: {signature}\n"), &["config", "explain"], true),
        (format!("{good}      no-such-key: x\n"), &["config", "check"], false),
    ] {
        let config = config(replica);
        let finished = program.run(&sandbox, &[command, &["-config", config.to_str().unwrap()]].concat());
        assert_eq!(finished.status.success(), works, "{finished}");
        texts.push_str(&finished.text());
    }
    assert!(texts.contains("level=DEBUG"), "a fine level is on: {texts}");
    assert!(texts.contains("<secret>"), "the configuration is explained: {texts}");
    for secret in [AZURITE_KEY, "aHVudGVyMg"] {
        let at = texts.find(secret);
        assert_eq!(at, None, "{}", at.map_or("", |at| &texts[at.saturating_sub(300)..at]));
    }
}

/// A wrong key and a missing container are said at once, and are no empty replica.
#[test]
fn a_wrong_key_or_container_is_said_clearly() {
    let Some(server) = server() else { return };
    let sandbox = Sandbox::new();
    let output = sandbox.fresh("restored.db");
    for (container, key, word) in
        [("directory", "d3Jvbmcga2V5", "authenticate"), ("nowhere", AZURITE_KEY, "ContainerNotFound")]
    {
        let backend = backend(server.address(), container);
        let program = backend.equip(Program::ours()).with_env("LITESTREAM_AZURE_ACCOUNT_KEY", key);
        let url = (backend.url)("p");
        let finished = program.run(&sandbox, &["restore", "-o", output.to_str().unwrap(), &url]);
        assert_eq!(finished.code(), 1, "{finished}");
        assert!(finished.text().contains(word) && !finished.text().contains(key), "{finished}");
    }
}
