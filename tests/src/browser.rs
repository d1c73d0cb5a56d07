//! A real browser: Chromium, without a window.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, error::CmdError, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::guest::unpacked;

/// How long something may take to become so on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// Chromium with a page, driven over `WebDriver`, until it is dropped.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    runtime: Runtime,
    _driver: Driver,
    _profile: TempDir,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// With `prefers-color-scheme: dark`.
    pub dark: bool,
}

/// A key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// What can be used next has the focus.
    Tab,
    /// Does what has the focus.
    Enter,
    /// The next choice.
    Down,
}

impl Browser {
    /// Starts it in this thread's network namespace.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let (driver, port) = driver();
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(&profile));
        let client = runtime.block_on(builder.connect(&format!("http://127.0.0.1:{port}")));
        let client = client.expect("Chromium starts (`chromium` and `chromium-driver` in Debian)");
        Self { client, runtime, _driver: driver, _profile: profile }
    }

    /// Opens a page.
    ///
    /// # Panics
    /// If it cannot be had.
    pub fn open(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).expect("the page opens");
    }

    /// Runs the body of a function in the page.
    ///
    /// # Panics
    /// If it throws.
    pub fn script(&self, body: &str) -> Value {
        self.runtime.block_on(self.client.execute(body, Vec::new())).unwrap_or_else(|error| panic!("{body}: {error}"))
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Panics
    /// If it does not become so.
    pub fn await_true(&self, expression: &str) {
        let end = Instant::now() + LIMIT;
        while self.script(&format!("return Boolean({expression})")) != Value::Bool(true) {
            assert!(Instant::now() < end, "it does not become true: {expression}\n{}", self.text("body"));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses a key and lets go of it.
    pub fn press(&self, key: Key) {
        let (name, code, text) = match key {
            Key::Tab => ("Tab", 9, ""),
            Key::Enter => ("Enter", 13, "\r"),
            Key::Down => ("ArrowDown", 40, ""),
        };
        for kind in [if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "keyUp"] {
            let event = json!({ "type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text });
            self.devtools("Input.dispatchKeyEvent", &event);
        }
    }

    /// Types a text where the focus is.
    pub fn type_in(&self, text: &str) {
        self.devtools("Input.insertText", &json!({ "text": text }));
    }

    /// The text that people see of the element with this CSS selector.
    pub fn text(&self, selector: &str) -> String {
        let text = self.script(&format!("return document.querySelector({})?.innerText", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Looks at the page in this way from now on.
    pub fn look(&self, look: Look) {
        let Look { width, height, dark } = look;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Keeps a picture of the whole page under `target/screenshots`.
    ///
    /// # Panics
    /// If it cannot be kept.
    pub fn picture(&self, name: &str) {
        let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/screenshots"));
        fs::create_dir_all(&directory).expect("a directory");
        self.picture_to(&directory.join(format!("{name}.png")));
    }

    /// Keeps a picture of the whole page in this file.
    ///
    /// # Panics
    /// If it cannot be kept.
    pub fn picture_to(&self, file: &Path) {
        let height = self.script("return document.documentElement.scrollHeight");
        // Without the place of a scroll bar, of which a picture has none.
        let width = self.script("return window.innerWidth");
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let taken = self.devtools(
            "Page.captureScreenshot",
            &json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }),
        );
        fs::write(file, decode(taken["data"].as_str().expect("a picture"))).expect("a file");
    }

    /// What axe-core finds of the page that keeps people from using it, or cannot tell: each with the rule and the element.
    /// Where text stands on a chart, it cannot tell the contrast.
    ///
    /// # Panics
    /// If `cargo xtask setup` did not fetch axe-core.
    pub fn barriers(&self) -> Vec<String> {
        let axe = unpacked("axe/axe_playwright_python", "axe.min.js");
        let axe = fs::read_to_string(axe).expect("axe-core is there\nhint: `cargo xtask setup`");
        self.script(&axe);
        let found = self.script(
            "return axe.run(document, { resultTypes: ['violations', 'incomplete'] }).then((found) =>
               [...found.violations, ...found.incomplete.filter((rule) => rule.id !== 'color-contrast')].flatMap((rule) => rule.nodes.map((node) =>
                 `${rule.id}: ${rule.help}: ${node.html}: ${node.failureSummary}`)))",
        );
        let found = found.as_array().expect("a list").iter();
        found.map(|barrier| barrier.as_str().expect("a text").to_owned()).collect()
    }

    /// What the page wrote to the console since this was last asked, what the browser complains of too.
    pub fn console(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "browser" }));
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// A command of Chromium's own protocol.
    pub fn devtools(&self, method: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": method, "params": parameters }))
    }

    fn command(&self, path: &'static str, body: Value) -> Value {
        let answer: Result<Value, CmdError> = self.runtime.block_on(self.client.issue_cmd(Extension { path, body }));
        answer.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser; it may have ended by itself.
        let _ = self.runtime.block_on(self.client.clone().close());
    }
}

/// What drives the browser, until it is dropped.
#[derive(Debug)]
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that `WebDriver` leaves to browsers.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

/// Starts the driver on a port of its own choice.
fn driver() -> (Driver, u16) {
    let mut command = Command::new("chromedriver");
    let spawned = command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut driver = Driver(spawned.expect("`chromedriver` starts (`chromium-driver` in Debian)"));
    let mut lines = BufReader::new(driver.0.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let port = lines.find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
    // What it says further is read, or it would stand still one day.
    thread::spawn(move || lines.for_each(drop));
    (driver, port.expect("the driver says its port"))
}

fn capabilities(profile: &TempDir) -> serde_json::Map<String, Value> {
    let directory = format!("--user-data-dir={}", profile.path().display());
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        &directory,
    ];
    let Value::Object(capabilities) = json!({
        "browserName": "chrome",
        "acceptInsecureCerts": true,
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL" },
    }) else {
        unreachable!("it is written as an object")
    };
    capabilities
}

/// Base64, as the picture comes in.
fn decode(text: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(text).expect("base64")
}
