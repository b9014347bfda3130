//! Starts over databases that are known already: what did not change costs nothing, and what is known is never believed
//! against the files.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;

use crate::harness::*;

const DATABASES: usize = 12;

struct Scene {
    program: Program,
    sandbox: Sandbox,
    config: PathBuf,
    port: u16,
}

impl Scene {
    fn new() -> Self {
        let (program, sandbox) = (Program::subject(), Sandbox::new());
        (0..DATABASES).for_each(|n| drop(sandbox.database(format!("data/{n}.db"))));
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = sandbox.config(&format!(
            "addr: 127.0.0.1:{port}\ndbs:\n  - dir: ROOT/data\n    pattern: '*.db'\n    replica: {{path: ROOT/replica}}\n"
        ));
        Self { program, sandbox, config, port }
    }

    fn start(&self) -> Daemon {
        let mut daemon = Daemon::replicate(&self.program, &self.sandbox, &self.config);
        daemon.wait_for_log("serving metrics on");
        daemon
    }

    fn state(&self, n: usize) -> PathBuf {
        self.sandbox.path(format!("data/.{n}.db-litestream/litestream-rs.fleet"))
    }

    /// What the program keeps of a database, if that includes its snapshot: then nothing is left to do for it.
    fn settled(&self, n: usize) -> bool {
        let text = fs::read(self.state(n)).unwrap_or_default();
        let state: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        state["max"][9].as_u64() > Some(0)
    }

    fn wait_settled(&self, daemon: &mut Daemon) {
        daemon.wait_until("rest for all databases", |_| (0..DATABASES).all(|n| self.settled(n)));
    }

    /// Its metrics once every database is replicated.
    fn metrics(&self, daemon: &mut Daemon) -> Metrics {
        let mut metrics = Metrics(String::new());
        daemon.wait_until("all databases on their replicas", |_| {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
            metrics = Metrics(http_get(stream, "/metrics"));
            metrics.value("litestream_fleet_databases{state=\"replicating\"}") == DATABASES as f64
        });
        metrics
    }
}

struct Metrics(String);

impl Metrics {
    fn value(&self, series: &str) -> f64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Requests to storage, of all kinds.
    fn requests(&self) -> f64 {
        let lines = self.0.lines().filter(|line| line.starts_with("litestream_replica_operation_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

#[test]
fn a_start_over_unchanged_databases_opens_none_and_asks_the_store_nothing() {
    let scene = Scene::new();
    ours_only!(scene.program, "it opens and lists everything");
    let mut first = scene.start();
    scene.wait_settled(&mut first);
    first.kill();
    for how in ["after a kill", "after an orderly end"] {
        let mut again = scene.start();
        let metrics = scene.metrics(&mut again);
        assert_eq!(metrics.value("litestream_fleet_sync_count"), 0.0, "{how}: nothing is opened");
        assert_eq!(metrics.value("litestream_fleet_open_databases"), 0.0, "{how}");
        assert_eq!(metrics.requests(), 0.0, "{how}: {}", metrics.0);
        again.stop();
    }
}

#[test]
fn what_is_kept_of_a_database_may_be_lost_damaged_or_old() {
    let scene = Scene::new();
    ours_only!(scene.program, "it keeps nothing of the kind");
    let mut first = scene.start();
    scene.wait_settled(&mut first);
    let old = fs::read(scene.state(3)).unwrap();
    scene.sandbox.add_rows("data/3.db", 5);
    let replica = FileReplica::at(scene.sandbox.path("replica/3.db"));
    first.wait_until("the new rows", |_| replica.max_txid() > 1);
    first.stop();
    fs::remove_file(scene.state(0)).unwrap();
    fs::File::options().write(true).open(scene.state(1)).unwrap().set_len(30).unwrap();
    fs::write(scene.state(2), b"\0garbage\xff").unwrap();
    // As after the restore of a backup that was older than the database.
    fs::write(scene.state(3), old).unwrap();
    scene.sandbox.add_rows("data/3.db", 5);
    let mut again = scene.start();
    let metrics = scene.metrics(&mut again);
    let synced = metrics.value("litestream_fleet_sync_count");
    assert!((1.0..=DATABASES as f64).contains(&synced), "{synced}");
    let before = replica.max_txid();
    scene.sandbox.add_rows("data/3.db", 5);
    again.wait_until("more new rows", |_| replica.max_txid() > before);
    again.stop();
    for n in 0..DATABASES {
        let restored = scene.program.restore(&scene.sandbox, &scene.sandbox.url(format!("replica/{n}.db")), &[]);
        assert_same(&scene.sandbox.path(format!("data/{n}.db")), &restored);
        let ranges = FileReplica::at(scene.sandbox.path(format!("replica/{n}.db"))).level(0);
        assert!(ranges.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1), "one history, without a hole: {ranges:?}");
    }
}

fn http_get(mut stream: TcpStream, target: &str) -> String {
    use std::io::{Read, Write};
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
