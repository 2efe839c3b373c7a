//! From a push to the new answer, and from a promotion, against what the app itself takes to migrate and to start.

use super::{
    floor::Floor,
    poll::{self, BRANCHES, rest},
    pushes::{Pushes, first_answer},
    quiet_disk,
    spread::Spread,
    table::{Row, report},
    timed,
};
use crate::build;
use anyhow::{Context, Result, bail, ensure};
use cid_testkit::{GitServer, Options, Sandbox, examples_dir, guestbook_toml};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

const ANNA: &str = "first@example.com";
const STAGE: &str =
    "\n[stages.production]\nenv = { DATABASE_URL = \"sqlite:///{directory}/data/db.sqlite3\" }\n";

/// The two projects of one repository: with the release command of its Procfile, and without any.
const MIGRATING: &str = "guestbook";
const PLAIN: &str = "plain";

/// Seconds of one round.
struct Round {
    push: f64,
    promote: f64,
    promote_migrating: f64,
    deploy: f64,
    /// The app's own.
    migrates: f64,
    starts: f64,
}

/// Measures, prints a table and writes it as JSON.
pub(super) fn run(runs: u8, bins: PathBuf) -> Result<()> {
    println!("==> the programs of {}", bins.display());
    let programs = bins.display().to_string();
    let mut sandbox = Sandbox::prepare_with(Options {
        bins: Some(bins),
        ..Options::default()
    })?;
    let home = sandbox.home()?.to_owned();
    let load_before = load()?;
    let measured = measure(&mut sandbox, &home, runs);
    println!("==> removing the sandbox");
    let stopped = sandbox.stop();
    drop(sandbox);
    let (rounds, polls) = measured?;
    stopped?;
    ensure!(!home.exists(), "{} is still there", home.display());

    let of = |of: fn(&Round) -> (f64, f64)| rounds.iter().map(of).collect::<Vec<_>>();
    let deploys: Vec<f64> = rounds.iter().map(|round| round.deploy).collect();
    let rows = [
        Row::ratio(
            "push to new answer / migrate and start",
            &of(|round| (round.push, round.migrates + round.starts)),
            1.2,
        ),
        Row::ratio(
            "promote / start",
            &of(|round| (round.promote, round.starts)),
            1.1,
        ),
        Row::ratio(
            "promote that migrates / migrate and start",
            &of(|round| (round.promote_migrating, round.migrates + round.starts)),
            1.1,
        ),
        Row::seconds("deploy without a change", &deploys, 0.3),
        Row::seconds("poll of 1,000 branches, processor time", &polls, 0.2),
    ];
    let starts = Spread::of(rounds.iter().map(|round| round.starts));
    let noise = starts.max / starts.min;
    let load = [load_before, load()?];
    let more = json!({
        "programs": programs, "rounds": runs, "branches": BRANCHES, "load": load, "spread_of_start": noise,
    });
    let file = build::target_dir()?.join("bench-delivery.json");
    report(&rows, more, &file)?;
    println!("spread of the app's start alone, which is the machine's: {noise:.2}");
    println!("load of the machine before and after: {load:?}");
    Ok(())
}

fn measure(sandbox: &mut Sandbox, home: &Path, runs: u8) -> Result<(Vec<Round>, Vec<f64>)> {
    let server = GitServer::local(home, "guestbook", &examples_dir().join("guestbook"))?;
    for name in [MIGRATING, PLAIN] {
        sandbox.write_project(name, &project(name, home, &server)?)?;
    }
    poll::set_up(sandbox)?;
    sandbox.start()?;
    println!("==> looks at {BRANCHES} branches");
    let polls = poll::measure(sandbox)?;
    println!("==> the first workspace and the first builds, which install the environment");
    sandbox.cictl(&["create", ANNA, "-p", MIGRATING])?.ok()?;
    for project in [MIGRATING, PLAIN] {
        sandbox.cictl(&["build", "-p", project])?.ok()?;
        let first = ["promote", "production", "1", "-p", project];
        sandbox.cictl(&first)?.ok()?;
    }
    // Its database is migrated by now.
    let plain = project(PLAIN, home, &server)?.replacen("[app]", "[app]\nrelease = []", 1);
    sandbox.write_project(PLAIN, &plain)?;
    sandbox.hup()?;
    let pushes = Pushes::new(sandbox, (MIGRATING, ANNA), home, &server)?;
    // Each branch is seen for the first time.
    sandbox.cictl(&["project", "fetch", MIGRATING])?.ok()?;
    rest(sandbox)?;
    let floor = Floor::new(sandbox, home, &server)?;
    println!("==> {runs} rounds");
    let rounds = (0..runs).map(|i| round(sandbox, &pushes, &floor, i));
    Ok((rounds.collect::<Result<_>>()?, polls))
}

/// The example, as it comes, with a stage and tests.
fn project(name: &str, home: &Path, server: &GitServer) -> Result<String> {
    let media = home.join(format!("media-{name}"));
    fs::create_dir_all(&media)?;
    // The hook says when to look, and nothing is to be made ahead of time beside what is measured.
    let git = "[git]\npoll = \"off\"\ndeploy_workspaces = true\n";
    let app = "[app]\ntemplate = false\ntest = [[\"python\", \"manage.py\", \"test\"]]\n";
    let text = guestbook_toml(&server.url, &media)?
        .replacen("guestbook.localhost", &format!("{name}.localhost"), 1)
        .replacen("[git]\n", git, 1)
        .replacen("[app]", app, 1);
    Ok(text + STAGE)
}

/// The app goes first and last in turns, so that neither always finds the warmer machine.
fn round(sandbox: &Sandbox, pushes: &Pushes, floor: &Floor, i: u8) -> Result<Round> {
    let title = format!("Guest book, edition {i}.");
    let (push, (migrates, starts)) = match i % 2 {
        0 => {
            let push = pushes.push(sandbox, &title)?;
            (push, floor.again("/")?)
        }
        _ => {
            let app = floor.again("/")?;
            (pushes.push(sandbox, &title)?, app)
        }
    };
    let mut deploy = sandbox.cictl_command();
    deploy.args(["deploy", ANNA, "-p", MIGRATING]);
    let deploy = timed(deploy)?;
    let promoted = promote(sandbox, PLAIN, &pushes.branch, &title)?;
    let promoted_migrating = promote(sandbox, MIGRATING, &pushes.branch, &title)?;
    println!(
        "    push {push:>6.3} s    promote {promoted:>6.3} s    that migrates {promoted_migrating:>6.3} s    \
         no change {deploy:>6.3} s    app migrates {migrates:>6.3} s, starts {starts:>6.3} s"
    );
    Ok(Round {
        push,
        promote: promoted,
        promote_migrating: promoted_migrating,
        deploy,
        migrates,
        starts,
    })
}

/// Builds and tests what was pushed; then, from the beginning of `cictl promote` to the first answer with this title.
fn promote(sandbox: &Sandbox, project: &str, branch: &str, title: &str) -> Result<f64> {
    sandbox.cictl(&["build", branch, "-p", project])?.ok()?;
    // The newest is the first.
    let builds = sandbox.json(&["builds", "-p", project])?;
    let number = builds[0]["id"].as_u64().context("there is no build")?;
    let host = format!("production.{project}.localhost");
    let mut promote = sandbox.cictl_command();
    promote
        .args(["promote", "production", &number.to_string(), "-p", project])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    quiet_disk();
    let start = Instant::now();
    let promoting = promote.spawn()?;
    let answered = first_answer(sandbox, &host, title, start);
    // It ends when its job does, which is over after the switch.
    let output = promoting.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "cannot promote: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    answered
}

fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or_default().into())
}
