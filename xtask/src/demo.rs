//! `cargo xtask demo`: from a checkout to a workspace that answers, with nothing set up before.

use crate::{build, demo_delivery, interrupt::Interrupt, setup};
use anyhow::{Context, Result, bail, ensure};
use cid_testkit::{
    GitServer, Options, Sandbox, Snapshot, assert_same, examples_dir, guestbook_toml, processes,
    wait_until,
};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

const ANNA: &str = "anna@example.com";
const BERT: &str = "bert@example.com";
const PORT: u16 = 8080;
const CREATE_LIMIT: Duration = Duration::from_secs(300);

/// What `cargo xtask demo` can be told.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Make a second workspace through the web form, delete both, check that nothing is left
    #[arg(long)]
    once: bool,
    /// The port of the form and of all workspaces [default: 8080, or another if it is taken]
    #[arg(long, value_name = "N")]
    http_port: Option<u16>,
    /// The sandbox's folder, which is kept [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Shows what cid does, on this machine.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure(setup::Purpose::Demo)?;
    let bins = build::programs(build::Profile::Dev)?;
    let interrupt = Interrupt::watch()?;
    let mut sandbox = Sandbox::prepare_with(Options {
        dir: args.dir.clone(),
        http_port: args.http_port.or_else(|| is_free(PORT).then_some(PORT)),
        bins: Some(bins),
    })?;
    let server = repository(&sandbox)?;
    println!("==> starting a sandbox in {}", sandbox.dir().display());
    sandbox.start()?;
    let shown = show(&sandbox, &server, args.once, &interrupt);
    println!("==> stopping everything");
    let stopped = sandbox.stop();
    if interrupt.came() {
        return stopped;
    }
    shown.and(stopped)?;
    let left = processes(sandbox.dir());
    ensure!(left.is_empty(), "these still run: {left:?}");
    if args.once {
        println!("==> all is well: nothing was left");
    }
    Ok(())
}

fn show(sandbox: &Sandbox, server: &GitServer, once: bool, interrupt: &Interrupt) -> Result<()> {
    demo_delivery::show(sandbox, server)?;
    let before = Snapshot::take(sandbox, &[server])?;
    println!("==> cictl create {ANNA}");
    create_in_terminal(sandbox, interrupt)?;
    let url = visit(sandbox, ANNA)?;
    println!("\n    workspace of {ANNA}:  {url}");
    println!(
        "    the form:             http://localhost:{}/",
        sandbox.http_port()
    );
    println!("    the command line:     {}\n", by_hand(sandbox));
    if once {
        create_by_form(sandbox, interrupt)?;
        visit(sandbox, BERT)?;
        for email in [ANNA, BERT] {
            println!("==> cictl delete {email} --with-branch --yes");
            sandbox
                .cictl(&["delete", email, "--with-branch", "--yes"])?
                .ok()?;
        }
        return assert_same(&before, sandbox, &[server]);
    }
    println!("Ctrl-C stops it all.");
    while !interrupt.came() {
        ensure!(
            sandbox.is_running(),
            "the daemon ended; its log:\n{}",
            sandbox.log()
        );
        sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// The example as a bare repository inside the sandbox's folder, and its project file.
fn repository(sandbox: &Sandbox) -> Result<GitServer> {
    let parent = sandbox.dir().join("demo");
    let media = parent.join("media");
    fs::create_dir_all(&media)?;
    let server = if parent.join("guestbook.git").exists() {
        GitServer::existing(&parent, "guestbook")
    } else {
        GitServer::local(&parent, "guestbook", &examples_dir().join("guestbook"))?
    };
    let project = guestbook_toml(&server.url, &media)?;
    sandbox.write_project("guestbook", &demo_delivery::with_stages(&project))?;
    Ok(server)
}

/// The real `cictl create` at the real terminal: its progress display is part of the show.
fn create_in_terminal(sandbox: &Sandbox, interrupt: &Interrupt) -> Result<()> {
    let mut cictl = sandbox.cictl_command().args(["create", ANNA]).spawn()?;
    let ended = wait_until("the workspace", CREATE_LIMIT, || {
        let gone = cictl.try_wait().transpose();
        if gone.is_none() && interrupt.came() {
            cictl.kill().err().map(Err)
        } else {
            gone
        }
    });
    if ended.is_err() {
        cictl.kill()?;
        cictl.wait()?;
    }
    let status = ended??;
    // 5: a sandbox that was kept has the workspace already.
    ensure!(
        status.success() || status.code() == Some(5),
        "`cictl create {ANNA}` ended with {status}; the daemon's log:\n{}",
        sandbox.log()
    );
    Ok(())
}

fn create_by_form(sandbox: &Sandbox, interrupt: &Interrupt) -> Result<()> {
    println!("==> asking the web form for {BERT}");
    let answer = sandbox
        .request("localhost", "/workspaces")
        .post_form(&[("email", BERT)])?;
    ensure!(
        (300..400).contains(&answer.status),
        "the form answered with {}:\n{}",
        answer.status,
        answer.body
    );
    let state = wait_until("the second workspace", CREATE_LIMIT, || {
        if interrupt.came() {
            return Some("interrupted".to_owned());
        }
        let state = sandbox
            .json(&["show", BERT])
            .map(|found| text(&found["state"]));
        // Not found: it was taken back.
        let state = state.unwrap_or_else(|error| error.to_string());
        (state != "creating").then_some(state)
    })?;
    ensure!(
        state == "ready",
        "the web form's workspace did not come up: {state}"
    );
    Ok(())
}

/// Asks nginx for the workspace by its host name and returns the URL that a browser takes.
fn visit(sandbox: &Sandbox, email: &str) -> Result<String> {
    let found = sandbox.json(&["show", email])?;
    let (url, name) = (text(&found["url"]), text(&found["name"]));
    let host = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split([':', '/']).next())
        .with_context(|| format!("not a URL: {url:?}"))?;
    let answer = sandbox.get(host, "/")?;
    if answer.status != 200 || !answer.body.contains(&name) {
        bail!("{url} answered with {}:\n{}", answer.status, answer.body);
    }
    println!("==> {url} answers");
    Ok(url)
}

fn by_hand(sandbox: &Sandbox) -> String {
    let command = sandbox.cictl_command();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| Path::new(word).display().to_string());
    format!("{} list", words.collect::<Vec<_>>().join(" "))
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
