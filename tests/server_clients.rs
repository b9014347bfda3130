//! Clients of the daemon that go away, and what stays behind when a database does.

use std::io::Write;
use std::os::unix::net::UnixStream;

use crate::harness::*;

/// A daemon with a socket, metrics, and one database.
fn daemon(program: &Program, sandbox: &Sandbox) -> (Daemon, u16) {
    sandbox.database("app.db");
    let port = litestream_test_servers::free_port();
    let config = sandbox.config(&format!(
        "addr: 127.0.0.1:{port}\nsocket:\n  enabled: true\n  path: ROOT/control.sock\ndbs:\n  - path: ROOT/app.db\n    replica:\n      path: ROOT/replica\n"
    ));
    let mut daemon = Daemon::replicate(program, sandbox, &config);
    daemon.wait_for_log("serving metrics on");
    (daemon, port)
}

/// Sends a request, and is gone before the answer. A client that is gone before the request is read has asked nothing, so
/// who needs its effect asks again until it shows.
fn ask_and_leave(sandbox: &Sandbox, route: &str, body: &str) {
    let mut stream = UnixStream::connect(sandbox.path("control.sock")).unwrap();
    let length = body.len();
    write!(stream, "POST {route} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
}

#[test]
fn what_was_asked_for_is_done_although_nobody_waits_for_it() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "a request of it ends with its client");
    let (mut daemon, _) = daemon(&program, &sandbox);
    let second = sandbox.database("second.db");
    let status = |path: &str| {
        let list = program.must(&sandbox, &["list", "-json", "-socket", &sandbox.text("control.sock")]).json();
        let databases = list["databases"].as_array().unwrap();
        databases.iter().find(|one| one["path"] == *path).map(|one| one["status"].as_str().unwrap().to_owned())
    };
    let (path, url) = (second.to_str().unwrap(), sandbox.url("second"));
    let register = serde_json::json!({ "path": path, "replica_url": url }).to_string();
    let known = serde_json::json!({ "path": path }).to_string();
    let asked_until = |what: &str, route: &str, body: &str, is_done: &dyn Fn() -> bool| {
        until(what, || {
            ask_and_leave(&sandbox, route, body);
            is_done()
        });
    };
    asked_until("the registration", "/register", &register, &|| status(path).is_some());
    sandbox.add_rows("second.db", 3);
    asked_until("the stop", "/stop", &known, &|| status(path).as_deref() == Some("stopped"));
    // With its last sync, which nobody heard of either.
    assert_same(&second, &program.restore(&sandbox, &url, &[]));
    asked_until("the end of it", "/unregister", &known, &|| status(path).is_none());
    daemon.stop();
}

#[test]
fn the_metrics_of_a_database_leave_with_it() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "its series stay for ever");
    let (mut daemon, port) = daemon(&program, &sandbox);
    let second = sandbox.database("second.db");
    let (path, url) = (second.to_str().unwrap(), sandbox.url("second"));
    let socket = sandbox.text("control.sock");
    let shown = || exchange_with(port, "GET /metrics", "").1.contains(&format!("db=\"{path}\""));
    program.must(&sandbox, &["register", "-socket", &socket, "-replica", &url, path]);
    until("its series", shown);
    program.must(&sandbox, &["unregister", "-socket", &socket, path]);
    until("no series of it", || !shown());
    daemon.stop();
}
