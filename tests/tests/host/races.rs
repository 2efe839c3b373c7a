//! Folders that become links to somewhere else, and back, while cid works in them.

use crate::{
    hostile::Visits,
    stage::{cid, create, words},
};
use cid_testkit::host::Host;
use std::{
    collections::BTreeMap,
    process::{Child, Stdio},
};

const LEAST: u64 = 100_000;
/// What must stay as it is: beside the workspaces, where helpers may write, and elsewhere. It is open to
/// everybody, so that only care keeps cid's hands off it; and it looks like a clone.
const CANARIES: [&str; 2] = ["/srv/canary", "/srv/cid/guestbook/canary"];
const MAKE_CANARIES: &str = "set -e
for canary in /srv/canary /srv/cid/guestbook/canary; do
    git clone --quiet --no-hardlinks --bare /root/guestbook $canary
    mkdir -p $canary/sub/sub $canary/closed
    for file in $canary/sub/a $canary/sub/sub/b $canary/.env $canary/manage.py $canary/closed/c; do
        echo $file > $file
    done
    chmod -R a+rwX $canary
    chmod 700 $canary/closed
done";
const LOOK: &str = "for canary in /srv/canary /srv/cid/guestbook/canary; do
    find $canary -printf '%p %y %m %U:%G %T@ %C@ %i %n %s %l\\n' | sort
    getfacl --recursive --numeric --absolute-names $canary
    find $canary -type f -exec sha256sum {} + | sort
done";

/// Exchanges names in a folder with links, as fast as it can, until it is killed. It gets the folder from
/// root as soon as there is one, and then is this user.
const FLIPPER: &str = r#"
import ctypes, os, sys, time
uid, gid, tree, count, names = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:]
canaries = ['/srv/canary', '/srv/cid/guestbook/canary']
renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
tally = os.open(count, os.O_WRONLY | os.O_CREAT)
while True:
    try:
        folder = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        break
    except OSError:
        time.sleep(0.0005)
os.fchdir(folder)
os.setgroups([]); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
pairs = [(os.fsencode(name), os.fsencode(name + '.flip')) for name in names]
# Never by way of a link: what is in the canaries is not for this program to touch.
def make_own(name):
    if b'own' in name:
        new = b'new.%d' % uid
        os.makedirs(new + b'/in/in', exist_ok=True)
        os.rename(new, name)
flips = turn = 0
while True:
    turn += 1
    for place, (name, link) in enumerate(pairs):
        if renameat2(folder, name, folder, link, 2) == 0:
            flips += 1
            continue
        # Whatever is missing is put there: the link first of all, then something to exchange it with.
        for make in (lambda: os.symlink(canaries[(turn + place) % 2], link),
                     lambda: make_own(name)):
            try:
                make()
            except OSError:
                pass
    if turn % 64 == 0:
        os.pwrite(tally, b'%d' % flips, 0)
        if turn % 4096 == 0:
            time.sleep(0.001)
"#;

/// What is exchanged, and from when on.
struct Round {
    from_the_beginning: bool,
    names: &'static [&'static str],
}

#[rustfmt::skip]
const ROUNDS: [Round; 4] = [
    // What nothing depends on, so that the whole way is gone.
    Round { from_the_beginning: true, names: &["own", "own.2", "README.md"] },
    // What cid writes.
    Round { from_the_beginning: true, names: &["own", ".env", ".venv", "media"] },
    // What git needs: first for a clone, which may well fail, then for a look at what it holds.
    Round { from_the_beginning: true, names: &["own", ".git", "entries", "guestbook"] },
    Round { from_the_beginning: false, names: &["own", ".git", "entries", "guestbook"] },
];

struct Flippers<'a> {
    host: &'a Host,
    running: [Child; 2],
    counts: [String; 2],
}

impl<'a> Flippers<'a> {
    /// As the workspace's user and as the developer.
    fn begin(host: &'a Host, round: usize, workspace: u32, names: &[&str]) -> Self {
        let anna = host.run(&["id", "-u", "anna"]).unwrap().stdout;
        let workspace = workspace.to_string();
        let tree = "/srv/cid/guestbook/anna---example-com/src";
        let uids = [workspace.as_str(), anna.trim()];
        let counts = uids.map(|uid| format!("/run/flips/{round}.{uid}"));
        let begin = |(uid, count): (&str, &str)| {
            let args = ["python3", "-c", FLIPPER, uid, uid, tree, count];
            let mut command = host.command(&[&args[..], names].concat()).unwrap();
            command.stdin(Stdio::null()).spawn().unwrap()
        };
        let running = [(uids[0], &*counts[0]), (uids[1], &*counts[1])].map(begin);
        Self {
            host,
            running,
            counts,
        }
    }

    /// By the workspace's user, and by the developer.
    fn flips(&self) -> [u64; 2] {
        self.counts.each_ref().map(|count| {
            let count = self.host.read(count).unwrap_or_default();
            count.parse().unwrap_or_default()
        })
    }

    fn end(mut self) -> [u64; 2] {
        for flipper in &mut self.running {
            flipper.kill().unwrap();
            flipper.wait().unwrap();
        }
        self.host.run(&["pkill", "--full", "renameat2"]).unwrap();
        self.flips()
    }
}

/// Removes what a creation that was undone has moved aside: to cid, a tracked file that became a link is a
/// person's change. It says where that is.
fn remove_kept(host: &Host, told: &str) {
    let kept = "/srv/cid/guestbook/.kept";
    let listed = host.run(&["find", kept, "-mindepth", "1", "-maxdepth", "1"]);
    for folder in listed.unwrap().stdout.lines() {
        assert!(told.contains(folder), "{folder} is not in: {told}");
        host.run(&["rm", "-r", folder]).unwrap().ok().unwrap();
    }
}

#[test]
fn exchanging_folders_with_links_while_cid_works_in_them() {
    let Some(host) = cid() else { return };
    let run = |args: &[&str]| host.run(args).unwrap();
    create(&host, "bob@example.com");
    let before = host.state(&["/srv/cid", "/var/lib/cid/trash"]).unwrap();
    run(&["sh", "-c", MAKE_CANARIES]).ok().unwrap();
    run(&["mkdir", "/run/flips"]).ok().unwrap();
    let canaries = || run(&["sh", "-c", LOOK]).ok().unwrap().stdout;
    let unharmed = canaries();
    assert!(
        CANARIES
            .iter()
            .all(|canary| unharmed.contains(&format!("{canary}/closed/c")))
    );
    let visits = Visits::begin(&host, "bob---example-com");

    let (mut total, mut during, mut ready) = ([0, 0], BTreeMap::new(), 0);
    // Numbers 1 and 2 are given.
    for round in 0_usize.. {
        let uid = 70_002 + u32::try_from(round).unwrap();
        let Round {
            from_the_beginning,
            names,
        } = ROUNDS[round % ROUNDS.len()];
        let create = || run(&["cictl", "create", "anna@example.com"]);
        let made = (!from_the_beginning).then(create);
        let flippers = Flippers::begin(&host, round, uid, names);
        let mut done = 0_u64;
        let mut count = |what: &'static str| {
            let flips = flippers.flips().iter().sum::<u64>();
            *during.entry(what).or_insert(0) += flips - done;
            done = flips;
        };
        let created = made.unwrap_or_else(create);
        count("create");
        let is_there = run(&["cictl", "show", "anna@example.com"]).status == 0;
        assert_eq!(is_there, created.status == 0, "{}", words(&created));
        if is_there {
            ready += 1;
            let restarted = run(&["cictl", "restart", "anna@example.com"]);
            assert!([0, 1].contains(&restarted.status), "{restarted}");
            count("restart");
            let delete = ["cictl", "delete", "--yes", "anna@example.com"];
            if run(&delete).status != 0 {
                // It holds what is nowhere else, or cannot be looked at.
                run(&[&delete[..], &["--discard"]].concat()).ok().unwrap();
            }
            count("delete");
        }
        let flips = flippers.end();
        remove_kept(&host, &words(&created));
        total = [total[0] + flips[0], total[1] + flips[1]];
        let (now, unharmed) = (canaries(), &unharmed);
        let new = now.lines().filter(|line| !unharmed.contains(line));
        let new: Vec<&str> = new.collect();
        assert!(now == *unharmed, "round {round}: {}", new.join("\n"));
        if round + 1 >= ROUNDS.len() && total.iter().sum::<u64>() >= LEAST && during.len() == 3 {
            break;
        }
    }
    println!("{total:?} flips, {during:?}; {ready} creations ended ready");
    assert!(during.values().all(|flips| *flips > 1000), "{during:?}");
    assert!(total.iter().all(|flips| *flips > 1000), "{total:?}");
    visits.end();
    run(&["rm", "-r", CANARIES[0], CANARIES[1], "/run/flips"])
        .ok()
        .unwrap();
    host.assert_same(&before, &["/srv/cid", "/var/lib/cid/trash"])
        .unwrap();
    run(&["cictl", "doctor"]).ok().unwrap();
}
