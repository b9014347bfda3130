//! WebDAV: rclone's server over a directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Server, find};

/// A WebDAV server whose files are in `DIR/files`; with user and password if given.
pub fn rclone_webdav(login: Option<(&str, &str)>) -> Option<Server> {
    let rclone = find("rclone")?;
    let prepare = |dir: &Path, port: u16| {
        let files = dir.join("files");
        fs::create_dir_all(&files).expect("a directory in a fresh one");
        let mut command = Command::new(&rclone);
        command.args(["serve", "webdav"]).arg(files).arg("--addr").arg(format!("127.0.0.1:{port}"));
        command.arg("--config").arg(dir.join("none"));
        if let Some((user, password)) = login {
            command.args(["--user", user, "--pass", password]);
        }
        command
    };
    Some(Server::start(prepare, |_| true))
}
