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

    fn ledger(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.sandbox.ledger()).unwrap()
    }

    /// What the program keeps of a database, if that includes its snapshot: then nothing is left to do for it.
    fn settled(&self, n: usize) -> bool {
        let path = self.sandbox.text(format!("data/{n}.db")).into_bytes();
        let row = self.ledger().query_row("SELECT state FROM database WHERE path = ?1", [path], |row| row.get(0));
        let state: serde_json::Value = serde_json::from_str(&row.unwrap_or_else(|_| "{}".to_owned())).unwrap();
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

    fn expect_all_restored(&self) {
        for n in 0..DATABASES {
            let replica = format!("replica/{n}.db");
            let restored = self.program.restore(&self.sandbox, &self.sandbox.url(&replica), &[]);
            assert_same(&self.sandbox.path(format!("data/{n}.db")), &restored);
            let ranges = FileReplica::at(self.sandbox.path(&replica)).level(0);
            assert!(
                ranges.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1),
                "one history, without a hole: {ranges:?}"
            );
        }
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
fn what_is_kept_of_databases_may_be_lost_damaged_or_old() {
    let scene = Scene::new();
    ours_only!(scene.program, "it keeps nothing of the kind");
    let mut first = scene.start();
    scene.wait_settled(&mut first);
    first.stop();
    let old = fs::read(scene.sandbox.ledger()).unwrap();
    let mut second = scene.start();
    scene.sandbox.add_rows("data/3.db", 5);
    let replica = FileReplica::at(scene.sandbox.path("replica/3.db"));
    second.wait_until("the new rows", |_| replica.max_txid() > 1);
    second.stop();
    // As after the restore of a backup that was older than the database.
    fs::write(scene.sandbox.ledger(), old).unwrap();
    let set = |text: &str| assert!(scene.ledger().execute(text, []).unwrap() == 1);
    let row = |n: usize| format!("CAST('{}' AS BLOB)", scene.sandbox.text(format!("data/{n}.db")));
    set(&format!("DELETE FROM database WHERE path = {}", row(0)));
    set(&format!("UPDATE database SET state = replace(state, '\"local\":1', '\"local\":7') WHERE path = {}", row(1)));
    set(&format!("UPDATE database SET state = 'garbage' WHERE path = {}", row(2)));
    scene.sandbox.add_rows("data/3.db", 5);
    let mut again = scene.start();
    let metrics = scene.metrics(&mut again);
    let synced = metrics.value("litestream_fleet_sync_count");
    assert!((1.0..=DATABASES as f64).contains(&synced), "{synced}");
    let before = replica.max_txid();
    scene.sandbox.add_rows("data/3.db", 5);
    again.wait_until("more new rows", |_| replica.max_txid() > before);
    again.stop();
    scene.expect_all_restored();
}

#[test]
fn without_a_ledger_or_with_a_damaged_one_it_starts_all_the_same() {
    let scene = Scene::new();
    ours_only!(scene.program, "it keeps nothing of the kind");
    let mut first = scene.start();
    scene.wait_settled(&mut first);
    first.stop();
    let ledger = scene.sandbox.ledger();
    let garbage = || fs::write(&ledger, [7; 5000]).unwrap();
    let remove = || fs::remove_dir_all(ledger.parent().unwrap()).unwrap();
    let something_else = || {
        remove();
        fs::write(ledger.parent().unwrap(), b"in the way").unwrap();
    };
    let harm: [(&dyn Fn(), &str); 3] =
        [(&garbage, "ledger is damaged, making it anew"), (&remove, "found databases"), (&something_else, "no ledger")];
    for (n, (harm, said)) in harm.into_iter().enumerate() {
        harm();
        scene.sandbox.add_rows("data/5.db", 1);
        let mut again = scene.start();
        again.wait_for_log(said);
        scene.metrics(&mut again);
        let replica = FileReplica::at(scene.sandbox.path("replica/5.db"));
        again.wait_until("the new row", |_| replica.max_txid() > n as u64 + 1);
        again.stop();
    }
    scene.expect_all_restored();
}

fn http_get(mut stream: TcpStream, target: &str) -> String {
    use std::io::{Read, Write};
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
