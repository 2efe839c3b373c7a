//! kill -9 of an installed daemon: at boundaries of the journal, and at moments nobody chose.

use crate::{
    doctor::{is_well, run},
    stage::{cid, create, soon, status_of},
    workspaces::{WATCHED, accounts},
};
use cid_testkit::host::{Host, HostState};
use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

const ANNA: &str = "anna@example.com";
const CREATE: &str = "cictl create --no-wait anna@example.com";
const DELETE: &str = "cictl delete --yes --with-branch --no-wait anna@example.com";
/// The daemon that kills itself, beside the helper that it looks for there.
const CRASHER: &str = "/usr/lib/cid/cid-crash";
const DROP_IN: &str = "/run/systemd/system/cid.service.d/crash.conf";
const TRACE: &str = "/run/cid/points";
/// Steps that change the machine's accounts: every boundary of theirs is tried.
const OF_ACCOUNTS: [&str; 2] = ["make-account", "remove-account"];
/// Of the others' boundaries every so manieth; `CID_ALL_BOUNDARIES` tries all.
const OTHERS: usize = 6;
/// How often at a random moment; `CID_RANDOM_KILLS` says another number.
const RANDOM_KILLS: u32 = 6;

/// What there is without the workspace.
struct Before {
    state: HostState,
    accounts: Vec<String>,
}

impl Before {
    fn of(host: &Host) -> Self {
        Self {
            state: host.state(WATCHED).unwrap(),
            accounts: accounts(host),
        }
    }
}

/// The daemon is another program now, with these settings, and stays down when it dies.
fn crashing(host: &Host, setting: &str) {
    let drop_in = format!(
        "[Service]\nExecStart=\nExecStart={CRASHER} serve\nRestart=no\nEnvironment={setting}\n"
    );
    host.write(DROP_IN, drop_in, 0o644).unwrap();
    run(host, "systemctl daemon-reload && systemctl restart cid");
}

fn shipped(host: &Host) {
    run(
        host,
        &format!(
            "rm {DROP_IN}; systemctl daemon-reload; systemctl reset-failed cid 2>/dev/null; systemctl restart cid"
        ),
    );
}

/// Waits for the end of the job. The workspace answers or is gone without a trace, and doctor is content.
fn end(host: &Host, before: &Before, place: &str) -> bool {
    soon(&format!("the job is over, {place}"), || {
        let jobs = host.run(&["cictl", "jobs", "list"]).unwrap();
        assert!(!jobs.stdout.contains("stuck"), "{place}: {jobs}");
        let live = ["running", "queued", "undoing"];
        jobs.status == 0 && !live.iter().any(|state| jobs.stdout.contains(state))
    });
    let is_there = host.run(&["cictl", "show", ANNA]).unwrap().status == 0;
    if is_there {
        soon("the page answers", || {
            status_of(host, "anna---example-com") == "200"
        });
    } else {
        gone(host, before, place);
    }
    is_well(host);
    is_there
}

#[track_caller]
fn gone(host: &Host, before: &Before, place: &str) {
    // What git leaves in the repository that is pushed to when it is killed in the middle; its own gc removes it.
    run(host, "rm -rf /srv/git/*.git/objects/tmp_objdir-incoming-*");
    let same = host.assert_same(&before.state, WATCHED);
    assert!(same.is_ok(), "{place}: {same:?}");
    assert_eq!(accounts(host), before.accounts, "{place}");
    let left = run(
        host,
        "ls /etc | grep -E '^(passwd|shadow|group|gshadow|subuid|subgid)([+]|[.])' || true",
    );
    assert_eq!(left, "", "{place}");
}

fn delete(host: &Host, before: &Before, place: &str) {
    run(host, &DELETE.replace(" --no-wait", ""));
    gone(host, before, place);
}

/// Those that a job passes, and of them those to be tried.
fn points(host: &Host, job: &str) -> Vec<String> {
    crashing(host, &format!("CID_CRASH_TRACE={TRACE}"));
    run(host, &job.replace(" --no-wait", ""));
    let all = run(host, &format!("sort -u {TRACE}; rm {TRACE}"));
    shipped(host);
    let is_of_accounts = |point: &&str| OF_ACCOUNTS.iter().any(|step| point.starts_with(step));
    let (own, others): (Vec<&str>, Vec<&str>) = all.lines().partition(is_of_accounts);
    assert!(own.len() >= 2 && others.len() > 10, "{all}");
    let every = if env::var_os("CID_ALL_BOUNDARIES").is_some() {
        1
    } else {
        OTHERS
    };
    let others = others.into_iter().step_by(every);
    own.into_iter().chain(others).map(str::to_owned).collect()
}

fn kill_at(host: &Host, point: &str, job: &str) {
    crashing(host, &format!("CID_CRASH_AT={point}"));
    // It may die before it answers.
    host.run(&["sh", "-c", job]).unwrap();
    soon(&format!("the daemon dies at {point}"), || {
        let state = host.run(&["systemctl", "is-active", "cid"]).unwrap();
        ["failed", "inactive"].contains(&state.stdout.trim())
    });
    shipped(host);
}

fn with_crasher() -> Option<Host> {
    let host = cid()?;
    let crasher = std::fs::read(Path::new(env!("CARGO_BIN_EXE_cid-crash"))).unwrap();
    host.write(CRASHER, crasher, 0o755).unwrap();
    Some(host)
}

#[test]
fn at_boundaries_of_a_create() {
    let Some(host) = with_crasher() else { return };
    let before = Before::of(&host);
    let points = points(&host, CREATE);
    delete(&host, &before, "at first");
    for point in points {
        kill_at(&host, &point, CREATE);
        assert!(end(&host, &before, &point), "{point}: a create was lost");
        delete(&host, &before, &point);
    }
}

#[test]
fn at_boundaries_of_a_create_that_is_taken_back() {
    let Some(host) = with_crasher() else { return };
    // A failure late in the job: every step of accounts is taken back.
    let file = "/etc/cid/projects.d/guestbook.toml";
    let project = host.read(file).unwrap();
    let failing = project.replace("[app]\n", "[app]\nrelease = [[\"false\"]]\n");
    host.write(file, failing, 0o644).unwrap();
    // A reload would leave a file that the next start removes.
    run(&host, "systemctl restart cid");
    let before = Before::of(&host);
    let create = format!("{CREATE} || true");
    for point in points(&host, &create) {
        kill_at(&host, &point, &create);
        assert!(!end(&host, &before, &point), "{point}");
    }
}

#[test]
fn at_boundaries_of_a_delete() {
    let Some(host) = with_crasher() else { return };
    let before = Before::of(&host);
    create(&host, ANNA);
    let points = points(&host, DELETE);
    gone(&host, &before, "at first");
    for point in points {
        create(&host, ANNA);
        kill_at(&host, &point, DELETE);
        if end(&host, &before, &point) {
            delete(&host, &before, &point);
        }
    }
}

#[test]
fn at_random_moments() {
    let Some(host) = cid() else { return };
    // The unit starts the daemon again by itself.
    run(
        &host,
        "mkdir -p /run/systemd/system/cid.service.d && \
                printf '[Service]\\nRestartSec=100ms\\n' > /run/systemd/system/cid.service.d/soon.conf && \
                systemctl daemon-reload",
    );
    let before = Before::of(&host);
    let timed = |job: &str| {
        let begin = Instant::now();
        run(&host, &job.replace(" --no-wait", ""));
        begin.elapsed()
    };
    let whole = [timed(CREATE), timed(DELETE)];
    let count = env::var("CID_RANDOM_KILLS").ok();
    let count = count
        .and_then(|count| count.parse().ok())
        .unwrap_or(RANDOM_KILLS);
    let mut lost = 0;
    for kill in 0..count {
        for (job, whole) in [CREATE, DELETE].into_iter().zip(whole) {
            let is_delete = job == DELETE;
            if is_delete && host.run(&["cictl", "show", ANNA]).unwrap().status != 0 {
                create(&host, ANNA);
            }
            // Spread evenly, and never at the same place twice.
            let part = f64::from(kill) + rand(kill);
            let moment = whole.mul_f64(part / f64::from(count));
            let place = format!("kill {kill}, {moment:?} into {job}");
            run(&host, job);
            std::thread::sleep(moment);
            run(&host, "systemctl kill --signal=KILL --kill-whom=main cid");
            std::thread::sleep(Duration::from_millis(100));
            if end(&host, &before, &place) == is_delete {
                println!("{place}: taken back");
                lost += 1;
            }
            if is_delete && host.run(&["cictl", "show", ANNA]).unwrap().status == 0 {
                delete(&host, &before, &place);
            }
        }
    }
    println!("{lost} of {} jobs were taken back", 2 * count);
}

/// Between 0 and 1.
fn rand(seed: u32) -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one(seed);
    f64::from(u32::try_from(hash % 1000).unwrap_or_default()) / 1000.0
}
