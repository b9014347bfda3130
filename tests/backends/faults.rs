//! A storage that fails for a while: the program waits, goes on by itself, and nothing is lost or half there.
//!
//! A store behind HTTP fails request by request ([`a_store_that_fails_is_waited_for`]), any other one connection by
//! connection ([`a_connection_that_breaks_is_waited_for`]). Both get the address of the server, and what makes a backend
//! of an address: the server's own, or that of the proxy in front of it.

use std::path::PathBuf;
use std::time::Duration;

use litestream_test_servers::{Fault, Proxy, Rule};

use super::Backend;
use crate::harness::*;

/// Commits of one phase: enough for several uploads, few enough that a restore has little to read.
const COMMITS: i64 = 10;
/// Bytes of the large row of each phase; on the way they stay as many.
const LARGE: usize = 200_000;

/// One watched database whose storage is reached through a proxy; `direct` goes past it.
struct Scene {
    sandbox: Sandbox,
    database: PathBuf,
    plugins: String,
    proxy: Proxy,
    through_proxy: Backend,
    direct: Backend,
}

impl Scene {
    fn new(proxy: Proxy, server: &str, backend: impl Fn(String) -> Backend) -> Self {
        let sandbox = Sandbox::new();
        let (through_proxy, direct) = (backend(proxy.address().to_string()), backend(server.to_owned()));
        let (database, plugins) = (sandbox.database("data/app.db"), direct.plugin_dir(&sandbox));
        Self { sandbox, database, plugins, proxy, through_proxy, direct }
    }

    fn replicate(&self) -> Daemon {
        let program = self.through_proxy.program(&self.sandbox);
        let config = self.through_proxy.directory_config(&self.sandbox, "faults");
        let args = ["replicate", "-plugin-dir", &self.plugins, "-config", config.to_str().unwrap()];
        Daemon::spawn(&program, &self.sandbox, &args)
    }

    /// Some small commits and a large row, by applications that come and go; the newest commit.
    fn write(&self) -> i64 {
        let load = Load::paced(&self.database, "load", 2);
        load.wait_for(ledger_head(&self.database, "load") + COMMITS);
        let mut application = Application::open(Engine::Bundled, &self.database);
        application.exec(&format!("INSERT INTO item (name, data) VALUES ('large', randomblob({LARGE}))"));
        application.close();
        load.stop()
    }

    fn restore(&self, backend: &Backend) -> Option<PathBuf> {
        let output = self.sandbox.fresh("restored.db");
        let url = (backend.url)("faults/app.db");
        let args = ["restore", "-plugin-dir", &self.plugins, "-o", output.to_str().unwrap(), &url];
        let program = backend.program(&self.sandbox);
        program.run(&self.sandbox, &args).status.success().then_some(output)
    }

    /// Waits until a restore past the proxy has this commit.
    fn replicated_up_to(&self, daemon: &mut Daemon, head: i64) {
        daemon.wait_until(&format!("commit {head} on the replica"), |_| {
            // At every moment a restore gives a state that was, or says that there is none yet.
            self.restore(&self.direct).is_some_and(|copy| check_ledger(&copy, "load", 0) >= head)
        });
    }

    /// New commits reach the replica in spite of this fault, which is met.
    fn replicate_in_spite_of(&self, daemon: &mut Daemon, rule: Rule) {
        self.proxy.plant(rule);
        // A fault of a connection waits for a new one: those that are open have met none.
        self.proxy.disconnect();
        let head = self.write();
        self.replicated_up_to(daemon, head);
        daemon.wait_until("the fault to be met", |_| !self.proxy.is_waiting());
    }

    /// Nobody at home, until the operator is told; and it goes on without a restart.
    fn outage(&self, daemon: &mut Daemon) {
        self.proxy.refuse();
        let head = self.write();
        daemon.wait_for_log("level=ERROR");
        self.proxy.heal();
        self.replicated_up_to(daemon, head);
        daemon.wait_for_log("replica sync recovered");
    }

    /// The whole of it comes back in spite of this fault.
    fn restore_in_spite_of(&self, rule: Rule) {
        self.proxy.plant(rule);
        let restored = self.restore(&self.through_proxy).expect("a restore that goes on after a fault");
        assert!(!self.proxy.is_waiting(), "the fault was met");
        assert_same(&self.database, &restored);
        self.proxy.heal();
    }
}

/// Cut uploads, refusals with a time to come back, lost answers, trickling bodies, nobody at home, and no access; then the
/// same on the way back. Uploads are requests of this method, reads are `GET`s of a target that holds `.ltx`.
pub fn a_store_that_fails_is_waited_for(server: &str, backend: impl Fn(String) -> Backend, upload: &str) {
    let scene = Scene::new(Proxy::http(server), server, backend);
    let mut daemon = scene.replicate();
    let head = scene.write();
    scene.replicated_up_to(&mut daemon, head);
    let second = Duration::from_secs(1);
    for rule in [
        Rule::new(Fault::CutRequest(100)).times(2),
        Rule::new(Fault::slow_down(503, second)).times(2),
        Rule::new(Fault::slow_down(429, second)),
        Rule::new(Fault::LoseAnswer).times(2),
        Rule::new(Fault::Trickle { bytes: 2000, pause: Duration::from_millis(5) }),
    ] {
        scene.replicate_in_spite_of(&mut daemon, rule.method(upload));
    }
    scene.outage(&mut daemon);
    // As when a token has expired: nothing that the next try repairs, but it is made.
    let no_access = Fault::Answer { status: 403, headers: vec![], body: String::new() };
    scene.replicate_in_spite_of(&mut daemon, Rule::new(no_access).method(upload).times(2));
    daemon.stop();
    for rule in [
        Rule::new(Fault::CutAnswer(50)).target(".ltx").times(2),
        Rule::new(Fault::slow_down(503, second)).times(2),
        Rule::new(Fault::slow_down(429, second)).target(".ltx"),
        Rule::new(Fault::Trickle { bytes: 2000, pause: Duration::from_millis(2) }).target(".ltx"),
    ] {
        scene.restore_in_spite_of(rule.method("GET"));
    }
}

/// Connections that break in the middle of a large object or trickle, and nobody at home; then the same on the way back.
pub fn a_connection_that_breaks_is_waited_for(server: &str, backend: impl Fn(String) -> Backend) {
    let scene = Scene::new(Proxy::tcp(server), server, backend);
    let mut daemon = scene.replicate();
    let head = scene.write();
    scene.replicated_up_to(&mut daemon, head);
    let middle = LARGE as u64 / 2;
    let trickle = Rule::new(Fault::Trickle { bytes: 2000, pause: Duration::from_millis(5) });
    for rule in [Rule::new(Fault::CutRequest(middle)).times(2), trickle.clone()] {
        scene.replicate_in_spite_of(&mut daemon, rule);
    }
    scene.outage(&mut daemon);
    daemon.stop();
    for rule in [Rule::new(Fault::CutAnswer(middle)).times(2), trickle] {
        scene.restore_in_spite_of(rule);
    }
}
