//! Pushes to a workspace's branch, as a person and a git server make them, and the first answer that shows one.

use super::{poll::rest, quiet_disk};
use crate::build;
use anyhow::{Context, Result, bail};
use cid_testkit::{GitServer, Sandbox, git};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

/// What the pushes change.
const PAGE: &str = "entries/templates/entries/index.html";
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks at a page. The present instance answers these until the switch, and is not to be kept busy.
const PAUSE: Duration = Duration::from_millis(10);

/// A person's clone of the workspace's branch, and the hook that tells cid of pushes.
pub(super) struct Pushes {
    clone: PathBuf,
    pub(super) branch: String,
    host: String,
    /// The page as it was.
    page: String,
}

impl Pushes {
    /// With a hook as docs/delivery.md has it, which has cid look at this project.
    pub(super) fn new(
        sandbox: &Sandbox,
        (project, email): (&str, &str),
        home: &Path,
        server: &GitServer,
    ) -> Result<Self> {
        let shown = sandbox.json(&["show", email])?;
        let text = |key: &str| shown[key].as_str().with_context(|| format!("no {key}"));
        let branch = text("branch")?.to_owned();
        let url = text("url")?.trim_start_matches("http://");
        let host = url.split([':', '/']).next().unwrap_or_default().to_owned();
        let clone = home.join("clone");
        fs::create_dir(&clone)?;
        let args = ["clone", "--quiet", "--branch", &branch, &server.url, "."];
        git(&clone, &args)?.ok()?;
        let page = fs::read_to_string(clone.join(PAGE))?;
        let cictl = sandbox.cictl_command();
        let words = std::iter::once(cictl.get_program()).chain(cictl.get_args());
        let words = words.map(|word| format!("'{}'", Path::new(word).display()));
        let cictl = words.collect::<Vec<_>>().join(" ");
        let hooks = server.path().join("hooks");
        fs::create_dir_all(&hooks)?;
        let hook = hooks.join("post-receive");
        let text =
            format!("#!/bin/sh\n{cictl} project fetch {project} </dev/null >/dev/null 2>&1 &\n");
        fs::write(&hook, text)?;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))?;
        Ok(Self {
            clone,
            branch,
            host,
            page,
        })
    }

    /// From the beginning of `git push` to the first answer with this title.
    pub(super) fn push(&self, sandbox: &Sandbox, title: &str) -> Result<f64> {
        let page = self.page.replace("Guest book", title);
        fs::write(self.clone.join(PAGE), page)?;
        git(&self.clone, &["commit", "--quiet", "--all", "-m", title])?.ok()?;
        let mut push = Command::new("git");
        push.arg("-C")
            .arg(&self.clone)
            .args(["push", "--quiet", "origin", &self.branch])
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        quiet_disk();
        let start = Instant::now();
        build::check(&mut push)?;
        let took = first_answer(sandbox, &self.host, title, start)?;
        rest(sandbox)?;
        Ok(took)
    }
}

/// Seconds since `start` at the first answer that holds this text.
pub(super) fn first_answer(
    sandbox: &Sandbox,
    host: &str,
    text: &str,
    start: Instant,
) -> Result<f64> {
    while start.elapsed() < LIMIT {
        let answer = sandbox.get(host, "/");
        if answer.is_ok_and(|answer| answer.status == 200 && answer.body.contains(text)) {
            return Ok(start.elapsed().as_secs_f64());
        }
        sleep(PAUSE);
    }
    bail!("{host} did not show {text:?} within {} s", LIMIT.as_secs())
}
