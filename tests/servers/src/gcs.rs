//! Google Cloud Storage: its emulator.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Server, find, http};

/// The emulator with one bucket. It ignores `startOffset`, `maxResults` and `ifGenerationMatch`, and knows no uploads in
/// parts by XML.
pub fn gcs_emulator(bucket: &str) -> Option<Server> {
    let emulator = find("gcp-storage-emulator")?;
    let prepare = |dir: &Path, port: u16| {
        // A module of this name is what Python looks for when it starts.
        fs::write(dir.join("sitecustomize.py"), include_str!("gcs.py")).expect("a file in a fresh directory");
        let mut command = Command::new(&emulator);
        command.env("PYTHONPATH", dir).args(["start", "--host=127.0.0.1", "--in-memory"]);
        command.arg(format!("--port={port}")).arg(format!("--default-bucket={bucket}"));
        command
    };
    let target = format!("/storage/v1/b/{bucket}");
    Some(Server::start(prepare, |server| http::succeeds(server.port(), "GET", &target, &[], b"")))
}
