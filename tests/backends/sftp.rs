//! SFTP, on OpenSSH with a key, and on rclone with a password.

use std::sync::OnceLock;

use litestream_test_servers::{Server, openssh, rclone_sftp};

use super::{Backend, a_directory_is_lost_and_restored, faults, interop, secrets};

const PASSWORD: &str = "secret-password-of-the-test-server";

/// One server for all tests of this process.
fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(openssh).as_ref()
}

/// A directory of this server, reached at `address`.
fn backend(server: &Server, address: impl ToString, directory: &str) -> Backend {
    let (address, user) = (address.to_string(), std::env::var("USER").unwrap_or_else(|_| "root".to_owned()));
    let path = server.dir().join("files").join(directory).display().to_string();
    let user_key = server.dir().join("user_key").display().to_string();
    let host_key = std::fs::read_to_string(server.dir().join("host_key.pub")).unwrap().trim().to_owned();
    let login = format!("type: sftp\nhost: {address}\nuser: {user}\nkey-path: {user_key}\nhost-key: {host_key}\n");
    let url = format!("sftp://{user}@{address}{path}");
    Backend {
        plugin: "sftp",
        replica: Box::new(move |place| format!("{login}path: {path}/{place}\n")),
        url: Box::new(move |place| format!("{url}/{}", place.replace(' ', "%20"))),
        env: vec![("LITESTREAM_SFTP_KEY_PATH", user_key), ("LITESTREAM_SFTP_HOST_KEY", host_key)],
    }
}

#[test]
fn a_directory_of_databases_survives_the_loss_of_everything_local() {
    let Some(server) = server() else { return };
    a_directory_is_lost_and_restored(&backend(server, server.address(), "directory"));
}

#[test]
fn the_reference_restores_and_continues_ours() {
    let Some(server) = server() else { return };
    interop::the_reference_restores_and_continues_ours(&backend(server, server.address(), "ours"), "");
}

#[test]
fn we_restore_and_continue_a_replica_of_the_reference() {
    let Some(server) = server() else { return };
    interop::we_restore_and_continue_the_references(&backend(server, server.address(), "theirs"));
}

#[test]
fn a_server_that_fails_is_waited_for_without_a_restart() {
    let Some(server) = server() else { return };
    faults::a_connection_that_breaks_is_waited_for(&server.address(), |address| backend(server, address, "faults"));
}

#[test]
fn the_password_is_shown_nowhere() {
    let Some(server) = rclone_sftp("backup", PASSWORD) else { return };
    let url = format!("sftp://backup:{PASSWORD}@{}/replica", server.address());
    let replica = format!("url: {url}\n");
    let backend = Backend {
        plugin: "sftp",
        replica: Box::new(move |_| replica.clone()),
        url: Box::new(move |_| url.clone()),
        env: vec![],
    };
    secrets::it_is_shown_nowhere(&backend, PASSWORD);
}
