//! `config/litestream-rs.service`, as systemd reads it. What a running daemon tells systemd is in `server`.

use std::path::Path;
use std::process::Command;

use litestream_test_servers::find;

use crate::harness::*;

/// Where packages put the program.
const INSTALLED: &str = "/usr/bin/litestream-rs";

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let Some(analyze) = find("systemd-analyze") else { return };
    let sandbox = Sandbox::new();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/litestream-rs.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    let ours = installation().join("litestream-rs");
    assert!(unit.contains(&format!("ExecStart={INSTALLED} replicate ")));
    let unit = sandbox.write("litestream-rs.service", unit.replace(INSTALLED, ours.to_str().unwrap()));
    // Its own mistakes alone: units of this machine that it names may have others.
    let verify = ["verify", "--man=no", "--recursive-errors=no"];
    let output = Command::new(analyze).args(verify).arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("litestream-rs.service"), "{}: {said}", output.status);
}
