//! `cargo xtask host`: a shell as root on a throw-away Debian with cid installed.

use crate::{build, interrupt::Interrupt, setup};
use anyhow::{Context, Result, bail};
use cid_testkit::{
    host::{Debian, Host, HostImage, Why, available},
    wait_until,
};
use std::{
    fs,
    io::{IsTerminal, stdin},
    path::PathBuf,
    process::Command,
    time::Duration,
};

/// A person may stay as long as they like.
const SHELL_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);
/// For env: where a login begins.
const HOME: &str = "--chdir=/root";

/// What `cargo xtask host` can be told.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Which Debian, by its number or its suite's name
    #[arg(long, visible_alias = "suite", value_name = "RELEASE", default_value_t = Debian::newest())]
    debian: Debian,
    /// Leave cid out: the bare Debian
    #[arg(long)]
    plain: bool,
    /// Run this instead of a shell, and stop the host when it ends
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Boots it, gives a shell in it, and takes it away when the shell ends.
pub fn run(args: &Args) -> Result<()> {
    match available() {
        Ok(()) | Err(Why::Missing(_)) => setup::ensure(setup::Purpose::Host)?,
        Err(why) => bail!("cannot boot a host: {why}"),
    }
    let mut image = HostImage::of(args.debian)?;
    match package()?.filter(|_| !args.plain) {
        Some(deb) => {
            println!("==> installing {}", deb.display());
            image = image.with_deb(&deb)?;
        }
        None => println!("==> without cid"),
    }
    let interrupt = Interrupt::watch()?;
    let host = Host::boot(&image)?;
    let ended = shell(&host, args, &interrupt);
    println!("==> removing the host");
    host.remove()?;
    ended
}

fn shell(host: &Host, args: &Args, interrupt: &Interrupt) -> Result<()> {
    let mut command = shell_command(host, args)?;
    let mut child = command.spawn().context("cannot start a shell")?;
    let status = wait_until("the shell to end", SHELL_LIMIT, || {
        let ended = child.try_wait().transpose();
        if ended.is_none() && interrupt.came() {
            return child.kill().and_then(|()| child.wait()).map(Ok).ok();
        }
        ended
    })??;
    if !args.command.is_empty() && !status.success() && !interrupt.came() {
        bail!("the command ended with {status}");
    }
    Ok(())
}

fn shell_command(host: &Host, args: &Args) -> Result<Command> {
    let given: Vec<&str> = args.command.iter().map(String::as_str).collect();
    if !given.is_empty() {
        return host.command(&given);
    }
    if !stdin().is_terminal() {
        return host.command(&["env", HOME, "bash", "--login"]);
    }
    println!("==> a shell on the host; it goes, with all you did there, when the shell ends");
    let terminal = std::env::var("TERM").unwrap_or_else(|_| "linux".to_owned());
    // script gives the shell a terminal of the host's own.
    host.command(&[
        "env",
        HOME,
        &format!("TERM={terminal}"),
        "script",
        "--quiet",
        "--command",
        "bash --login",
        "/dev/null",
    ])
}

/// The package as it was built last.
// `dist::build` is to be called here, so that it is the checkout's.
fn package() -> Result<Option<PathBuf>> {
    let dir = build::target_dir()?.join("dist");
    let Ok(entries) = fs::read_dir(&dir) else {
        return Ok(None);
    };
    let mut debs: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    debs.sort();
    Ok(debs.pop().map(|(_, path)| path))
}
