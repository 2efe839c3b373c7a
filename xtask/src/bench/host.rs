//! An installed cid and a sandbox, on one booted Debian.

use super::{pairs, timed};
use crate::{build::Profile, dist, setup};
use anyhow::{Context, Result, bail};
use cid_testkit::{
    GitServer, examples_dir,
    host::{Debian, Host, HostImage, Why, available},
    wait_until,
};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

const SANDBOX: &str = "/srv/sandbox";
const SOCKET: &str = "/srv/sandbox/run/cid.sock";
const LIMIT: Duration = Duration::from_secs(180);
/// A pause in which the next workspace's preparation and the last one's removal can finish.
const PAUSE: Duration = Duration::from_millis(700);

/// Measures and prints.
pub(super) fn run(runs: u8) -> Result<()> {
    match available() {
        Ok(()) | Err(Why::Missing(_)) => setup::ensure(setup::Purpose::Host)?,
        Err(why) => bail!("cannot boot a host: {why}"),
    }
    let deb = dist::build(Profile::Release, env!("CARGO_PKG_VERSION"))?;
    let host = Host::boot(&HostImage::of(Debian::newest())?.with_deb(&deb)?)?;
    let measured = measure(&host, runs);
    println!("==> removing the host");
    host.remove()?;
    measured
}

fn measure(host: &Host, runs: u8) -> Result<()> {
    set_up(host)?;
    let mut sandbox = start_sandbox(host)?;
    let create = |socket: Option<&str>, email: &str| {
        let mut args = vec!["cictl"];
        args.extend(socket.iter().flat_map(|socket| ["--socket", socket]));
        args.extend(["create", email]);
        sleep(PAUSE);
        timed(host.command(&args)?)
    };
    println!("==> the first workspaces, which install the environments");
    for socket in [None, Some(SOCKET)] {
        // The second one finds what was prepared for it.
        for email in ["first@example.com", "second@example.com"] {
            create(socket, email)?;
        }
    }
    pairs::measure(
        runs,
        ["host", "sandbox"],
        |i| create(None, &format!("user{i}@example.com")),
        |i| create(Some(SOCKET), &format!("user{i}@example.com")),
    )?;
    // It is the host's process, and goes with it.
    sandbox.kill().and_then(|()| sandbox.wait())?;
    Ok(())
}

/// A project for each, from repositories alike.
fn set_up(host: &Host) -> Result<()> {
    let home = host.scratch_dir().join("bench");
    fs::create_dir(&home)?;
    let server = GitServer::local(&home, "guestbook", &examples_dir().join("guestbook"))?;
    let run = |args: &[&str]| host.run(args)?.ok().map(drop);
    run(&["useradd", "--create-home", "deploy"])?;
    let projects = format!("{SANDBOX}/etc/projects.d");
    let media = format!("{SANDBOX}/media");
    run(&["mkdir", "-p", "/srv/media", &projects, &media])?;
    for (repository, owner, media, folder) in [
        (
            "/srv/git/host.git",
            "deploy",
            "/srv/media",
            "/etc/cid/projects.d",
        ),
        ("/srv/git/sandbox.git", "root", &media, &projects),
    ] {
        run(&["mkdir", "-p", repository])?;
        copy(Path::new(&server.url), host, repository)?;
        run(&["chown", "--recursive", owner, repository])?;
        let deploy = match owner {
            "root" => String::new(),
            user => format!("deploy_user = \"{user}\"\n"),
        };
        let project = format!(
            "domain = \"{owner}.test\"\n{deploy}[git]\nurl = \"{repository}\"\n\
             [app]\nhealth = {{ path = \"/health/\" }}\n[media]\npath = \"{media}\"\n"
        );
        host.write(&format!("{folder}/guestbook.toml"), project, 0o644)?;
    }
    run(&["systemctl", "reload", "cid"])
}

/// Copies a folder's files into one of the host's.
fn copy(from: &Path, host: &Host, to: &str) -> Result<()> {
    let mut pack = Command::new("tar")
        .args(["--create", "--directory"])
        .arg(from)
        .arg(".")
        .stdout(Stdio::piped())
        .spawn()?;
    let packed = pack.stdout.take().context("tar has no output")?;
    let unpack = ["tar", "--extract", "--no-same-owner", "--directory", to];
    let unpacked = host.command(&unpack)?.stdin(packed).status()?;
    if !pack.wait()?.success() || !unpacked.success() {
        bail!("cannot copy {} into the host", from.display());
    }
    Ok(())
}

fn start_sandbox(host: &Host) -> Result<Child> {
    let args = ["cid", "sandbox", "--dir", SANDBOX, "--http-port", "18080"];
    let sandbox = host
        .command(&args)?
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    wait_until("the sandbox to be ready", LIMIT, || {
        let listed = host.run(&["cictl", "--socket", SOCKET, "list"]);
        listed.is_ok_and(|listed| listed.status == 0).then_some(())
    })?;
    Ok(sandbox)
}
