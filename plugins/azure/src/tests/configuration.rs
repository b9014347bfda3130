//! Keys, URLs, addresses: pure.

use litestream_sdk::describe::ConfigureAnswer;

use super::*;
use crate::AzureOptions;
use crate::config::endpoint;

fn parsed(request: ConfigureRequest) -> AzureOptions {
    configure::options::<AzurePlugin>(&request).unwrap_or_else(|error| panic!("{error}"))
}

fn problems(request: ConfigureRequest) -> Vec<String> {
    match configure::configure::<AzurePlugin>(&request) {
        ConfigureAnswer::Refused { problems } => problems.into_iter().map(|problem| problem.message).collect(),
        ConfigureAnswer::Accepted(_) => panic!("accepted"),
    }
}

fn url(url: &str) -> ConfigureRequest {
    ConfigureRequest::new().with_url(url)
}

#[test]
fn a_url_says_account_container_and_path() {
    for (text, account, bucket, path, address) in [
        ("abs://acct@cont/p/a.db", Some("acct"), "cont", "/p/a.db", "https://acct.blob.core.windows.net"),
        ("abs://acct@cont", Some("acct"), "cont", "", "https://acct.blob.core.windows.net"),
        ("abs://acct@cont/a%20b%2525.db", Some("acct"), "cont", "/a b%25.db", "https://acct.blob.core.windows.net"),
        (
            "abs://dev@cont/p?endpoint=http://127.0.0.1:10000/dev/",
            Some("dev"),
            "cont",
            "/p",
            "http://127.0.0.1:10000/dev",
        ),
        ("abs://cont/p?endpoint=localhost:10000/dev", None, "cont", "/p", "http://localhost:10000/dev"),
        ("abs://cont/p?endpoint=blob.example&account-name=x", Some("x"), "cont", "/p", "https://blob.example"),
    ] {
        let options = parsed(url(text).with_env("LITESTREAM_AZURE_SAS_TOKEN", "?sig=s"));
        assert_eq!((options.account_name.as_deref(), options.bucket.as_str()), (account, bucket), "{text}");
        assert_eq!((options.path.as_str(), endpoint(&options)), (path, address.to_owned()), "{text}");
    }
    assert_eq!(AzurePlugin::locate(&parsed(url("abs://a@c//p//x/"))).unwrap().base.to_string(), "p/x");
}

#[test]
fn the_table_is_stronger_than_the_url_and_the_environment_weakest() {
    let request = url("abs://acct@cont/p")
        .with_value("account-name", "other", "litestream.yml:3")
        .with_value("account-key", "dGFibGU=", "litestream.yml:4")
        .with_env("LITESTREAM_AZURE_ACCOUNT_KEY", "ZW52");
    let options = parsed(request);
    assert_eq!(options.account_name.as_deref(), Some("other"));
    assert_eq!(options.account_key.unwrap().expose(), "dGFibGU=");
}

#[test]
fn the_errors_are_the_references() {
    let table = |key: &str| url("abs://a@c/p").with_value(key, "x", "litestream.yml:3");
    assert_eq!(problems(table("path")), ["cannot specify url & path for abs replica"]);
    assert_eq!(problems(table("bucket")), ["cannot specify url & bucket for abs replica"]);
    let nothing = problems(ConfigureRequest::new());
    assert_eq!(
        nothing,
        ["bucket required for abs replica", "account name required for abs replica without an endpoint"]
    );
}

#[test]
fn credentials_that_cannot_work_are_refused_before_anything_starts() {
    let secret = "not-base64-hunter2";
    let with_key = |request: ConfigureRequest| problems(request.with_value("account-key", secret, "t")).join("\n");
    let refused = with_key(url("abs://a@c"));
    assert!(refused.contains("must be base64") && !refused.contains("hunter2"), "{refused}");
    assert!(with_key(url("abs://c?endpoint=https://x")).contains("account name required beside account-key"));
    let open_token = problems(url("abs://a@c?endpoint=http://blob.example"));
    assert!(open_token[0].contains("only over https"), "{open_token:?}");
    let in_url = problems(url("abs://a@c?account-key=hunter2&sas-token=hunter2")).join("\n");
    assert!(in_url.contains("a secret: set it in the configuration") && !in_url.contains("hunter2"), "{in_url}");
    parsed(url("abs://a@c").with_value("account-key", secret, "t").with_value("sas-token", "sig=s", "t"));
}

#[test]
fn databases_of_one_container_share_a_store() {
    let pool = |request: &ConfigureRequest| match configure::configure::<AzurePlugin>(request) {
        ConfigureAnswer::Accepted(configured) => configured.pool,
        ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
    };
    assert_eq!(pool(&url("abs://a@c/one")), pool(&url("abs://a@c/two")));
    assert_ne!(pool(&url("abs://a@c/one")), pool(&url("abs://a@d/one")));
}
