//! A workspace on a host: an identity of its own, and nothing left of it afterwards.

use crate::stage::{cid, create, has_linux, soon, status_of, user_of, words};
use cid_testkit::host::Host;
use std::collections::BTreeMap;

/// All but the ledger and the project's mirror, which remember, and the copies that the tools for
/// accounts make of their files.
pub const WATCHED: &[&str] = &[
    "/etc/cid",
    "/etc/nginx",
    "/run/cid",
    "/srv",
    "/var/lib/cid/apps",
    "/var/lib/cid/built",
    "/var/lib/cid/packages",
    "/var/lib/cid/home",
    "/var/lib/cid/nginx",
    "/var/lib/cid/supervisor",
    "/var/lib/cid/trash",
    "/var/log/cid",
];

/// The machine's accounts and groups.
pub fn accounts(host: &Host) -> Vec<String> {
    let files = ["passwd", "group", "shadow", "gshadow", "subuid", "subgid"];
    let read = |name| host.read(&format!("/etc/{name}")).unwrap();
    files.into_iter().map(read).collect()
}

/// The fields of `/proc/PID/status` of the one process of this user that listens to no parent of the
/// same user: what supervisord started.
fn process_of(host: &Host, user: &str) -> (String, BTreeMap<String, String>) {
    let pids = host
        .run(&["pgrep", "--oldest", "--uid", user])
        .unwrap()
        .ok()
        .unwrap();
    let pid = pids.stdout.trim().to_owned();
    let status = host.read(&format!("/proc/{pid}/status")).unwrap();
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        Some((name.to_owned(), value))
    };
    (pid, status.lines().filter_map(field).collect())
}

#[test]
fn a_workspace_has_an_identity_of_its_own_and_goes_without_a_trace() {
    let Some(host) = cid() else { return };
    let (before, accounts_before) = (host.state(WATCHED).unwrap(), accounts(&host));
    create(&host, "anna@example.com");
    assert_eq!(status_of(&host, "anna---example-com"), "200");

    let fields = ["PROJECT=guestbook", "WORKSPACE=anna---example-com"];
    let journal = [&["journalctl", "--output=cat", "--unit=cid"][..], &fields].concat();
    let told = host.run(&journal).unwrap().stdout;
    for word in ["job accepted", "job ended", "Workspaces/Create"] {
        assert!(told.contains(word), "{word}: {told}");
    }

    let user = user_of(&host, "anna---example-com");
    assert!(user.starts_with("cidw-"), "{user}");
    let (pid, status) = process_of(&host, &user);
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[field], "0000000000000000", "{field}");
    }
    assert_eq!(status["NoNewPrivs"], "1");
    let project = host
        .run(&["getent", "group", "cid-guestbook"])
        .unwrap()
        .stdout;
    assert_eq!(
        status["Groups"],
        project.split(':').nth(2).unwrap(),
        "only the project's group"
    );
    let open = host
        .run(&["ls", &format!("/proc/{pid}/fd")])
        .unwrap()
        .stdout;
    assert!(
        open.split_whitespace().take(3).eq(["0", "1", "2"]),
        "{open}"
    );
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();

    let deleted = host.run(&[
        "cictl",
        "delete",
        "--yes",
        "--with-branch",
        "anna@example.com",
    ]);
    deleted.unwrap().ok().unwrap();
    assert!(
        host.run(&["getent", "passwd", &user])
            .unwrap()
            .stdout
            .is_empty()
    );
    host.assert_same(&before, WATCHED).unwrap();
    assert_eq!(accounts(&host), accounts_before);
}

/// What one process can do to another by its number.
const INTRUDE: &str = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
space = ctypes.create_string_buffer(64)
def attempt(what, call):
    try:
        done = call()
        if isinstance(done, int) and done < 0:
            raise OSError(ctypes.get_errno(), what)
        print('DONE', what)
    except OSError as error:
        print('refused', what, error.errno)
def descriptor():
    return libc.syscall(438, os.pidfd_open(pid), 0, 0)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(space), 64)
attempt('attach', lambda: libc.ptrace(16, pid, 0, 0))
attempt('seize', lambda: libc.ptrace(0x4206, pid, 0, 0))
attempt('read memory', lambda: libc.syscall(310, pid, vector, 1, vector, 1, 0))
attempt('write memory', lambda: libc.syscall(311, pid, vector, 1, vector, 1, 0))
attempt('take a descriptor', descriptor)
attempt('limits', lambda: libc.syscall(302, pid, 7, 0, space))
attempt('priority', lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
attempt('processors', lambda: os.sched_setaffinity(pid, [0]))
attempt('mem', lambda: os.open('/proc/%d/mem' % pid, os.O_RDWR))
attempt('root', lambda: os.listdir('/proc/%d/root/' % pid))
attempt('output', lambda: os.open('/proc/%d/fd/1' % pid, os.O_WRONLY))
"#;

#[test]
fn one_workspace_cannot_reach_another_nor_the_machine() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    create(&host, "bob@example.com");
    let anna = user_of(&host, "anna---example-com");
    let (pid, _) = process_of(&host, &anna);
    let probe = |script: &str| {
        let args = [
            "cictl",
            "run",
            "bob@example.com",
            "--",
            "python3",
            "-c",
            script,
        ];
        let output = host.run(&args).unwrap();
        words(&output)
    };
    let opens = |path: &str| {
        probe(&format!(
            "try:\n import os; fd = os.open({path:?}, os.O_RDONLY); print('OPENED', os.fstat(fd))\nexcept OSError as e: print('refused', e.errno)"
        ))
    };
    assert!(opens("/srv/cid/guestbook/bob---example-com/src/manage.py").contains("OPENED"));
    for path in [
        "/srv/cid/guestbook/anna---example-com/src",
        "/srv/cid/guestbook/anna---example-com/src/manage.py",
        "/srv/cid/guestbook/anna---example-com/home",
        "/var/lib/cid/apps/guestbook.anna---example-com.json",
        "/var/lib/cid/apps/guestbook.bob---example-com.json",
        "/var/lib/cid/cid.db",
        "/etc/cid/projects.d/guestbook.toml",
        "/etc/shadow",
        "/home/deploy/.profile",
        &format!("/proc/{pid}/environ"),
        &format!("/proc/{pid}/maps"),
    ] {
        let said = opens(path);
        assert!(said.contains("refused"), "{path}: {said}");
    }
    for socket in [
        "/run/cid/cid.sock",
        "/run/cid/web/web.sock",
        "/run/cid/supervisor/supervisor.sock",
        "/run/dbus/system_bus_socket",
        "/run/systemd/private",
    ] {
        let said = probe(&format!(
            "import socket\ns = socket.socket(socket.AF_UNIX)\ntry:\n s.connect({socket:?}); print('CONNECTED')\nexcept OSError as e: print('refused', e.errno)"
        ));
        assert!(said.contains("refused"), "{socket}: {said}");
    }
    let said = probe(&format!(
        "import os\ntry:\n os.kill({pid}, 9); print('KILLED')\nexcept OSError as e: print('refused', e.errno)\ntry:\n os.setuid(0); print('ROOT')\nexcept OSError as e: print('refused', e.errno)"
    ));
    assert_eq!(said.matches("refused").count(), 2, "{said}");
    let said = probe(&format!("pid = {pid}\n{INTRUDE}"));
    assert_eq!(said.matches("refused").count(), 11, "{said}");
    assert!(!said.contains("DONE"), "{said}");
    // A process that takes the port of an app that is down would get its visitors.
    // Landlock knows ports from this version on.
    if has_linux(&host, (6, 7)) {
        let said = probe(
            "import socket\ns = socket.socket()\ntry:\n s.bind(('127.0.0.1', 29999)); print('BOUND')\nexcept OSError as e: print('refused', e.errno)",
        );
        assert!(said.contains("refused 13"), "{said}");
    }
    assert_eq!(status_of(&host, "anna---example-com"), "200");
}

#[test]
fn a_daemon_that_threw_everything_away_is_gone_after_the_delete() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let user = user_of(&host, "anna---example-com");
    let started = host.run(&[
        "systemd-run",
        "--quiet",
        "--collect",
        &format!("--uid={user}"),
        "--unit=left-over",
        "env",
        "-i",
        "/usr/bin/setsid",
        "--fork",
        "/bin/sleep",
        "4711",
    ]);
    started.unwrap().ok().unwrap();
    let runs = || {
        host.run(&["pgrep", "--uid", &user, "sleep"])
            .unwrap()
            .stdout
    };
    host.run(&[
        "cictl",
        "run",
        "anna@example.com",
        "--",
        "sh",
        "-c",
        "env -i setsid -f sleep 4712 >/dev/null 2>&1 </dev/null",
    ])
    .unwrap()
    .ok()
    .unwrap();
    host.run(&[
        "cictl",
        "delete",
        "--yes",
        "--with-branch",
        "anna@example.com",
    ])
    .unwrap()
    .ok()
    .unwrap();
    assert_eq!(runs(), "");
}

#[test]
fn workspaces_are_back_after_a_reboot_without_the_daemon() {
    let Some(mut host) = cid() else { return };
    create(&host, "anna@example.com");
    host.run(&["systemctl", "mask", "cid.service"])
        .unwrap()
        .ok()
        .unwrap();
    host.reboot().unwrap();
    soon("the page answers", || {
        status_of(&host, "anna---example-com") == "200"
    });
    let is_active = host
        .run(&["systemctl", "is-active", "cid.service"])
        .unwrap()
        .stdout;
    assert_eq!(is_active.trim(), "inactive");
}

#[test]
fn a_killed_daemon_ends_what_it_began_and_no_neighbour_notices() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let (before, _) = process_of(&host, &user_of(&host, "anna---example-com"));
    host.run(&["cictl", "create", "--no-wait", "bob@example.com"])
        .unwrap()
        .ok()
        .unwrap();
    host.run(&["systemctl", "kill", "--signal=KILL", "cid.service"])
        .unwrap()
        .ok()
        .unwrap();
    soon("bob's page answers", || {
        status_of(&host, "bob---example-com") == "200"
    });
    soon("no job is left", || {
        let jobs = host.run(&["cictl", "jobs", "list"]).unwrap().stdout;
        !jobs.contains("running") && !jobs.contains("queued") && jobs.contains("bob@example.com")
    });
    let (after, _) = process_of(&host, &user_of(&host, "anna---example-com"));
    assert_eq!(before, after, "the neighbour's process was restarted");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

#[test]
fn what_a_developer_makes_the_workspace_can_read_and_the_other_way_round() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let tree = "/srv/cid/guestbook/anna---example-com/src";
    let made = format!("echo by-anna > {tree}/by_anna && sed -i 's/^$//' {tree}/manage.py");
    let made = host.run_as("anna", &["sh", "-c", &made]).unwrap();
    made.ok().unwrap();
    let read = host.run(&[
        "cictl",
        "run",
        "anna@example.com",
        "--",
        "sh",
        "-c",
        "cat by_anna manage.py && echo by-the-app > by_app",
    ]);
    assert!(read.unwrap().ok().unwrap().stdout.contains("by-anna"));
    let read = host
        .run_as("anna", &["cat", &format!("{tree}/by_app")])
        .unwrap();
    assert!(read.ok().unwrap().stdout.contains("by-the-app"));
    let refused = host
        .run_as("bob", &["cat", &format!("{tree}/by_app")])
        .unwrap();
    assert_ne!(refused.status, 0, "{}", words(&refused));
}

#[test]
fn people_may_what_polkit_says() {
    let Some(host) = cid() else { return };
    let may = |user: &str, args: &[&str]| {
        let output = host.run_as(user, &[&["cictl"], args].concat()).unwrap();
        output.status
    };
    assert_eq!(
        may("eve", &["list"]),
        6,
        "the socket itself is closed to her"
    );
    assert_eq!(may("anna", &["create", "anna@example.com"]), 0);
    assert_eq!(may("bob", &["list"]), 0);
    for args in [
        &["delete", "--yes", "anna@example.com"][..],
        &["restart", "anna@example.com"],
        &["run", "anna@example.com", "--", "true"],
        &["logs", "anna@example.com"],
        &["doctor"],
        &["audit"],
    ] {
        assert_eq!(may("bob", args), 4, "{args:?}");
    }
    host.run(&["systemctl", "mask", "--now", "polkit.service"])
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(may("anna", &["list"]), 4, "nobody answers for her");
    host.run(&["systemctl", "unmask", "polkit.service"])
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(
        may(
            "anna",
            &["delete", "--yes", "--with-branch", "anna@example.com"]
        ),
        0
    );
    let audit = host.run(&["cictl", "audit"]).unwrap().stdout;
    assert!(audit.contains("bob") && audit.contains("denied"), "{audit}");
}

#[test]
fn what_is_shared_in_memory_lives_as_long_as_its_workspace() {
    let Some(host) = cid() else { return };
    create(&host, "bob@example.com");
    let python = |script: &str| {
        let args = ["cictl", "run", "bob@example.com", "--", "python3", "-c"];
        host.run(&[&args[..], &[script]].concat()).unwrap()
    };
    let made = python("open('/dev/shm/kept', 'w')");
    assert!(made.ok().is_ok());
    // Its unit has ended; the app may still use what it left.
    assert!(host.exists("/dev/shm/kept").unwrap());
    let user = user_of(&host, "bob---example-com");
    let number = host.run(&["id", "--user", &user]).unwrap().stdout;
    let number = number.trim();
    let show = ["systemctl", "show", "--property=MainPID", "--value"];
    let apps = host
        .run(&[&show[..], &["cid-supervisor"]].concat())
        .unwrap();
    let apps = apps.stdout.trim().to_owned();
    // Where apps are, but for Landlock, which some kernels have not.
    let there = |user: &str, script: &str| {
        let (reuid, regid) = (format!("--reuid={user}"), format!("--regid={user}"));
        let enter = ["nsenter", "--target", &apps, "--mount", "--ipc", "setpriv"];
        let become_it = [&*reuid, &regid, "--clear-groups", "python3", "-c", script];
        let said = host.run(&[&enter[..], &become_it].concat()).unwrap();
        said.ok().unwrap().stdout
    };
    there(number, LEAVE);
    let left = "find /dev/shm /dev/mqueue /tmp /var/tmp -name 'left*'; cat /proc/sysvipc/*";
    let left = format!("import os; os.system(\"{left}\")");
    let lines = |mark: &str| {
        there("0", &left)
            .lines()
            .filter(|l| l.contains(mark))
            .count()
    };
    assert_eq!(
        (lines("left"), lines(number)),
        (6, 3),
        "{}",
        there("0", &left)
    );
    // Files of another account stay, and stop nothing.
    there(
        "65534",
        "import os; os.makedirs('/dev/shm/open/others/own'); open('/dev/mqueue/other', 'w')",
    );
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();

    host.run(&["cictl", "delete", "--yes", "bob@example.com"])
        .unwrap()
        .ok()
        .unwrap();
    assert!(!host.exists("/dev/shm/kept").unwrap());
    assert_eq!(
        (lines("left"), lines(number)),
        (0, 0),
        "{}",
        there("0", &left)
    );
    assert!(host.exists("/dev/shm/open/others/own").unwrap());
    assert!(host.exists("/dev/mqueue/other").unwrap());
    // Of a number that nobody has any more.
    let told = host.run(&["cictl", "doctor"]).unwrap();
    assert!(
        told.status != 0 && words(&told).contains("rm -r /dev/shm/open"),
        "{told}"
    );
}

/// Leaves files, folders, a message queue and System V objects.
const LEAVE: &str = "import ctypes, os
libc = ctypes.CDLL(None)
os.umask(0)
for place in ['/dev/shm', '/tmp', '/var/tmp']:
    os.makedirs(place + '/left/deep', mode=0o700)
    os.symlink('/etc/passwd', place + '/left/deep/passwd')
open('/dev/mqueue/left', 'w')
open('/dev/shm/left.txt', 'w')
os.mkdir('/dev/shm/left.closed', mode=0)
os.mkdir('/dev/shm/open')
assert libc.shmget(0, 4096, 0o1600) >= 0
assert libc.msgget(0, 0o1600) >= 0
assert libc.semget(0, 1, 0o1600) >= 0";

#[test]
fn the_file_to_begin_with_is_one_for_a_server() {
    let Some(host) = cid() else { return };
    let init = |url: &str| {
        let path = "/etc/cid/projects.d/fresh.toml";
        let init = ["cictl", "project", "init", "fresh", "--url", url];
        let more = ["--domain", "fresh.test", "--write", path];
        host.run(&[&init[..], &more].concat()).unwrap()
    };
    let refused = init("http://git.example.org/a.git");
    assert_eq!(refused.status, 2, "{refused}");
    init("/srv/git/guestbook.git").ok().unwrap();
    host.run(&["systemctl", "reload", "cid"])
        .unwrap()
        .ok()
        .unwrap();
    let check = ["cictl", "project", "check", "fresh"];
    host.run(&check).unwrap().ok().unwrap();
}

#[test]
fn systemd_is_told_of_a_job_while_it_lasts() {
    let Some(host) = cid() else { return };
    // The watchdog's signs of life are 10 s apart, a job takes less than one.
    let look = "cictl create --no-wait -p guestbook anna@example.com >/dev/null; sleep 0.2
        for i in 1 2 3 4 5; do systemctl show --property=StatusText --value cid; sleep 0.05; done
        cictl create -p guestbook bob@example.com >/dev/null; sleep 0.5
        systemctl show --property=StatusText --value cid";
    let told = host.run(&["sh", "-c", look]).unwrap().ok().unwrap().stdout;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.first(), Some(&"1 job at work"), "{told}");
    assert_eq!(lines.last(), Some(&"idle"), "{told}");
}
