//! Bad input for each command: one clear line that says what to do, exit code 1, nothing on standard output that a script
//! could take for an answer, and nothing half written under a final name.

use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::harness::*;

/// A command with wrong arguments, and what has to stand on standard error. `ROOT` stands for the sandbox.
type Case<'a> = (&'a [&'a str], &'a str);

const CONFIG: &str = "
dbs:
  - path: ROOT/app.db
    replica:
      path: ROOT/replica
  - dir: ROOT/tenants
    pattern: '*.db'
    replica:
      type: file
      path: ROOT/backups
";

struct Scene {
    program: Program,
    sandbox: Sandbox,
}

impl Scene {
    /// A replicated database, a directory entry, and things that are not what they should be.
    fn new() -> Self {
        let (program, sandbox) = (Program::ours(), Sandbox::new());
        sandbox.database("app.db");
        sandbox.database("tenants/a.db");
        sandbox.write("text", "this is neither a database nor a configuration: [".repeat(20));
        sandbox.write("litestream.yml", CONFIG.replace("ROOT", sandbox.root().to_str().unwrap()));
        sandbox.mkdir("empty");
        let once = program.once(&sandbox, &sandbox.path("litestream.yml"));
        assert_eq!(once.code(), 0, "{once}");
        Self { program, sandbox }
    }

    fn run(&self, args: &[&str]) -> Finished {
        let args: Vec<String> = args.iter().map(|arg| self.here(arg)).collect();
        self.program.run(&self.sandbox, &args)
    }

    fn here(&self, text: &str) -> String {
        text.replace("ROOT", self.sandbox.root().to_str().unwrap())
    }

    /// Every case fails as it should, and leaves every file as it was.
    fn refuses(&self, cases: &[Case]) {
        let files = || {
            let mut files = files_below(self.sandbox.root());
            // The output of the commands themselves.
            files.retain(|path, _| !path.starts_with(".out"));
            files
        };
        let before = files();
        for (args, text) in cases {
            let finished = self.run(args);
            finished.refused_with(&self.here(text));
            assert_eq!(finished.stdout, "", "{finished}");
            let lines: Vec<&str> = finished.stderr.lines().collect();
            assert!(
                lines.len() <= 2 && lines[0].starts_with("Error: "),
                "one line, and perhaps what to try: {finished}"
            );
            let helps = |line: &&str| {
                ["Try: ", "Note: ", "put liblitestream_plugin_"].iter().any(|word| line.starts_with(word))
            };
            assert!(lines.get(1).is_none_or(helps), "{finished}");
            assert_eq!(files(), before, "{finished}");
        }
    }
}

#[test]
fn a_database_that_nobody_knows() {
    Scene::new().refuses(&[
        (&["restore", "-config", "litestream.yml", "ROOT/none.db"], "database not found in config: ROOT/none.db"),
        (&["restore", "-dir", "-config", "litestream.yml", "ROOT/none"], "directory not found in config: ROOT/none"),
        (&["ltx", "-config", "litestream.yml", "ROOT/none.db"], "database not found in config: ROOT/none.db"),
        (&["databases", "-config", "litestream.yml", "ROOT/none"], "not found in config: ROOT/none"),
        (&["reset", "ROOT/none.db"], "database does not exist: ROOT/none.db"),
        (&["replicate", "-config", "none.yml"], "config file not found: ROOT/none.yml"),
        (&["restore", "-config", "none.yml", "ROOT/app.db"], "config file not found: ROOT/none.yml"),
        (&["status", "-config", "none.yml"], "config file not found: ROOT/none.yml"),
        (&["databases", "-config", "none.yml"], "config file not found: ROOT/none.yml"),
        (&["ltx", "-config", "none.yml", "ROOT/app.db"], "config file not found: ROOT/none.yml"),
        (&["config", "check", "-config", "none.yml"], "config file not found: ROOT/none.yml"),
        (&["config", "explain", "-config", "none.yml"], "config file not found: ROOT/none.yml"),
    ]);
}

#[test]
fn things_of_another_kind() {
    Scene::new().refuses(&[
        (&["replicate", "-config", "text"], "ROOT/text:2: "),
        (&["status", "-config", "text"], "ROOT/text:2: "),
        (&["databases", "-config", "empty"], "cannot read config file ROOT/empty: Is a directory"),
        (&["restore", "-o", "out.db", "nothing://x/y"], "no plugin for the replica type \"nothing\""),
        (&["ltx", "nothing://x/y"], "no plugin for the replica type \"nothing\""),
        (&["databases", "nothing://x/y"], "no plugin for the replica type \"nothing\""),
        (&["plugin", "check", "nothing://x/y"], "no plugin for the replica type \"nothing\""),
        (&["restore", "-o", "out.db", "file://ROOT/text"], "no matching backup files available"),
        (&["databases", "file://ROOT/text"], "no replicas found below file://ROOT/text"),
        (&["restore", "-o", "ROOT/empty", "file://ROOT/replica"], "output path is a directory: ROOT/empty"),
        (&["restore", "-o", "ROOT/text", "file://ROOT/replica"], "already exists and is not empty: ROOT/text"),
        (&["restore", "-dir", "-o", "ROOT/text", "file://ROOT/backups"], "cannot create directory ROOT/text"),
        (
            &["restore", "-o", "ROOT/text/out.db", "file://ROOT/replica"],
            "cannot look at ROOT/text/out.db: Not a directory",
        ),
        (&["restore", "-dir", "-o", "out", "file://ROOT/replica"], "is the replica of one database"),
        (&["completions", "cobol"], "cobol"),
        (&["man", "extra"], "too many arguments"),
    ]);
}

#[test]
fn a_prefix_without_replicas() {
    let scene = Scene::new();
    scene.refuses(&[
        (&["restore", "-o", "out.db", "file://ROOT/empty"], "no matching backup files available"),
        (&["restore", "-o", "out.db", "file://ROOT/nowhere"], "no matching backup files available"),
        (&["restore", "-dir", "-o", "out", "file://ROOT/empty"], "no replicas found below"),
        (&["restore", "-dir", "-o", "out", "file://ROOT/nowhere"], "no replicas found below"),
        (&["databases", "file://ROOT/empty"], "no replicas found below"),
    ]);
    // As the reference: a replica without files is an empty list.
    let ltx = scene.run(&["ltx", "-json", "file://ROOT/nowhere"]);
    assert_eq!((ltx.code(), ltx.stdout.as_str()), (0, "[]\n"), "{ltx}");
}

#[test]
fn a_socket_that_is_none_or_has_nobody_behind_it() {
    let scene = Scene::new();
    // What a killed daemon leaves.
    drop(UnixListener::bind(scene.sandbox.path("dead.sock")).unwrap());
    let commands: [&[&str]; 7] = [
        &["info"],
        &["list"],
        &["sync", "ROOT/app.db"],
        &["start", "ROOT/app.db"],
        &["stop", "ROOT/app.db"],
        &["register", "-replica", "file://ROOT/x", "ROOT/app.db"],
        &["unregister", "ROOT/app.db"],
    ];
    for command in commands {
        for (socket, reason) in [
            ("none.sock", "no such file or directory"),
            ("dead.sock", "connection refused"),
            ("text", "connection refused"),
            ("text/none.sock", "not a directory"),
        ] {
            let text = format!("dial unix ROOT/{socket}: connect: {reason}");
            let path = format!("ROOT/{socket}");
            let args = [&[command[0], "-socket", &path], &command[1..]].concat();
            scene.refuses(&[(&args, &text)]);
        }
    }
}

#[test]
fn a_socket_whose_owner_says_nothing_or_nonsense() {
    let scene = Scene::new();
    let silent = UnixListener::bind(scene.sandbox.path("silent.sock")).unwrap();
    let chatty = UnixListener::bind(scene.sandbox.path("chatty.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in chatty.incoming() {
            use std::io::{Read, Write};
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
        }
    });
    scene.refuses(&[(&["info", "-socket", "ROOT/chatty.sock"], "the answer is not HTTP")]);
    scene.refuses(&[(&["info", "-timeout", "1", "-socket", "ROOT/silent.sock"], "no answer within 1s")]);
    drop(silent);
}

#[test]
fn what_a_daemon_refuses_at_run_time() {
    let scene = Scene::new();
    let text = std::fs::read_to_string(scene.sandbox.path("litestream.yml")).unwrap();
    let config = scene.sandbox.config(&format!("socket:\n  enabled: true\n  path: ROOT/control.sock\n{text}"));
    let mut daemon = Daemon::replicate(&scene.program, &scene.sandbox, &config);
    daemon.wait_for_log("control socket listening");
    let at = ["-socket", "ROOT/control.sock"];
    let ask = |command: &[&str], text: &str| {
        let args = [&[command[0]][..], &at, &command[1..]].concat();
        let finished = scene.run(&args);
        finished.refused_with(&scene.here(text));
        assert!(finished.stdout.is_empty() && finished.stderr.lines().count() <= 2, "{finished}");
    };
    for command in ["sync", "start", "stop"] {
        ask(&[command, "ROOT/none.db"], &format!("{command} failed: database not found: ROOT/none.db"));
    }
    ask(&["register", "-replica", "nothing://x", "ROOT/new.db"], "invalid replica url: ");
    ask(&["register", "-replica", "no-url", "ROOT/new.db"], "replica url scheme required");
    ask(&["register", "-replica", "file://ROOT/x", "ROOT/empty"], "register failed: ROOT/empty is a directory: ");
    assert_eq!(scene.run(&[&["info", "-json"][..], &at].concat()).json()["database_count"], 2);
    daemon.stop();
}

#[test]
fn what_this_user_may_not_read_or_write() {
    let scene = Scene::new();
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can run the program as somebody else");
        return;
    }
    // Another user may enter the sandbox, and read nothing that matters.
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &str, mode| {
        std::fs::set_permissions(scene.sandbox.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (path, bits) in [("", 0o755), ("litestream.yml", 0o600), ("replica", 0o700), ("empty", 0o755)] {
        mode(path, bits);
    }
    // These may be read, so that it is the output that is refused.
    let opened = std::process::Command::new("chmod").args(["-R", "a+rX"]).arg(scene.sandbox.path("backups")).status();
    assert!(opened.unwrap().success());
    let public = scene.sandbox.mkdir("public");
    Program::ours().install(&public);
    let program = Program::new(public.join("litestream-rs"), Kind::Ours);
    let cases: [Case; 5] = [
        (&["status", "-config", "ROOT/litestream.yml"], "ROOT/litestream.yml"),
        (&["restore", "-o", "/tmp/never.db", "file://ROOT/replica"], "ROOT/replica"),
        (&["ltx", "file://ROOT/replica"], "ROOT/replica"),
        (&["databases", "file://ROOT/replica"], "ROOT/replica"),
        (&["restore", "-dir", "-o", "ROOT/empty/out", "file://ROOT/backups"], "ROOT/empty/out"),
    ];
    for (args, text) in cases {
        let args: Vec<String> = args.iter().map(|arg| scene.here(arg)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let finished = program.run_as(&scene.sandbox, &args, 65_534);
        finished.refused_with(&scene.here(text));
        assert!(finished.stderr.to_lowercase().contains("permission denied"), "{finished}");
    }
    assert!(!Path::new("/tmp/never.db").exists());
}
