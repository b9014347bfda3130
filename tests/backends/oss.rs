//! Alibaba Cloud OSS, on a fake: what the reference's own client makes of it says how good the fake is.

use litestream_test_servers::{OSS_BUCKET, OSS_KEY, OSS_REGION, OSS_SECRET, oss_fake};

use super::{Backend, a_directory_is_lost_and_restored, faults, interop, secrets};

/// The bucket of a fake at this address.
fn backend(address: impl ToString) -> Backend {
    let address = address.to_string();
    let replica = format!(
        "type: oss\nbucket: {OSS_BUCKET}\nregion: {OSS_REGION}\nendpoint: http://{address}\naccess-key-id: {OSS_KEY}\n\
         secret-access-key: {OSS_SECRET}\n"
    );
    Backend {
        plugin: "oss",
        replica: Box::new(move |place| format!("{replica}path: {place}\n")),
        url: Box::new(move |place| {
            let place = place.replace(' ', "%20");
            format!("oss://{OSS_BUCKET}/{place}?endpoint=http://{address}&region={OSS_REGION}")
        }),
        env: vec![("OSS_ACCESS_KEY_ID", OSS_KEY.to_owned()), ("OSS_ACCESS_KEY_SECRET", OSS_SECRET.to_owned())],
    }
}

#[test]
fn a_directory_of_databases_survives_the_loss_of_everything_local() {
    a_directory_is_lost_and_restored(&backend(oss_fake().address()));
}

#[test]
fn the_reference_restores_and_continues_a_replica_in_the_hex_layout() {
    interop::the_reference_restores_and_continues_ours(&backend(oss_fake().address()), "layout: hex");
}

#[test]
fn we_restore_and_continue_a_replica_of_the_reference() {
    interop::we_restore_and_continue_the_references(&backend(oss_fake().address()));
}

#[test]
fn a_store_that_fails_is_waited_for_without_a_restart() {
    let server = oss_fake();
    faults::a_store_that_fails_is_waited_for(&server.address().to_string(), backend, "PUT");
}

#[test]
fn the_secret_is_shown_nowhere() {
    let server = oss_fake();
    secrets::it_is_shown_nowhere(&backend(server.address()), OSS_SECRET);
}
