//! Keys, URLs, the environment, and what is refused.

use litestream_sdk::configure::configure;
use litestream_sdk::describe::{ConfigureAnswer, ConfigureRequest, Configured};
use litestream_sdk::{DbPath, Location, Plugin};

use crate::SftpPlugin;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

fn accepted(request: &ConfigureRequest) -> Configured {
    match configure::<SftpPlugin>(request) {
        ConfigureAnswer::Accepted(configured) => configured,
        ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
    }
}

fn problems(request: &ConfigureRequest) -> Vec<String> {
    match configure::<SftpPlugin>(request) {
        ConfigureAnswer::Refused { problems } => problems.into_iter().map(|problem| problem.message).collect(),
        ConfigureAnswer::Accepted(configured) => panic!("{configured:?}"),
    }
}

fn table(values: &[(&str, &str)]) -> ConfigureRequest {
    values.iter().fold(ConfigureRequest::new(), |request, (key, value)| request.with_value(*key, *value, "a.yml:3"))
}

fn place(configured: &Configured, db: &str) -> String {
    let location = Location::try_from(&configured.location).unwrap();
    SftpPlugin::resolve(&location, &DbPath::parse(db).unwrap()).unwrap().to_string()
}

fn shown(configured: &Configured, key: &str) -> Option<String> {
    configured.shown.get(key).map(|shown| shown.value.as_str().map_or(shown.value.to_string(), str::to_owned))
}

/// The table of the plugin contract, section 2.
#[test]
fn a_path_is_relative_to_the_login_directory_and_a_url_absolute() {
    let by_path = |path| accepted(&table(&[("host", "h"), ("user", "u"), ("path", path)]));
    let by_url = |url| accepted(&ConfigureRequest::new().with_url(url));
    for (configured, db, expected) in [
        (by_path("data"), "x.db", "data/x.db"),
        (by_path("/srv//re p/."), "team/a b.db", "/srv/re p/team/a b.db"),
        (by_path(""), "x.db", "x.db"),
        (by_url("sftp://u@h/data"), "x.db", "/data/x.db"),
        (by_url("sftp://u@h:2222/re%20p/"), "c%d.db", "/re p/c%d.db"),
        (by_url("sftp://u@h/data/x.db"), "", "/data/x.db"),
        (by_url("sftp://u@h"), "x.db", "x.db"),
    ] {
        assert_eq!(place(&configured, db), expected);
    }
    let location = Location::try_from(&by_path("data").location).unwrap();
    assert!(SftpPlugin::resolve(&location, &DbPath::parse(b"\xff.db").unwrap()).is_err());
}

#[test]
fn a_url_names_server_user_password_and_keys() {
    let url = "sftp://us%40er:p%3Aw@h.example:2222/data?keyPath=/k&host-key=x&concurrentWrites=false";
    let configured = accepted(&ConfigureRequest::new().with_url(url).with_value("host-key", KEY, "a.yml:1"));
    for (key, value) in [
        ("host", "h.example:2222"),
        ("user", "us@er"),
        ("password", "<secret>"),
        ("path", "/data"),
        ("key-path", "/k"),
        ("host-key", KEY),
        ("concurrent-writes", "false"),
    ] {
        assert_eq!(shown(&configured, key).as_deref(), Some(value), "{key}");
    }
    assert!(!format!("{configured:?}").contains("p:w"), "{configured:?}");
    let over = ConfigureRequest::new().with_url("sftp://u@h/x").with_value("user", "other", "a.yml:1");
    assert_eq!(shown(&accepted(&over), "user").as_deref(), Some("other"), "the table wins over the url");
}

#[test]
fn a_restore_by_url_takes_credentials_from_the_environment() {
    let request = ConfigureRequest::new()
        .with_url("sftp://u@h/data/x.db")
        .with_env("LITESTREAM_SFTP_PASSWORD", "hunter2")
        .with_env("LITESTREAM_SFTP_KEY_PATH", "/k")
        .with_env("LITESTREAM_SFTP_HOST_KEY", KEY);
    let configured = accepted(&request);
    assert_eq!(shown(&configured, "password").as_deref(), Some("<secret>"));
    assert_eq!(shown(&configured, "key-path").as_deref(), Some("/k"));
    assert!(configured.warnings.is_empty(), "{:?}", configured.warnings);
    assert!(!format!("{configured:?}").contains("hunter2"));
}

#[test]
fn what_nobody_can_log_in_with_is_refused() {
    assert_eq!(problems(&table(&[])), ["host required for sftp replica", "user required for sftp replica"]);
    assert_eq!(problems(&table(&[("host", "h")])), ["user required for sftp replica"]);
    assert_eq!(problems(&ConfigureRequest::new().with_url("sftp://u@/x")), ["host required for sftp replica"]);
    let both = ConfigureRequest::new().with_url("sftp://u@h/x");
    let path = both.clone().with_value("path", "/y", "a.yml:3");
    assert_eq!(problems(&path), ["cannot specify url & path for sftp replica"]);
    let host = both.clone().with_value("host", "h", "a.yml:3");
    assert_eq!(problems(&host), ["cannot specify url & host for sftp replica"]);
    let base = [("host", "h"), ("user", "u")];
    for (key, value, problem) in [
        ("host", "h:x", "expected a host, or host:port"),
        ("host-key", "AAAA", "expected a public key such as `ssh-ed25519 AAAA...`"),
        ("concurrent-writes", "perhaps", "expected true or false"),
    ] {
        let mut values = base.to_vec();
        values.retain(|(known, _)| *known != key);
        values.push((key, value));
        assert_eq!(problems(&table(&values)), [problem]);
    }
    let mut values = base.to_vec();
    values.push(("path", "a/../b"));
    assert_eq!(problems(&table(&values)).len(), 1, "a path that leads out of its base");
    values[2] = ("keypath", "/k");
    assert_eq!(problems(&table(&values)), ["unknown key; did you mean `key-path`?"]);
    let unknown = ConfigureRequest::new().with_url("sftp://u@h/x?password=hunter2");
    let answer = problems(&unknown);
    assert!(answer[0].contains("a secret") && !answer[0].contains("hunter2"), "{answer:?}");
}

#[test]
fn a_server_that_is_not_verified_is_warned_of() {
    let plain = table(&[("host", "h"), ("user", "u")]);
    let warnings = accepted(&plain).warnings;
    assert!(matches!(warnings.as_slice(), [one] if one.starts_with("sftp host key not verified")), "{warnings:?}");
    for (key, value) in [("host-key", KEY), ("known-hosts", "~/.ssh/known_hosts")] {
        assert!(accepted(&plain.clone().with_value(key, value, "a.yml:3")).warnings.is_empty(), "{key}");
    }
}

#[test]
fn directories_on_one_server_share_its_connections() {
    let pool = |values: &[(&str, &str)]| accepted(&table(values)).pool;
    let one = pool(&[("host", "h"), ("user", "u"), ("path", "a")]);
    assert_eq!(one, pool(&[("host", "h"), ("user", "u"), ("path", "/b")]));
    assert_ne!(one, pool(&[("host", "h"), ("user", "v"), ("path", "a")]));
}
