//! Processes without end, and those that hide.

use super::WATCHED;
use crate::{
    hostile::{Attack, Visits, attack, clear, hostile, tree},
    stage::{owner_of, soon, status_of, words},
};
use cid_testkit::host::Host;

#[test]
fn forking_without_end() {
    // Bounded by itself as well: where this host cannot limit a unit's tasks, the machine is not to
    // suffer. What ends it is the job's time.
    let bomb = "import os, resource, time
resource.setrlimit(resource.RLIMIT_NPROC, (1200, 1200))
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(1)
    time.sleep(0.02)
";
    let install = format!("exec python3 -c '{bomb}'");
    let Some(host) = hostile(&[Attack {
        who: "mallory",
        install: &install,
        app: "",
    }]) else {
        return;
    };
    // The kernel counts a user's processes for all hosts on this machine: a number of its own.
    let settings = "workspace_uids = \"80000-80099\"\n[limits]\ninstall = \"8s\"\n";
    set(&host, settings);
    let before = host.state(WATCHED).unwrap();
    let visits = Visits::begin(&host, "bob---example-com");
    let most = std::cell::Cell::new(0);
    let attack = std::thread::scope(|scope| {
        let attack = scope.spawn(|| attack(&host, "mallory"));
        while !attack.is_finished() {
            let listed = host.run(&["ps", "-e", "-o", "uid="]).unwrap().stdout;
            let is_workspaces = |uid: &str| uid.trim().starts_with("800");
            most.set(
                most.get()
                    .max(listed.lines().filter(|uid| is_workspaces(uid)).count()),
            );
        }
        attack.join().unwrap()
    });
    assert!(most.get() > 500, "there were {} processes", most.get());
    assert_eq!(attack.status, 1, "{attack}");
    let said = words(&attack);
    assert!(
        said.contains("install") && said.contains("longer than 8s"),
        "{said}"
    );
    let (visits, longest) = visits.end();
    println!(
        "{visits} visits, the longest took {longest} s; {} processes",
        most.get()
    );
    host.assert_same(&before, WATCHED).unwrap();
    // Bob's account has a number of the usual range.
    set(&host, "");
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

/// Runs the daemon with this `cid.toml`.
fn set(host: &Host, settings: &str) {
    host.write("/etc/cid/cid.toml", settings, 0o644).unwrap();
    host.run(&["systemctl", "restart", "cid"])
        .unwrap()
        .ok()
        .unwrap();
}

#[test]
fn an_app_that_forks_without_end_is_gone_after_the_delete() {
    // Each child begins a session of its own and forks on, so that killing one by one is a race.
    let bomb = "import os, time
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
    time.sleep(0.05)
";
    let app = format!("exec env -i python3 -c '{bomb}'");
    let attacks = [Attack {
        who: "mallory",
        install: "",
        app: &app,
    }];
    let Some(host) = hostile(&attacks) else {
        return;
    };
    let settings = "workspace_uids = \"81000-81099\"\n";
    set(&host, settings);
    let before = host.state(WATCHED).unwrap();
    let visits = Visits::begin(&host, "bob---example-com");
    attack(&host, "mallory").ok().unwrap();
    let mallory = owner_of(&host, "%u", &tree("mallory"));
    let tasks = || {
        let count = host.run(&["pgrep", "--count", "--uid", &mallory]).unwrap();
        count.stdout.trim().parse::<u32>().unwrap()
    };
    // Its limit is 1024.
    soon("the app has forked", || tasks() > 900);
    assert!(tasks() <= 1024, "{}", tasks());
    clear(&host, "mallory");
    // The last one that was killed is counted until its parent has heard of it.
    soon("nothing of it runs", || tasks() == 0);
    visits.end();
    host.assert_same(&before, WATCHED).unwrap();
    set(&host, "");
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

#[test]
fn leaving_children_that_forked_twice_in_sessions_of_their_own() {
    let leave = |mark: u32| {
        format!(
            "env -i setsid -f sleep {mark} </dev/null >/dev/null 2>&1
python3 -c '
import os
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.closerange(0, 100)
os.chdir(\"/\")
os.execve(\"/usr/bin/sleep\", [\"sleep\", \"{}\"], {{}})'
",
            mark + 1
        )
    };
    let (install, app) = (leave(4800), leave(4810));
    let Some(host) = hostile(&[Attack {
        who: "mallory",
        install: &install,
        app: &app,
    }]) else {
        return;
    };
    let before = host.state(WATCHED).unwrap();
    let left = |mark: &str| {
        let left = host.run(&["pgrep", "--full", "--list-full", mark]).unwrap();
        left.stdout.lines().count()
    };
    attack(&host, "mallory").ok().unwrap();
    assert_eq!(left("^sleep 480[01]"), 0, "what the installation left");
    soon("what the app leaves", || left("^sleep 481[01]") == 2);
    clear(&host, "mallory");
    assert_eq!(left("^sleep 48"), 0);
    host.assert_same(&before, WATCHED).unwrap();
    assert_eq!(status_of(&host, "bob---example-com"), "200");
}
