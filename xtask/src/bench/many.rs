//! What grows with the number of workspaces: the same questions and jobs at a few and at many.

use super::{
    neighbour::{self, Visits},
    quiet_disk,
    spread::Spread,
    timed,
};
use crate::{build, setup};
use anyhow::{Context, Result, bail};
use cid_testkit::{GitServer, Options, Sandbox, Tree};
use serde_json::json;
use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Instant,
};

/// How many workspaces are few.
const FEW: u32 = 10;
/// Each job and question is measured so often.
const TIMES: u32 = 9;
/// How many come and go while a neighbour is visited.
const CHANGES: u32 = 100;
/// How many are made at once, in the burst and where nothing is measured.
const BURST: u32 = 50;
const AT_ONCE: u32 = 8;
/// An app that costs next to nothing, so that what is measured is cid.
const APP: &str = "\
import os, socket, threading
def serve(client):
    try:
        head = client.recv(65536)
        if b'upgrade: websocket' in head.lower():
            client.sendall(b'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n')
            while frame := client.recv(65536):
                client.sendall(frame)
        else:
            client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok')
    except OSError:
        pass
    client.close()
server = socket.socket(socket.AF_UNIX)
if os.path.exists(os.environ['SOCKET']):
    os.unlink(os.environ['SOCKET'])
server.bind(os.environ['SOCKET'])
server.listen(64)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
";

/// Seconds, at one number of workspaces.
struct Figures {
    create: Spread,
    delete: Spread,
    list: Spread,
    show: Spread,
    doctor: Spread,
    start: Spread,
    resident_mib: f64,
}

/// Many creations at once.
struct Burst {
    seconds: f64,
    /// How much of the processors' time was used: where all was, only less work would be quicker.
    busy: f64,
}

/// The processors' time since the boot, in ticks, by `/proc/stat`.
struct Ticks {
    all: f64,
    idle: f64,
}

impl Ticks {
    fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        let ticks = line.split_whitespace().skip(1).map(str::parse);
        let ticks: Vec<f64> = ticks.collect::<Result<_, _>>()?;
        Ok(Self {
            all: ticks.iter().sum(),
            // Idle, and idle while a disk was waited for.
            idle: ticks.iter().skip(3).take(2).sum(),
        })
    }

    fn busy_since(&self, before: &Self) -> f64 {
        1.0 - (self.idle - before.idle) / (self.all - before.all).max(1.0)
    }
}

/// Measures at [`FEW`] and at `many` workspaces, prints a table and writes it as JSON.
pub(super) fn run(many: u32) -> Result<()> {
    setup::ensure(setup::Purpose::Demo)?;
    let bins = build::programs(build::Profile::Release)?;
    let mut sandbox = Sandbox::prepare_with(Options {
        bins: Some(bins),
        ..Options::default()
    })?;
    set_up(&sandbox, many)?;
    sandbox.start()?;
    println!("==> {FEW} workspaces");
    fill(&sandbox, 0..FEW)?;
    let few = measure(&mut sandbox)?;
    println!("==> a burst of {BURST}");
    let (start, before) = (Instant::now(), Ticks::now()?);
    fill_by(&sandbox, FEW..FEW + BURST, BURST)?;
    let burst = Burst {
        seconds: start.elapsed().as_secs_f64(),
        busy: Ticks::now()?.busy_since(&before),
    };
    println!("==> {many} workspaces");
    fill(&sandbox, FEW + BURST..many)?;
    let grown = measure(&mut sandbox)?;
    println!("==> a neighbour, while {CHANGES} are created and deleted");
    let visits = neighbour::run(&sandbox, &host_of(&sandbox, 0)?, || changes(&sandbox))?;
    let file = build::target_dir()?.join("bench-many.json");
    report(many, &few, &grown, &burst, &visits, &file)?;
    sandbox.stop()
}

fn set_up(sandbox: &Sandbox, many: u32) -> Result<()> {
    let most = many + BURST + TIMES;
    let ports = format!("20000-{}", 20_000 + most);
    let settings = format!(
        "ports = \"{ports}\"\n[limits]\nworkspaces = {most}\n\
         workspaces_per_project = {most}\nworkspaces_per_creator = {most}\n"
    );
    fs::write(sandbox.dir().join("etc/cid.toml"), settings)?;
    let home = sandbox.home()?;
    let server = GitServer::local_tree(home, "many", &Tree::default().with("app.py", APP))?;
    let project = format!(
        "domain = \"many.localhost\"\n[git]\nurl = \"{}\"\n\
         [app.run]\nweb = [\"python3\", \"-S\", \"app.py\", \"{{socket}}\"]\n",
        server.url
    );
    sandbox.write_project("many", &project)
}

fn email(number: u32) -> String {
    format!("user{number}@example.com")
}

fn fill(sandbox: &Sandbox, numbers: std::ops::Range<u32>) -> Result<()> {
    fill_by(sandbox, numbers, AT_ONCE)
}

/// Makes these workspaces, so many at once.
fn fill_by(sandbox: &Sandbox, numbers: std::ops::Range<u32>, at_once: u32) -> Result<()> {
    let next = AtomicU32::new(numbers.start);
    thread::scope(|scope| {
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= numbers.end {
                    return Ok(());
                }
                let args = ["create", &email(number)];
                sandbox.cictl(&args)?.ok()?;
            }
        };
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => done?,
                Err(_) => bail!("a thread that makes workspaces panicked"),
            }
        }
        Ok(())
    })
}

/// The host name of a workspace.
fn host_of(sandbox: &Sandbox, number: u32) -> Result<String> {
    let shown = sandbox.json(&["show", &email(number)])?;
    let url = shown["url"].as_str().context("it has no address")?;
    let host = url.trim_start_matches("http://").split([':', '/']).next();
    Ok(host.unwrap_or_default().to_owned())
}

fn changes(sandbox: &Sandbox) -> Result<()> {
    for number in 0..CHANGES {
        let email = format!("passing{number}@example.com");
        sandbox.cictl(&["create", &email])?.ok()?;
        sandbox.cictl(&["delete", "--yes", &email])?.ok()?;
    }
    Ok(())
}

fn measure(sandbox: &mut Sandbox) -> Result<Figures> {
    let asked = |args: &[&str]| -> Result<Spread> {
        let times = (0..TIMES).map(|_| took(sandbox, args));
        Ok(Spread::of(times.collect::<Result<Vec<_>>>()?))
    };
    let of_each = |verb: &[&str]| -> Result<Spread> {
        let times = (0..TIMES).map(|number| {
            let email = format!("extra{number}@example.com");
            took(sandbox, &[verb, &[&email]].concat())
        });
        Ok(Spread::of(times.collect::<Result<Vec<_>>>()?))
    };
    let create = of_each(&["create"])?;
    let delete = of_each(&["delete", "--yes"])?;
    let list = asked(&["list"])?;
    let show = asked(&["show", &email(0)])?;
    let doctor = asked(&["doctor"])?;
    let mut start = Vec::new();
    for _ in 0..3 {
        start.push(started_again(sandbox)?);
    }
    Ok(Figures {
        create,
        delete,
        list,
        show,
        doctor,
        start: Spread::of(start),
        resident_mib: resident_mib(sandbox)?,
    })
}

fn took(sandbox: &Sandbox, args: &[&str]) -> Result<f64> {
    let mut command = sandbox.cictl_command();
    command.args(args);
    timed(command)
}

/// How long a daemon takes to answer after it was killed.
fn started_again(sandbox: &mut Sandbox) -> Result<f64> {
    sandbox.kill_9()?;
    quiet_disk();
    let start = Instant::now();
    sandbox.start()?;
    Ok(start.elapsed().as_secs_f64())
}

fn resident_mib(sandbox: &Sandbox) -> Result<f64> {
    let pid = sandbox.pid().context("the daemon does not run")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib.context("the kernel tells no VmRSS")?.parse()?;
    Ok(kib / 1024.0)
}

fn report(
    many: u32,
    few: &Figures,
    grown: &Figures,
    burst: &Burst,
    visits: &[Visits; 2],
    file: &std::path::Path,
) -> Result<()> {
    let rows = [
        ("create", &few.create, &grown.create),
        ("delete", &few.delete, &grown.delete),
        ("list", &few.list, &grown.list),
        ("show", &few.show, &grown.show),
        ("doctor", &few.doctor, &grown.doctor),
        ("start after kill -9", &few.start, &grown.start),
    ];
    println!(
        "\nmedian in ms            at {FEW:>4}    at {many:>4}    ratio    spread at {FEW} (the machine's)"
    );
    for (name, few, grown) in rows {
        println!(
            "{name:<20}{:>11.1}{:>11.1}{:>9.2}    {:.2}",
            few.median * 1000.0,
            grown.median * 1000.0,
            grown.median / few.median,
            few.max / few.min
        );
    }
    let (before, after) = (few.resident_mib, grown.resident_mib);
    println!(
        "{:<20}{before:>11.1}{after:>11.1}{:>9.2}",
        "resident, MiB",
        after / before
    );
    let in_turn = f64::from(BURST) * few.create.median;
    println!(
        "\na burst of {BURST}: {:.1} s, {:.2} of {BURST} in turn; processors busy for {:.0}% of it",
        burst.seconds,
        burst.seconds / in_turn,
        burst.busy * 100.0
    );
    let [quiet, busy] = visits;
    println!(
        "a neighbour while {CHANGES} were created and deleted: {} of {} requests failed, p99 {:.1} ms \
         ({:.1} ms before, {:.2}), WebSocket {}",
        busy.failed,
        busy.failed + busy.answered,
        busy.p99 * 1000.0,
        quiet.p99 * 1000.0,
        busy.p99 / quiet.p99,
        if busy.is_open { "kept" } else { "cut" }
    );
    let table = rows
        .map(|(name, few, grown)| json!({ "what": name, "few": few.median, "many": grown.median }));
    let all = json!({
        "few": FEW, "many": many, "seconds": table, "burst": burst.seconds, "burst_busy": burst.busy, "burst_in_turn": in_turn,
        "resident_mib": [before, after],
        "neighbour": {
            "failed": busy.failed, "answered": busy.answered, "socket_kept": busy.is_open,
            "p99": busy.p99, "quiet_p99": quiet.p99,
        },
    });
    fs::write(file, serde_json::to_vec_pretty(&all)?)?;
    println!("{}", file.display());
    Ok(())
}
