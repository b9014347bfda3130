//! S3: SeaweedFS, which keeps all promises of the protocol that we use, and rclone.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Server, find, free_port, http};

/// Access key of the S3 servers.
pub const S3_KEY: &str = "test-key";
/// Its secret.
pub const S3_SECRET: &str = "test-secret-of-the-test-server";

/// SeaweedFS with its S3 gateway and empty buckets of these names.
pub fn seaweed(buckets: &[&str]) -> Option<Server> {
    let weed = find("weed")?;
    let filer = |dir: &Path| -> Option<u16> { fs::read_to_string(dir.join("filer.port")).ok()?.parse().ok() };
    let prepare = |dir: &Path, port: u16| {
        let filer = free_port();
        fs::write(dir.join("filer.port"), filer.to_string()).expect("a file in a fresh directory");
        weed_command(&weed, dir, port, filer)
    };
    let ready = |server: &Server| {
        let Some(filer) = filer(server.dir()) else { return false };
        // A directory of the filer is a bucket. Its first object makes the volumes behind it, which may take seconds.
        let is_made = |bucket: &&str| {
            let probe = format!("/buckets/{bucket}/probe");
            let made = http::status(filer, "POST", &format!("/buckets/{bucket}/"), &[], b"");
            matches!(made, Some(201 | 409)) // 409: there since the attempt before
                && http::succeeds(filer, "PUT", &probe, &[], b"x")
                && http::succeeds(filer, "DELETE", &probe, &[], b"")
        };
        buckets.iter().all(is_made) && http::status(server.port(), "GET", "/", &[], b"") == Some(403)
    };
    Some(Server::start(prepare, ready))
}

fn weed_command(weed: &Path, dir: &Path, port: u16, filer: u16) -> Command {
    let identities = format!(
        r#"{{"identities":[{{"name":"t","credentials":[{{"accessKey":"{S3_KEY}","secretKey":"{S3_SECRET}"}}],
            "actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
    );
    let config = dir.join("s3.json");
    fs::write(&config, identities).expect("a file in a fresh directory");
    let mut command = Command::new(weed);
    command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-volume.max=100"]);
    command.arg(format!("-dir={}", dir.display())).arg(format!("-s3.config={}", config.display()));
    command.args(["-master.volumeSizeLimitMB=64", "-master.volumePreallocate=false", "-master.telemetry=false"]);
    // Two further services with fixed ports, and buckets that come by themselves: not in these tests.
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]);
    command.arg(format!("-s3.port={port}")).arg(format!("-filer.port={filer}"));
    for part in
        ["master.port", "volume.port", "master.port.grpc", "volume.port.grpc", "filer.port.grpc", "s3.port.grpc"]
    {
        command.arg(format!("-{part}={}", free_port()));
    }
    for part in ["s3", "filer"] {
        command.arg(format!("-{part}.localSocket={}", dir.join(format!("{part}.sock")).display()));
    }
    command
}

/// rclone's S3 server with empty buckets of these names. It ignores `If-None-Match`. With `tls` it has a certificate that
/// nobody trusts (made by `openssl`).
pub fn rclone_s3(buckets: &[&str], tls: bool) -> Option<Server> {
    let rclone = find("rclone")?;
    let openssl = if tls { Some(find("openssl")?) } else { None };
    let prepare = |dir: &Path, port: u16| {
        let files = dir.join("files");
        for bucket in buckets {
            fs::create_dir_all(files.join(bucket)).expect("a directory in a fresh one");
        }
        let mut command = Command::new(&rclone);
        command.args(["serve", "s3"]).arg(&files).args(["--vfs-cache-mode", "off"]);
        command.arg("--addr").arg(format!("127.0.0.1:{port}")).arg("--config").arg(dir.join("none"));
        command.arg("--auth-key").arg(format!("{S3_KEY},{S3_SECRET}"));
        if let Some(openssl) = &openssl {
            make_certificate(openssl, dir);
            command.arg("--cert").arg(dir.join("cert.pem")).arg("--key").arg(dir.join("key.pem"));
        }
        command
    };
    Some(Server::start(prepare, |_| true))
}

/// Makes `cert.pem` and `key.pem` for the loopback address.
pub(crate) fn make_certificate(openssl: &Path, dir: &Path) {
    let mut command = Command::new(openssl);
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]);
    // By default it would be an authority, and no server may be one.
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(dir.join("key.pem")).arg("-out").arg(dir.join("cert.pem"));
    let made = command.output().expect("openssl starts");
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
}
