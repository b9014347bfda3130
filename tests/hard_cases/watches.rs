//! The kernel's limits on watching: a queue of events that overflows, and no more watches.

use std::fs;
use std::process::Command;

use super::*;

/// A daemon over the tree `data`, which looks at it by itself only each `scan_interval`.
fn config(sandbox: &Sandbox, scan_interval: &str, monitor_interval: &str) -> PathBuf {
    sandbox.config(&format!(
        "scan-interval: {scan_interval}\ndbs:\n  - dir: ROOT/data\n    pattern: '*.db'\n    recursive: true\n    watch: true
    monitor-interval: {monitor_interval}\n    replica: {{ path: ROOT/replica, sync-interval: 20ms }}\n"
    ))
}

fn replica(sandbox: &Sandbox, name: &str) -> FileReplica {
    FileReplica::at(sandbox.path("replica").join(name))
}

fn assert_replicated(program: &Program, sandbox: &Sandbox, daemon: &mut Daemon, names: &[String]) {
    for name in names {
        let (path, url) = (sandbox.path("data").join(name), sandbox.url(format!("replica/{name}")));
        daemon.wait_until(name, |_| replica(sandbox, name).max_txid() > 0);
        let rows = Content::of(&path).rows("item");
        program.restore_until(sandbox, &url, "every row", |output| Content::of(output).rows("item") == rows);
    }
}

/// The program does not read its events, until the kernel drops them: here because it is stopped, else because it is busy.
/// Nothing else would make it look: the next scan is an hour away.
#[test]
fn h73_databases_whose_events_the_kernel_dropped_are_found() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "its log says it in other words");
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap_or_default();
    let Some(limit) = limit.trim().parse().ok().filter(|limit| *limit <= 200_000) else {
        eprintln!("SKIPPED: no queue of events that could be filled ({limit:?})");
        return;
    };
    let template = sandbox.database("data/first.db");
    let mut daemon = Daemon::replicate(&program, &sandbox, &config(&sandbox, "1h", "1h"));
    daemon.wait_until("the first database", |_| replica(&sandbox, "first.db").max_txid() > 0);
    daemon.signal(Signal::STOP);
    let noise = sandbox.path("data/noise");
    for _ in 0u32..limit {
        fs::write(&noise, "").unwrap();
        fs::remove_file(&noise).unwrap();
    }
    let mut names: Vec<String> = (0..60).map(|number| format!("{}/{number}.db", number % 7)).collect();
    for name in &names {
        let path = sandbox.path("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(&template, path).unwrap();
    }
    sandbox.add_rows("data/first.db", 3);
    daemon.signal(Signal::CONT);
    daemon.wait_for_log("the system dropped file events");
    names.push("first.db".to_owned());
    assert_replicated(&program, &sandbox, &mut daemon, &names);
    daemon.stop();
}

/// In a user namespace of its own, which has limits of its own.
fn limited(limit: &str, program: &Command) -> Command {
    let script = format!("echo {limit} && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", &script, "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    if let Some(directory) = program.get_current_dir() {
        command.current_dir(directory);
    }
    command
}

#[test]
fn h74_without_watches_changes_are_found_by_looking() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it does not say so");
    for (round, limit) in
        ["3 > /proc/sys/user/max_inotify_watches", "0 > /proc/sys/user/max_inotify_instances"].into_iter().enumerate()
    {
        let allowed = limited(limit, &Command::new("true")).stderr(std::process::Stdio::null()).status();
        if !allowed.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no permission to limit watches ({limit})");
            return;
        }
        let mut names: Vec<String> = (0..8).map(|number| format!("{round}-{number}/{number}.db")).collect();
        names.iter().for_each(|name| drop(sandbox.database(Path::new("data").join(name))));
        let config = config(&sandbox, "500ms", "50ms");
        let plain = program.command(&sandbox, &["replicate", "-config", config.to_str().unwrap()]);
        let mut daemon = Daemon::start(limited(limit, &plain), &sandbox);
        daemon.wait_for_log("cannot be watched");
        assert_replicated(&program, &sandbox, &mut daemon, &names);
        names.iter().for_each(|name| sandbox.add_rows(Path::new("data").join(name), 2));
        names.push(format!("{round}-new/deep/er/new.db"));
        sandbox.database(Path::new("data").join(&names[8]));
        assert_replicated(&program, &sandbox, &mut daemon, &names);
        daemon.stop();
    }
}
