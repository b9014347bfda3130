//! The running daemon from outside: the control socket with its commands, and the metrics.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::harness::*;

struct Scene {
    program: Program,
    daemon: Daemon,
    sandbox: Sandbox,
    database: PathBuf,
    replica: FileReplica,
    config: PathBuf,
}

impl Scene {
    /// A daemon with a control socket and one replicated database.
    fn new() -> Self {
        Self::with("")
    }

    fn with(global: &str) -> Self {
        let (program, sandbox) = (Program::subject(), Sandbox::new());
        let database = sandbox.database("app.db");
        let config = format!(
            "{global}\nsocket:\n  enabled: true\n  path: ROOT/control.sock\n  permissions: 0640
dbs:\n  - path: ROOT/app.db\n    monitor-interval: 50ms\n    replica:\n      path: ROOT/replica\n      sync-interval: 50ms\n"
        );
        let config = sandbox.config(&config);
        let mut daemon = Daemon::replicate(&program, &sandbox, &config);
        let replica = FileReplica::at(sandbox.path("replica"));
        daemon.wait_until("the socket and the first file", |_| {
            sandbox.path("control.sock").exists() && replica.max_txid() > 0
        });
        Self { program, daemon, sandbox, database, replica, config }
    }

    /// Starts it again after its end.
    fn restart(&mut self) {
        self.daemon = Daemon::replicate(&self.program, &self.sandbox, &self.config);
        self.daemon.wait_for_log("control socket listening");
    }

    fn control(&self, command: &str, args: &[&str]) -> Finished {
        let socket = self.sandbox.text("control.sock");
        let args = [&[command, "-socket", &socket][..], args].concat();
        self.program.run(&self.sandbox, &args)
    }

    /// The `key: value` lines of a command's answer.
    fn value(&self, command: &str, args: &[&str], key: &str) -> String {
        let finished = self.control(command, args);
        assert_eq!(finished.code(), 0, "{finished}");
        let line = finished.stdout.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {key}: {finished}"))
    }

    fn path(&self) -> &str {
        self.database.to_str().unwrap()
    }

    /// One HTTP request over the socket; status line and body.
    fn http(&self, request: &str, body: &str) -> (String, String) {
        let stream = UnixStream::connect(self.sandbox.path("control.sock")).unwrap();
        exchange(stream, request, body)
    }
}

#[test]
fn the_socket_has_its_permissions_and_goes_with_the_daemon() {
    let mut scene = Scene::new();
    let socket = scene.sandbox.path("control.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o640);
    scene.daemon.stop();
    assert!(!socket.exists());
}

#[test]
fn info_and_list_describe_the_daemon() {
    let scene = Scene::new();
    let info = scene.control("info", &["-json"]).json();
    assert_eq!(info["pid"], scene.daemon.pid());
    assert_eq!(info["database_count"], 1);
    assert!(info["uptime_seconds"].is_u64() && info["started_at"].is_string() && info["version"].is_string());
    let text = scene.control("info", &[]).stdout;
    assert!(text.contains("  PID:        ") && text.contains("  Databases:  1"), "{text}");
    let list = scene.control("list", &["-json"]).json();
    assert_eq!(list["databases"][0]["path"], scene.path());
    assert_eq!(list["databases"][0]["status"], "replicating");
    let text = scene.control("list", &[]).stdout;
    assert!(text.starts_with(&format!("{} [replicating]", scene.path())), "{text}");
}

#[test]
fn sync_and_wait_means_it_is_on_the_replica() {
    let scene = Scene::with("");
    for round in 1..=5 {
        scene.sandbox.add_rows("app.db", round);
        let answer = scene.control("sync", &["-wait", "-json", scene.path()]).json();
        let (txid, on_replica) = (answer["txid"].as_u64().unwrap(), answer["replica_txid"].as_u64().unwrap());
        assert!(on_replica >= txid, "{answer}");
        assert!(scene.replica.max_txid() >= txid);
        assert_same(&scene.database, &scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica"), &[]));
    }
    scene.control("sync", &["/nowhere.db"]).refused_with("sync failed: database not found: /nowhere.db");
}

#[test]
fn a_stopped_database_rests_until_it_is_started() {
    let mut scene = Scene::new();
    assert_eq!(scene.value("stop", &[scene.path()], "status"), "stopped");
    assert_eq!(scene.value("stop", &[scene.path()], "status"), "already_stopped");
    let before = scene.replica.max_txid();
    scene.sandbox.add_rows("app.db", 5);
    assert_eq!(scene.control("list", &["-json"]).json()["databases"][0]["status"], "stopped");
    assert_eq!(scene.replica.max_txid(), before);
    assert_eq!(scene.value("start", &[scene.path()], "state"), "running");
    assert_eq!(scene.value("start", &[scene.path()], "status"), "already_running");
    let replica = FileReplica::at(scene.sandbox.path("replica"));
    scene.daemon.wait_until("what was written meanwhile", |_| replica.max_txid() > before);
    scene.control("stop", &["/nowhere.db"]).refused_with("stop failed: database not found: /nowhere.db");
    scene.daemon.stop();
    assert_same(&scene.database, &scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica"), &[]));
}

#[test]
fn databases_are_registered_and_unregistered_at_run_time() {
    let mut scene = Scene::new();
    let second = scene.sandbox.database("second.db");
    let (path, url) = (second.to_str().unwrap().to_owned(), scene.sandbox.url("second"));
    assert_eq!(scene.value("register", &["-replica", &url, &path], "status"), "registered");
    assert_eq!(scene.control("register", &["-json", "-replica", &url, &path]).json()["status"], "already_registered");
    let replica = FileReplica::at(scene.sandbox.path("second"));
    scene.daemon.wait_until("its first file", |_| replica.max_txid() > 0);
    scene.sandbox.add_rows("second.db", 3);
    let preview = scene.control("unregister", &["-dry-run", &path]).stdout;
    assert!(
        preview.starts_with("Dry run: unregister request preview\n")
            && preview.ends_with("No unregister request was sent.\n"),
        "{preview}"
    );
    assert_eq!(scene.value("unregister", &[&path], "status"), "unregistered");
    assert_same(&second, &scene.program.restore(&scene.sandbox, &url, &[]));
    assert_eq!(scene.value("unregister", &[&path], "status"), "already_unregistered");
    assert_eq!(scene.control("info", &["-json"]).json()["database_count"], 1);
}

#[test]
fn h88_a_database_unregistered_before_its_first_sync_is_replicated_all_the_same() {
    let scene = Scene::new();
    ours_only!(scene.program, "it says unregistered and has replicated nothing");
    let second = scene.sandbox.database("second.db");
    let (path, url) = (second.to_str().unwrap(), scene.sandbox.url("second"));
    scene.value("register", &["-replica", &url, path], "status");
    scene.value("unregister", &[path], "status");
    assert_same(&second, &scene.program.restore(&scene.sandbox, &url, &[]));
}

#[test]
fn h52_a_replica_path_that_is_taken_is_refused_at_run_time() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "both write to it (engine.md H52)");
    let second = scene.sandbox.database("second.db");
    let before = scene.replica.max_txid();
    for taken in ["replica", "replica/", "replica/ltx/0"] {
        let refused = scene.control("register", &["-replica", &scene.sandbox.url(taken), second.to_str().unwrap()]);
        refused.refused_with("replica path collision");
        assert!(refused.stderr.contains("app.db") && refused.stderr.contains("second.db"), "{refused}");
    }
    assert_eq!(scene.control("info", &["-json"]).json()["database_count"], 1);
    scene.daemon.stop();
    assert_eq!(scene.replica.max_txid(), before, "nothing of the second is there");
}

#[test]
fn the_http_interface_answers_as_clients_of_the_reference_expect() {
    let scene = Scene::new();
    let path = scene.path();
    let body = format!("{{\"path\": \"{path}\"}}");
    let (status, answer) = scene.http("POST /sync", &body);
    assert!(status.contains(" 200 ") && answer.contains("\"status\":"), "{status} {answer}");
    let (status, answer) = scene.http(&format!("GET /txid?path={path}"), "");
    assert!(status.contains(" 200 ") && answer.contains("{\"txid\":"), "{status} {answer}");
    for (request, body, code, text) in [
        ("POST /sync", "{bad", 400, "invalid request body"),
        ("POST /sync", "{\"path\": \"/nowhere.db\"}", 404, "database not found"),
        ("POST /stop", "{\"path\": \"/nowhere.db\"}", 500, "database not found: /nowhere.db"),
        ("POST /register", "{\"path\": \"/x.db\"}", 400, "replica_url required"),
        ("GET /txid", "", 400, "path required"),
        ("GET /sync", "", 405, ""),
        ("GET /nothing", "", 404, ""),
    ] {
        let (status, answer) = scene.http(request, body);
        assert!(status.contains(&format!(" {code} ")) && answer.contains(text), "{request}: {status} {answer}");
    }
}

#[test]
fn metrics_have_the_names_that_dashboards_know() {
    // A port that was free a moment ago: nobody else on the loopback of a test machine is likely to take it meanwhile.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut scene = Scene::with(&format!("addr: 127.0.0.1:{port}"));
    scene.daemon.wait_for_log("serving metrics on");
    scene.sandbox.add_rows("app.db", 3);
    scene.control("sync", &["-wait", scene.path()]);
    let (status, text) = exchange_with(port, "GET /metrics", "");
    assert!(status.contains(" 200 "), "{status}");
    for name in [
        "litestream_db_size",
        "litestream_wal_size",
        "litestream_total_wal_bytes",
        "litestream_txid",
        "litestream_sync_count",
        "litestream_sync_error_count",
        "litestream_sync_seconds",
        "litestream_disk_full",
    ] {
        assert!(text.contains(&format!("{name}{{db=\"{}\"}}", scene.path())), "{name}:\n{text}");
    }
    assert!(!text.contains("litestream_txid{db=\"app.db\"}"));
}

#[test]
fn an_address_without_a_port_is_refused() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let finished =
        program.run(&sandbox, &["replicate", "-config", sandbox.config("addr: localhost\n").to_str().unwrap()]);
    finished.refused_with("must specify port for bind address: \"localhost\"");
}

#[test]
fn a_file_in_the_sockets_place_costs_the_socket_and_nothing_else() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    sandbox.database("app.db");
    std::fs::write(sandbox.path("control.sock"), "mine").unwrap();
    let config = sandbox.config(
        "socket:\n  enabled: true\n  path: ROOT/control.sock\ndbs:\n  - path: ROOT/app.db\n    replica:\n      path: ROOT/replica\n",
    );
    let mut daemon = Daemon::replicate(&program, &sandbox, &config);
    daemon.wait_for_log("failed to start control server");
    let replica = FileReplica::at(sandbox.path("replica"));
    daemon.wait_until("the first file", |_| replica.max_txid() > 0);
    daemon.stop();
    assert_eq!(std::fs::read(sandbox.path("control.sock")).unwrap(), b"mine");
}

#[test]
fn why_says_in_one_screen_how_a_database_is() {
    let scene = Scene::new();
    ours_only!(scene.program, "it has no such command");
    scene.control("sync", &["-wait", scene.path()]);
    let well = scene.control("why", &[scene.path()]);
    assert_eq!(well.code(), 0, "{well}");
    assert!(well.stdout.lines().count() <= 24, "{well}");
    for line in
        ["  state:          replicating\n", "  last error:     none\n", "  what to do:     nothing: every transaction"]
    {
        assert!(well.stdout.contains(line), "{line:?}: {well}");
    }
    let json = scene.control("why", &["-json", scene.path()]).json();
    assert_eq!((&json["uploaded"], &json["txid"]), (&true.into(), &json["replica_txid"]));
    scene.control("stop", &[scene.path()]);
    let stopped = scene.control("why", &[scene.path()]).stdout;
    assert!(stopped.contains("stopped") && stopped.contains("litestream-rs start "), "{stopped}");
}

#[test]
fn why_names_the_error_of_a_replica_that_cannot_be_written() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "it has no such command");
    let replica = scene.sandbox.path("replica/ltx");
    std::fs::rename(&replica, scene.sandbox.path("away")).unwrap();
    std::fs::write(&replica, "in the way").unwrap();
    scene.sandbox.add_rows("app.db", 1);
    let (program, sandbox) = (scene.program.clone(), &scene.sandbox);
    let (socket, path) = (sandbox.text("control.sock"), scene.path().to_owned());
    let mut last = String::new();
    scene.daemon.wait_until("the failure", |_| {
        last = program.run(sandbox, &["why", "-socket", &socket, &path]).stdout;
        last.contains("failing")
    });
    assert!(last.contains("last error:     upload: ") && last.contains("remove the cause of the last error"), "{last}");
    assert!(last.contains(" behind\n"), "{last}");
}

#[test]
fn why_helps_where_the_daemon_does_not_know_or_does_not_answer() {
    let scene = Scene::new();
    ours_only!(scene.program, "it has no such command");
    let unknown = scene.control("why", &["/nowhere.db"]);
    assert_eq!(unknown.code(), 1, "{unknown}");
    assert!(unknown.stdout.contains("not replicated: "), "{unknown}");
    let config = scene.sandbox.config(
        "dbs:\n  - dir: ROOT/many\n    pattern: \"*.db\"\n    replica:\n      type: file\n      path: ROOT/x\n",
    );
    scene.sandbox.write("many/text.db", "this is no database, however long its text may be: ".repeat(20));
    let text = scene.sandbox.text("many/text.db");
    let refused = scene.control("why", &["-config", config.to_str().unwrap(), &text]).stdout;
    assert!(refused.contains("not a SQLite database"), "{refused}");
    let dead = scene.program.run(&scene.sandbox, &["why", "-socket", "/nowhere.sock", scene.path()]);
    assert_eq!(dead.code(), 1, "{dead}");
    assert!(dead.stdout.contains("no daemon answers: failed to connect to control socket"), "{dead}");
}

#[test]
fn registrations_survive_a_restart_until_they_are_taken_back() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "it forgets them");
    let second = scene.sandbox.database("second.db");
    let (path, url) = (second.to_str().unwrap().to_owned(), scene.sandbox.url("second"));
    for _ in 0..3 {
        assert_eq!(scene.value("register", &["-replica", &url, &path], "status"), "registered");
        assert_eq!(scene.value("unregister", &[&path], "status"), "unregistered");
    }
    assert_eq!(scene.value("register", &["-replica", &url, &path], "status"), "registered");
    scene.daemon.kill();
    scene.sandbox.add_rows("second.db", 4);
    scene.restart();
    assert_eq!(scene.control("info", &["-json"]).json()["database_count"], 2);
    scene.control("sync", &["-wait", &path]);
    assert_same(&second, &scene.program.restore(&scene.sandbox, &url, &[]));
    assert_eq!(scene.value("unregister", &[&path], "status"), "unregistered");
    scene.daemon.stop();
    scene.restart();
    assert_eq!(scene.control("info", &["-json"]).json()["database_count"], 1);
}

#[test]
fn a_single_run_syncs_registered_databases_too() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "it forgets them");
    let second = scene.sandbox.database("second.db");
    let (path, url) = (second.to_str().unwrap().to_owned(), scene.sandbox.url("second"));
    assert_eq!(scene.value("register", &["-replica", &url, &path], "status"), "registered");
    scene.daemon.stop();
    scene.sandbox.add_rows("second.db", 4);
    let once = scene.program.once(&scene.sandbox, &scene.config);
    assert_eq!(once.code(), 0, "{once}");
    assert_same(&second, &scene.program.restore(&scene.sandbox, &url, &[]));
}

#[test]
fn sync_status_names_the_step_of_a_sync_that_hangs() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "its own steps come in another order");
    let database = sandbox.path("app.db");
    let mut application = Application::open(Engine::Bundled, &database);
    application.exec("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, data BLOB)");
    // The change of the journal mode waits for the end of this transaction.
    application.exec("BEGIN");
    application.query("SELECT count(*) FROM item");
    let config = sandbox.config(
        "socket:\n  enabled: true\n  path: ROOT/control.sock\ndbs:\n  - path: ROOT/app.db\n    busy-timeout: 10m\n    replica:\n      path: ROOT/replica\n",
    );
    let mut daemon = Daemon::replicate(&program, &sandbox, &config);
    daemon.wait_for_log("control socket listening");
    let status = || -> serde_json::Value {
        let stream = UnixStream::connect(sandbox.path("control.sock")).unwrap();
        let (_, body) = exchange(stream, "GET /debug/sync-status", "");
        let all: serde_json::Value = serde_json::from_str(&body).unwrap();
        all["databases"][0].clone()
    };
    let hangs = eventually("the step", || Some(status()).filter(|one| one["phase"] == "ensure_wal"));
    assert_eq!(
        (&hangs["active"], &hangs["operation"], &hangs["state"]),
        (&true.into(), &"sync".into(), &"starting".into())
    );
    for key in ["started_at", "updated_at"] {
        assert!(hangs[key].as_str().unwrap().ends_with('Z'), "{hangs}");
    }
    until("more time", || status()["elapsed_seconds"].as_f64() > hangs["elapsed_seconds"].as_f64());
    application.exec("COMMIT");
    let replica = FileReplica::at(sandbox.path("replica"));
    daemon.wait_until("the first file", |_| replica.max_txid() > 0);
    let rests = eventually("rest", || Some(status()).filter(|one| one["active"] == false));
    assert!(rests["phase"].is_null() && rests["started_at"].is_null(), "{rests}");
    application.close();
    daemon.stop();
}

#[test]
fn sync_status_tells_of_each_database() {
    let scene = Scene::new();
    let mut application = Application::open(Engine::Bundled, &scene.database);
    application.exec("INSERT INTO item (name) VALUES ('held open')");
    scene.control("sync", &["-wait", scene.path()]);
    let (status, all) = scene.http("GET /debug/sync-status", "");
    assert!(status.contains(" 200 "), "{status}");
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    let one = &all["databases"][0];
    assert_eq!(one["path"], scene.path());
    assert!(one["active"].is_boolean() && one["txid"].as_u64() > Some(0), "{one}");
    let (status, answer) = scene.http("GET /debug/sync-status?path=/nowhere.db", "");
    assert!(status.contains(" 404 "), "{status} {answer}");
    ours_only!(scene.program, "it leaves out what it calls empty");
    assert!(one["wal_size"].as_u64() > Some(0) && one["last_synced_wal_offset"].as_u64() > Some(0), "{one}");
    application.close();
}

/// A daemon that serves its metrics; the port was free a moment ago.
fn with_metrics() -> (Scene, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut scene = Scene::with(&format!("addr: 127.0.0.1:{port}"));
    scene.daemon.wait_for_log("serving metrics on");
    (scene, port)
}

fn get(port: u16, target: &str) -> (String, String) {
    exchange_with(port, &format!("GET {target}"), "")
}

#[test]
fn the_dashboard_shows_only_what_is_exported() {
    let (scene, port) = with_metrics();
    ours_only!(scene.program, "it has no metrics of a fleet");
    scene.sandbox.add_rows("app.db", 3);
    scene.control("sync", &["-wait", scene.path()]);
    let (_, text) = get(port, "/metrics");
    assert!(text.contains("litestream_fleet_databases{state=\"replicating\"} 1\n"), "{text}");
    assert!(
        text.contains("litestream_fleet_lag_seconds_count ")
            && !text.contains("litestream_fleet_lag_seconds_count 0\n")
    );
    let exported: std::collections::BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .chain(text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()))
        .collect();
    let dashboard =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/grafana-dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let expressions: Vec<&str> = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(expressions.len() >= 10, "{expressions:?}");
    for expression in expressions {
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let names: Vec<&str> =
            words.filter(|word| word.starts_with("litestream_") || word.starts_with("process_")).collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            // These appear when the first checkpoint was made, the first error met.
            let later =
                name.starts_with("litestream_checkpoint_") || name == "litestream_replica_operation_errors_total";
            let known = exported.contains(name) || later;
            assert!(known, "{name} of {expression} is not exported:\n{text}");
        }
    }
}

#[test]
fn the_status_page_leads_from_the_sums_to_a_restore_command() {
    let (mut scene, port) = with_metrics();
    ours_only!(scene.program, "it has no such page");
    scene.sandbox.add_rows("app.db", 3);
    scene.control("sync", &["-wait", scene.path()]);
    let (status, front) = get(port, "/");
    assert!(status.contains(" 200 "), "{status}");
    for text in
        ["http-equiv=\"refresh\"", "name=\"viewport\"", "<b>1</b>databases", "<h2>What lags</h2>", "not protected"]
    {
        assert!(front.contains(text), "{text}: {front}");
    }
    assert!(!front.contains("<script") && !front.contains("src="), "nothing is loaded and nothing runs");
    let target = front.split("href=\"").find(|rest| rest.starts_with("/database?")).unwrap().split('"').next().unwrap();
    let (_, one) = get(port, target);
    assert!(one.contains("class=\"line\"") && one.contains("on its replica"), "{one}");
    let command = one.split("id=\"command\">").nth(1).unwrap().split('<').next().unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[..4], ["litestream-rs", "restore", "-config", scene.config.to_str().unwrap()], "{command}");
    scene.program.must(&scene.sandbox, &words[1..]);
    assert_same(&scene.database, &scene.sandbox.path("app.db.restored"));
    let (status, _) = get(port, "/database?path=/nowhere.db");
    assert!(status.contains(" 404 "), "{status}");
    let (status, _) = exchange_with(port, "POST /", "");
    assert!(status.contains(" 405 "), "nothing can be changed here: {status}");
    scene.daemon.stop();
}

#[test]
fn the_service_manager_hears_of_start_life_and_end() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it tells nothing");
    sandbox.database("app.db");
    let config = sandbox.config("dbs:\n  - path: ROOT/app.db\n    replica:\n      path: ROOT/replica\n");
    let listener = std::os::unix::net::UnixDatagram::bind(sandbox.path("notify.sock")).unwrap();
    listener.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let next = || {
        let mut message = [0; 200];
        let read = listener.recv(&mut message).unwrap();
        String::from_utf8(message[..read].to_vec()).unwrap()
    };
    let mut command = program.command(&sandbox, &["replicate", "-config", config.to_str().unwrap()]);
    command.env("NOTIFY_SOCKET", sandbox.path("notify.sock")).env("WATCHDOG_USEC", "200000");
    let mut daemon = Daemon::start(command, &sandbox);
    assert!(next().starts_with("READY=1\n"));
    for _ in 0..3 {
        assert!(next().starts_with("WATCHDOG=1\nSTATUS=Replicating 1 databases"));
    }
    daemon.stop();
    let rest: Vec<String> = std::iter::from_fn(|| {
        listener.set_nonblocking(true).unwrap();
        let mut message = [0; 200];
        listener.recv(&mut message).ok().map(|read| String::from_utf8(message[..read].to_vec()).unwrap())
    })
    .collect();
    assert!(rest.iter().any(|message| message.starts_with("STOPPING=1")), "{rest:?}");
}

#[test]
fn with_more_databases_than_the_bound_only_the_remarkable_have_series() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it has series for each database, however many there are");
    (0..8).for_each(|n| drop(sandbox.database(format!("data/{n}.db"))));
    sandbox.add_rows("data/5.db", 3000);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = |most: i32| {
        sandbox.config(&format!(
            "addr: 127.0.0.1:{port}\nmax-metric-databases: {most}\ndbs:\n  - dir: ROOT/data\n    pattern: '*.db'\n    replica:\n      path: ROOT/replica\n"
        ))
    };
    let shown = |text: &str| -> Vec<String> {
        let named = text.lines().filter_map(|line| line.strip_prefix("litestream_db_size{db=\""));
        named.map(|line| line.split('"').next().unwrap().to_owned()).collect()
    };
    for (most, series) in [(7, None), (0, Some(0)), (8, Some(8)), (-1, Some(8))] {
        let mut daemon = Daemon::replicate(&program, &sandbox, &config(most));
        daemon.wait_for_log("serving metrics on");
        let mut text = String::new();
        let replicated = "litestream_fleet_databases{state=\"replicating\"} 8\n";
        daemon.wait_until("the first sync of all", |_| {
            text = get(port, "/metrics").1;
            text.contains(replicated)
        });
        let names = shown(&text);
        match series {
            Some(count) => assert_eq!(names.len(), count, "{most}: {text}"),
            None => {
                assert!(names.len() < 8 && names.contains(&sandbox.text("data/5.db")), "the largest: {text}");
                assert!(text.contains("litestream_fleet_sync_count 8\n"), "the sums are those of all: {text}");
            }
        }
        let bound = text.lines().find_map(|line| line.strip_prefix("litestream_fleet_discovery_bound_seconds "));
        assert!(bound.is_some_and(|seconds| seconds.parse::<f64>().unwrap() >= 30.0), "{text}");
        daemon.stop();
    }
}

#[test]
fn status_of_a_daemon_counts_everything_and_fails_if_anything_is_not_protected() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "its status asks no daemon");
    scene.control("sync", &["-wait", scene.path()]);
    let well = scene.control("status", &[]);
    assert_eq!(well.code(), 0, "{well}");
    assert!(well.stdout.starts_with("databases: 1\n") && well.stdout.contains("  quarantined: 0\n"), "{well}");
    let json = scene.control("status", &["-json", "-behind", "1m"]).json();
    assert_eq!((&json["totals"]["databases"], &json["totals"]["unprotected"]), (&1.into(), &0.into()), "{json}");
    assert_eq!((&json["totals"]["behind_seconds"], &json["databases"][0]["lag_seconds"]), (&60.0.into(), &0.0.into()));
    assert_eq!(json["databases"][0]["path"], scene.path());

    let replica = scene.sandbox.path("replica/ltx");
    std::fs::rename(&replica, scene.sandbox.path("away")).unwrap();
    std::fs::write(&replica, "in the way").unwrap();
    scene.sandbox.add_rows("app.db", 1);
    let (program, sandbox) = (scene.program.clone(), &scene.sandbox);
    let socket = sandbox.text("control.sock");
    scene.daemon.wait_until("the failure", |_| {
        let finished = program.run(sandbox, &["status", "-json", "-socket", &socket]);
        let json = finished.json();
        let fails = json["totals"]["quarantined"] == 1;
        if fails {
            finished.refused_with("not protected: 1");
            assert!(json["databases"][0]["lag_seconds"].as_f64() > Some(0.0), "{json}");
            assert!(json["databases"][0]["error"].is_string(), "{json}");
        }
        fails
    });
    std::fs::remove_file(&replica).unwrap();
    std::fs::rename(scene.sandbox.path("away"), &replica).unwrap();
    scene.daemon.wait_until("the recovery", |_| program.run(sandbox, &["status", "-socket", &socket]).code() == 0);
    scene.control("stop", &[scene.path()]);
    scene.control("status", &[]).refused_with("not protected: 1");
}
