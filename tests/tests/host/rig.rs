//! The rig itself: what every other test here takes for granted.

use crate::stage::{host, image};
use cid_testkit::{Process, host::Host};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

#[test]
fn boots_with_all_its_services() {
    let Some(host) = host() else { return };
    let state = host.run(&["systemctl", "is-system-running"]).unwrap();
    let failed = host.run(&["systemctl", "--failed", "--plain"]).unwrap();
    assert_eq!(state.stdout.trim(), "running", "{failed}");
    for unit in ["nginx", "supervisor", "dbus"] {
        host.run(&["systemctl", "is-active", unit])
            .unwrap()
            .ok()
            .unwrap();
    }
    let page = host.run(&["curl", "-sS", "http://127.0.0.1/"]).unwrap();
    assert!(page.stdout.contains("nginx"), "{page}");
    assert!(host.journal("nginx").unwrap().contains("Started"));
}

#[test]
fn each_is_fresh_and_two_do_not_meet() {
    let Some(image) = image() else { return };
    let first = Host::boot(&image).unwrap();
    first.write("/etc/mark/of", "the first", 0o640).unwrap();
    first.run(&["useradd", "anna"]).unwrap().ok().unwrap();
    let second = Host::boot(&image).unwrap();
    assert!(!second.exists("/etc/mark").unwrap());
    assert!(second.run_as("anna", &["true"]).is_err());
    second.remove().unwrap();
    // The end of one is not the end of the other.
    assert_eq!(first.read("/etc/mark/of").unwrap(), "the first");
    let state = first.run(&["systemctl", "is-system-running"]).unwrap();
    assert_eq!(state.stdout.trim(), "running");
}

#[test]
fn another_user_is_without_privileges() {
    let Some(host) = host() else { return };
    let add = ["useradd", "--create-home", "--groups", "adm", "anna"];
    host.run(&add).unwrap().ok().unwrap();
    let id = host.run_as("anna", &["id"]).unwrap().ok().unwrap();
    assert!(
        id.stdout.contains("(anna)") && id.stdout.contains("(adm)"),
        "{id}"
    );
    assert!(!id.stdout.contains("root"), "{id}");
    let status = host.run_as("anna", &["cat", "/proc/self/status"]).unwrap();
    let capabilities: Vec<&str> = status
        .stdout
        .lines()
        .filter(|line| line.starts_with("CapEff") || line.starts_with("CapInh"))
        .filter(|line| !line.ends_with("0000000000000000"))
        .collect();
    assert!(capabilities.is_empty(), "{capabilities:?}");
    host.run_as("anna", &["cat", "/etc/shadow"])
        .unwrap()
        .status(1)
        .unwrap();
    let home = host.run_as("anna", &["env"]).unwrap();
    assert!(home.stdout.contains("HOME=/home/anna\n"), "{home}");
    // polkit knows who asks.
    let ask = |user| {
        let pkcheck = "pkcheck --action-id org.freedesktop.systemd1.manage-units --process $$";
        host.run_as(user, &["sh", "-c", pkcheck]).unwrap().status
    };
    assert_eq!((ask("root"), ask("anna")), (0, 2));
}

#[test]
fn files_outlive_a_reboot_and_a_power_cut() {
    let Some(mut host) = host() else { return };
    host.write("/var/lib/mark", "1", 0o600).unwrap();
    host.write("/run/mark", "1", 0o600).unwrap();
    host.reboot().unwrap();
    assert_eq!(host.read("/var/lib/mark").unwrap(), "1");
    assert!(!host.exists("/run/mark").unwrap());
    host.write("/var/lib/mark", "2", 0o600).unwrap();
    host.power_cut().unwrap();
    assert!(host.run(&["true"]).is_err());
    host.switch_on().unwrap();
    assert_eq!(host.read("/var/lib/mark").unwrap(), "2");
}

#[test]
fn nothing_is_left_of_it() {
    let Some(host) = host() else { return };
    let leader = Process::look(host.leader().unwrap()).unwrap();
    let dir = host.scratch_dir().to_owned();
    let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
    let mut sleep = host.command(&["sleep", "1000"]).unwrap();
    let mut sleep = sleep.stdin(Stdio::null()).spawn().unwrap();
    assert!(mounts().contains(&name));
    host.remove().unwrap();
    assert!(!leader.is_alive());
    assert!(!sleep.wait().unwrap().success());
    assert!(!dir.exists());
    assert!(!mounts().contains(&name));
    assert_eq!(groups(Path::new("/sys/fs/cgroup"), &name), 0);
}

#[test]
fn a_panic_takes_it_down_too() {
    let Some(host) = host() else { return };
    let dir = host.scratch_dir().to_owned();
    let leader = Process::look(host.leader().unwrap()).unwrap();
    let test = std::thread::spawn(move || {
        let _host = host;
        panic!("on purpose");
    });
    assert!(test.join().is_err());
    assert!(!leader.is_alive() && !dir.exists());
}

#[test]
fn what_a_killed_owner_left_goes_with_the_next_boot() {
    const HOLD: &str = "CID_TEST_HOLD_A_HOST";
    let Some(image) = image() else { return };
    if std::env::var_os(HOLD).is_some() {
        // The second run of this program, below: it is killed while it holds a host.
        let host = Host::boot(&image).unwrap();
        fs::write(
            std::env::var_os(HOLD).unwrap(),
            host.leader().unwrap().to_string(),
        )
        .unwrap();
        std::thread::sleep(std::time::Duration::from_secs(120));
        return;
    }
    let note = tempfile::NamedTempFile::new().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "rig::what_a_killed_owner_left_goes_with_the_next_boot",
        ])
        .env(HOLD, note.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let limit = std::time::Duration::from_secs(60);
    let leader = cid_testkit::wait_until("the other host", limit, || {
        Process::look(fs::read_to_string(note.path()).ok()?.parse().ok()?)
    });
    owner.kill().unwrap();
    owner.wait().unwrap();
    let leader = leader.unwrap();
    assert!(leader.is_alive());
    let name = format!("cid-host-{}-1", owner.id());
    assert!(mounts().contains(&name));
    Host::boot(&image).unwrap().remove().unwrap();
    assert!(!leader.is_alive());
    assert!(!mounts().contains(&name));
}

#[test]
fn a_layer_is_prepared_once() {
    let Some(image) = image() else { return };
    let mark = |host: &Host| host.write("/etc/layer", "prepared", 0o644);
    let layered = image.with_layer("rig-1", mark).unwrap();
    let again = image.with_layer("rig-1", |_| panic!("a second time"));
    for image in [layered, again.unwrap()] {
        let host = Host::boot(&image).unwrap();
        assert_eq!(host.read("/etc/layer").unwrap(), "prepared");
    }
}

#[test]
fn packages_install_without_a_network() {
    let Some(host) = host() else { return };
    let example = cid_testkit::examples_dir().join("guestbook");
    host.copy_in(&example, "/srv/app").unwrap();
    let run = |args: &[&str]| host.run(args).unwrap().ok().unwrap();
    run(&["uv", "venv", "--quiet", "--seed", "/srv/by-uv"]);
    let requirements = "/srv/app/requirements.txt";
    let python = "--python=/srv/by-uv/bin/python";
    run(&["uv", "pip", "install", python, "-r", requirements]);
    run(&["python3", "-m", "venv", "/srv/by-pip"]);
    run(&["/srv/by-pip/bin/pip", "install", "-r", requirements]);
    for venv in ["by-uv", "by-pip"] {
        run(&[&format!("/srv/{venv}/bin/gunicorn"), "--version"]);
    }
}

#[test]
fn a_package_file_is_installed() {
    let Some(image) = image() else { return };
    let dir = tempfile::tempdir().unwrap();
    let deb = dir.path().join("rig.deb");
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::create_dir_all(tree.join("usr/share/rig")).unwrap();
    fs::write(tree.join("usr/share/rig/file"), "here").unwrap();
    let control = "Package: rig\nVersion: 1\nArchitecture: all\nMaintainer: Rig <rig@example.com>\n\
                   Depends: nginx-light, supervisor\nDescription: a package of a test's\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let host = Host::boot(&image).unwrap();
    let mut build = Command::new("dpkg-deb");
    build
        .args(["--root-owner-group", "--build"])
        .arg(&tree)
        .arg(&deb);
    cid_testkit::run(&mut build, std::time::Duration::from_secs(60))
        .unwrap()
        .ok()
        .unwrap();
    let before = host.state(&["/usr/share"]).unwrap();
    host.install_deb(&deb).unwrap();
    assert_eq!(host.read("/usr/share/rig/file").unwrap(), "here");
    let after = host.state(&["/usr/share"]).unwrap();
    let difference = before.difference(&after);
    assert!(
        difference.contains("+ file /usr/share/rig/file: f"),
        "{difference}"
    );
    host.run(&["dpkg", "--purge", "rig"]).unwrap().ok().unwrap();
    host.assert_same(&before, &["/usr/share"]).unwrap();
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

/// How many control groups of this name there are.
fn groups(dir: &Path, name: &str) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders
        .map(|entry| usize::from(entry.file_name() == name) + groups(&entry.path(), name))
        .sum()
}
