//! Keys, URLs, the environment, and what is refused.

use litestream_sdk::configure::configure;
use litestream_sdk::describe::{ConfigureAnswer, ConfigureRequest, Configured};
use litestream_sdk::{DbPath, Location, Plugin};

use crate::NatsPlugin;

fn accepted(request: &ConfigureRequest) -> Configured {
    match configure::<NatsPlugin>(request) {
        ConfigureAnswer::Accepted(configured) => configured,
        ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
    }
}

fn problems(request: &ConfigureRequest) -> Vec<String> {
    match configure::<NatsPlugin>(request) {
        ConfigureAnswer::Refused { problems } => problems.into_iter().map(|problem| problem.message).collect(),
        ConfigureAnswer::Accepted(configured) => panic!("{configured:?}"),
    }
}

fn place(configured: &Configured, db: &str) -> Result<String, String> {
    let location = Location::try_from(&configured.location).unwrap();
    let place = NatsPlugin::resolve(&location, &DbPath::parse(db).unwrap());
    place.map(|place| place.to_string()).map_err(|error| error.message)
}

fn url(url: &str) -> ConfigureRequest {
    ConfigureRequest::new().with_url(url)
}

/// The table of the plugin contract, section 2.
#[test]
fn a_bucket_holds_one_database_unless_they_share_it_by_prefix() {
    let single = accepted(&url("nats://h:4222/bkt"));
    assert_eq!(place(&single, "").as_deref(), Ok(""));
    let refused = place(&single, "x.db").unwrap_err();
    assert!(refused.contains("`bkt` holds one database") && refused.contains("`x.db`"), "{refused}");
    let shared = accepted(&url("nats://h:4222/bkt").with_value("prefix", true, "a.yml:3"));
    assert_eq!(place(&shared, "x.db").as_deref(), Ok("x.db"));
    let below = accepted(&url("nats://h/bkt/tenants/?prefix=true"));
    assert_eq!(place(&below, "team/x.db").as_deref(), Ok("tenants/team/x.db"));
    let one = accepted(&url("nats://h/bkt/tenants/x%20y.db?prefix=true"));
    assert_eq!(place(&one, "").as_deref(), Ok("tenants/x y.db"));
}

#[test]
fn a_url_names_server_bucket_and_login() {
    let request = url("nats://us%40er:p%3Aw@h:4222/bkt").with_value("bucket", "other", "a.yml:3");
    let configured = accepted(&request);
    assert!(configured.pool.0.to_string().contains("\"url-bucket\":\"bkt\""), "the path of the URL wins");
    let shown = |key: &str| configured.shown.get(key).and_then(|shown| shown.value.as_str()).map(str::to_owned);
    assert_eq!(shown("username").as_deref(), Some("us@er"));
    assert_eq!(shown("password").as_deref(), Some("<secret>"));
    assert!(!format!("{configured:?}").contains("p:w"), "{configured:?}");
    let environment = url("nats://h/bkt").with_env("LITESTREAM_NATS_TOKEN", "hunter2");
    let configured = accepted(&environment);
    assert!(configured.shown.contains_key("token") && !format!("{configured:?}").contains("hunter2"), "{configured:?}");
}

#[test]
fn what_names_no_bucket_or_half_a_login_is_refused() {
    assert_eq!(problems(&ConfigureRequest::new()), ["bucket required for NATS replica"]);
    assert_eq!(problems(&url("nats://h:4222")), ["bucket required for NATS replica"]);
    assert_eq!(problems(&url("nats://h/a.b")), ["`a.b` is no bucket: letters, digits, `-` and `_` are"]);
    let half = url("nats://h/bkt").with_value("client-cert", "/c", "a.yml:3");
    let message = "client-cert and client-key must both be specified for mutual TLS authentication";
    assert_eq!(problems(&half), [message]);
    let two = url("nats://h/bkt").with_value("root-cas", serde_json::json!(["/a", "/b"]), "a.yml:3");
    assert_eq!(problems(&two), ["root-cas takes one file: put all certificates into it"]);
    let half = url("nats://h/bkt").with_value("jwt", "x", "a.yml:3");
    assert_eq!(problems(&half), ["jwt and seed must both be specified"]);
}

#[test]
fn a_path_without_effect_is_warned_of() {
    let plain = ConfigureRequest::new().with_value("bucket", "bkt", "a.yml:3");
    assert!(accepted(&plain).warnings.is_empty());
    let path = plain.with_value("path", "p", "a.yml:4");
    assert_eq!(accepted(&path).warnings.len(), 1);
    // The reference takes both, and so must we.
    assert_eq!(accepted(&url("nats://h/bkt").with_value("path", "p", "a.yml:3")).warnings.len(), 1);
    assert!(accepted(&path.with_value("prefix", "true", "a.yml:5")).warnings.is_empty());
}
