//! Google Cloud Storage: its emulator.

use std::process::Command;

use crate::{Server, find, http};

/// The emulator with one bucket. It ignores `startOffset`, `maxResults` and `ifGenerationMatch`, and knows no uploads in
/// parts by XML.
pub fn gcs_emulator(bucket: &str) -> Option<Server> {
    let emulator = find("gcp-storage-emulator")?;
    let prepare = |_: &std::path::Path, port: u16| {
        let mut command = Command::new(&emulator);
        command.args(["start", "--host=127.0.0.1", "--in-memory"]);
        command.arg(format!("--port={port}")).arg(format!("--default-bucket={bucket}"));
        command
    };
    let target = format!("/storage/v1/b/{bucket}");
    Some(Server::start(prepare, |server| http::succeeds(server.port(), "GET", &target, &[], b"")))
}
