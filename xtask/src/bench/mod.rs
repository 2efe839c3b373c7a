//! `cargo xtask bench`: one ratio, measured side by side in one run.
//!
//! What cid takes for a workspace is compared with the floor: what the app itself takes to migrate
//! its database and to answer once, with everything else prepared. Both go through the same disk,
//! interpreter and neighbours within seconds of each other, so that the ratio says something about
//! cid rather than about the machine. With `--host` an installed cid is compared with a sandbox on the
//! same booted Debian: what identities, units and walls cost. With `--many` a few workspaces are compared with
//! many. With `--delivery` a push and a promotion are compared with the app's own `migrate` and start.

mod delivery;
mod floor;
mod host;
mod many;
mod neighbour;
mod pairs;
mod poll;
mod pushes;
mod real;
mod spread;
mod table;

use crate::{build, setup};
use anyhow::{Result, bail};
use cid_testkit::{GitServer, Options, Sandbox, examples_dir, guestbook_toml};
use floor::Floor;
use std::{fs, path::PathBuf, process::Command, time::Instant};

/// What `cargo xtask bench` can be told.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How many pairs to measure
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=50))]
    runs: u8,
    /// Compare an installed cid with a sandbox, both on a booted Debian, instead of a sandbox with the app
    #[arg(long)]
    host: bool,
    /// Compare so many workspaces of a trivial app with a few: what grows with their number
    #[arg(long, value_name = "N", conflicts_with_all = ["runs", "host"], value_parser = clap::value_parser!(u32).range(100..=2000))]
    many: Option<u32>,
    /// Compare with a Django project of 150 migrations: what templates save
    #[arg(long, group = "by_bins", conflicts_with_all = ["host", "many"])]
    real: bool,
    /// Compare a push and a promotion with the app's own start; the no-change deployment and the poll beside it
    #[arg(long, group = "by_bins", conflicts_with_all = ["host", "many"])]
    delivery: bool,
    /// Measure the programs in this folder instead of building them, with --real and --delivery
    #[arg(long, value_name = "DIR", requires = "by_bins")]
    bins: Option<PathBuf>,
}

/// Measures and prints.
pub fn run(args: &Args) -> Result<()> {
    if let Some(many) = args.many {
        return many::run(many);
    }
    if args.host {
        return host::run(args.runs);
    }
    setup::ensure(setup::Purpose::Demo)?;
    let bins = match &args.bins {
        Some(bins) => bins.clone(),
        None => build::programs(build::Profile::Release)?,
    };
    if args.real {
        return real::run(args.runs, bins);
    }
    if args.delivery {
        return delivery::run(args.runs, bins);
    }
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
    pairs::measure(
        args.runs,
        ["cid", "floor"],
        |i| create(&sandbox, &format!("user{i}@example.com")),
        |i| floor.measure(i),
    )?;
    sandbox.stop()
}

/// Flushes what others wrote: otherwise the next sync would wait for it.
fn quiet_disk() {
    nix::unistd::sync();
}

/// How long `cictl create` takes, from its start to its end.
fn create(sandbox: &Sandbox, email: &str) -> Result<f64> {
    let mut command = sandbox.cictl_command();
    command.args(["create", email]);
    timed(command)
}

/// How long a command takes, which must succeed.
fn timed(mut command: Command) -> Result<f64> {
    quiet_disk();
    let start = Instant::now();
    // Waited for by the kernel: asking again and again would add up to a pause to each figure.
    let output = command.output()?;
    let took = start.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!(
            "the benchmark cannot go on: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(took)
}
