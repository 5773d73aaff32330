//! A real browser, driven over HTTP by the protocol of chromedriver.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// One browser at a time: several on one machine would measure each other.
static ONE: Mutex<()> = Mutex::new(());
/// Pages have names of their own.
static PAGES: AtomicUsize = AtomicUsize::new(0);

/// Keys, as the protocol calls them.
pub(crate) mod key {
    pub(crate) const SPACE: &str = "\u{E00D}";
    pub(crate) const END: &str = "\u{E010}";
    pub(crate) const HOME: &str = "\u{E011}";
    pub(crate) const LEFT: &str = "\u{E012}";
    pub(crate) const RIGHT: &str = "\u{E014}";
    pub(crate) const ENTER: &str = "\u{E007}";
}

/// The name under which the protocol hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub(crate) struct Browser {
    driver: Child,
    agent: ureq::Agent,
    base: String,
    _one: MutexGuard<'static, ()>,
}

/// Where chromedriver is: a directory of `PATH`.
fn chromedriver() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("chromedriver")).find(|file| file.is_file())
}

impl Browser {
    /// A browser with a window of this size. Without chromedriver there is none, and this says so; it fails if `BROWSER_REQUIRED` is set.
    pub(crate) fn start(width: usize, height: usize) -> Option<Browser> {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = chromedriver() else {
            assert!(
                std::env::var_os("BROWSER_REQUIRED").is_none(),
                "no chromedriver in PATH, and BROWSER_REQUIRED is set; on Debian, `apt-get install chromium chromium-driver` installs it"
            );
            eprintln!("NOT TESTED: no chromedriver in PATH, so the page is not opened in a browser");
            return None;
        };
        let mut driver = Command::new(&file)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{} does not start: {e}", file.display()));
        let port = port(&mut driver, &file);
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(120))).build();
        let mut browser = Browser { driver, agent: config.into(), base: format!("http://127.0.0.1:{port}"), _one: one };
        let size = format!("--window-size={width},{height}");
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", &size];
        let wanted = json!({
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        });
        let session = browser.post("/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("{} gave no session but {session}", file.display()));
        browser.base = format!("{}/session/{id}", browser.base);
        Some(browser)
    }

    fn answer(method: &str, url: &str, result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
        let mut response = result.unwrap_or_else(|e| panic!("{method} {url}: chromedriver does not answer: {e}"));
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{method} {url}: {e} in {text}"));
        let value = answer["value"].take();
        assert!(response.status().is_success(), "{method} {url}: {}: {}", value["error"], value["message"]);
        value
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.base);
        Browser::answer("POST", &url, self.agent.post(&url).content_type("application/json").send(body.to_string()))
    }

    /// Opens a page from disk; `fragment` stands at the end of its address.
    pub(crate) fn open(&self, page: &str, fragment: &str) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page{}.html", PAGES.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&file, page).unwrap();
        self.post("/url", &json!({ "url": format!("file://{}{fragment}", file.display()) }));
        std::fs::remove_file(&file).unwrap();
    }

    /// What a piece of JavaScript returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.with(script, &[])
    }

    /// The same with arguments.
    pub(crate) fn with(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    pub(crate) fn text(&self, css: &str) -> String {
        let text = self.with("return document.querySelector(arguments[0])?.textContent ?? null", &[css.into()]);
        text.as_str().unwrap_or_else(|| panic!("nothing is at {css}")).to_owned()
    }

    fn element(&self, css: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": css }));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("nothing is at {css}")).to_owned()
    }

    pub(crate) fn click(&self, css: &str) {
        self.post(&format!("/element/{}/click", self.element(css)), &json!({}));
    }

    /// Types into an element in the place of what stands there.
    pub(crate) fn write(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses a key, wherever the focus is.
    pub(crate) fn press(&self, key: &str) {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }));
    }

    /// Shows the page as a screen of this size would, light or dark.
    pub(crate) fn show_on(&self, width: u32, height: u32, is_dark: bool) {
        let cdp = |command: &str, parameters: Value| self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
        cdp("Emulation.setDeviceMetricsOverride", json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }));
        let scheme = if is_dark { "dark" } else { "light" };
        cdp("Emulation.setEmulatedMedia", json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }));
    }

    /// What is seen, as PNG.
    pub(crate) fn screenshot(&self) -> Vec<u8> {
        let url = format!("{}/screenshot", self.base);
        let shot = Browser::answer("GET", &url, self.agent.get(&url).call());
        let digits = shot.as_str().unwrap().bytes().filter_map(|c| match c {
            b'A'..=b'Z' => Some(c - b'A'),
            b'a'..=b'z' => Some(c - b'a' + 26),
            b'0'..=b'9' => Some(c - b'0' + 52),
            b'+' => Some(62),
            b'/' => Some(63),
            _ => None,
        });
        // Four digits of base 64 are three bytes.
        let (mut bytes, mut bits, mut buffer) = (Vec::new(), 0, 0u32);
        for digit in digits {
            buffer = buffer << 6 | u32::from(digit);
            bits += 6;
            if bits >= 8 {
                bits -= 8;
                bytes.push((buffer >> bits) as u8);
                buffer &= (1 << bits) - 1;
            }
        }
        bytes
    }

    /// Waits until a condition in JavaScript holds.
    pub(crate) fn wait(&self, condition: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.run(&format!("return !!({condition})")) != true {
            assert!(Instant::now() < end, "still not: {condition}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Fails if anything was written to the console of the page.
    pub(crate) fn assert_silent(&self) {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        assert_eq!(log.as_array().map(Vec::len), Some(0), "{log}");
    }
}

/// The port on which chromedriver says that it listens.
fn port(driver: &mut Child, file: &Path) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in &mut lines {
        if let Some((_, rest)) = line.split_once("started successfully on port ") {
            let port = rest.trim_end_matches('.').parse().unwrap();
            // What it says later is read, so that it never waits for a reader.
            std::thread::spawn(move || lines.for_each(drop));
            return port;
        }
        said.push(line);
    }
    panic!("{} ended before it listened; it said: {}", file.display(), said.join("\n"));
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A browser that is gone already is no failure of a test.
        let _ = self.agent.delete(&self.base).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
