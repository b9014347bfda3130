//! S3, on SeaweedFS.

use std::fs;
use std::sync::OnceLock;

use litestream_sdk::Capability;
use litestream_test_servers::{Proxy, S3_KEY, S3_SECRET, Server, seaweed};

use super::{Backend, a_directory_is_lost_and_restored, faults, interop};
use crate::harness::*;

const BUCKETS: [&str; 8] = ["directory", "hex", "theirs", "faults", "secrets", "counted", "connections", "credentials"];

/// One server for all tests of this process, with a bucket for each; it ends with the process.
fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| seaweed(&BUCKETS)).as_ref()
}

/// A bucket of a server at this address.
fn backend(address: impl ToString, bucket: &'static str) -> Backend {
    let address = address.to_string();
    let replica = format!(
        "type: s3\nbucket: {bucket}\nregion: us-east-1\nendpoint: http://{address}\naccess-key-id: {S3_KEY}\n\
         secret-access-key: {S3_SECRET}\nforce-path-style: true\n"
    );
    Backend {
        plugin: "s3",
        replica: Box::new(move |place| format!("{replica}path: {place}\n")),
        url: Box::new(move |place| {
            format!("s3://{bucket}/{}?endpoint={address}&region=us-east-1", place.replace(' ', "%20"))
        }),
        env: vec![
            ("LITESTREAM_ACCESS_KEY_ID", S3_KEY.to_owned()),
            ("LITESTREAM_SECRET_ACCESS_KEY", S3_SECRET.to_owned()),
        ],
    }
}

#[test]
fn a_directory_of_databases_survives_the_loss_of_everything_local() {
    let Some(server) = server() else { return };
    a_directory_is_lost_and_restored(&backend(server.address(), "directory"));
}

#[test]
fn the_reference_restores_and_continues_a_replica_in_the_hex_layout() {
    let Some(server) = server() else { return };
    interop::the_reference_restores_and_continues_ours(&backend(server.address(), "hex"), "layout: hex");
}

/// Without `layout`: what the reference began in its own layout is continued there.
#[test]
fn we_restore_and_continue_a_replica_of_the_reference() {
    let Some(server) = server() else { return };
    interop::we_restore_and_continue_the_references(&backend(server.address(), "theirs"));
}

#[test]
fn a_store_that_fails_is_waited_for_without_a_restart() {
    let Some(server) = server() else { return };
    faults::a_store_that_fails_is_waited_for(&server.address(), |address| backend(address, "faults"), "PUT");
}

/// One upload for a commit, and nothing for a database that rests.
#[test]
fn a_commit_costs_one_request_and_rest_costs_none() {
    let Some(server) = server() else { return };
    let proxy = Proxy::http(server.address());
    let (backend, sandbox) = (backend(proxy.address(), "counted"), Sandbox::new());
    let program = backend.equip(Program::ours());
    let [busy, idle] = ["busy.db", "idle.db"].map(|name| sandbox.database(name));
    let database = |name: &str| {
        format!("  - path: ROOT/{name}\n    monitor-interval: 20ms\n    replica:\n{}", backend.replica_at(name, 6))
    };
    let socket = sandbox.text("control.sock");
    let head = "socket:\n  enabled: true\n  path: ROOT/control.sock\nlevels:\n  - interval: 24h\ndbs:\n";
    let config = sandbox.config(&format!("{head}{}{}", database("busy.db"), database("idle.db")));
    let mut daemon = Daemon::replicate(&program, &sandbox, &config);
    daemon.wait_until("the socket", |_| sandbox.path("control.sock").exists());
    let sync = |path: &std::path::Path| {
        program.must(&sandbox, &["sync", "-wait", "-socket", &socket, path.to_str().unwrap()]);
    };
    sync(&busy);
    sync(&idle);
    daemon.wait_until("the first snapshots", |daemon| daemon.log().matches("snapshot complete").count() == 2);
    proxy.forget_requests();
    let mut application = Application::open(Engine::Python, &busy);
    for commit in 1..=5 {
        application.exec("INSERT INTO item (name) VALUES ('counted')");
        sync(&busy);
        sync(&idle);
        let requests = proxy.requests();
        let uploads = requests.iter().filter(|it| it.method == "PUT" && it.target.contains("/busy.db/ltx/0/"));
        assert_eq!((uploads.count(), requests.len()), (commit, commit), "{requests:?}");
    }
    application.close();
    daemon.stop();
}

/// How many calls run at once is the store's to say (`Capability::max_in_flight`, which the plugin leaves as the SDK has
/// it), however many databases wait and the fleet would send. A call on a small object needs one connection, and ends when
/// that can be used again.
#[test]
fn a_thousand_databases_need_no_more_connections_than_the_calls_that_the_store_takes() {
    let Some(server) = server() else { return };
    let proxy = Proxy::tcp(server.address());
    let (backend, sandbox) = (backend(proxy.address(), "connections"), Sandbox::new());
    let template = sandbox.database("template.db");
    sandbox.mkdir("data");
    for number in 0..1000 {
        fs::copy(&template, sandbox.path(format!("data/{number}.db"))).unwrap();
    }
    let directory = "upload-concurrency: 200\ndbs:\n  - dir: ROOT/data\n    pattern: '*.db'\n    replica:\n";
    let config = sandbox.config(&format!("{directory}{}", backend.replica_at("tenants", 6)));
    let program = backend.equip(Program::ours());
    program.must(&sandbox, &["replicate", "-once", "-config", config.to_str().unwrap()]);
    let (most, calls) = (proxy.most_open(), Capability::new(0).max_in_flight as usize);
    assert!((2..=calls).contains(&most), "{most} connections for {calls} calls at once");
}

/// Secrets are in no log at the finest level, in no error, and in no description of the configuration.
#[test]
fn secrets_are_shown_nowhere() {
    let Some(server) = server() else { return };
    let (backend, sandbox) = (backend(server.address(), "secrets"), Sandbox::new());
    let program = Program::ours();
    // 32 bytes in base64, as a key for encryption on the server.
    let own_key = "c2VjcmV0LWN1c3RvbWVyLWtleS1vZi0zMi1ieXRlcyE=";
    let database = sandbox.database("app.db");
    let path = database.to_str().unwrap();
    let config = |extra: &str| {
        let replica = format!("{}      sse-customer-key: {own_key}\n{extra}", backend.replica_at("secrets", 6));
        sandbox.config(&format!("logging:\n  level: trace\ndbs:\n  - path: ROOT/app.db\n    replica:\n{replica}"))
    };
    let good = config("");
    let wrong_bucket =
        sandbox.config(&fs::read_to_string(&good).unwrap().replace("bucket: secrets", "bucket: nowhere"));
    let wrong_rule = config("      part-size: 1KiB\n      no-such-key: x\n");
    let output = sandbox.fresh("restored.db");
    let mut texts = String::new();
    for (config, command, works) in [
        (&good, vec!["replicate", "-once"], true),
        (&good, vec!["restore", "-o", output.to_str().unwrap(), path], true),
        (&good, vec!["config", "explain"], true),
        (&good, vec!["ltx", path], true),
        (&wrong_bucket, vec!["replicate", "-once"], false),
        (&wrong_rule, vec!["replicate", "-once"], false),
        (&wrong_rule, vec!["config", "check"], false),
    ] {
        let mut args = vec![];
        let (flags, rest): (Vec<&str>, Vec<&str>) = command.iter().partition(|arg| !arg.starts_with('/'));
        args.extend(flags);
        if args[0] == "restore" {
            args.push(rest[0]);
            args.extend(["-config", config.to_str().unwrap(), rest[1]]);
        } else {
            args.extend(["-config", config.to_str().unwrap()]);
            args.extend(rest);
        }
        let finished = program.run(&sandbox, &args);
        assert_eq!(finished.status.success(), works, "{finished}");
        texts.push_str(&finished.text());
    }
    assert!(texts.contains("TRACE") || texts.contains("level=DEBUG"), "the finest level is on: {texts}");
    assert!(texts.contains("<secret>"), "the configuration is explained: {texts}");
    for secret in [S3_SECRET, own_key, "secret-customer-key"] {
        let at = texts.find(secret);
        assert_eq!(at, None, "{}", at.map_or("", |at| &texts[at.saturating_sub(300)..at]));
    }
}

/// The places where Amazon's own tools look, and the reference's names.
#[test]
fn credentials_come_from_where_users_keep_them() {
    let Some(server) = server() else { return };
    let (backend, sandbox) = (backend(server.address(), "credentials"), Sandbox::new());
    let database = sandbox.database("app.db");
    let url = (backend.url)("p");
    let program = Program::ours();
    backend.equip(program.clone()).must(&sandbox, &["replicate", "-once", database.to_str().unwrap(), &url]);
    let restores = |program: &Program| assert_same(&database, &program.restore(&sandbox, &url, &[]));
    let pair = |program: &Program, prefix: &str, key: &str| {
        let program = program.clone().with_env(&format!("{prefix}_ACCESS_KEY_ID"), key);
        program.with_env(&format!("{prefix}_SECRET_ACCESS_KEY"), S3_SECRET)
    };
    restores(&pair(&program, "AWS", S3_KEY));
    restores(&pair(&pair(&program, "LITESTREAM", "not-this-one"), "AWS", S3_KEY));

    let secrets = format!("aws_access_key_id = {S3_KEY}\naws_secret_access_key = {S3_SECRET}\n");
    sandbox.write(".aws/credentials", format!("[default]\n{secrets}"));
    restores(&program);
    sandbox.write(".aws/credentials", format!("[named]\n{secrets}"));
    restores(&program.clone().with_env("AWS_PROFILE", "named"));

    let answer = format!(r#"{{"Version":1,"AccessKeyId":"{S3_KEY}","SecretAccessKey":"{S3_SECRET}"}}"#);
    let answer = sandbox.write("answer.json", answer);
    sandbox.write(".aws/config", format!("[default]\ncredential_process = cat {}\n", answer.display()));
    sandbox.write(".aws/credentials", "");
    restores(&program);
}

#[test]
fn without_credentials_it_says_where_to_put_them() {
    let Some(server) = server() else { return };
    let (backend, sandbox) = (backend(server.address(), "credentials"), Sandbox::new());
    let output = sandbox.fresh("restored.db");
    // Nobody asks the machine's own metadata service from a test.
    let program = Program::ours().with_env("AWS_EC2_METADATA_DISABLED", "true");
    let restored = program.run(&sandbox, &["restore", "-o", output.to_str().unwrap(), &(backend.url)("p")]);
    restored.refused_with("no usable credentials: set access-key-id and secret-access-key, or AWS_ACCESS_KEY_ID");
}

/// A wrong secret and a missing bucket are said at once, with what to do, and are no empty replica.
#[test]
fn a_wrong_secret_or_bucket_is_said_clearly() {
    let Some(server) = server() else { return };
    let sandbox = Sandbox::new();
    let database = sandbox.database("app.db");
    let output = sandbox.fresh("restored.db");
    for (bucket, secret, words) in
        [("directory", "wrong-secret", &["SignatureDoesNotMatch"][..]), ("nowhere", S3_SECRET, &["NoSuchBucket"])]
    {
        let backend = backend(server.address(), bucket);
        let program = backend.equip(Program::ours()).with_env("LITESTREAM_SECRET_ACCESS_KEY", secret);
        let url = (backend.url)("p");
        let restored = program.run(&sandbox, &["restore", "-o", output.to_str().unwrap(), &url]);
        let once = program.run(&sandbox, &["replicate", "-once", database.to_str().unwrap(), &url]);
        for finished in [restored, once] {
            assert_eq!(finished.code(), 1, "{finished}");
            assert!(words.iter().all(|word| finished.text().contains(word)), "{finished}");
            assert!(!finished.text().contains(secret), "{finished}");
        }
    }
}
