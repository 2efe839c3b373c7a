//! What a project's file limits. As a rule the machine below lends these hosts no controllers of memory
//! and processes, so it is the limits of each process that are seen at work; the last test has controllers
//! of the first version, which systemd limits helpers by.

use crate::stage::{
    cid, cid_with_controllers, create, rewrite_project, soon, status_of, user_of, words,
};
use cid_testkit::host::Host;

fn line_of<'a>(limits: &'a str, name: &str) -> Vec<&'a str> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default()
        .split_whitespace()
        .take(1)
        .collect()
}

/// Creates a workspace in vain; gives what was said.
fn fails(host: &Host, email: &str) -> String {
    let created = host.run(&["cictl", "create", email]).unwrap();
    assert_eq!(created.status, 1, "{}", words(&created));
    let listed = host.run(&["cictl", "list"]).unwrap().stdout;
    assert!(!listed.contains(email), "{listed}");
    words(&created)
}

#[test]
fn apps_and_commands_run_within_their_limits() {
    let Some(host) = cid() else { return };
    let limits = "[limits.app]\nopen_files = 333\nfile_size = \"5M\"\nprocesses = 77\nmemory = \"300M\"\n\
                  [limits.commands]\nopen_files = 444\nfile_size = \"6M\"\n";
    rewrite_project(&host, "", "", limits).ok().unwrap();
    create(&host, "anna@example.com");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    let user = user_of(&host, "anna---example-com");
    let pid = host
        .run(&["pgrep", "--oldest", "--uid", &user])
        .unwrap()
        .stdout;
    let found = host.read(&format!("/proc/{}/limits", pid.trim())).unwrap();
    assert_eq!(line_of(&found, "Max open files"), ["333"], "{found}");
    assert_eq!(line_of(&found, "Max file size"), ["5242880"]);
    assert_eq!(line_of(&found, "Max processes"), ["77"]);
    assert_eq!(line_of(&found, "Max data size"), ["314572800"]);
    let own_group =
        "/system-cid.slice/cid-supervisor.service/app-guestbook.anna---example-com/web\n";
    let group_of = |pid: &str| host.read(&format!("/proc/{}/cgroup", pid.trim())).unwrap();
    assert!(group_of(&pid).contains(own_group), "{}", group_of(&pid));

    let run = |command: &str| {
        let output = host.run(&[
            "cictl",
            "run",
            "anna@example.com",
            "--",
            "sh",
            "-c",
            command,
        ]);
        output.unwrap()
    };
    assert_eq!(run("ulimit -n").stdout.trim(), "444");
    let group = run("cat /proc/self/cgroup").stdout;
    assert!(
        group.contains("/system-cid.slice/system-cid-helpers.slice/cid-run-"),
        "{group}"
    );
    let filled = run("head -c 7000000 /dev/zero > big; echo ended with $?; stat --format=%s big");
    assert!(filled.stdout.contains("6291456"), "{}", words(&filled));
    assert!(
        !filled.stdout.contains("ended with 0"),
        "{}",
        words(&filled)
    );
    // A supervisord that died comes back into a group that is divided already or anew.
    let kill = "kill -KILL $(systemctl show --property=MainPID --value cid-supervisor)";
    host.run(&["sh", "-c", kill]).unwrap().ok().unwrap();
    soon("the app is back", || {
        let back = host
            .run(&["pgrep", "--oldest", "--uid", &user])
            .unwrap()
            .stdout;
        let is_back = !back.is_empty() && back != pid;
        is_back
            && status_of(&host, "anna---example-com") == "200"
            && group_of(&back).contains(own_group)
    });
    let bad = rewrite_project(&host, "", "", "[limits.app]\nmemory = \"2 GB\"\n");
    assert_eq!(bad.status, 1);
    let said = words(&bad);
    assert!(
        said.contains("`2 GB` is not a size") && said.contains("column 10"),
        "{said}"
    );
}

#[test]
fn a_fork_bomb_ends_with_its_job_and_no_neighbour_notices() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let bomb = "import os, time\nwhile True:\n try: os.fork()\n except OSError: time.sleep(0.5)";
    let release = format!("release = [[\"python3\", \"-c\", {bomb:?}, \"a-bomb\"]]");
    let limits = "[limits]\nrelease = \"5s\"\n[limits.commands]\nprocesses = 64\n";
    rewrite_project(&host, "", &release, limits).ok().unwrap();
    let bombs = || {
        let found = host.run(&["pgrep", "--count", "--full", "a-bomb"]).unwrap();
        found.stdout.trim().parse::<usize>().unwrap_or_default()
    };
    host.run(&["cictl", "create", "--no-wait", "bob@example.com"])
        .unwrap()
        .ok()
        .unwrap();
    soon("the bomb goes off", || bombs() > 30);
    assert!(bombs() <= 64, "{}", bombs());
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    soon("the job ends", || {
        let jobs = host.run(&["cictl", "jobs", "list"]).unwrap().stdout;
        !jobs.contains("running") && !jobs.contains("undoing")
    });
    assert_eq!(bombs(), 0);
    let jobs = host
        .run(&["cictl", "-o", "json", "jobs", "list"])
        .unwrap()
        .stdout;
    assert!(jobs.contains("took longer than 5s"), "{jobs}");
    assert!(jobs.contains("the project file or cid.toml"), "{jobs}");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

#[test]
fn a_command_that_takes_too_much_memory_fails_and_no_neighbour_notices() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let migrate = r#"["python", "manage.py", "migrate", "--noinput"]"#;
    let release =
        format!(r#"release = [["python3", "-c", "print(len(bytearray(1 << 30)))"], {migrate}]"#);
    let limits = "[limits.commands]\nmemory = \"256M\"\n";
    rewrite_project(&host, "", &release, limits).ok().unwrap();
    let said = fails(&host, "bob@example.com");
    assert!(
        said.contains("MemoryError") && said.contains("cannot release"),
        "{said}"
    );
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    // With enough of it the same command passes.
    rewrite_project(&host, "", &release, "[limits.commands]\nmemory = \"2G\"\n")
        .ok()
        .unwrap();
    create(&host, "bob@example.com");
}

/// Each of four takes less than a process may, all together more than the command may.
const HOGS: &str = "import os, sys, time
hogs = []
for number in range(4):
    hog = os.fork()
    if hog == 0:
        held = b'x' * (100 << 20)
        time.sleep(3)
        os._exit(0)
    hogs.append(hog)
sys.exit(9 if any([os.waitpid(hog, 0)[1] for hog in hogs]) else 0)";

#[test]
fn a_command_is_limited_with_all_that_it_starts() {
    let Some(host) = cid_with_controllers() else {
        return;
    };
    create(&host, "anna@example.com");
    let of_helpers = |controller: &str, file: &str| {
        let group = "system.slice/system-cid.slice/system-cid-helpers.slice";
        let group = format!("/sys/fs/cgroup/{controller}/{group}");
        // It may have stood ready.
        let cat = format!("cat {group}/cid-helper-*/{file} {group}/cid-standing-*/{file}");
        let found = host.run(&["sh", "-c", &cat]).unwrap().stdout;
        found.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let migrate = r#"["python", "manage.py", "migrate", "--noinput"]"#;
    let release = format!(r#"release = [["python3", "-c", {HOGS:?}], {migrate}]"#);
    let limits = |memory: &str| format!("[limits.commands]\nmemory = \"{memory}\"\n");
    rewrite_project(&host, "", &release, &limits("300M"))
        .ok()
        .unwrap();
    let said = std::thread::scope(|scope| {
        let failing = scope.spawn(|| fails(&host, "bob@example.com"));
        soon("systemd has set the limit", || {
            of_helpers("memory", "memory.limit_in_bytes").contains(&(300 << 20).to_string())
        });
        failing.join().unwrap()
    });
    assert!(said.contains("ended with status 9"), "{said}");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    rewrite_project(&host, "", &release, &limits("1G"))
        .ok()
        .unwrap();
    create(&host, "bob@example.com");

    // Without a word in the file a process's own limit does not count here: only the unit's does.
    let children = "import os, time
while True:
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    except OSError:
        time.sleep(0.5)";
    let release = format!("release = [[\"python3\", \"-c\", {children:?}]]");
    rewrite_project(&host, "", &release, "[limits]\nrelease = \"5s\"\n")
        .ok()
        .unwrap();
    let said = std::thread::scope(|scope| {
        let failing = scope.spawn(|| fails(&host, "carl@example.com"));
        soon("the group refuses to grow", || {
            let refused = of_helpers("pids", "pids.events");
            let is_refused = refused.iter().any(|line| line != "max 0");
            is_refused && of_helpers("pids", "pids.current").contains(&"1024".to_owned())
        });
        failing.join().unwrap()
    });
    assert!(said.contains("longer than 5s"), "{said}");
    for name in ["anna---example-com", "bob---example-com"] {
        assert_eq!(status_of(&host, name), "200");
    }
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}
