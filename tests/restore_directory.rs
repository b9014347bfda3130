//! `restore -dir`: a whole directory brought back, by URL and by the path of its configuration entry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::harness::*;

const NAMES: [&str; 4] = ["a.db", "b.db", "team/a.db", "team/deep/odd name%20.db"];

/// Four databases of one directory, replicated once.
struct Scene {
    program: Program,
    sandbox: Sandbox,
    config: PathBuf,
    url: String,
}

impl Scene {
    fn new() -> Self {
        Self::replicated_to("path: ROOT/backups")
    }

    fn replicated_to(replica: &str) -> Self {
        let (program, sandbox) = (Program::ours(), Sandbox::new());
        for name in NAMES {
            sandbox.database(format!("tenants/{name}"));
        }
        let config = sandbox.config(&format!(
            "dbs:\n  - dir: ROOT/tenants\n    pattern: \"*.db\"\n    recursive: true\n    replica:\n      type: file\n      {replica}\n"
        ));
        let once = program.once(&sandbox, &config);
        assert_eq!(once.code(), 0, "{once}");
        let url = sandbox.url("backups");
        Self { program, sandbox, config, url }
    }

    fn by_url(&self, output: &str, more: &[&str]) -> Finished {
        let output = self.sandbox.text(output);
        let args = [&["restore", "-dir", "-o", &output], more, &[&self.url]].concat();
        self.program.run(&self.sandbox, &args)
    }

    fn by_path(&self, command: &[&str], path: &str) -> Finished {
        let path = self.sandbox.text(path);
        let args = [command, &["-config", self.config.to_str().unwrap(), &path]].concat();
        self.program.run(&self.sandbox, &args)
    }

    /// Every file below a directory of the sandbox.
    fn files(&self, directory: &str) -> Vec<String> {
        files_below(&self.sandbox.path(directory)).into_keys().map(|path| path.to_str().unwrap().to_owned()).collect()
    }

    fn assert_whole(&self, output: &str, names: &[&str]) {
        assert_eq!(self.files(output), names);
        for name in names {
            let at = |directory: &str| self.sandbox.path(format!("{directory}/{name}"));
            assert_same(&at("tenants"), &at(output));
        }
    }

    fn damage(&self, name: &str) {
        let file = FileReplica::at(self.sandbox.path(format!("backups/{name}"))).level_dir(0);
        for entry in fs::read_dir(file).unwrap() {
            fs::write(entry.unwrap().path(), vec![0; 300]).unwrap();
        }
    }
}

#[test]
fn a_directory_comes_back_whole_and_only_that() {
    let scene = Scene::new();
    let finished = scene.by_url("out", &["-integrity-check", "full"]);
    assert_eq!(finished.code(), 0, "{finished}");
    assert!(finished.stdout.starts_with("4 databases: 4 restored; "), "{finished}");
    scene.assert_whole("out", &NAMES);
}

#[test]
fn a_directory_of_the_configuration_is_named_by_its_path() {
    let scene = Scene::new();
    fs::rename(scene.sandbox.path("tenants"), scene.sandbox.path("lost")).unwrap();
    let finished = scene.by_path(&["restore", "-dir"], "tenants/");
    assert_eq!(finished.code(), 0, "{finished}");
    for name in NAMES {
        assert_same(&scene.sandbox.path(format!("lost/{name}")), &scene.sandbox.path(format!("tenants/{name}")));
    }
}

#[test]
fn one_database_of_a_directory_is_named_by_its_path_even_when_it_is_lost() {
    let scene = Scene::new();
    let lost = scene.sandbox.path("tenants/team/a.db");
    let kept = scene.sandbox.path("kept.db");
    fs::rename(&lost, &kept).unwrap();
    let ltx = scene.by_path(&["ltx"], "tenants/team/a.db");
    assert_eq!((ltx.code(), ltx.stdout.lines().count()), (0, 2), "{ltx}");
    let status = scene.by_path(&["status"], "tenants/team/a.db");
    assert!(status.stdout.contains("no database"), "{status}");
    let restored = scene.by_path(&["restore"], "tenants/team/a.db");
    assert_eq!(restored.code(), 0, "{restored}");
    assert_same(&kept, &lost);
    let status = scene.by_path(&["status"], "tenants/team/a.db");
    assert!(status.stdout.contains("team/a.db  ok"), "{status}");
}

#[test]
fn names_that_a_url_escapes_come_back_as_they_were() {
    let scene = Scene::replicated_to("url: file://ROOT/backups");
    assert!(scene.sandbox.path("backups/team/deep/odd%20name%2520.db/ltx").is_dir());
    let finished = scene.by_url("out", &[]);
    assert_eq!(finished.code(), 0, "{finished}");
    scene.assert_whole("out", &NAMES);
}

#[test]
fn include_and_exclude_choose_databases() {
    let scene = Scene::new();
    assert_eq!(scene.by_url("by-name", &["-include", "a.db"]).code(), 0);
    scene.assert_whole("by-name", &["a.db", "team/a.db"]);
    assert_eq!(scene.by_url("by-path", &["-include", "team/**", "-exclude", "team/a.db"]).code(), 0);
    scene.assert_whole("by-path", &["team/deep/odd name%20.db"]);
    scene.by_url("none", &["-include", "z*"]).refused_with("-include and -exclude leave none of 4 databases");
    scene.by_url("none", &["-include", "[a"]).refused_with("invalid -include [a: syntax error in pattern");
    assert!(!scene.sandbox.path("none").exists());
}

#[test]
fn a_dry_run_shows_what_would_be_read_and_writes_nothing() {
    let scene = Scene::new();
    let finished = scene.by_url("out", &["-dry-run"]);
    assert_eq!(finished.code(), 0, "{finished}");
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines[0], "Restore plan:");
    assert!(lines[5].starts_with("database                  restore point         bytes"), "{finished}");
    assert!(lines[6].starts_with("a.db  ") && lines.len() == 6 + NAMES.len(), "{finished}");
    let json = scene.by_url("out", &["-dry-run", "-json"]).json();
    assert_eq!(json["databases"][3]["database"], NAMES[3]);
    assert_eq!((&json["databases"][0]["files"], &json["failed"]), (&1.into(), &serde_json::json!([])));
    assert!(!scene.sandbox.path("out").exists());
}

#[test]
fn the_same_moment_is_restored_everywhere_and_what_came_later_is_left_out() {
    let scene = Scene::new();
    let times = [("a.db", 10), ("b.db", 30), ("team/a.db", 10), ("team/deep/odd name%20.db", 30)];
    for (name, seconds) in times {
        let level = FileReplica::at(scene.sandbox.path(format!("backups/{name}"))).level_dir(0);
        let file = fs::read_dir(level).unwrap().next().unwrap().unwrap().path();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_704_067_200 + seconds);
        fs::File::open(file).unwrap().set_modified(time).unwrap();
    }
    let finished = scene.by_url("out", &["-timestamp", "2024-01-01T00:00:20Z"]);
    assert_eq!(finished.code(), 0, "{finished}");
    assert!(finished.stdout.starts_with("4 databases: 2 restored, 2 did not exist at that time; "), "{finished}");
    scene.assert_whole("out", &["a.db", "team/a.db"]);
}

#[test]
fn failures_are_reported_at_the_end_and_only_they_are_tried_again() {
    let scene = Scene::new();
    let good = scene.sandbox.path("good");
    let level = FileReplica::at(scene.sandbox.path("backups/b.db")).level_dir(0);
    let file = fs::read_dir(&level).unwrap().next().unwrap().unwrap().path();
    fs::copy(&file, &good).unwrap();
    scene.damage("b.db");
    let finished = scene.by_url("out", &["-json"]);
    finished.refused_with("Error: b.db: ");
    finished.refused_with("Error: 1 of 4 databases cannot be restored; the others are");
    let json = finished.json();
    assert_eq!((&json["restored"], &json["failed"][0]["database"]), (&3.into(), &"b.db".into()));
    assert!(!scene.sandbox.path("out/b.db").exists() && !scene.sandbox.path("out/b.db.tmp").exists());
    fs::copy(&good, &file).unwrap();
    let finished = scene.by_url("out", &[]);
    assert!(finished.stdout.starts_with("4 databases: 1 restored, 3 were there already; "), "{finished}");
    scene.assert_whole("out", &NAMES);
}

#[test]
fn a_killed_run_is_continued() {
    let (program, sandbox) = (Program::ours(), Sandbox::new());
    let first = sandbox.database("tenants/0.db");
    let config = sandbox.config("dbs:\n  - path: ROOT/tenants/0.db\n    replica:\n      path: ROOT/backups/0.db\n");
    assert_eq!(program.once(&sandbox, &config).code(), 0);
    let level = FileReplica::at(sandbox.path("backups/0.db")).level_dir(0);
    let file = fs::read_dir(&level).unwrap().next().unwrap().unwrap();
    const DATABASES: usize = 300;
    for number in 1..DATABASES {
        let level = sandbox.mkdir(format!("backups/{number}.db/ltx/0"));
        fs::hard_link(file.path(), level.join(file.file_name())).unwrap();
    }
    let (output, url) = (sandbox.text("out"), sandbox.url("backups"));
    let args = ["restore", "-dir", "-parallelism", "2", "-o", &output, &url];
    let done = || fs::read_dir(&output).map_or(0, |entries| entries.count());
    let mut run = Daemon::spawn(&program, &sandbox, &args);
    until("some databases", || done() > 20);
    run.kill();
    let after_kill = files_below(&sandbox.path("out"));
    for path in after_kill.keys().filter(|path| path.extension().is_some_and(|end| end == "db")) {
        assert_same(&first, &sandbox.path("out").join(path));
    }
    let mut run = Daemon::spawn(&program, &sandbox, &args);
    until("more databases", || done() > after_kill.len() + 20 || done() >= DATABASES);
    run.signal(Signal::TERM);
    let code = run.wait().code();
    assert!(code == Some(1) || done() == DATABASES, "{code:?}");
    let finished = program.must(&sandbox, &args);
    assert!(finished.stdout.contains("were there already"), "{finished}");
    let files = files_below(&sandbox.path("out"));
    assert!(files.len() == DATABASES && files.keys().all(|path| path.extension().unwrap() == "db"), "{files:?}");
}

#[test]
fn refusals_say_what_to_do_and_touch_nothing() {
    let scene = Scene::new();
    let refuse = |args: &[&str], text: &str, note: &str| {
        let finished = scene.program.run(&scene.sandbox, args);
        finished.refused_with(text);
        finished.refused_with(note);
        assert!(finished.stderr.lines().count() <= 2, "{finished}");
    };
    let (out, file, empty) = (scene.sandbox.text("out"), scene.sandbox.text("tenants/a.db"), scene.sandbox.url("none"));
    let one = scene.sandbox.url("backups/a.db");
    let config = scene.config.to_str().unwrap();
    let (tenants, elsewhere) = (scene.sandbox.text("tenants"), scene.sandbox.text("elsewhere"));
    refuse(&["restore", "-dir", "-o", &out, &empty], "no replicas found below", "look one level higher");
    refuse(&["restore", "-dir", "-o", &out, &one], "is the replica of one database", "leave -dir out");
    refuse(&["restore", "-dir", &scene.url], "-o is required", "Try: litestream-rs restore -dir -o /path/to/directory");
    refuse(&["restore", "-dir", "-o", &file, &scene.url], "cannot create directory", &file);
    refuse(&["restore", "-dir", "-txid", "0000000000000001", "-o", &out, &scene.url], "cannot use -txid with -dir", "");
    refuse(&["restore", "-dir", "-f", "-o", &out, &scene.url], "cannot use follow mode with -dir", "");
    refuse(&["restore", "-include", "x", "-o", &out, &scene.url], "-include needs -dir", "");
    refuse(&["restore", "-dir", "-config", config, &file], "directory not found in config", "that is one database");
    refuse(&["restore", "-dir", "-config", config, &elsewhere], "directory not found in config", "`dir` of an entry");
    refuse(&["restore", "-config", config, &tenants], "database not found in config", "restore all with -dir");
    assert!(!scene.sandbox.path("out").exists());
    assert_eq!(scene.by_url("out", &["-if-replica-exists"]).code(), 0);
    let other = scene.sandbox.url("backups/team");
    fs::write(scene.sandbox.path("out/.litestream-restore"), "litestream-rs directory restore 1\0x\0y\0").unwrap();
    refuse(&["restore", "-dir", "-o", &out, &other], "an unfinished restore of x to y is in the way", "delete ");
}

#[test]
fn an_output_that_cannot_be_written_is_one_clear_line() {
    let scene = Scene::new();
    let locked = scene.sandbox.mkdir("locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(locked.join("probe"), "").is_ok() {
        eprintln!("SKIPPED: this user may write everywhere");
        return;
    }
    let finished = scene.by_url("locked/out", &[]);
    finished.refused_with("Permission denied");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished}");
}

#[test]
fn what_a_replica_holds_is_listed_by_url_and_by_directory() {
    let scene = Scene::new();
    let listed = scene.program.run(&scene.sandbox, &["databases", "-json", &scene.url]);
    assert_eq!(listed.code(), 0, "{listed}");
    let names: Vec<_> = listed.json().as_array().unwrap().iter().map(|row| row["database"].clone()).collect();
    assert_eq!(names, NAMES);
    let point = &listed.json()[0]["point"];
    assert_eq!((&point["txid"], &point["files"]), (&"0000000000000001".into(), &1.into()));
    assert!(point["bytes"].as_u64().unwrap() > 0 && point["age_seconds"].is_u64(), "{point}");
    let text = scene.by_path(&["databases"], "tenants");
    assert!(text.stdout.starts_with("database                  restore point         age"), "{text}");
    assert_eq!(text.stdout.lines().count(), 1 + NAMES.len());
    scene.damage("b.db");
    fs::remove_dir_all(scene.sandbox.path("backups/a.db/ltx/0")).unwrap();
    let finished = scene.program.run(&scene.sandbox, &["databases", &scene.url]);
    finished.refused_with("Error: a.db: no matching backup files available");
    finished.refused_with("Error: 1 of 4 databases cannot be restored");
    let empty = scene.sandbox.url("nothing");
    scene.program.run(&scene.sandbox, &["databases", &empty]).refused_with("no replicas found below");
}

#[test]
fn a_full_disk_ends_the_run_with_one_line_and_room_lets_it_go_on() {
    let scene = Scene::new();
    let out = scene.sandbox.mkdir("small");
    // A file system of this size, seen by this process alone.
    let script = "mount -t tmpfs -o size=24k tmpfs \"$1\" || exit 77
        \"$2\" restore -dir -parallelism 1 -o \"$1/out\" \"$3\"; echo \"code $?\"
        find \"$1/out\" -name '*.tmp'; find \"$1/out\" -name '*.db' -size 0
        mount -o remount,size=10m \"$1\" && \"$2\" restore -dir -o \"$1/out\" \"$3\"; echo \"code $?\"";
    let program = installation().join("litestream-rs");
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .args([out.as_os_str(), program.as_os_str(), scene.url.as_ref()])
        .output();
    let output = output.ok().filter(|output| output.status.code() != Some(77) && !output.stdout.is_empty());
    let Some(output) = output else {
        eprintln!("SKIPPED: this user cannot mount a small file system");
        return;
    };
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!((lines.len(), lines[1], lines[3]), (4, "code 1", "code 0"), "{stdout}{stderr}");
    assert!(lines[0].contains("left") && lines[2].starts_with("4 databases: "), "{stdout}{stderr}");
    assert_eq!(stderr.matches("no space left in ").count(), 1, "{stderr}");
}
