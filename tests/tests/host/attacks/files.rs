//! Full disks, and files that are hard to get rid of.

use super::WATCHED;
use crate::{
    hostile::{Attack, Visits, attack, clear, hostile, tree},
    stage::{cid, create, main_pid, status_of, words},
};
use cid_testkit::host::Host;

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
    // It fills the disk, or is stopped before it has.
    let ends = [
        "No space left on device",
        "MiB of space are free, and 64 are to stay so",
    ];
    assert!(ends.iter().any(|end| said.contains(end)), "{said}");
    visits.end();
    assert_eq!(main_pid(&host, "cid"), pid);
    host.assert_same(&before, WATCHED).unwrap();
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
    // The ledger takes new lines.
    create(&host, "anna@example.com");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
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
    assert_eq!(
        made, "[] 24400\n",
        "no set-user-ID bit, no device, no link to another's file"
    );
    // Nor does anybody else get there.
    let suid = format!("{}/suid", tree("mallory"));
    let eve = host.run_as("eve", &["cat", &suid]).unwrap();
    assert_ne!(eve.status, 0);
    clear(&host, "mallory");
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
