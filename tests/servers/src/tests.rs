//! Every server that is installed starts, takes requests, and is gone when its handle is.

use std::net::TcpStream;
use std::path::Path;

use crate::*;

fn starts_and_ends(server: Option<Server>) {
    let Some(server) = server else { return };
    assert!(TcpStream::connect(server.address()).is_ok());
    let (dir, address) = (server.dir().to_owned(), server.address());
    drop(server);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    assert!(!Path::new(&dir).exists(), "its files are gone");
}

#[test]
fn s3_servers() {
    starts_and_ends(seaweed(&["a", "b"]));
    starts_and_ends(rclone_s3(&["a"], false));
    starts_and_ends(rclone_s3(&["a"], true));
}

#[test]
fn azure() {
    starts_and_ends(azurite(&["one", "two"]));
}

#[test]
fn gcs() {
    starts_and_ends(gcs_emulator("a"));
}

/// As it is, the emulator reads from the first connection until that one ends: see `gcs.py`.
#[test]
fn an_open_connection_to_the_gcs_emulator_holds_up_no_other_one() {
    let Some(server) = gcs_emulator("a") else { return };
    let _open = TcpStream::connect(server.address()).unwrap();
    assert!(http::succeeds(server.port(), "GET", "/storage/v1/b/a", &[], b""));
}

#[test]
fn sftp_servers() {
    starts_and_ends(openssh());
    starts_and_ends(rclone_sftp("user", "password"));
}

#[test]
fn webdav() {
    starts_and_ends(rclone_webdav(None));
    starts_and_ends(rclone_webdav(Some(("user", "password"))));
}

#[test]
fn nats_server() {
    starts_and_ends(nats(&["a", "b"]));
    starts_and_ends(nats_with_login(&["a"], "user", "password"));
}

#[test]
fn ports_are_distinct_and_free() {
    let ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
    let mut distinct = ports.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ports.len(), "{ports:?}");
}
