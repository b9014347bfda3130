//! Every network storage, end to end: the real program, the plugin library given by `--plugin-dir`, a real server on the
//! loopback address, and the reference beside it. A storage describes itself as a [`Backend`]; the roads are the same for
//! all: [`a_directory_is_lost_and_restored`], and both directions of interoperation in [`interop`].

mod azure;
mod faults;
mod gcs;
mod interop;
mod nats;
mod oss;
mod s3;
mod secrets;
mod sftp;
pub mod webdav;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::*;

/// What a road needs to know about a storage and its server.
pub struct Backend {
    /// Name of the plugin.
    pub plugin: &'static str,
    /// The replica table (lines of YAML, not indented) of a replica at this place, which may hold spaces.
    pub replica: Box<dyn Fn(&str) -> String>,
    /// The URL of a replica at this place; as much of the replica table as fits in.
    pub url: Box<dyn Fn(&str) -> String>,
    /// Environment of every command: credentials, and what else no URL can say.
    pub env: Vec<(&'static str, String)>,
}

impl Backend {
    /// Our program, without any plugin beside it.
    fn program(&self, sandbox: &Sandbox) -> Program {
        self.equip(Program::ours().without_plugins(sandbox))
    }

    /// A program with the environment of this storage.
    pub fn equip(&self, program: Program) -> Program {
        self.env.iter().fold(program, |program, (name, value)| program.with_env(name, value))
    }

    /// A directory that holds this plugin and nothing else.
    fn plugin_dir(&self, sandbox: &Sandbox) -> String {
        let dir = sandbox.mkdir("plugins");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(plugin_library(self.plugin), dir.join(plugin_file_name(self.plugin))).unwrap();
        dir.into_os_string().into_string().unwrap()
    }

    /// The replica table with this indentation, and quick syncs.
    pub fn replica_at(&self, place: &str, indent: usize) -> String {
        let lines = format!("{}\nsync-interval: 20ms", (self.replica)(place).trim_end());
        lines.lines().map(|line| format!("{:indent$}{line}\n", "")).collect()
    }

    /// One watched directory `ROOT/data`, replicated below this place.
    fn directory_config(&self, sandbox: &Sandbox, place: &str) -> std::path::PathBuf {
        let replica = self.replica_at(place, 6);
        let head = "dbs:\n  - dir: ROOT/data\n    pattern: '*.db'\n    recursive: true\n    watch: true\n";
        sandbox.config(&format!("{head}    monitor-interval: 20ms\n    replica:\n{replica}"))
    }
}

/// Databases of the directory; one is written to all the time, one has a name that URLs must escape, one comes later.
const BUSY: &str = "busy.db";
const SPACED: &str = "team/with space.db";
const LATER: &str = "team/deep/later.db";
const ALL: [&str; 3] = [BUSY, SPACED, LATER];

/// A directory is replicated while applications write; everything local is lost; each database is restored by its URL;
/// the program goes on with what was restored, and that can be restored as well.
pub fn a_directory_is_lost_and_restored(backend: &Backend) {
    let sandbox = Sandbox::new();
    let (program, plugins) = (backend.program(&sandbox), backend.plugin_dir(&sandbox));
    for database in [BUSY, SPACED] {
        sandbox.database(format!("data/{database}"));
    }
    let config = backend.directory_config(&sandbox, "tenants");
    let replicate = ["replicate", "-plugin-dir", &plugins, "-config", config.to_str().unwrap()];
    let mut daemon = Daemon::spawn(&program, &sandbox, &replicate);
    let load = Load::start(Engine::Bundled, &sandbox.path("data").join(BUSY), "load");
    load.wait_for(50);
    sandbox.database(format!("data/{LATER}"));
    let restore = |database: &str| {
        let url = (backend.url)(&format!("tenants/{database}"));
        program.restore(&sandbox, &url, &["-plugin-dir", &plugins, "-integrity-check", "quick"])
    };
    let restored_until = |what: &str, database: &str, wanted: &dyn Fn(&Path) -> bool| {
        let url = (backend.url)(&format!("tenants/{database}"));
        eventually(what, || {
            let output = sandbox.fresh("restored.db");
            let args = ["restore", "-plugin-dir", &plugins, "-o", output.to_str().unwrap(), &url];
            let done = program.run(&sandbox, &args).status.success();
            (done && wanted(&output)).then_some(())
        });
    };
    restored_until("the database that came later", LATER, &|_| true);
    let head = load.stop();
    restored_until("the last commit of the busy database", BUSY, &|copy| ledger_head(copy, "load") == head);
    daemon.stop();

    let original = sandbox.path("original");
    fs::rename(sandbox.path("data"), &original).unwrap(); // Databases and local state: all is gone from its place.
    for database in ALL {
        let restored = restore(database);
        assert_same(&original.join(database), &restored);
        let place = sandbox.path("data").join(database);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::rename(restored, place).unwrap();
    }
    assert_eq!(check_ledger(&sandbox.path("data").join(BUSY), "load", head), head);

    // And all of them at once, found below the directory's own URL.
    let whole = sandbox.text("whole");
    program.must(&sandbox, &["restore", "-dir", "-plugin-dir", &plugins, "-o", &whole, &(backend.url)("tenants")]);
    for database in ALL {
        assert_same(&original.join(database), &Path::new(&whole).join(database));
    }

    sandbox.add_rows(format!("data/{SPACED}"), 3);
    let once = ["replicate", "-once", "-plugin-dir", &plugins, "-config", config.to_str().unwrap()];
    program.must(&sandbox, &once);
    for database in ALL {
        assert_same(&sandbox.path("data").join(database), &restore(database));
    }
}
