//! The form, in a real browser.

use crate::stage::{ANNA, BERT, SOON, Stage};
use cid_testkit::wait_until;
use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use thirtyfour::{
    By, DesiredCapabilities, WebDriver, common::capabilities::chromium::ChromiumLikeCapabilities,
    error::WebDriverResult,
};

const DRIVER: &str = "/usr/bin/chromedriver";
const FLAGS: [&str; 9] = [
    "--headless",
    // The tests may run as root, in a container.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// chromedriver, ended when dropped.
pub struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    pub fn start(port: u16) -> Self {
        let child = Command::new(DRIVER)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let driver = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        wait_until("chromedriver", SOON, || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .unwrap();
        driver
    }

    pub async fn browser(
        &self,
        profile: &Path,
        language: &str,
        more: &[&str],
    ) -> WebDriverResult<WebDriver> {
        let mut wanted = DesiredCapabilities::chrome();
        for flag in FLAGS.iter().chain(more) {
            wanted.add_arg(flag)?;
        }
        wanted.add_arg(&format!("--accept-lang={language}"))?;
        wanted.add_arg(&format!("--user-data-dir={}", profile.display()))?;
        WebDriver::new(&self.url, wanted).await
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_form_makes_a_workspace() {
    let stage = Stage::hello();
    in_browser(&stage, async |browser, stage| {
        browser.goto(front(stage)).await?;
        fill(&browser, ANNA).await?;
        let href = async || {
            browser
                .find(By::Id("workspace-url"))
                .await?
                .attr("href")
                .await
        };
        let url = eventually(href).await?.unwrap_or_default();
        assert_eq!(url, stage.show(ANNA).text("url"));
        screenshot(&browser, "ready").await?;
        browser.goto(&url).await?;
        let body = browser.find(By::Tag("body")).await?.text().await?;
        assert!(body.contains("hello from anna---example-com"), "{body}");

        browser.goto(front(stage)).await?;
        let row = browser.find(By::Css("#workspaces tbody tr")).await?;
        assert_eq!(row.attr("data-email").await?.as_deref(), Some(ANNA));
        // Asked again, the form leads to what is there.
        fill(&browser, ANNA).await?;
        assert_eq!(eventually(href).await?, Some(url));
        screenshot(&browser, "list").await
    });
}

#[test]
fn the_form_says_what_is_wrong_with_an_address() {
    let stage = Stage::hello();
    let before = stage.snapshot();
    in_browser(&stage, async |browser, stage| {
        browser.goto(front(stage)).await?;
        fill(&browser, "../../etc@example.com").await?;
        let error =
            eventually(async || browser.find(By::Id("email-error")).await?.text().await).await?;
        assert!(!error.is_empty());
        Ok(())
    });
    stage.assert_same(&before);
}

#[test]
fn a_failed_job_is_explained() {
    let tree = cid_testkit::Tree::hello().with("Procfile", "web: echo it broke; exit 1\n");
    let stage = Stage::of(&tree, "[app]\nhealth.timeout = \"4s\"\n");
    let before = stage.snapshot();
    in_browser(&stage, async |browser, stage| {
        browser.goto(front(stage)).await?;
        fill(&browser, BERT).await?;
        let output =
            eventually(async || browser.find(By::Id("failure-output")).await?.text().await).await?;
        assert!(output.contains("cictl jobs show"), "{output}");
        let page = browser.find(By::Css("main")).await?.text().await?;
        assert!(
            page.contains("Cannot keep the process web running"),
            "{page}"
        );
        assert!(!page.contains("it broke"), "an app's log: {page}");
        screenshot(&browser, "failed").await
    });
    stage.assert_same(&before);
}

#[test]
fn many_who_watch_keep_nobody_out() {
    let tree =
        cid_testkit::Tree::hello().with("Procfile", "release: sleep 20\nweb: python3 app.py\n");
    let stage = Stage::of(&tree, "");
    stage.cictl_ends(0, &["create", ANNA, "--no-wait"]);
    let id = stage.newest_job()["id"].as_str().unwrap().to_owned();
    let request = format!("GET /jobs/{id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let watching: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", stage.sandbox.http_port())).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let front = stage.sandbox.get("localhost", "/").unwrap();
    assert_eq!(front.status, 200, "{}", front.body);
    // They did watch, all the time.
    assert_eq!(stage.newest_job()["state"], "running");
    drop(watching);
    stage.cictl_ends(0, &["jobs", "cancel", &id]);
}

#[test]
fn a_form_on_another_site_is_refused() {
    let stage = Stage::hello();
    let before = stage.snapshot();
    let mut request = stage.sandbox.request("localhost", "/workspaces");
    request.origin = Some("http://evil.example");
    let refused = request.post_form(&[("email", ANNA)]).unwrap();
    assert_eq!(refused.status, 403, "{}", refused.body);
    stage.assert_same(&before);
}

/// Looks again and again: a page that follows a job puts new elements in place of those found.
pub async fn eventually<T>(look: impl AsyncFn() -> WebDriverResult<T>) -> WebDriverResult<T> {
    let begin = Instant::now();
    loop {
        match look().await {
            Err(_) if begin.elapsed() < SOON => tokio::time::sleep(TICK).await,
            seen => return seen,
        }
    }
}

const TICK: Duration = Duration::from_millis(200);

pub fn front(stage: &Stage) -> String {
    format!("http://localhost:{}/", stage.sandbox.http_port())
}

async fn fill(browser: &WebDriver, email: &str) -> WebDriverResult<()> {
    let field = browser.find(By::Id("email")).await?;
    field.clear().await?;
    field.send_keys(email).await?;
    browser.find(By::Id("create")).await?.click().await
}

/// Where a person can look at what the browser saw.
pub async fn screenshot(browser: &WebDriver, name: &str) -> WebDriverResult<()> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    fs::create_dir_all(&dir).unwrap();
    browser.screenshot(&dir.join(format!("{name}.png"))).await
}

fn in_browser(stage: &Stage, visit: impl AsyncFnOnce(WebDriver, &Stage) -> WebDriverResult<()>) {
    in_browser_of(stage, "en", visit);
}

/// In a browser that likes this language best.
pub fn in_browser_of(
    stage: &Stage,
    language: &str,
    visit: impl AsyncFnOnce(WebDriver, &Stage) -> WebDriverResult<()>,
) {
    let driver = Driver::start(stage.sandbox.ports().other());
    let profile = stage
        .sandbox
        .home()
        .unwrap()
        .join(format!("browser-{language}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let browser = driver.browser(&profile, language, &[]).await.unwrap();
        let visited = visit(browser.clone(), stage).await;
        if visited.is_err() {
            let _ = screenshot(&browser, "error").await;
            eprintln!("{}", browser.source().await.unwrap_or_default());
        }
        browser.quit().await.unwrap();
        visited.unwrap();
    });
}
