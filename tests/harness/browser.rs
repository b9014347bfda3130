//! A person at a browser: opens pages, reads, types and clicks. Chromium without a screen, by WebDriver.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use litestream_test_servers::{Server, chromedriver};
use serde_json::{Value, json};

use super::{eventually, exchange_with};

/// The key of an element in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One window. Closed, with everything it left on disk, when dropped.
pub struct Browser {
    driver: Server,
    session: String,
}

impl Browser {
    /// `None`, loudly, where no browser is installed.
    pub fn open() -> Option<Self> {
        let driver = chromedriver()?;
        // The pipe: if this process dies, the browser sees the end of it. Shared memory is small in containers.
        let mut args = vec!["--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage"];
        args.extend([
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
            "--disable-breakpad",
            "--disable-crash-reporter",
            "--force-color-profile=srgb",
        ]);
        // Root and many containers cannot have Chromium's sandbox. It loads our own page and nothing else.
        args.push("--no-sandbox");
        let options = json!({ "args": args });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let answer = request(&driver, "POST", "/session", Some(&wanted)).unwrap_or_else(|error| panic!("{error}"));
        let session = answer["sessionId"].as_str().unwrap().to_owned();
        Some(Self { driver, session })
    }

    /// Loads a page, and waits until it is there.
    pub fn go(&self, url: &str) {
        self.must("POST", "url", &json!({ "url": url }));
    }

    /// Where it is now.
    pub fn url(&self) -> String {
        self.must("GET", "url", &Value::Null).as_str().unwrap().to_owned()
    }

    /// What an element shows.
    pub fn text(&self, css: &str) -> String {
        self.on(css, "GET", "text").as_str().unwrap().to_owned()
    }

    /// Clicks on it, and waits for the page this leads to.
    pub fn click(&self, css: &str) {
        self.on(css, "POST", "click");
    }

    /// Types into it.
    pub fn write(&self, css: &str, text: &str) {
        let element = self.find(css).unwrap_or_else(|error| panic!("{error}"));
        self.must("POST", &format!("element/{element}/value"), &json!({ "text": text }));
    }

    /// The value of a JavaScript expression. Only to look at the page.
    pub fn evaluate(&self, expression: &str) -> Value {
        self.must("POST", "execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    /// Makes the window so wide, in the pixels that pages reckon with, as a phone or as a desktop has it.
    pub fn resize(&self, width: u32, height: u32, is_phone: bool) {
        let metrics = json!({ "width": width, "height": height, "mobile": is_phone, "deviceScaleFactor": if is_phone { 2 } else { 1 } });
        self.must(
            "POST",
            "goog/cdp/execute",
            &json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics }),
        );
    }

    /// The window as a PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(self.must("GET", "screenshot", &Value::Null).as_str().unwrap()).unwrap()
    }

    /// Finds an element and does something with it, again if the page was loaded anew in between.
    fn on(&self, css: &str, method: &str, action: &str) -> Value {
        eventually(css, || {
            let element = self.find(css).ok()?;
            let body = if method == "POST" { json!({}) } else { Value::Null };
            self.ask(method, &format!("element/{element}/{action}"), &body).ok()
        })
    }

    fn find(&self, css: &str) -> Result<String, String> {
        let found = self.ask("POST", "element", &json!({ "using": "css selector", "value": css }))?;
        Ok(found[ELEMENT].as_str().unwrap().to_owned())
    }

    fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = Some(body).filter(|body| !body.is_null());
        request(&self.driver, method, &format!("/session/{}/{path}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver waits for the browser's end; what is left then goes with the driver.
        let _ = request(&self.driver, "DELETE", &format!("/session/{}", self.session), None);
    }
}

fn request(driver: &Server, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
    let body = body.map_or_else(String::new, Value::to_string);
    let (_, answer) = exchange_with(driver.port(), &format!("{method} {path}"), &body);
    let mut answer: Value = serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?;
    match answer["value"]["error"].as_str() {
        Some(error) => Err(format!("{error}: {}\n{}", answer["value"]["message"], driver.log())),
        None => Ok(answer["value"].take()),
    }
}
