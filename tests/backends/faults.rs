//! A storage that fails for a while, over HTTP: the program waits, goes on by itself, and nothing is lost or half there.

use std::time::Duration;

use litestream_test_servers::{Fault, Proxy, Rule};

use super::Backend;
use crate::harness::*;

/// One watched database, written to all the time, whose storage is reached through a proxy; `direct` goes past it.
struct Scene<'a> {
    sandbox: Sandbox,
    program: Program,
    plugins: String,
    proxy: &'a Proxy,
    through_proxy: &'a Backend,
    direct: &'a Backend,
}

impl Scene<'_> {
    fn restore(&self, backend: &Backend) -> Option<std::path::PathBuf> {
        let output = self.sandbox.fresh("restored.db");
        let url = (backend.url)("faults/app.db");
        let args = ["restore", "-plugin-dir", &self.plugins, "-o", output.to_str().unwrap(), &url];
        self.program.run(&self.sandbox, &args).status.success().then_some(output)
    }

    /// Waits until a restore past the proxy has this commit.
    fn replicated_up_to(&self, daemon: &mut Daemon, head: i64) {
        daemon.wait_until(&format!("commit {head} on the replica"), |_| {
            // At every moment a restore gives a state that was, or says that there is none yet.
            self.restore(self.direct).is_some_and(|copy| check_ledger(&copy, "load", 0) >= head)
        });
    }
}

/// Cut uploads, refusals with a time to come back, lost answers, trickling bodies, and nobody at home.
pub fn a_store_that_fails_is_waited_for(proxy: &Proxy, through_proxy: &Backend, direct: &Backend) {
    let sandbox = Sandbox::new();
    let (program, plugins) = (direct.program(&sandbox), direct.plugin_dir(&sandbox));
    let database = sandbox.database("data/app.db");
    let config = through_proxy.directory_config(&sandbox, "faults");
    let replicate = ["replicate", "-plugin-dir", &plugins, "-config", config.to_str().unwrap()];
    let mut daemon = Daemon::spawn(&program, &sandbox, &replicate);
    let load = Load::start(Engine::Bundled, &database, "load");
    let scene = Scene { sandbox, program, plugins, proxy, through_proxy, direct };
    load.wait_for(10);
    scene.replicated_up_to(&mut daemon, 10);
    for rule in [
        Rule::new(Fault::CutRequest(100)).method("PUT").times(2),
        Rule::new(Fault::slow_down(503, Duration::from_secs(1))).method("PUT").times(2),
        Rule::new(Fault::slow_down(429, Duration::from_secs(1))).method("PUT"),
        Rule::new(Fault::LoseAnswer).method("PUT").times(2),
        Rule::new(Fault::Trickle { bytes: 100, pause: Duration::from_millis(5) }).method("PUT").times(3),
    ] {
        proxy.plant(rule);
        let head = load.acknowledged() + 10;
        load.wait_for(head);
        scene.replicated_up_to(&mut daemon, head);
    }
    proxy.refuse();
    let head = load.acknowledged() + 10;
    load.wait_for(head);
    daemon.wait_for_log("level=ERROR");
    proxy.heal();
    scene.replicated_up_to(&mut daemon, head);
    daemon.wait_for_log("replica sync recovered");
    let head = load.stop();
    scene.replicated_up_to(&mut daemon, head);
    daemon.stop();
    a_restore_goes_on(&scene, head);
}

/// The same on the way back.
fn a_restore_goes_on(scene: &Scene<'_>, head: i64) {
    for rule in [
        Rule::new(Fault::CutAnswer(50)).method("GET").target(".ltx").times(2),
        Rule::new(Fault::slow_down(503, Duration::from_secs(1))).times(2),
        Rule::new(Fault::Trickle { bytes: 200, pause: Duration::from_millis(2) }).method("GET").times(3),
    ] {
        scene.proxy.plant(rule);
        let restored = scene.restore(scene.through_proxy).expect("a restore that goes on after a fault");
        assert_eq!(check_ledger(&restored, "load", head), head);
        scene.proxy.heal();
    }
}
