//! Google Cloud Storage, on its emulator, which knows one bucket.

use litestream_test_servers::gcs_emulator;

use super::{Backend, a_directory_is_lost_and_restored, faults, interop};

const BUCKET: &str = "replicas";

/// The bucket of an emulator at this address.
fn backend(address: impl ToString) -> Backend {
    Backend {
        plugin: "gcs",
        replica: Box::new(|place| format!("type: gs\nbucket: {BUCKET}\npath: {place}\n")),
        url: Box::new(|place| format!("gs://{BUCKET}/{}", place.replace(' ', "%20"))),
        env: vec![("STORAGE_EMULATOR_HOST", address.to_string())],
    }
}

#[test]
fn a_directory_of_databases_survives_the_loss_of_everything_local() {
    let Some(server) = gcs_emulator(BUCKET) else { return };
    a_directory_is_lost_and_restored(&backend(server.address()));
}

#[test]
fn the_reference_restores_and_continues_ours() {
    let Some(server) = gcs_emulator(BUCKET) else { return };
    interop::the_reference_restores_and_continues_ours(&backend(server.address()), "");
}

#[test]
fn we_restore_and_continue_the_references() {
    let Some(server) = gcs_emulator(BUCKET) else { return };
    interop::we_restore_and_continue_the_references(&backend(server.address()));
}

#[test]
fn a_store_that_fails_is_waited_for_without_a_restart() {
    let Some(server) = gcs_emulator(BUCKET) else { return };
    faults::a_store_that_fails_is_waited_for(&server.address(), backend, "POST");
}
