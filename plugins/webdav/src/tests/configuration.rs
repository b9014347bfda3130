//! Keys, URLs, the environment, and what is refused.

use litestream_sdk::configure::configure;
use litestream_sdk::describe::{ConfigureAnswer, ConfigureRequest, Configured};
use litestream_sdk::{DbPath, Location, Plugin};

use crate::WebdavPlugin;

fn accepted(request: &ConfigureRequest) -> Configured {
    match configure::<WebdavPlugin>(request) {
        ConfigureAnswer::Accepted(configured) => configured,
        ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
    }
}

fn problems(request: &ConfigureRequest) -> Vec<String> {
    match configure::<WebdavPlugin>(request) {
        ConfigureAnswer::Refused { problems } => problems.into_iter().map(|problem| problem.message).collect(),
        ConfigureAnswer::Accepted(configured) => panic!("{configured:?}"),
    }
}

fn place(configured: &Configured, db: &str) -> String {
    let location = Location::try_from(&configured.location).unwrap();
    WebdavPlugin::resolve(&location, &DbPath::parse(db).unwrap()).unwrap().to_string()
}

fn shown(configured: &Configured, key: &str) -> Option<String> {
    configured.shown.get(key).and_then(|shown| shown.value.as_str()).map(str::to_owned)
}

/// The table of the plugin contract, section 2: path and URL name the same place.
#[test]
fn places_lie_below_the_address() {
    let table = |path| {
        let request = ConfigureRequest::new().with_value("webdav-url", "https://h/dav/", "a.yml:3");
        accepted(&request.with_value("path", path, "a.yml:4"))
    };
    let url = |url| accepted(&ConfigureRequest::new().with_url(url));
    for (configured, db, expected) in [
        (table("p"), "x.db", "p/x.db"),
        (table("/p//q/"), "team/a b.db", "p/q/team/a b.db"),
        (table(""), "x.db", "x.db"),
        (url("webdavs://h/p"), "x.db", "p/x.db"),
        (url("webdavs://h/re%20p/c%25d.db"), "", "re p/c%d.db"),
        (url("webdav://h"), "x.db", "x.db"),
    ] {
        assert_eq!(place(&configured, db), expected);
    }
}

#[test]
fn a_url_names_server_and_login() {
    for (url, address) in
        [("webdav://us%40er:p%3Aw@h:8080/p", "http://h:8080"), ("webdavs://us%40er:p%3Aw@h/p", "https://h")]
    {
        let configured = accepted(&ConfigureRequest::new().with_url(url));
        assert_eq!(shown(&configured, "webdav-url").as_deref(), Some(address));
        assert_eq!(shown(&configured, "webdav-username").as_deref(), Some("us@er"));
        assert_eq!(shown(&configured, "webdav-password").as_deref(), Some("<secret>"));
        assert!(!format!("{configured:?}").contains("p:w"), "{configured:?}");
    }
    let request = ConfigureRequest::new().with_url("webdavs://h/p/x.db");
    let request = request.with_env("LITESTREAM_WEBDAV_USERNAME", "u").with_env("LITESTREAM_WEBDAV_PASSWORD", "hunter2");
    let configured = accepted(&request);
    assert_eq!(shown(&configured, "webdav-username").as_deref(), Some("u"));
    assert_eq!(shown(&configured, "webdav-password").as_deref(), Some("<secret>"));
}

#[test]
fn what_names_no_server_is_refused() {
    let address = |address: &str| ConfigureRequest::new().with_value("webdav-url", address, "a.yml:3");
    assert_eq!(problems(&ConfigureRequest::new()), ["webdav-url required for webdav replica"]);
    assert_eq!(problems(&ConfigureRequest::new().with_url("webdav:///p")), ["webdav-url required for webdav replica"]);
    let both = address("http://h").clone();
    assert_eq!(problems(&both.with_url("webdav://h/p")), ["cannot specify url & webdav-url for webdav replica"]);
    let path = ConfigureRequest::new().with_url("webdav://h/p").with_value("path", "q", "a.yml:3");
    assert_eq!(problems(&path), ["cannot specify url & path for webdav replica"]);
    for (text, problem) in [
        ("ftp://h", "expected an address that begins with http:// or https://"),
        ("h", "expected an address such as https://dav.example.com/files"),
        ("http://h/?x=y", "expected an address without `?` and `#`"),
        ("http://u:hunter2@h/", "put the name into `webdav-username` and the password into `webdav-password`"),
    ] {
        assert_eq!(problems(&address(text)), [problem]);
    }
    let typo = address("http://h").with_value("webdav-user", "u", "a.yml:4");
    assert_eq!(problems(&typo).len(), 1);
}

#[test]
fn directories_on_one_server_share_its_connections() {
    let pool = |url: &str| accepted(&ConfigureRequest::new().with_url(url)).pool;
    assert_eq!(pool("webdav://u:p@h/a"), pool("webdav://u:p@h/b"));
    assert_ne!(pool("webdav://u:p@h/a"), pool("webdav://v:p@h/a"));
}
