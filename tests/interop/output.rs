//! What the commands print, beside what Litestream prints when it is asked the same of the same database: scripts that read
//! the one read the other.

use std::collections::BTreeMap;

use crate::harness::*;

/// Asked one after the other. `ROOT` stands for the sandbox, `SOCKET` for the flag that leads to the daemon.
const QUESTIONS: &[&str] = &[
    "info SOCKET",
    "info -json SOCKET",
    "list SOCKET",
    "list -json SOCKET",
    "sync SOCKET ROOT/app.db",
    "sync -json SOCKET ROOT/app.db",
    "sync -wait SOCKET ROOT/app.db",
    "sync -wait -json SOCKET ROOT/app.db",
    "stop SOCKET ROOT/app.db",
    "stop -json SOCKET ROOT/app.db",
    "list -json SOCKET",
    "sync SOCKET ROOT/app.db",
    "start SOCKET ROOT/app.db",
    "start SOCKET ROOT/app.db",
    "start -json SOCKET ROOT/app.db",
    "register SOCKET -replica file://ROOT/second ROOT/second.db",
    "register SOCKET -replica file://ROOT/second ROOT/second.db",
    "register -json SOCKET -replica file://ROOT/second ROOT/second.db",
    "sync -wait SOCKET ROOT/second.db",
    "unregister -dry-run SOCKET ROOT/second.db",
    "unregister -dry-run -json SOCKET ROOT/second.db",
    "unregister SOCKET ROOT/second.db",
    "unregister SOCKET ROOT/second.db",
    "unregister -json SOCKET ROOT/second.db",
    "databases -config ROOT/litestream.yml",
    "databases -json -config ROOT/litestream.yml",
    "status -config ROOT/litestream.yml",
    "status -json -config ROOT/litestream.yml",
    "status -config ROOT/litestream.yml ROOT/app.db",
    "status -json -config ROOT/litestream.yml ROOT/unknown.db",
    "ltx file://ROOT/replica",
    "ltx -json file://ROOT/replica",
    "ltx -level 2 file://ROOT/replica",
    "ltx -level 5 -json -config ROOT/litestream.yml ROOT/app.db",
    "ltx file://ROOT/nothing",
    "restore -dry-run -o ROOT/out.db file://ROOT/replica",
    "restore -json -o ROOT/out.db file://ROOT/replica",
    // Refusals.
    "sync SOCKET ROOT/unknown.db",
    "stop SOCKET ROOT/unknown.db",
    "start SOCKET ROOT/unknown.db",
    "register SOCKET ROOT/unknown.db",
    "register SOCKET -replica nonsense ROOT/unknown.db",
    "unregister SOCKET ROOT/unknown.db",
    "info -socket ROOT/none.sock",
    "list -timeout 0 SOCKET",
    "sync SOCKET",
    "ltx -config ROOT/litestream.yml ROOT/unknown.db",
    "restore -o ROOT/out.db file://ROOT/nothing",
    "restore -o ROOT/out.db file://ROOT/replica",
    "reset ROOT/unknown.db",
];

/// Where we differ, and why. A question that is not here has to have one answer.
const ON_PURPOSE: &[(&str, &str)] = &[(
    "status -json -config ROOT/litestream.yml ROOT/unknown.db",
    "an empty list alone looks as if all were well; standard error says that the database is not in the configuration",
)];

#[test]
fn scripts_read_the_same_from_both() {
    let reference = reference_or_skip!();
    let (theirs, ours) = (answers(&reference), answers(&Program::ours()));
    let on_purpose: BTreeMap<&str, &str> = ON_PURPOSE.iter().copied().collect();
    let mut wrong = String::new();
    for ((question, theirs), ours) in QUESTIONS.iter().zip(theirs).zip(ours) {
        match on_purpose.get(question) {
            Some(why) if theirs == ours => wrong += &format!("{question}: no longer differs, but \"{why}\"\n"),
            None if theirs != ours => wrong += &format!("== {question}\n-- reference\n{theirs}-- ours\n{ours}\n"),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Everything that a daemon of this program and its commands answer, without what differs between two runs of one program.
fn answers(program: &Program) -> Vec<String> {
    let sandbox = Sandbox::new();
    sandbox.database("app.db");
    sandbox.database("second.db");
    // Nothing is compacted while the questions are asked.
    let text = "levels:\n  - interval: 12h\n  - interval: 24h\nsocket:\n  enabled: true\n  path: ROOT/control.sock\ndbs:\n  - path: ROOT/app.db\n    replica:\n      path: ROOT/replica\n";
    let config = sandbox.write("litestream.yml", text.replace("ROOT", sandbox.root().to_str().unwrap()));
    let mut daemon = Daemon::replicate(program, &sandbox, &config);
    let replica = FileReplica::at(sandbox.path("replica"));
    daemon.wait_until("the socket and the first file", |_| {
        sandbox.path("control.sock").exists() && replica.max_txid() > 0
    });
    let socket = format!("-socket {}", sandbox.text("control.sock"));
    let ask = |question: &&str| {
        let line = question.replace("SOCKET", &socket).replace("ROOT", sandbox.root().to_str().unwrap());
        let finished = program.run(&sandbox, &line.split(' ').collect::<Vec<_>>());
        let text = format!("exit code {}\n{}{}", finished.code(), finished.stdout, finished.stderr);
        normalised(&text.replace(sandbox.root().to_str().unwrap(), "ROOT"))
    };
    let answers = QUESTIONS.iter().map(ask).collect();
    daemon.stop();
    answers
}

/// Times, transactions, sizes and other numbers as what they are; the name of the program as the reference's; tables without
/// the width of their columns.
fn normalised(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._:+-".contains(c);
    let mut result = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        match is_word(first) {
            true => result += &kind_of(run),
            false if run.contains("   ") && !run.contains('\n') => result += "  ",
            false => result += run,
        }
        rest = after;
    }
    result.replace("litestream-rs", "litestream").replace("N kB", "SIZE").replace("N B", "SIZE")
}

fn kind_of(word: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match word {
        _ if word.len() >= 20 && word.contains('T') && digits(&word[..4]) => "TIME".to_owned(),
        _ if word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) => "TXID".to_owned(),
        _ if word.len() == 37 && word.ends_with(".ltx") => "FILE".to_owned(),
        _ if digits(word) || digits(&word.replace('.', "")) => "N".to_owned(),
        _ if word.strip_suffix('s').is_some_and(digits) => "Ns".to_owned(),
        word => word.to_owned(),
    }
}
