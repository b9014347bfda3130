//! A browser without a screen: Chromium, driven by WebDriver requests to its `chromedriver`.

use std::path::Path;
use std::process::Command;

use crate::{Server, find};

/// A WebDriver server. Each session that is asked of it starts Chromium.
pub fn chromedriver() -> Option<Server> {
    let (driver, _browser) = (find("chromedriver")?, find("chromium")?);
    let prepare = |dir: &Path, port: u16| {
        let mut command = Command::new(&driver);
        command.arg(format!("--port={port}")).arg("--log-level=WARNING");
        // Profiles and crash reports go with the server.
        command.env("HOME", dir).env("TMPDIR", dir);
        command
    };
    Some(Server::start(prepare, |server| server.log().contains("started successfully")))
}
