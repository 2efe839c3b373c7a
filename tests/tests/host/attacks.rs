//! What must not succeed, tried on a booted host by code that has the rights that such code has.

use crate::{
    hostile::{Attack, Visits, attack, clear, hostile, tree},
    stage::{cid, create, main_pid, owner_of, soon, status_of, words},
};
use cid_testkit::{
    Dialogue,
    host::{Debian, Host},
};
use serde_json::json;
use std::collections::BTreeSet;

/// All that must be as before once everything is deleted: files, accounts, processes, sockets, units.
const WATCHED: &[&str] = &[
    "/etc/cid",
    "/etc/group",
    "/etc/nginx",
    "/etc/passwd",
    "/run/cid",
    "/srv/cid",
    "/tmp",
    "/var/lib/cid/apps",
    "/var/lib/cid/nginx",
    "/var/lib/cid/supervisor",
    "/var/lib/cid/trash",
    "/var/log/cid",
    "/var/tmp",
];

/// Tries every socket there is, those that it can see and those that it knows of.
const DIAL: &str = r#"
import os, socket, sys
paths = set(l.split()[7] for l in open('/proc/net/unix') if len(l.split()) > 7)
paths |= set(sys.argv[1:])
for at, folders, files in os.walk('/run'):
    paths |= set(os.path.join(at, name) for name in folders + files)
for path in sorted(paths):
    name = '\0' + path[1:] if path.startswith('@') else path
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            socket.socket(socket.AF_UNIX, kind).connect(name)
            print('CONNECTED', kind, path, flush=True)
        except OSError as error:
            print('refused', path, error.errno, flush=True)
print('the end')
"#;
/// Those of the system and of cid's own, in case none of them is to be seen.
const SOCKETS: [&str; 11] = [
    "/run/cid/cid.sock",
    "/run/cid/web/web.sock",
    "/run/cid/supervisor/supervisor.sock",
    "/run/cid-web/http.sock",
    "/run/dbus/system_bus_socket",
    "/run/supervisor.sock",
    "/run/systemd/private",
    "/run/systemd/notify",
    "/run/systemd/journal/socket",
    SSHD,
    FURTHER,
];
/// From systemd 256 on, where sshd is installed: a key of the app's own making would let it in.
const SSHD: &str = "/run/ssh-unix-local/socket";
/// Of a package that cid does not know, and open to everybody.
const FURTHER: &str = "/run/further/socket";
const FURTHER_UNITS: [(&str, &str); 2] = [
    (
        "further.socket",
        "[Socket]\nListenStream=/run/further/socket\nSocketMode=0666\n",
    ),
    ("further.service", "[Service]\nExecStart=/bin/sleep 600\n"),
];

fn dialled(host: &Host, who: &str, file: &str) -> String {
    let path = format!("{}/{file}", tree(who));
    soon("the attack is over", || {
        host.read(&path)
            .is_ok_and(|said| said.ends_with("the end\n"))
    });
    host.read(&path).unwrap()
}

#[test]
fn dialling_every_socket_of_the_machine() {
    let known = SOCKETS.join(" ");
    let script = |to: &str| format!("python3 - {known} > {to} 2>&1 <<'END'\n{DIAL}END\n");
    let (install, app) = (script("by-install"), script("by-app"));
    let Some(host) = hostile(&[Attack {
        who: "mallory",
        install: &install,
        app: &app,
    }]) else {
        return;
    };
    // So that they are there to be dialled.
    for (name, unit) in FURTHER_UNITS {
        host.write(&format!("/run/systemd/system/{name}"), unit, 0o644)
            .unwrap();
    }
    let run = |args: &[&str]| host.run(args).unwrap().ok().unwrap();
    run(&["systemctl", "daemon-reload"]);
    run(&["systemctl", "start", "cid-web", "polkit", "further.socket"]);
    assert!(host.exists(FURTHER).unwrap());
    let has_sshd = Debian::asked().unwrap().number >= 13;
    assert_eq!(host.exists(SSHD).unwrap(), has_sshd);
    attack(&host, "mallory").ok().unwrap();
    for file in ["by-install", "by-app"] {
        let said = dialled(&host, "mallory", file);
        for known in SOCKETS {
            assert!(
                said.contains(&format!("refused {known} ")),
                "{known}: {said}"
            );
        }
        assert!(!said.contains("CONNECTED"), "{file}: {said}");
    }
}

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
    assert_eq!(tasks(), 0);
    visits.end();
    host.assert_same(&before, WATCHED).unwrap();
    set(&host, "");
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

#[test]
fn filling_the_disk_that_everything_is_on() {
    let install = "i=0; while [ $i -lt 100 ]; do i=$((i + 1)); head -c 100M /dev/zero > fill.$i || exit 9; done";
    let Some(host) = cid() else { return };
    // Workspaces and the ledger on one small file system, as on a small machine.
    let move_in = "set -e
systemctl stop cid.socket cid-front.socket cid cid-supervisor
mkdir /mnt/small && mount -t tmpfs -o size=700m tmpfs /mnt/small
for folder in /var/lib/cid /srv/cid; do
    cp --archive $folder /mnt/small/
    mv /mnt/small/cid /mnt/small/$(echo $folder | tr / -)
    mount --bind /mnt/small/$(echo $folder | tr / -) $folder
done
systemctl start cid.socket cid-front.socket cid-supervisor cid";
    host.run(&["sh", "-c", move_in]).unwrap().ok().unwrap();
    crate::hostile::set_up(
        &host,
        &[Attack {
            who: "mallory",
            install,
            app: "",
        }],
    );
    create(&host, "bob@example.com");
    let before = host.state(WATCHED).unwrap();
    let pid = main_pid(&host, "cid");
    let visits = Visits::begin(&host, "bob---example-com");
    let attack = attack(&host, "mallory");
    assert_eq!(attack.status, 1, "{attack}");
    let said = words(&attack);
    assert!(said.contains("No space left on device"), "{said}");
    visits.end();
    assert_eq!(main_pid(&host, "cid"), pid);
    host.assert_same(&before, WATCHED).unwrap();
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
    // The ledger takes new lines.
    create(&host, "anna@example.com");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
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

/// What is left of root's rights and of the daemon's things: descriptors, groups, ways back, variables.
const REMAINS: &str = r#"
import json, os
def is_open(number):
    try:
        os.fstat(number)
        return True
    except OSError:
        return False
def succeeds(call):
    try:
        call()
        return True
    except OSError:
        return False
back = {
    'setuid': lambda: os.setuid(0),
    'setresuid': lambda: os.setresuid(-1, 0, -1),
    'setgid': lambda: os.setgid(0),
    'setgroups': lambda: os.setgroups([0]),
    'setregid': lambda: os.setregid(-1, 0),
    'chroot': lambda: os.chroot('.'),
    'nice': lambda: os.nice(-5),
}
print(json.dumps({
    'open': [number for number in range(3, 4096) if is_open(number)],
    'back': [name for name in back if succeeds(back[name])],
    'env': sorted(os.environ),
    'status': dict(line.rstrip().split(':\t', 1) for line in open('/proc/self/status') if ':\t' in line),
}))
"#;
/// All that a command of a repository is told, and what a shell adds.
const TOLD: &[&str] = &[
    "CID_PROCESS",
    "CID_RUN_DIR",
    "CID_UNIT",
    "CID_URL",
    "CID_WORKSPACE",
    "CID_JOB",
    "HOME",
    "HOST",
    "LANG",
    "LC_CTYPE",
    "OLDPWD",
    "PATH",
    "PORT",
    "PWD",
    "PYTHONUNBUFFERED",
    "SHLVL",
    "SOCKET",
    "TMPDIR",
    "UV_LINK_MODE",
    "UV_PROJECT_ENVIRONMENT",
    "VIRTUAL_ENV",
    "_",
];

#[test]
fn looking_for_what_is_left_of_roots_rights() {
    let script = |to: &str| format!("python3 - > {to} 2>&1 <<'END'\n{REMAINS}END\n");
    let (install, app) = (script("by-install"), script("by-app"));
    let Some(host) = hostile(&[Attack {
        who: "mallory",
        install: &install,
        app: &app,
    }]) else {
        return;
    };
    attack(&host, "mallory").ok().unwrap();
    let run = [
        "cictl",
        "run",
        "--project",
        "hostile",
        "mallory@example.com",
        "--",
        "python3",
        "-c",
        REMAINS,
    ];
    let by_run = host.run(&run).unwrap().ok().unwrap().stdout;
    let file = |name: &str| {
        let path = format!("{}/{name}", tree("mallory"));
        soon("it has looked", || {
            host.read(&path).is_ok_and(|said| said.ends_with("}\n"))
        });
        host.read(&path).unwrap()
    };
    let group = host
        .run(&["getent", "group", "cid-hostile"])
        .unwrap()
        .stdout;
    let group = group.split(':').nth(2).unwrap().to_owned();
    let uid = owner_of(&host, "%u", &tree("mallory"));
    for (who, said) in [
        ("install", file("by-install")),
        ("app", file("by-app")),
        ("run", by_run),
    ] {
        let found: serde_json::Value = serde_json::from_str(&said).unwrap();
        for nothing in ["open", "back"] {
            assert_eq!(found[nothing], serde_json::json!([]), "{who}: {said}");
        }
        let names = found["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap());
        let untold: Vec<&str> = names.filter(|name| !TOLD.contains(name)).collect();
        assert_eq!(untold, [""; 0], "{who}");
        let field = |name: &str| {
            let text = found["status"][name].as_str().unwrap();
            text.split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(field("Uid"), [uid.as_str(); 4], "{who}");
        assert_eq!(field("Gid"), [uid.as_str(); 4], "{who}");
        let mut others = field("Groups");
        // systemd names the first group among them once more.
        others.retain(|group| *group != uid);
        assert_eq!(others, [group.as_str()], "{who}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(set), ["0000000000000000"], "{who}: {set}");
        }
        assert_eq!(field("NoNewPrivs"), ["1"], "{who}");
        assert_eq!(field("Seccomp"), ["2"], "{who}");
    }
}

/// Plants whatever git runs, in a clone's own configuration and hooks. Each writes who it was.
const PLANT: &str = r#"
mkdir -p ../home/canary && chmod 777 ../home ../home/canary
cat > ../home/run <<END
#!/bin/sh
for to in $(cd .. && pwd)/home/canary /srv/canary /tmp /var/tmp /dev/shm; do
    { id; echo "\$0 \$*"; tr '\\0' ' ' < /proc/\$PPID/cmdline; } > \$to/canary.\$\$ 2>/dev/null
done
exit 0
END
chmod 755 ../home/run
run=$(cd .. && pwd)/home/run
for hook in applypatch-msg pre-applypatch post-applypatch pre-commit prepare-commit-msg commit-msg \
    post-commit pre-rebase post-checkout post-merge pre-push pre-receive update post-receive post-update \
    push-to-checkout pre-auto-gc post-rewrite reference-transaction fsmonitor-watchman post-index-change; do
    cp ../home/run .git/hooks/$hook
done
mkdir -p ../home/hooks && cp .git/hooks/* ../home/hooks/
set_key() { git config --file .git/config "$1" "$2"; }
for key in core.fsmonitor core.sshCommand core.gitProxy core.askPass core.editor core.pager \
    sequence.editor diff.external gpg.program gpg.ssh.program credential.helper \
    filter.evil.clean filter.evil.smudge filter.evil.process diff.evil.textconv diff.evil.command \
    merge.evil.driver remote.origin.uploadpack remote.origin.receivepack remote.origin.vcs \
    uploadpack.packObjectsHook receive.procReceiveRefs interactive.diffFilter trailer.x.command \
    init.templateDir man.evil.cmd browser.evil.cmd pager.status pager.push alias.push alias.fetch; do
    set_key $key $run
done
set_key core.hooksPath $(cd .. && pwd)/home/hooks
set_key filter.evil.required true
set_key protocol.ext.allow always
set_key core.alternateRefsCommand $run
set_key url."ext::$run ".insteadOf /
set_key include.path $(cd .. && pwd)/home/included
printf '[core]\n\tfsmonitor = %s\n' $run > ../home/included
echo '* filter=evil diff=evil merge=evil' > .git/info/attributes
echo '* filter=evil diff=evil merge=evil' > .gitattributes
"#;

#[test]
fn planting_hooks_and_commands_in_a_clones_git_configuration() {
    let install = format!("set -e\n{PLANT}echo planted > planted\n");
    let Some(host) = hostile(&[Attack {
        who: "mallory",
        install: &install,
        app: "",
    }]) else {
        return;
    };
    let run = |args: &[&str]| host.run(args).unwrap();
    // Somebody may edit its files.
    let access = "printf '[access.people]\n\"mallory@example.com\" = \"anna\"\n' >> /etc/cid/projects.d/hostile.toml && systemctl reload cid";
    run(&["sh", "-c", access]).ok().unwrap();
    run(&["install", "-d", "-m", "1777", "/srv/canary"])
        .ok()
        .unwrap();
    // Its branch is not there: the creation pushes it with all of this planted.
    run(&[
        "git",
        "-c",
        "safe.directory=*",
        "-C",
        "/srv/git/hostile.git",
        "branch",
        "-m",
        "mallory---example-com",
        "kept",
    ]);
    let base = "main";
    run(&["sh", "-c", &format!("cd /srv/git/hostile.git && git -c safe.directory=* branch -f {base} kept && chown -R deploy:deploy .")]).ok().unwrap();
    let canaries = || {
        let places = [
            "/srv/canary",
            "/tmp",
            "/var/tmp",
            "/dev/shm",
            "/srv/cid/hostile",
        ];
        let find = ["find", "-L"]
            .into_iter()
            .chain(places)
            .chain(["-name", "canary.*"]);
        run(&find.collect::<Vec<_>>()).stdout
    };
    attack(&host, "mallory").ok().unwrap();
    assert!(
        host.exists(&format!("{}/planted", tree("mallory")))
            .unwrap()
    );
    let branch = [
        "git",
        "-c",
        "safe.directory=*",
        "-C",
        "/srv/git/hostile.git",
        "rev-parse",
        "mallory---example-com",
    ];
    run(&branch).ok().unwrap();
    assert_eq!(canaries(), "", "run by the creation");

    run(&[
        "cictl",
        "restart",
        "--project",
        "hostile",
        "mallory@example.com",
    ])
    .ok()
    .unwrap();
    run(&[
        "cictl",
        "show",
        "--project",
        "hostile",
        "mallory@example.com",
    ])
    .ok()
    .unwrap();
    let refused = run(&[
        "cictl",
        "delete",
        "--yes",
        "--with-branch",
        "--project",
        "hostile",
        "mallory@example.com",
    ]);
    assert_eq!(refused.status, 5, "it holds uncommitted work: {refused}");
    assert_eq!(canaries(), "", "run by a look for uncommitted work");

    // Nor by what else cid does there, nor by the ways that its guide tells people.
    let tree = tree("mallory");
    for line in [
        "cictl doctor || true".to_owned(),
        "cictl access repair --project hostile mallory@example.com".into(),
        "cictl project check hostile".into(),
        "cictl logs --project hostile mallory@example.com".into(),
        format!("runuser -u anna -- sh -c 'echo hers >> {tree}/server.py'"),
        format!("git -C {tree} status; true"),
        format!("runuser -u anna -- git -C {tree} status; true"),
        format!(
            "cd /home/anna && runuser -u anna -- git clone --quiet --no-local --branch mallory---example-com \
             --upload-pack='git -c safe.directory={tree} upload-pack' {tree} hers && runuser -u anna -- git -C hers \
             fetch --quiet --upload-pack='git -c safe.directory={tree} upload-pack' origin"
        ),
    ] {
        run(&["sh", "-c", &line]).ok().unwrap();
        assert_eq!(canaries(), "", "run by {line}");
    }

    // The traps do work: git itself walks into them, as the workspace's own user and nobody else.
    let user = owner_of(&host, "%u", &tree);
    let whose = || -> BTreeSet<String> {
        let read = "cat $(find -L /srv/canary /tmp /var/tmp /dev/shm /srv/cid/hostile -name 'canary.*') < /dev/null";
        let said = run(&["sh", "-c", read]).stdout;
        let ids = said.lines().filter_map(|line| line.strip_prefix("uid="));
        ids.map(|line| line.split('(').next().unwrap().to_owned())
            .collect()
    };
    let forget = || {
        run(&[
            "sh",
            "-c",
            "find -L /srv/canary /tmp /var/tmp /dev/shm /srv/cid/hostile -name 'canary.*' -delete",
        ]);
        assert_eq!(canaries(), "");
    };
    let own = BTreeSet::from([user]);
    for line in [
        "status",
        "commit --allow-empty --all --message=x",
        "diff",
        "push",
        "log -p",
    ] {
        let git = [
            "cictl",
            "run",
            "--project",
            "hostile",
            "mallory@example.com",
            "--",
            "git",
        ];
        run(&git.into_iter().chain(line.split(' ')).collect::<Vec<_>>());
        assert_eq!(whose(), own, "git {line}");
        forget();
    }
    let steps = json!([
        ["expect", "$ "],
        [
            "send",
            "git status; git log -p; git push; git commit -a; echo do''ne\n"
        ],
        ["expect", "done\r\n"],
        ["send", "exit\n"],
    ]);
    let shell = [
        "cictl",
        "shell",
        "--project",
        "hostile",
        "mallory@example.com",
    ];
    let words = Dialogue::words(&steps, &shell);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Dialogue::of(&host.run_as("anna", &words).unwrap()).unwrap();
    assert_eq!(whose(), own, "a shell");
    forget();

    let delete = [
        "cictl",
        "delete",
        "--yes",
        "--discard",
        "--with-branch",
        "--force",
        "--project",
        "hostile",
        "mallory@example.com",
    ];
    run(&delete).ok().unwrap();
    assert_eq!(canaries(), "", "run by the delete");
    assert_ne!(run(&branch).status, 0, "the branch is still there");
}

/// Files that are hard to get rid of, or dangerous to touch.
const LITTER: &str = r#"
import ctypes, os, socket, stat, sys
os.mkfifo('fifo'); os.mkfifo('fifo.closed'); os.chmod('fifo.closed', 0)
s = socket.socket(socket.AF_UNIX); s.bind('socket')
made = []
open('suid', 'w').write('#!/bin/sh\n')
try:
    os.chmod('suid', 0o6755); made.append('suid')
except OSError:
    pass
for name, kind in (('block', stat.S_IFBLK), ('char', stat.S_IFCHR)):
    try:
        os.mknod(name, 0o666 | kind, os.makedev(1, 3)); made.append(name)
    except OSError:
        pass
try:
    os.link('/etc/passwd', 'hard'); made.append('hard')
except OSError:
    pass
for name in (b'-rf', b'a\nb', b'\xff\xfe', b'*', b'x' * 255, b'.cid-purge-1', b'.cid.tmp', b'$(reboot)'):
    os.mkdir(name); open(os.path.join(name, b'f'), 'w').close()
os.symlink('/', 'to-root'); os.symlink('/etc', '.cid-purge-2'); os.symlink('loop', 'loop')
os.mkdir('many')
for number in range(50000):
    os.close(os.open('many/%d' % number, os.O_CREAT | os.O_WRONLY))
os.mkdir('closed'); os.mkdir('closed/in'); open('closed/in/f', 'w').close()
os.chmod('closed/in', 0); os.chmod('closed', 0)
here = os.getcwd()
os.mkdir('deep'); os.chdir('deep')
for level in range(400):
    os.mkdir('d' * 60); os.chdir('d' * 60)
open('bottom', 'w').close()
os.chdir(here)
open('made', 'w').write('%s %d\n' % (made, 400 * 61))
"#;

#[test]
fn leaving_special_very_deep_and_very_many_files() {
    let install = format!("python3 - <<'END'\n{LITTER}END\n");
    let Some(host) = hostile(&[Attack {
        who: "mallory",
        install: &install,
        app: "",
    }]) else {
        return;
    };
    // So that access to it is given as well, which walks through all of it.
    let with_access = "printf '[access.people]\\n\"mallory@example.com\" = \"anna\"\\n' >> /etc/cid/projects.d/hostile.toml
systemctl reload cid";
    host.run(&["sh", "-c", with_access]).unwrap().ok().unwrap();
    let before = host.state(WATCHED).unwrap();
    let etc = host
        .run(&[
            "stat",
            "--format=%n %a %u %g %h %Y",
            "/etc/passwd",
            "/etc",
            "/",
        ])
        .unwrap();
    let (pid, files, held) = (main_pid(&host, "cid"), open_files(&host), memory(&host));
    attack(&host, "mallory").ok().unwrap();
    let made = host.read(&format!("{}/made", tree("mallory"))).unwrap();
    assert_eq!(made, "[] 24400\n", "no device, no link to another's file");
    // What has a set-user-id bit runs as the workspace's user at the most, and nobody else gets there.
    let suid = format!("{}/suid", tree("mallory"));
    let eve = host.run_as("eve", &["cat", &suid]).unwrap();
    assert_ne!(eve.status, 0);
    let begin = std::time::Instant::now();
    clear(&host, "mallory");
    println!("deleted within {:?}", begin.elapsed());
    host.assert_same(&before, WATCHED).unwrap();
    let now = host
        .run(&[
            "stat",
            "--format=%n %a %u %g %h %Y",
            "/etc/passwd",
            "/etc",
            "/",
        ])
        .unwrap();
    // Accounts were made and removed, which makes these files anew.
    let unchanged = |text: &str| {
        text.lines()
            .map(|l| l.rsplit_once(' ').unwrap().0.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(unchanged(&now.stdout), unchanged(&etc.stdout));
    assert_eq!(main_pid(&host, "cid"), pid);
    let grown = memory(&host).saturating_sub(held);
    assert!(grown < 32 * 1024, "the daemon holds {grown} KiB more");
    // Two helpers that wait for the next job have four each: their pipes, and themselves.
    assert!(
        open_files(&host) <= files + 10,
        "{files} files were open before"
    );
}

fn open_files(host: &Host) -> usize {
    let dir = format!("/proc/{}/fd", main_pid(host, "cid").trim());
    host.run(&["ls", &dir]).unwrap().stdout.lines().count()
}

/// What the daemon holds, in KiB.
fn memory(host: &Host) -> u64 {
    let path = format!("/proc/{}/status", main_pid(host, "cid").trim());
    let status = host.read(&path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().split_whitespace().next();
    number.unwrap().parse().unwrap()
}
