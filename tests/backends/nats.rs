//! NATS JetStream, on its own server. With the reference a bucket holds one database; a directory of them shares one by
//! `prefix`, which is ours alone.

use std::sync::OnceLock;

use litestream_test_servers::{Server, nats, nats_with_login};

use super::{Backend, a_directory_is_lost_and_restored, faults, interop, secrets};
use crate::harness::*;

const USER: &str = "backup";
const PASSWORD: &str = "secret-password-of-the-test-server";

/// One server for all tests of this process, with a bucket for each.
fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| nats(&["directory", "ours", "theirs", "faults"])).as_ref()
}

/// A bucket that holds one database, at whatever place.
fn single(server: &Server, bucket: &str) -> Backend {
    let url = format!("nats://{}/{bucket}", server.address());
    let replica = format!("url: {url}\n");
    Backend {
        plugin: "nats",
        replica: Box::new(move |_| replica.clone()),
        url: Box::new(move |_| url.clone()),
        env: vec![],
    }
}

/// A bucket that databases share, of the server at this address, with short waits.
fn shared(address: impl ToString, bucket: &str) -> Backend {
    let url = format!("nats://{}/{bucket}", address.to_string());
    let replica = format!("url: {url}\nprefix: true\ntimeout: 2s\nreconnect-wait: 50ms\n");
    Backend {
        plugin: "nats",
        replica: Box::new(move |place| format!("{replica}path: {place}\n")),
        url: Box::new(move |place| {
            format!("{url}/{}?prefix=true&timeout=2s&reconnect-wait=50ms", place.replace(' ', "%20"))
        }),
        env: vec![],
    }
}

#[test]
fn a_directory_of_databases_survives_the_loss_of_everything_local() {
    let Some(server) = server() else { return };
    a_directory_is_lost_and_restored(&shared(server.address(), "directory"));
}

#[test]
fn the_reference_restores_and_continues_ours() {
    let Some(server) = server() else { return };
    interop::the_reference_restores_and_continues_ours(&single(server, "ours"), "");
}

#[test]
fn we_restore_and_continue_a_replica_of_the_reference() {
    let Some(server) = server() else { return };
    interop::we_restore_and_continue_the_references(&single(server, "theirs"));
}

#[test]
fn a_server_that_fails_is_waited_for_without_a_restart() {
    let Some(server) = server() else { return };
    faults::a_connection_that_breaks_is_waited_for(&server.address(), |address| shared(address, "faults"));
}

/// In the build that users have: beside the other plugins, and encrypted.
#[test]
fn it_logs_in_over_tls_and_the_password_is_shown_nowhere() {
    let Some(server) = nats_with_login(&["secrets"], USER, PASSWORD) else { return };
    let url = format!("nats://{USER}:{PASSWORD}@{}/secrets", server.address());
    let replica = format!("url: {url}\ntls: true\nroot-cas: [{}]\n", server.dir().join("cert.pem").display());
    let backend = Backend {
        plugin: "nats",
        replica: Box::new(move |_| replica.clone()),
        url: Box::new(move |_| url.clone()),
        env: vec![],
    };
    secrets::it_is_shown_nowhere(&backend, PASSWORD);
}

/// A certificate that nobody has signed whom we know.
#[test]
fn an_unknown_certificate_is_refused() {
    let Some(server) = nats_with_login(&["secrets"], USER, PASSWORD) else { return };
    let sandbox = Sandbox::new();
    let url = format!("nats://{USER}:{PASSWORD}@{}/secrets?tls=true", server.address());
    let output = sandbox.fresh("restored.db");
    let restored = Program::ours().run(&sandbox, &["restore", "-o", output.to_str().unwrap(), &url]);
    assert_eq!(restored.code(), 1, "{restored}");
    assert!(restored.stderr.contains("connecting to ") && !restored.text().contains(PASSWORD), "{restored}");
}
