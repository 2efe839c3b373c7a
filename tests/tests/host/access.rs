//! People at work in their workspaces: their own git, and files that they bring along.

use crate::stage::{cid, soon, words};
use cid_testkit::host::Host;

const TREE: &str = "/srv/cid/guestbook/anna---example-com/src";

#[track_caller]
fn root(host: &Host, line: &str) -> String {
    let done = host.run(&["sh", "-c", line]).unwrap();
    done.ok().unwrap().stdout
}

#[track_caller]
fn anna(host: &Host, line: &str) -> String {
    let done = host.run_as("anna", &["sh", "-c", line]).unwrap();
    done.ok().unwrap().stdout
}

#[test]
fn a_developers_own_git_works_where_she_trusts_the_clone() {
    let Some(host) = cid() else { return };
    root(
        &host,
        "cictl create anna@example.com && cictl create bob@example.com",
    );
    let groups = host.run(&["id", "-nG", "anna"]).unwrap().stdout;
    assert!(!groups.contains("cid-guestbook"), "{groups}");
    anna(
        &host,
        "git config --global user.name A && git config --global user.email a@example.com",
    );
    // Nothing on the machine has her git trust what the workspace's code can write.
    let status = format!("git -C {TREE} status --porcelain");
    let refused = host.run_as("anna", &["sh", "-c", &status]).unwrap();
    assert!(words(&refused).contains("dubious ownership"), "{refused}");
    anna(
        &host,
        &format!("git config --global --add safe.directory {TREE}"),
    );
    assert_eq!(anna(&host, &status), "");
    let commit = format!(
        "cd {TREE} && echo hers > hers && git add hers && git commit -qm hers && git log --oneline | wc -l"
    );
    assert_eq!(anna(&host, &commit).trim(), "2");

    // By a key of her own.
    root(&host, "mkdir -p /run/sshd && systemctl start ssh");
    anna(
        &host,
        "mkdir -p -m 700 ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519 && ssh-keyscan 127.0.0.1 >> ~/.ssh/known_hosts",
    );
    root(
        &host,
        "mkdir -p /home/deploy/.ssh && cp /home/anna/.ssh/id_ed25519.pub /home/deploy/.ssh/authorized_keys && chown -R deploy: /home/deploy/.ssh && chmod 700 /home/deploy/.ssh",
    );
    anna(
        &host,
        &format!("git -C {TREE} push -q ssh://deploy@127.0.0.1/srv/git/guestbook.git HEAD"),
    );
    let head = anna(&host, &format!("git -C {TREE} rev-parse HEAD"));
    let pushed = host.run_as(
        "deploy",
        &[
            "git",
            "-C",
            "/srv/git/guestbook.git",
            "rev-parse",
            "anna---example-com",
        ],
    );
    assert_eq!(pushed.unwrap().ok().unwrap().stdout, head);

    // The app's own user sees what she committed, and its git is not in the way of hers.
    let app = "cictl run anna@example.com -- sh -c";
    let seen = root(&host, &format!("{app} 'cat hers && git rev-parse HEAD'"));
    assert_eq!(seen, format!("hers\n{head}"));
    root(
        &host,
        &format!(
            "{app} 'echo app > app && git add app && git -c user.name=b -c user.email=b@c commit -qm app'"
        ),
    );
    anna(
        &host,
        &format!("cd {TREE} && echo more >> app && git commit -qam more"),
    );
    // Others' workspaces and the mirror stay shut.
    for path in [
        "/srv/cid/guestbook/bob---example-com/src",
        "/var/lib/cid/mirrors/guestbook/mirror.git",
    ] {
        let account = if path.contains("mirror.git") {
            "eve"
        } else {
            "anna"
        };
        let refused = host.run_as(account, &["ls", path]).unwrap();
        assert_ne!(refused.status, 0, "{path}");
    }
    let written = host.run_as(
        "anna",
        &["touch", "/var/lib/cid/mirrors/guestbook/mirror.git/x"],
    );
    assert_ne!(written.unwrap().status, 0);

    root(
        &host,
        "cictl delete --yes --with-branch --force --discard anna@example.com",
    );
}

#[test]
fn what_a_developer_moved_in_is_found_and_repaired() {
    let Some(host) = cid() else { return };
    root(&host, "cictl create anna@example.com");
    anna(
        &host,
        &format!("mkdir -m 700 ~/d && echo hers > ~/d/f && chmod 600 ~/d/f && mv ~/d {TREE}/d"),
    );
    let run = "cictl run anna@example.com -- sh -c";
    assert_ne!(
        host.run(&["sh", "-c", &format!("{run} 'cat d/f'")])
            .unwrap()
            .status,
        0
    );
    let told = host.run(&["cictl", "doctor"]).unwrap();
    assert_eq!(told.status, 1);
    let text = words(&told);
    assert!(
        text.contains("cannot use 2 files")
            && text.contains("cictl access repair anna@example.com -p guestbook"),
        "{text}"
    );

    // Bob may not, Anna may: it is her own.
    let repair = ["cictl", "access", "repair", "anna@example.com"];
    assert_eq!(host.run_as("bob", &repair).unwrap().status, 4);
    host.run_as("anna", &repair).unwrap().ok().unwrap();
    assert_eq!(
        root(&host, &format!("{run} 'cat d/f && echo its > d/g'")),
        "hers\n"
    );
    assert_eq!(anna(&host, &format!("cat {TREE}/d/g")), "its\n");
    assert_eq!(
        root(&host, &format!("stat -c %a {TREE}/d | tail -c 2")).trim(),
        "0"
    );
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();

    // A project's file that names somebody else takes effect.
    let file = "/etc/cid/projects.d/guestbook.toml";
    root(
        &host,
        &format!("sed -i 's/= \"anna\"/= \"bob\"/' {file} && systemctl reload cid"),
    );
    soon("the doctor misses bob's access", || {
        words(&host.run(&["cictl", "doctor"]).unwrap()).contains("an account that has no access")
    });
    root(&host, "cictl access repair --all");
    assert_ne!(host.run_as("anna", &["ls", TREE]).unwrap().status, 0);
    let read = host
        .run_as(
            "bob",
            &[
                "git",
                "-c",
                "safe.directory=*",
                "-C",
                TREE,
                "log",
                "--oneline",
            ],
        )
        .unwrap();
    read.ok().unwrap();

    // Whom it names no more is told, until a repair shuts him out.
    root(
        &host,
        &format!("sed -i '/= \"bob\"/d' {file} && systemctl reload cid"),
    );
    let told = words(&host.run(&["cictl", "doctor"]).unwrap());
    assert!(
        told.contains("open to the account bob (") && told.contains("cictl access repair anna@"),
        "{told}"
    );
    root(&host, "cictl access repair anna@example.com");
    assert_ne!(host.run_as("bob", &["ls", TREE]).unwrap().status, 0);
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

/// SQLite says itself that others may only read what it makes.
#[test]
fn a_developer_uses_what_the_release_made_and_the_environment() {
    let Some(host) = cid() else { return };
    root(
        &host,
        "cictl create anna@example.com && cictl create bob@example.com",
    );
    let environment = "/var/lib/cid/packages/guestbook";
    let write = "import sqlite3; c = sqlite3.connect('db.sqlite3'); \
                 c.execute('CREATE TABLE hers (x)'); c.commit(); import django; print('both')";
    let by = |python: &str| anna(&host, &format!("cd {TREE} && {python} -c \"{write}\""));
    assert_eq!(by(".venv/bin/python"), "both\n");
    // It is the project's, and hers to read alone.
    let change = format!("touch {environment}/x || touch $(readlink -f {TREE}/.venv)/x");
    assert_ne!(
        host.run_as("anna", &["sh", "-c", &change]).unwrap().status,
        0
    );
    assert_ne!(host.run_as("eve", &["ls", environment]).unwrap().status, 0);
    assert_ne!(host.run_as("bob", &["ls", environment]).unwrap().status, 0);
    let run = "cictl run anna@example.com -- python manage.py";
    root(&host, &format!("{run} showmigrations"));

    // Names are for those who use cid, what is in a workspace for its own people.
    let workspace = "/srv/cid/guestbook/anna---example-com";
    assert!(anna(&host, &format!("ls {workspace}")).contains("src"));
    assert!(anna(&host, "ls /srv/cid/guestbook").contains("bob---"));
    for hidden in [
        workspace,
        "/srv/cid",
        "/srv/cid/guestbook",
        "/run/cid/work",
        "/run/cid/apps",
        "/var/log/cid/apps",
    ] {
        assert_ne!(
            host.run_as("eve", &["ls", hidden]).unwrap().status,
            0,
            "{hidden}"
        );
    }
    assert_ne!(host.run_as("bob", &["ls", workspace]).unwrap().status, 0);
    assert_ne!(
        host.run_as("bob", &["cat", "/etc/cid/cid.toml"])
            .unwrap()
            .status,
        0
    );

    // Nothing is lacking, neither here nor where nobody shares the files.
    for email in ["anna@example.com", "bob@example.com"] {
        let repaired = root(&host, &format!("cictl access repair {email} 2>&1"));
        assert!(repaired.contains("0 files and folders got"), "{repaired}");
    }
    // Who is not named any more is out.
    root(
        &host,
        "sed -i '/anna@example.com/d' /etc/cid/projects.d/guestbook.toml && systemctl reload cid && cictl access repair anna@example.com",
    );
    assert_ne!(host.run_as("anna", &["ls", environment]).unwrap().status, 0);
}

#[test]
fn a_repair_touches_nothing_that_is_not_the_workspaces() {
    let Some(host) = cid() else { return };
    root(&host, "cictl create anna@example.com");
    root(
        &host,
        "mkdir -m 755 /srv/canary && echo c > /srv/canary/file && chmod 600 /srv/canary/file && chown -R eve: /srv/canary",
    );
    // What an attacker would like to have in there, with root's help where the kernel forbids it.
    root(
        &host,
        &format!(
            "cd {TREE} && ln /srv/canary/file hard && ln -s /srv/canary link && ln -s /etc/shadow shadow && \
         echo r > roots && chmod 600 roots && echo b > bobs && chmod 600 bobs && chown bob: bobs && \
         mkdir mnt && mount --bind /srv/canary mnt && mkfifo pipe"
        ),
    );
    let look = "getfacl -Rp /srv/canary /etc/shadow; stat -c '%n %a %U' /etc/shadow /srv/canary /srv/canary/file";
    let strangers = format!("cd {TREE} && getfacl roots bobs");
    let before = (root(&host, look), root(&host, &strangers));
    let swap = format!(
        "cd {TREE} && mkdir -p swap/real && python3 -c \"\nimport os\nos.chdir('swap')\nos.symlink('/srv/canary', 'false')\n\
         while True:\n os.rename('real', 'x'); os.rename('false', 'real'); os.rename('real', 'false'); os.rename('x', 'real')\""
    );
    let mut racer = host.command_as("anna", &["sh", "-c", &swap]).unwrap();
    let mut racer = racer.spawn().unwrap();
    let mut told = String::new();
    for _ in 0..15 {
        let done = host
            .run(&["cictl", "access", "repair", "anna@example.com"])
            .unwrap();
        // A folder that became a link under the walk may end one; nothing else may happen.
        told = words(&done);
    }
    racer.kill().unwrap();
    racer.wait().unwrap();
    root(&host, "pkill -u anna python3 || true");
    let done = host
        .run(&["cictl", "access", "repair", "anna@example.com"])
        .unwrap();
    told.push_str(&words(&done));
    done.ok().unwrap();
    assert_eq!((root(&host, look), root(&host, &strangers)), before);
    for (name, reason) in [
        ("hard", "more than one hard link"),
        ("roots", "the user with the number 0"),
        ("bobs", "belongs to the user"),
        ("mnt", "something is mounted"),
    ] {
        let line = told
            .lines()
            .find(|line| line.contains(&format!("src/{name} was left alone")));
        assert!(
            line.is_some_and(|line| line.contains(reason)),
            "{name}: {told}"
        );
    }
    root(&host, &format!("umount {TREE}/mnt"));
}

#[test]
fn a_repair_of_all_goes_on_after_one_that_is_not_ones_own() {
    let Some(host) = cid() else { return };
    root(
        &host,
        "cictl create aaron@example.com && cictl create anna@example.com",
    );
    let repair = ["cictl", "access", "repair", "--all"];
    let done = host.run_as("anna", &repair).unwrap();
    let told = words(&done);
    assert_eq!(done.status, 4, "{told}");
    for sentence in [
        "1 workspace is left as before: you may not repair what is not yours",
        "the access to the files of anna@example.com in guestbook is repaired",
    ] {
        assert!(told.contains(sentence), "{told}");
    }
    assert!(!told.contains("aaron@"), "{told}");
}
