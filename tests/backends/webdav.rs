//! WebDAV, on rclone's server.

use std::sync::OnceLock;

use litestream_test_servers::{Server, rclone_webdav};

use super::{Backend, a_directory_is_lost_and_restored, faults, interop, secrets};

const PASSWORD: &str = "secret-password-of-the-test-server";

/// One server for all tests of this process.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| rclone_webdav(Some(("backup", PASSWORD)))).as_ref()
}

/// A directory of the server, reached at `address`.
pub fn backend(address: impl ToString, directory: &'static str) -> Backend {
    let address = address.to_string();
    let login =
        format!("type: webdav\nwebdav-url: http://{address}\nwebdav-username: backup\nwebdav-password: {PASSWORD}\n");
    Backend {
        plugin: "webdav",
        replica: Box::new(move |place| format!("{login}path: {directory}/{place}\n")),
        url: Box::new(move |place| format!("webdav://{address}/{directory}/{}", place.replace(' ', "%20"))),
        env: vec![
            ("LITESTREAM_WEBDAV_USERNAME", "backup".to_owned()),
            ("LITESTREAM_WEBDAV_PASSWORD", PASSWORD.to_owned()),
        ],
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
fn we_restore_and_continue_a_replica_of_the_reference() {
    let Some(server) = server() else { return };
    interop::we_restore_and_continue_the_references(&backend(server.address(), "theirs"));
}

#[test]
fn a_server_that_fails_is_waited_for_without_a_restart() {
    let Some(server) = server() else { return };
    faults::a_store_that_fails_is_waited_for(&server.address(), |address| backend(address, "faults"), "PUT");
}

#[test]
fn the_password_is_shown_nowhere() {
    let Some(server) = server() else { return };
    let backend = backend(server.address(), "secrets");
    secrets::it_is_shown_nowhere(&backend, PASSWORD);
}
