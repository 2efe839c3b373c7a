//! The floor: what the app itself takes to migrate its database and to answer once, with everything else
//! prepared.

use super::quiet_disk;
use crate::build;
use anyhow::{Context, Result, bail};
use cid_testkit::{GitServer, Process, Sandbox, end, git, http_get};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(120);

/// The app by hand: the environment that cid installed, a checkout, no cid.
pub(super) struct Floor {
    python: PathBuf,
    checkout: PathBuf,
    home: PathBuf,
    port: u16,
}

impl Floor {
    pub(super) fn new(sandbox: &Sandbox, home: &Path, server: &GitServer) -> Result<Self> {
        let first = sandbox.json(&["show", "first@example.com"])?;
        let directory = first["directory"].as_str().context("no directory")?;
        let python = ["src/.venv/bin/python", ".venv/bin/python"]
            .iter()
            .map(|path| Path::new(directory).join(path))
            .find(|path| path.exists())
            .with_context(|| format!("no environment in {directory}"))?;
        let checkout = home.join("floor");
        fs::create_dir(&checkout)?;
        git(&checkout, &["clone", "--quiet", &server.url, "."])?.ok()?;
        Ok(Self {
            python,
            checkout,
            home: home.to_owned(),
            port: sandbox.ports().other(),
        })
    }

    /// Migrates a fresh copy and starts its server until it answers once.
    pub(super) fn measure(&self, i: u8) -> Result<f64> {
        let (migrates, starts) = self.parts(i)?;
        Ok(migrates + starts)
    }

    /// The same in its two parts.
    pub(super) fn parts(&self, i: u8) -> Result<(f64, f64)> {
        let copy = self.copy(&format!("floor-{i}"))?;
        self.parts_in(&copy, "/health/")
    }

    /// The two parts as a deployment finds the app: its database has been migrated, and it has run before. What is
    /// asked for is this page.
    pub(super) fn again(&self, page: &str) -> Result<(f64, f64)> {
        let copy = self.home.join("floor-again");
        if !copy.exists() {
            self.parts_in(&self.copy("floor-again")?, page)?;
        }
        self.parts_in(&copy, page)
    }

    fn copy(&self, name: &str) -> Result<PathBuf> {
        let copy = self.home.join(name);
        build::check(Command::new("cp").arg("-a").arg(&self.checkout).arg(&copy))?;
        Ok(copy)
    }

    fn parts_in(&self, copy: &Path, page: &str) -> Result<(f64, f64)> {
        let bin = self.python.parent().context("a program without a folder")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let command = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command
                .current_dir(copy)
                .env("PATH", format!("{}:{path}", bin.display()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        quiet_disk();
        let start = Instant::now();
        build::check(command("python").args(["manage.py", "migrate", "--noinput"]))?;
        let migrated = start.elapsed().as_secs_f64();
        let address = format!("127.0.0.1:{}", self.port);
        let mut child = command("gunicorn")
            .args(["--bind", &address, "guestbook.wsgi"])
            .spawn()?;
        let answered = self.wait_for_answer(page);
        let took = start.elapsed().as_secs_f64();
        let process = i32::try_from(child.id()).ok().and_then(Process::look);
        if let Some(process) = process {
            // gunicorn's workers end with it only when it is asked to.
            std::thread::scope(|scope| {
                let reaped = scope.spawn(|| child.wait());
                end(&process, Duration::from_secs(10))?;
                reaped
                    .join()
                    .map_err(|_| anyhow::anyhow!("cannot wait for gunicorn"))??;
                Ok::<_, anyhow::Error>(())
            })?;
        }
        answered?;
        Ok((migrated, took - migrated))
    }

    fn wait_for_answer(&self, page: &str) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            let answer = http_get(self.port, "localhost", page);
            if answer.is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("the app did not answer within {} s", LIMIT.as_secs())
    }
}
