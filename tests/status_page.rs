//! The status page in a real browser, as an operator uses it: from a glance to a restored database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::*;

/// A daemon over a directory in which not everything is well.
struct Scene {
    daemon: Daemon,
    sandbox: Sandbox,
    port: u16,
}

const DATABASE: &str = "tenants/eu/it's acme.db";

impl Scene {
    fn new() -> Self {
        let (program, sandbox) = (Program::ours(), Sandbox::new());
        let original = sandbox.database("tenants/eu/blue-harbour.db");
        let names = [
            "eu/lighthouse-books",
            "eu/north-pier",
            "us/riverside",
            "us/oak-and-sons",
            "us/granite-works",
            "us/zephyr",
        ];
        for path in names.map(|name| sandbox.path(format!("tenants/{name}.db"))) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(&original, path).unwrap();
        }
        fs::copy(&original, sandbox.path(DATABASE)).unwrap();
        sandbox.write("tenants/us/notes.db", "this is no database, however long its text may be: ".repeat(20));
        // One whose replica cannot be written.
        sandbox.write("backups/us/riverside.db/ltx", "in the way");
        let port = litestream_test_servers::free_port();
        let config = sandbox.config(&format!(
            "addr: 127.0.0.1:{port}\nshutdown-sync-timeout: 0s\ndbs:\n  - dir: ROOT/tenants\n    pattern: \"*.db\"\n    recursive: true\n    watch: true\n    \
             monitor-interval: 50ms\n    replica:\n      type: file\n      path: ROOT/backups\n      sync-interval: 50ms\n"
        ));
        let mut daemon = Daemon::replicate(&program, &sandbox, &config);
        daemon.wait_for_log("serving metrics on");
        let replica = |name: &str| FileReplica::at(sandbox.path(format!("backups/{name}.db")));
        daemon.wait_until("what can be replicated", |_| {
            names.iter().filter(|name| replica(name).max_txid() > 0).count() == names.len() - 1
        });
        Self { daemon, sandbox, port }
    }

    /// The page at this port.
    fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    /// Writes into the database, and waits until that is on the replica. Gives a copy of what it holds then.
    fn write(&mut self) -> PathBuf {
        let replica = FileReplica::at(self.sandbox.path("backups/eu/it's acme.db"));
        let before = replica.max_txid();
        self.sandbox.add_rows(DATABASE, 7);
        self.daemon.wait_until("its upload", |_| replica.max_txid() > before);
        let copy = self.sandbox.fresh("then.db");
        fs::copy(self.sandbox.path(DATABASE), &copy).unwrap();
        copy
    }

    /// In a shell of somebody who is somewhere else, as it stands.
    fn paste(&self, command: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).current_dir("/").env("PATH", installation());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// For people to look at, if `LITESTREAM_TEST_SCREENSHOTS` names a directory.
fn keep(browser: &Browser, name: &str) {
    let png = browser.screenshot();
    assert!(png.starts_with(b"\x89PNG"), "{name}");
    if let Some(directory) = std::env::var_os("LITESTREAM_TEST_SCREENSHOTS") {
        fs::write(Path::new(&directory).join(name), png).unwrap();
    }
}

#[test]
fn an_operator_clicks_from_the_page_to_a_command_that_restores_the_database() {
    let Some(browser) = Browser::open() else { return };
    let mut scene = Scene::new();
    let copies: Vec<PathBuf> = (0..4).map(|_| scene.write()).collect();
    browser.resize(1100, 900, false);
    browser.go(&scene.url("/"));
    until("the verdict", || browser.text(".verdict") == "2 of 9 databases are not protected.");
    let page = browser.text("body");
    for text in ["riverside.db", "failing", "notes.db", "not a SQLite database", "8\ndatabases", "7\non their replica"]
    {
        assert!(page.contains(text), "{text:?}: {page}");
    }
    keep(&browser, "overview.png");
    browser.write("input[name=q]", "acme");
    browser.click("form button");
    until("the answer", || browser.url().contains("q=acme"));
    browser.click("form + table a");
    until("its page", || browser.text("h1").ends_with("it's acme.db"));
    let points = browser.evaluate("document.querySelectorAll('.line a').length").as_u64().unwrap();
    assert!(points >= 5, "a point for the first sync and for each write: {points}");
    keep(&browser, "database.png");

    // The newest first: each click on an older one leads to what the database was then.
    for (row, copy) in copies.iter().rev().enumerate().step_by(2) {
        browser.click(&format!("tr:nth-child({}) a", row + 2));
        until("the chosen point", || browser.url().contains("txid="));
        let command = browser.text("#command");
        scene.paste(&command);
        let restored = scene.sandbox.path(format!("{DATABASE}.restored"));
        assert_same(copy, &restored);
        fs::remove_file(restored).unwrap();
    }
    scene.daemon.stop();
}

#[test]
fn a_phone_shows_the_page_without_scrolling_sideways() {
    let Some(browser) = Browser::open() else { return };
    let mut scene = Scene::new();
    scene.write();
    browser.resize(390, 844, true);
    let database = format!("/database?path={}", scene.sandbox.text(DATABASE).replace(' ', "%20"));
    for (target, name) in
        [("/", "overview-phone.png"), (&database, "database-phone.png"), ("/database?path=/no", "unknown.png")]
    {
        browser.go(&scene.url(target));
        let width = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(width <= 390, "{target} is {width} wide");
        let smallest = browser.evaluate("parseFloat(getComputedStyle(document.body).fontSize)").as_f64().unwrap();
        assert!(smallest >= 14.0, "{smallest}");
        keep(&browser, name);
    }
    // It asks for itself again: what happens meanwhile is seen without a hand.
    browser.go(&scene.url("/"));
    fs::copy(scene.sandbox.path("tenants/us/zephyr.db"), scene.sandbox.path("tenants/us/newcomer.db")).unwrap();
    until("the newcomer", || browser.text("body").contains("newcomer.db"));
    scene.daemon.stop();
}

#[test]
fn what_is_not_in_a_configuration_is_restored_by_its_url() {
    let (program, sandbox) = (Program::ours(), Sandbox::new());
    let database = sandbox.database("app.db");
    let port = litestream_test_servers::free_port();
    let program = program.with_env("LITESTREAM_ADDR", &format!("127.0.0.1:{port}"));
    let mut daemon =
        Daemon::spawn(&program, &sandbox, &["replicate", database.to_str().unwrap(), &sandbox.url("replica")]);
    daemon.wait_for_log("serving metrics on");
    let replica = FileReplica::at(sandbox.path("replica"));
    daemon.wait_until("the first file", |_| replica.max_txid() > 0);
    let page = || exchange_with(port, &format!("GET /database?path={}", database.display()), "").1;
    let page = eventually("a restore point", || Some(page()).filter(|page| page.contains("id=\"command\"")));
    let command = page.split("id=\"command\">").nth(1).unwrap().split('<').next().unwrap();
    assert!(command.ends_with(&sandbox.url("replica")), "{command}");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    program.must(&sandbox, &words);
    assert_same(&database, &sandbox.path("app.db.restored"));
    daemon.stop();
}
