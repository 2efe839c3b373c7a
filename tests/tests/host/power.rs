//! The power goes in the middle of a job; or the daemon hangs.

use crate::{
    hostile::{Attack, Visits, attack, hostile, tree},
    stage::{cid, create, main_pid, soon, status_of},
};
use cid_testkit::host::{Host, HostState};
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

const ANNA: &str = "anna@example.com";
const CREATE: [&str; 3] = ["cictl", "create", ANNA];
const DELETE: [&str; 5] = ["cictl", "delete", "--yes", "--with-branch", ANNA];
const PROJECT: &str = "/etc/cid/projects.d/guestbook.toml";
/// All but the ledger and the mirror, which remember.
const WATCHED: &[&str] = &[
    "/etc/cid",
    "/etc/nginx",
    "/run/cid/apps",
    "/run/cid/helpers",
    "/srv/cid",
    "/var/lib/cid/apps",
    "/var/lib/cid/home",
    "/var/lib/cid/nginx",
    "/var/lib/cid/supervisor",
    "/var/lib/cid/trash",
    "/var/log/cid",
];

/// Begins something and cuts the power when it has told so often of a step of this kind.
fn cut_after(host: &mut Host, steps: usize, kind: &str, args: &[&str]) {
    let mut command = host.command(args).unwrap();
    let mut client = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(client.stderr.take().unwrap()).lines();
    let done = lines
        .map(|line| line.unwrap())
        .filter(|line| line.starts_with(kind))
        .take(steps)
        .count();
    assert_eq!(done, steps, "it has fewer steps");
    host.power_cut().unwrap();
    client.wait().unwrap();
    host.switch_on().unwrap();
}

/// Waits for the end of the job; tells whether the workspace is there. It is there and answers, or it is
/// gone without a trace.
fn end(host: &Host, before: &HostState, place: &str) -> bool {
    soon("the job ends", || {
        let jobs = host.run(&["cictl", "jobs", "list"]).unwrap();
        let live = ["running", "queued", "undoing", "stuck"];
        jobs.status == 0 && !live.iter().any(|state| jobs.stdout.contains(state))
    });
    soon("the neighbour answers", || {
        status_of(host, "bob---example-com") == "200"
    });
    let is_there = host.run(&["cictl", "show", ANNA]).unwrap().status == 0;
    if is_there {
        soon("the page answers", || {
            status_of(host, "anna---example-com") == "200"
        });
    } else {
        let jobs = host
            .run(&["cictl", "jobs", "list", "--output=json"])
            .unwrap();
        let jobs = jobs.json().unwrap();
        println!("{place}: {} {}", jobs[0]["state"], jobs[0]["failure"]);
        let kinds = ["file", "listener", "user", "group"];
        let difference = before.difference(&host.state(WATCHED).unwrap());
        let left = difference
            .lines()
            // The neighbour's processes began anew, with the machine.
            .filter(|line| !line.contains("bob---example-com"))
            .filter(|line| kinds.iter().any(|kind| line[2..].starts_with(kind)));
        let left: Vec<&str> = left.collect();
        assert_eq!(left, Vec::<&str>::new(), "{place}");
        assert_ne!(status_of(host, "anna---example-com"), "200", "{place}");
    }
    // The daemon may have outlived systemd for a moment, and owe what it could not do then.
    let doctor = host.run(&["cictl", "doctor"]).unwrap();
    let differs = doctor.stdout.lines().find(|line| {
        line.starts_with('[') && !line.starts_with("[owed]") && !line.starts_with("[note]")
    });
    assert_eq!(differs, None, "{place}: {doctor}");
    for args in [&["cictl", "doctor", "--repair"][..], &["cictl", "doctor"]] {
        let doctor = host.run(args).unwrap();
        assert_eq!(doctor.status, 0, "{place}: {doctor}");
    }
    is_there
}

fn delete(host: &Host) {
    host.run(&DELETE).unwrap().ok().unwrap();
}

#[test]
fn the_power_goes_during_a_create() {
    let Some(mut host) = cid() else { return };
    create(&host, "bob@example.com");
    let before = host.state(WATCHED).unwrap();
    let mut ready = 0;
    for steps in [1, 3, 5, 7, 9, 11] {
        cut_after(&mut host, steps, "[ok]", &CREATE);
        if end(&host, &before, &format!("after {steps} steps of a create")) {
            ready += 1;
            delete(&host);
        }
    }
    println!("{ready} of 6 ended ready");
    assert!(ready > 0);
}

#[test]
fn the_power_goes_while_a_create_is_taken_back() {
    let Some(mut host) = cid() else { return };
    create(&host, "bob@example.com");
    let project = host.read(PROJECT).unwrap();
    let failing = project.replace("[app]\n", "[app]\nrelease = [[\"false\"]]\n");
    host.write(PROJECT, failing, 0o644).unwrap();
    let reload = ["systemctl", "reload", "cid"];
    host.run(&reload).unwrap().ok().unwrap();
    let before = host.state(WATCHED).unwrap();
    for steps in [1, 4, 7] {
        cut_after(&mut host, steps, "[undone]", &CREATE);
        let place = format!("after {steps} steps were taken back");
        assert!(!end(&host, &before, &place), "{place}");
    }
}

#[test]
fn the_power_goes_during_a_delete() {
    let Some(mut host) = cid() else { return };
    create(&host, "bob@example.com");
    let before = host.state(WATCHED).unwrap();
    let mut gone = 0;
    for steps in [1, 2, 3, 4, 5, 6] {
        create(&host, ANNA);
        cut_after(&mut host, steps, "[ok]", &DELETE);
        if end(&host, &before, &format!("after {steps} steps of a delete")) {
            delete(&host);
        } else {
            gone += 1;
        }
    }
    println!("{gone} of 6 were gone");
    assert!(gone > 0);
}

#[test]
fn a_daemon_that_hangs_is_started_again_and_its_job_goes_on() {
    const WATCHDOG: u64 = 3;
    let install = "touch started; sleep 8; touch installed";
    let Some(host) = hostile(&[Attack {
        who: "slow",
        install,
        app: "",
    }]) else {
        return;
    };
    let run = |args: &[&str]| host.run(args).unwrap().ok().unwrap();
    let shorter = format!("[Service]\nWatchdogSec={WATCHDOG}s\n");
    host.write(
        "/etc/systemd/system/cid.service.d/shorter.conf",
        shorter,
        0o644,
    )
    .unwrap();
    run(&["systemctl", "daemon-reload"]);
    run(&["systemctl", "restart", "cid"]);
    // It is fed: nothing happens by itself.
    let pid = main_pid(&host, "cid");
    std::thread::sleep(Duration::from_secs(WATCHDOG + 1));
    assert_eq!(main_pid(&host, "cid"), pid);

    let visits = Visits::begin(&host, "bob---example-com");
    std::thread::scope(|scope| {
        let created = scope.spawn(|| attack(&host, "slow"));
        soon("the installation", || {
            host.exists(&format!("{}/started", tree("slow"))).unwrap()
        });
        run(&[
            "systemctl",
            "kill",
            "--signal=STOP",
            "--kill-whom=main",
            "cid",
        ]);
        let begin = Instant::now();
        soon("another daemon answers", || {
            let now = main_pid(&host, "cid");
            now != pid && now != "0\n" && host.run(&["cictl", "list"]).unwrap().status == 0
        });
        let took = begin.elapsed();
        println!("it was there again after {took:?}");
        created.join().unwrap().ok().unwrap();
    });
    visits.end();
    assert!(host.exists(&format!("{}/installed", tree("slow"))).unwrap());
    assert!(host.journal("cid").unwrap().contains("Watchdog timeout"));
    run(&["cictl", "doctor"]);
}
