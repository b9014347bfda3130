//! NATS with JetStream.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{Server, find, s3};

/// NATS with empty object-store buckets of these names.
pub fn nats(buckets: &[&str]) -> Option<Server> {
    let nats = find("nats-server")?;
    let prepare = |dir: &Path, port: u16| {
        let mut command = Command::new(&nats);
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(dir.join("js"));
        command
    };
    let is_made = |server: &Server, bucket: &str| make(server.port(), bucket, "").is_some();
    Some(Server::start(prepare, |server| buckets.iter().all(|bucket| is_made(server, bucket))))
}

/// The same for those alone who know this user and password. Whoever asks for TLS gets it, with the certificate
/// `DIR/cert.pem`.
pub fn nats_with_login(buckets: &[&str], user: &str, password: &str) -> Option<Server> {
    let (nats, openssl) = (find("nats-server")?, find("openssl")?);
    let prepare = |dir: &Path, port: u16| {
        s3::make_certificate(&openssl, dir);
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: js }}\nallow_non_tls: true\n\
             tls {{ cert_file: cert.pem, key_file: key.pem }}\n\
             authorization {{ user: \"{user}\", password: \"{password}\" }}\n"
        );
        let file = dir.join("nats.conf");
        fs::write(&file, config).expect("a file in a fresh directory");
        let mut command = Command::new(&nats);
        command.arg("-c").arg(file);
        command
    };
    let login = format!(r#","user":"{user}","pass":"{password}""#);
    let is_made = |server: &Server, bucket: &str| make(server.port(), bucket, &login).is_some();
    Some(Server::start(prepare, |server| buckets.iter().all(|bucket| is_made(server, bucket))))
}

/// Creates the stream that is an object-store bucket, in the text protocol; repeating it is harmless.
fn make(port: u16, bucket: &str, login: &str) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let config = format!(
        r#"{{"name":"OBJ_{bucket}","subjects":["$O.{bucket}.C.>","$O.{bucket}.M.>"],"retention":"limits","storage":"file",
            "discard":"new","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"num_replicas":1,"allow_rollup_hdrs":true,
            "allow_direct":true}}"#
    );
    let subject = format!("$JS.API.STREAM.CREATE.OBJ_{bucket}");
    let length = config.len();
    let connect = format!(r#"{{"verbose":false{login}}}"#);
    let text = format!("CONNECT {connect}\r\nSUB made 1\r\nPUB {subject} made {length}\r\n{config}\r\n");
    stream.write_all(text.as_bytes()).ok()?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.starts_with('{') {
            return (!line.contains("\"error\"")).then_some(());
        }
    }
}
