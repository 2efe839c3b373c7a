//! The end of everything that a workspace's user runs.

use crate::{
    rig::{Helper, eventually, is_alive, pid_in},
    scene::{Scene, number},
};
use cid_protocol::request::{EndProcesses, Ended};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Starts what nobody finds by descent, session or environment; gives the last one's number.
fn runaway(scene: &Scene, uid: u32) -> i32 {
    let file = scene.folder(&format!("of-{uid}"), uid, 0o700).join("pid");
    let line = format!(
        "(sleep 300 & echo $! > {0}.tmp; mv {0}.tmp {0}) &",
        file.display()
    );
    as_other(
        uid,
        &["env", "-i", "/usr/bin/setsid", "/bin/sh", "-c", &line],
    )
    .status()
    .unwrap();
    pid_in(&file)
}

fn as_other(uid: u32, argv: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={uid}"), &format!("--regid={uid}")])
        .args(["--clear-groups", "--"])
        .args(argv);
    command
}

fn lock(scene: &Scene) -> PathBuf {
    scene.folder("lock", scene.uid, 0o700).join("lock")
}

fn end(helper: Helper) -> Result<Ended, String> {
    ask(helper, EndProcesses::default())
}

fn ask(mut helper: Helper, ask: EndProcesses) -> Result<Ended, String> {
    helper.ask(ask).map_err(|(message, _)| message)
}

#[test]
fn spares_nobody_of_its_own_and_everybody_else() {
    let Some(scene) = Scene::set() else { return };
    let other = number();
    let (own, bystander) = (runaway(&scene, scene.uid), runaway(&scene, other));
    // It is never the same process for long.
    let forks = "while :; do (setsid sh -c 'sleep 0.02' &); sleep 0.001; done";
    let mut forking = as_other(scene.uid, &["sh", "-c", forks]).spawn().unwrap();
    let helper = Helper::start_by(scene.as_user(scene.uid, &[]), &lock(&scene));
    let told = end(helper).unwrap();
    assert!(told.rounds >= 1 && !is_alive(own), "{told:?}");
    assert!(!is_alive(forking.id().cast_signed()));
    forking.wait().unwrap();
    assert_eq!(alive_of(scene.uid), [0; 0]);
    assert!(is_alive(bystander));
    // Its own user's helper ends it, so that nothing is left of this test.
    let lock = scene.folder("other-lock", other, 0o700).join("lock");
    end(Helper::start_by(scene.as_user(other, &[]), &lock)).unwrap();
    eventually("the bystander's turn", Duration::from_secs(5), || {
        !is_alive(bystander)
    });
}

#[test]
fn what_its_user_left_in_shared_memory_goes_and_others_do_not_stop_it() {
    let Some(scene) = Scene::set() else { return };
    let name = format!("/dev/shm/cid-left-{}", scene.uid);
    let script = format!(
        "umask 077; mkdir {name}.closed && ln -s /etc/passwd {name}.closed/link && chmod 0 {name}.closed; \
         : > {name}.file; mkdir -m 777 {name}.open; chmod 777 {name}.open"
    );
    let made = as_other(scene.uid, &["sh", "-c", &script]).status();
    assert!(made.unwrap().success());
    let others = format!("{name}.open/others");
    let made = as_other(number(), &["mkdir", "-p", &format!("{others}/own")]).status();
    assert!(made.unwrap().success());
    let everything = EndProcesses {
        spare: true,
        leave_nothing: true,
        ..EndProcesses::default()
    };
    let helper = Helper::start_by(scene.as_user(scene.uid, &[]), &lock(&scene));
    let told = ask(helper, everything).unwrap();
    let is_there = |end: &str| Path::new(&format!("{name}.{end}")).exists();
    let there = ["closed", "file", "open/others/own"].map(is_there);
    std::fs::remove_dir_all(format!("{name}.open")).unwrap();
    assert_eq!(there, [false, false, true], "{told:?}");
    let left = told.left.iter().filter(|line| line.contains(&name));
    assert_eq!((told.rounds, left.count()), (0, 1), "{told:?}");
}

#[test]
fn refuses_to_end_more_than_is_meant() {
    let Some(scene) = Scene::set() else { return };
    let fault = end(Helper::start_by(
        scene.as_root(),
        &scene.path("lock-of-root"),
    ))
    .unwrap_err();
    assert!(fault.contains("the processes of root"), "{fault}");
    let mut person = as_other(scene.uid, &["sh", "-c", "\"$0\" \"$@\"; exit 0"]);
    person.arg(scene.binary());
    let fault = end(Helper::start_by(person, &lock(&scene))).unwrap_err();
    assert!(fault.contains("which started this one"), "{fault}");
}

fn alive_of(uid: u32) -> Vec<i32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let status = Path::new("/proc").join(pid.to_string()).join("status");
            std::fs::read_to_string(status)
                .is_ok_and(|text| text.contains(&format!("Uid:\t{uid}\t")))
        })
        .filter(|&pid| is_alive(pid))
        .collect()
}
