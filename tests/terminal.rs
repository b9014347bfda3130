//! What a person at a terminal sees: bars as long as they tell something, whole log lines beside them, and nothing of a
//! bar where nobody watches.

use std::time::Duration;

use litestream_test_servers::{Fault, Proxy, Rule};

use crate::backends::webdav;
use crate::harness::*;

/// Databases on a server whose answers come in small pieces, each after a while.
struct Slow {
    program: Program,
    sandbox: Sandbox,
    proxy: Proxy,
    url: String,
}

impl Slow {
    /// These databases with a row of so many bytes in each. No two tests have the same `place`.
    fn new(place: &str, names: &[&str], row_bytes: usize) -> Option<Self> {
        let (server, sandbox) = (webdav::server()?, Sandbox::new());
        let proxy = Proxy::http(server.address());
        let (direct, slow) =
            (webdav::backend(server.address(), "terminal"), webdav::backend(proxy.address(), "terminal"));
        let program = slow.equip(at_a_terminal());
        for name in names {
            let database = sandbox.database(format!("data/{name}"));
            let mut application = Application::open(Engine::Bundled, &database);
            application.exec(&format!("INSERT INTO item (name, data) VALUES ('large', randomblob({row_bytes}))"));
            application.close();
            let url = (direct.url)(&format!("{place}/{name}"));
            program.must(&sandbox, &["replicate", "-once", database.to_str().unwrap(), &url]);
        }
        let pieces = Fault::Trickle { bytes: row_bytes.div_ceil(20), pause: Duration::from_millis(15) };
        proxy.plant(Rule::new(pieces).method("GET").forever());
        Some(Self { url: (slow.url)(place), program, sandbox, proxy })
    }

    /// `restore` with these arguments in front of the URL of `name`, at a terminal.
    fn restore_at(&self, size: (u16, u16), args: &[&str], name: &str) -> (Terminal, Daemon) {
        let url = self.url_of(name);
        let command = self.program.command(&self.sandbox, &[&["restore"], args, &[&url]].concat());
        let (terminal, device) = Terminal::open(size.0, size.1);
        let daemon = Daemon::with_stderr(command, &self.sandbox, device);
        (terminal, daemon)
    }

    /// Of all of them, if `name` is empty.
    fn url_of(&self, name: &str) -> String {
        [self.url.as_str(), name].join("/").trim_end_matches('/').to_owned()
    }
}

/// As large as windows are.
const SIZE: (u16, u16) = (24, 100);

/// A row that is fetched in several pieces of 2 MiB.
const LARGE: usize = 5_000_000;

/// Our program, with a terminal that can do what bars need.
fn at_a_terminal() -> Program {
    Program::ours().with_env("TERM", "xterm")
}

fn ever(screens: &[String], what: &str) -> bool {
    screens.iter().any(|screen| screen.contains(what))
}

#[test]
fn a_restore_shows_its_output_and_the_bytes_done_and_leaves_nothing() {
    let Some(slow) = Slow::new("one", &["large.db"], LARGE) else { return };
    let output = slow.sandbox.text("back.db");
    let (terminal, mut restore) = slow.restore_at(SIZE, &["-parallelism", "1", "-o", &output], "large.db");
    assert!(restore.wait().success());
    let screens = terminal.screens();
    let bar = screens.iter().find(|screen| screen.contains(" 2.10 MB/5.")).unwrap_or_else(|| panic!("{screens:#?}"));
    assert!(bar.starts_with("back.db ") && bar.lines().count() == 1, "{bar}");
    assert!(!ever(&screens, "/0 B"), "a bar before anything is known: {screens:#?}");
    assert_eq!(screens.last().unwrap().trim(), "");
    assert_eq!(restore.log(), "");
    assert_same(&slow.sandbox.path("data/large.db"), &slow.sandbox.path("back.db"));
}

#[test]
fn a_follower_shows_no_bar_once_the_database_is_there() {
    let Some(slow) = Slow::new("followed", &["large.db"], LARGE) else { return };
    let output = slow.sandbox.text("follower.db");
    let (terminal, mut restore) = slow.restore_at(SIZE, &["-f", "-parallelism", "1", "-o", &output], "large.db");
    restore.wait_for_log("entering follow mode");
    restore.wait_until("the bar to go", |_| !terminal.screen().contains("follower.db"));
    restore.stop();
    let screens = terminal.screens();
    assert!(ever(&screens, " 2.10 MB/5."), "{screens:#?}");
}

#[test]
fn a_directory_restore_shows_databases_done_and_left_and_then_only_what_failed() {
    let Some(slow) = Slow::new("directory", &["a.db", "b.db", "c.db"], 10_000) else { return };
    let restore = |output: &str| {
        let output = slow.sandbox.text(output);
        let (terminal, mut restore) = slow.restore_at(SIZE, &["-dir", "-parallelism", "1", "-o", &output], "");
        (restore.wait().code(), terminal.screens(), restore.log())
    };
    let (code, screens, summary) = restore("whole");
    assert_eq!(code, Some(0));
    assert!(ever(&screens, " 1/3 databases ") && ever(&screens, " 2/3 databases "), "{screens:#?}");
    assert_eq!(screens.last().unwrap().trim(), "");
    assert!(summary.starts_with("3 databases: 3 restored; "), "{summary}");

    slow.proxy.heal();
    let denied = Fault::Answer { status: 403, headers: Vec::new(), body: String::new() };
    slow.proxy.plant(Rule::new(denied).method("GET").target("b.db").forever());
    let (code, screens, summary) = restore("partly");
    assert_eq!(code, Some(1));
    assert!(summary.starts_with("3 databases: 2 restored, 1 failed"), "{summary}");
    let last = screens.last().unwrap();
    assert!(last.contains("Error: b.db: ") && last.contains("Error: 1 of 3 databases cannot be restored"), "{last}");
    assert!(last.lines().all(|line| line.starts_with("Error: ") || line.starts_with("time=")), "{last}");
}

#[test]
fn nothing_of_a_bar_is_written_where_nobody_watches() {
    let Some(slow) = Slow::new("unwatched", &["a.db"], 10_000) else { return };
    let output = slow.sandbox.text("one.db");
    let finished = slow.program.must(&slow.sandbox, &["restore", "-o", &output, &slow.url_of("a.db")]);
    assert_eq!(finished.text(), "");
    let output = slow.sandbox.text("all");
    let finished = slow.program.must(&slow.sandbox, &["restore", "-dir", "-o", &output, &slow.url]);
    assert_eq!(finished.stderr, "");

    // A terminal that cannot move its cursor.
    let slow = Slow { program: slow.program.clone().with_env("TERM", "dumb"), ..slow };
    let output = slow.sandbox.text("two.db");
    let (terminal, mut restore) = slow.restore_at(SIZE, &["-o", &output], "a.db");
    assert!(restore.wait().success());
    assert_eq!(terminal.screens().concat(), "");
}

#[test]
fn a_bar_for_which_there_is_no_room_harms_nothing() {
    let Some(slow) = Slow::new("narrow", &["a.db"], 10_000) else { return };
    for size in [(1, 1), (2, 3), (1, 30)] {
        let output = slow.sandbox.fresh("漢字.db");
        let (terminal, mut restore) = slow.restore_at(size, &["-o", output.to_str().unwrap()], "a.db");
        let status = restore.wait();
        assert!(status.success(), "{size:?}: {status}: {:?}", terminal.screens());
        assert_same(&slow.sandbox.path("data/a.db"), &output);
        let all = slow.sandbox.fresh("all");
        let (terminal, mut restore) = slow.restore_at(size, &["-dir", "-o", all.to_str().unwrap()], "");
        let status = restore.wait();
        assert!(status.success(), "{size:?}: {status}: {:?}", terminal.screens());
    }
}

/// A daemon at a terminal with two databases. The upload of one of them takes hours, until it is let go.
struct Held {
    sandbox: Sandbox,
    daemon: Daemon,
    terminal: Terminal,
    proxy: Proxy,
}

impl Held {
    fn new(place: &str) -> Option<Self> {
        let (server, sandbox) = (webdav::server()?, Sandbox::new());
        let proxy = Proxy::http(server.address());
        let slow = webdav::backend(proxy.address(), "terminal");
        proxy.plant(Rule::new(Fault::Trickle { bytes: 1, pause: Duration::from_secs(1) }).method("PUT").forever());
        sandbox.database("good.db");
        sandbox.database("held.db");
        let config = sandbox.config(&format!(
            "logging: {{stderr: true}}\nsocket: {{enabled: true, path: ROOT/control.sock}}\ndbs:\n  - path: ROOT/good.db\n    \
             replica: {{path: ROOT/good}}\n  - path: ROOT/held.db\n    replica:\n{}",
            slow.replica_at(place, 6)
        ));
        let program = slow.equip(at_a_terminal());
        let command = program.command(&sandbox, &["replicate", "-config", config.to_str().unwrap()]);
        let (terminal, device) = Terminal::open(60, 100);
        let mut daemon = Daemon::with_stderr(command, &sandbox, device);
        daemon.wait_until("the bar", |_| {
            let screen = terminal.screen();
            screen.lines().any(|line| line.starts_with("first sync ") && line.contains(" 1/2 databases"))
        });
        Some(Self { sandbox, daemon, terminal, proxy })
    }
}

/// The upload breaks, and the next one is quick.
fn let_go(proxy: &Proxy) {
    proxy.heal();
    proxy.disconnect();
}

#[test]
fn a_long_first_sync_shows_databases_done_and_log_lines_stay_whole_beside_it() {
    let Some(mut held) = Held::new("first-sync") else { return };
    for reload in 1..=3 {
        held.daemon.signal(Signal::HUP);
        let line = format!("msg=\"configuration reloaded\" reload={reload} ");
        held.daemon.wait_until("a log line and the bar below it", |_| {
            let screen = held.terminal.screen();
            screen.contains(&line) && screen.lines().last().is_some_and(|line| line.starts_with("first sync "))
        });
    }
    let_go(&held.proxy);
    held.daemon.wait_until("the bar to go", |_| !held.terminal.screen().contains("first sync "));
    held.daemon.stop();
    let screens = held.terminal.screens();
    let last = screens.last().unwrap();
    assert!(last.lines().all(|line| line.starts_with("time=")), "{last}");
    assert_eq!(last.matches("msg=\"configuration reloaded\"").count(), 3, "{last}");
    assert!(last.contains("msg=\"litestream shut down\""), "{last}");
}

#[test]
fn a_terminal_that_is_closed_does_not_end_replication() {
    let Some(Held { sandbox, mut daemon, terminal, proxy }) = Held::new("closed") else { return };
    terminal.close();
    // Words for nobody, beside a bar for nobody.
    daemon.signal(Signal::HUP);
    let_go(&proxy);
    sandbox.add_rows("held.db", 3);
    let (socket, database) = (sandbox.text("control.sock"), sandbox.text("held.db"));
    Program::ours().must(&sandbox, &["sync", "-wait", "-socket", &socket, &database]);
    daemon.stop();
}
