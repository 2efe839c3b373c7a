//! How the front's pages look, with a made-up daemon behind them: each page on a desk and on a phone, light and dark,
//! in both languages, judged by axe-core.

use crate::{
    stage::SOON,
    web::{Driver, screenshot},
};
use cid_testkit::{Block, binaries, run, skip, wait_until};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use thirtyfour::{Cookie, WebDriver, error::WebDriverResult};

/// Its licence is not the project's: it is fetched for the test, and never part of anything.
const AXE: &str = "axe-core@4.10.3";
const AXE_SHA256: &str = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292";

/// Names of screenshots, paths, and whose session: `root` is an administrator.
const PAGES: [(&str, &str, &str); 20] = [
    ("open", "/", ""),
    ("sign-in", "/sign-in", ""),
    ("sign-in-link", "/sign-in/token", ""),
    ("start", "/", "anna"),
    ("start-root", "/", "root"),
    ("workspace", "/workspaces/pressa/anna@example.com", "anna"),
    (
        "delete",
        "/workspaces/pressa/anna@example.com/delete",
        "anna",
    ),
    ("job-running", "/jobs/running", "root"),
    ("job-failed", "/jobs/failed", "root"),
    ("job-stuck", "/jobs/stuck", "root"),
    ("delivery", "/projects/pressa", "root"),
    ("build", "/projects/pressa/builds/10", "root"),
    (
        "promote",
        "/projects/pressa/stages/production/promote",
        "root",
    ),
    (
        "rollback",
        "/projects/pressa/stages/production/rollback",
        "root",
    ),
    ("admin", "/admin", "root"),
    ("admin-jobs", "/admin/jobs", "root"),
    ("admin-people", "/admin/people", "root"),
    ("admin-audit", "/admin/audit", "root"),
    ("admin-health", "/admin/health", "root"),
    ("missing", "/nothing", "anna"),
];

/// The front's preview, ended when dropped.
struct Preview(Child);

impl Drop for Preview {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// axe-core's script, out of a package that is fetched once. `None`: it cannot be had here.
fn axe() -> Option<String> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()?
        .join("tools");
    let folder = tools.join(AXE);
    let script = folder.join("package/axe.min.js");
    if !script.is_file() {
        fs::create_dir_all(&folder).unwrap();
        let mut fetch = Command::new("npm");
        fetch.args(["pack", "--silent", AXE]).current_dir(&folder);
        let fetched = run(&mut fetch, Duration::from_secs(120)).ok()?;
        if fetched.status != 0 {
            return None;
        }
        let package: PathBuf = folder.join(AXE.replace('@', "-") + ".tgz");
        let sum = Sha256::digest(fs::read(&package).unwrap());
        let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sum, AXE_SHA256, "{AXE} is another one than it was");
        let mut unpack = Command::new("tar");
        unpack.arg("xzf").arg(&package).current_dir(&folder);
        run(&mut unpack, Duration::from_secs(60))
            .unwrap()
            .ok()
            .unwrap();
    }
    Some(fs::read_to_string(script).unwrap())
}

/// What is seriously wrong with the page that is shown.
async fn serious(browser: &WebDriver, axe: &str) -> WebDriverResult<String> {
    browser.execute(axe, Vec::new()).await?;
    let look = "const done = arguments[arguments.length - 1]; \
        axe.run(document, { resultTypes: ['violations'] }).then((found) => done(JSON.stringify(found.violations \
        .filter((one) => one.impact === 'serious' || one.impact === 'critical') \
        .map((one) => [one.id, one.nodes.map((node) => node.target.join(' '))]))))";
    let found = browser.execute_async(look, Vec::new()).await?;
    Ok(found.json().as_str().unwrap_or("no answer").to_owned())
}

async fn show(browser: &WebDriver, front: &str, axe: &str, look: &str) -> WebDriverResult<()> {
    for (name, path, person) in PAGES {
        browser.goto(format!("{front}/static/cid.svg")).await?;
        browser.delete_all_cookies().await?;
        if !person.is_empty() {
            browser.add_cookie(Cookie::new("cid", person)).await?;
        }
        for width in [1200, 400] {
            browser.set_window_rect(0, 0, width, 900).await?;
            browser.goto(format!("{front}{path}")).await?;
            let found = serious(browser, axe).await?;
            let at = format!("{name}-{look}-{width}");
            assert_eq!(found, "[]", "{at}");
            let beyond = "return document.documentElement.scrollWidth - innerWidth";
            let beyond = browser.execute(beyond, Vec::new()).await?;
            let beyond = beyond.json().as_i64();
            assert!(
                beyond <= Some(0),
                "{at} is wider than the screen: {beyond:?}"
            );
            screenshot(browser, &at).await?;
        }
    }
    Ok(())
}

#[test]
fn no_page_is_hard_to_use_in_any_language_colour_or_width() {
    let Some(axe) = axe() else {
        skip("this needs axe-core, which npm brings");
        return;
    };
    let ports = Block::take().unwrap();
    let preview = binaries().unwrap().join("examples/preview");
    if !preview.is_file() {
        skip("this needs the front's preview: cargo build --workspace --all-targets");
        return;
    }
    let address = format!("127.0.0.1:{}", ports.http());
    let preview = Command::new(preview)
        .arg(&address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let _preview = Preview(preview.unwrap());
    wait_until("the preview", SOON, || TcpStream::connect(&address).ok()).unwrap();
    let driver = Driver::start(ports.other());
    let home = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (language, scheme) in [("en", "light"), ("ru", "dark")] {
            let look = format!("{language}-{scheme}");
            let profile = home.path().join(&look);
            let scheme = format!(
                "--blink-settings=preferredColorScheme={}",
                u8::from(scheme == "light")
            );
            let browser = driver
                .browser(&profile, language, &[&scheme])
                .await
                .unwrap();
            let shown = show(&browser, &format!("http://{address}"), &axe, &look).await;
            browser.quit().await.unwrap();
            shown.unwrap();
        }
    });
}
