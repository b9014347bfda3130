//! NATS with JetStream.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{Server, find};

/// NATS with empty object-store buckets of these names.
pub fn nats(buckets: &[&str]) -> Option<Server> {
    let nats = find("nats-server")?;
    let prepare = |dir: &Path, port: u16| {
        let mut command = Command::new(&nats);
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(dir.join("js"));
        command
    };
    Some(Server::start(prepare, |server| buckets.iter().all(|bucket| make(server.port(), bucket).is_some())))
}

/// Creates the stream that is an object-store bucket, in the text protocol; repeating it is harmless.
fn make(port: u16, bucket: &str) -> Option<()> {
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
    let text = format!("CONNECT {{\"verbose\":false}}\r\nSUB made 1\r\nPUB {subject} made {length}\r\n{config}\r\n");
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
