//! `cargo xtask bench`: one ratio, measured side by side in one run.
//!
//! What cid takes for a workspace is compared with the floor: what the app itself takes to migrate
//! its database and to answer once, with everything else prepared. Both go through the same disk,
//! interpreter and neighbours within seconds of each other, so that the ratio says something about
//! cid rather than about the machine.

use crate::{build, setup};
use anyhow::{Context, Result, bail};
use cid_testkit::{
    GitServer, Options, Process, Sandbox, end, examples_dir, git, guestbook_toml, http_get,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(120);

/// What `cargo xtask bench` can be told.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How many pairs to measure
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=50))]
    runs: u8,
}

/// Measures and prints.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure(setup::Purpose::Demo)?;
    let bins = build::programs(build::Profile::Release)?;
    let mut sandbox = Sandbox::prepare_with(Options {
        bins: Some(bins),
        ..Options::default()
    })?;
    let home = sandbox.home()?.to_owned();
    let server = GitServer::local(&home, "guestbook", &examples_dir().join("guestbook"))?;
    let media = home.join("media");
    fs::create_dir(&media)?;
    sandbox.write_project("guestbook", &guestbook_toml(&server.url, &media)?)?;
    sandbox.start()?;

    println!("==> the first workspace, which installs the environment");
    create(&sandbox, "first@example.com")?;
    let floor = Floor::new(&sandbox, &home, &server)?;
    println!("==> {} pairs", args.runs);
    let mut pairs = Vec::new();
    for i in 0..args.runs {
        let email = format!("user{i}@example.com");
        // Who goes first alternates, so that neither always finds the warmer machine.
        let (cid, app) = if i % 2 == 0 {
            let cid = create(&sandbox, &email)?;
            (cid, floor.measure(i)?)
        } else {
            let app = floor.measure(i)?;
            (create(&sandbox, &email)?, app)
        };
        println!(
            "    cid {:>7.3} s    floor {:>7.3} s    ratio {:.2}",
            cid,
            app,
            cid / app
        );
        pairs.push((cid, app));
    }
    report(&pairs);
    sandbox.stop()
}

fn report(pairs: &[(f64, f64)]) {
    let cid = Spread::of(pairs.iter().map(|(cid, _)| *cid));
    let floor = Spread::of(pairs.iter().map(|(_, app)| *app));
    let ratio = Spread::of(pairs.iter().map(|(cid, app)| cid / app));
    println!("\n                    min     median        max");
    for (name, spread) in [
        ("cictl create", &cid),
        ("floor", &floor),
        ("pairwise ratio", &ratio),
    ] {
        println!(
            "{name:<16}{:>7.3}    {:>7.3}    {:>7.3}",
            spread.min, spread.median, spread.max
        );
    }
    println!("\nratio of medians: {:.2}", cid.median / floor.median);
    println!(
        "spread of the floor alone, which is the machine's: {:.2}",
        floor.max / floor.min
    );
}

/// What somebody else wrote would be waited for by whoever syncs next.
fn quiet_disk() {
    nix::unistd::sync();
}

/// How long `cictl create` takes, from its start to its end.
fn create(sandbox: &Sandbox, email: &str) -> Result<f64> {
    let mut command = sandbox.cictl_command();
    quiet_disk();
    let start = Instant::now();
    // Waited for by the kernel: asking again and again would add up to a pause to each figure.
    let output = command.args(["create", email]).output()?;
    let took = start.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!(
            "the benchmark needs a workspace: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(took)
}

/// The app by hand: the environment that cid installed, a checkout, no cid.
struct Floor {
    python: PathBuf,
    checkout: PathBuf,
    home: PathBuf,
    port: u16,
}

impl Floor {
    fn new(sandbox: &Sandbox, home: &Path, server: &GitServer) -> Result<Self> {
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
    fn measure(&self, i: u8) -> Result<f64> {
        let copy = self.home.join(format!("floor-{i}"));
        build::check(Command::new("cp").arg("-a").arg(&self.checkout).arg(&copy))?;
        let bin = self.python.parent().context("a program without a folder")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let command = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command
                .current_dir(&copy)
                .env("PATH", format!("{}:{path}", bin.display()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        quiet_disk();
        let start = Instant::now();
        build::check(command("python").args(["manage.py", "migrate", "--noinput"]))?;
        let address = format!("127.0.0.1:{}", self.port);
        let mut child = command("gunicorn")
            .args(["--bind", &address, "guestbook.wsgi"])
            .spawn()?;
        let answered = self.wait_for_answer();
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
        Ok(took)
    }

    fn wait_for_answer(&self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            let answer = http_get(self.port, "localhost", "/health/");
            if answer.is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("the app did not answer within {} s", LIMIT.as_secs())
    }
}

struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
        Self {
            min: at(0),
            median: f64::midpoint(at(low), at(high)),
            max: at(values.len().saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even_counts() {
        let median = |values: &[f64]| Spread::of(values.iter().copied()).median;
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }
}
