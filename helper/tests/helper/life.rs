//! A helper on its own: what it leaves behind at its start, and at its end.

use crate::rig::{Helper, eventually, is_alive, pid_in, runaway};
use cid_protocol::request::{Ask, RunCommand};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::Duration,
};

fn shell(line: &str) -> RunCommand {
    RunCommand {
        alone: false,
        command: vec!["sh".into(), "-c".into(), line.into()],
        dir: "/".into(),
        env: BTreeMap::from([
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("ONLY".into(), "this one".into()),
        ]),
    }
}

#[test]
fn everything_is_gone_when_its_input_ends() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let mut helper = Helper::start(&dir.path().join("lock"));
    helper.send(&shell(&format!("{}; sleep 300", runaway(&pid_file))).into_request());
    let runaway = pid_in(&pid_file);
    helper.close_input();
    eventually("the runaway is dead", Duration::from_secs(5), || {
        !is_alive(runaway)
    });
    eventually("the helper is dead", Duration::from_secs(5), || {
        !is_alive(helper.pid())
    });
}

#[test]
fn a_commands_leftovers_are_gone_before_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let mut helper = Helper::start(&dir.path().join("lock"));
    let wait = format!(
        "while ! [ -e {} ]; do sleep 0.01; done; exit 3",
        pid_file.display()
    );
    let exited = helper
        .ask(shell(&format!("{}; {wait}", runaway(&pid_file))))
        .unwrap();
    assert_eq!(exited.status, 3);
    assert!(!is_alive(pid_in(&pid_file)));
}

#[test]
fn a_command_gets_what_it_is_given_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let leaked = File::create(dir.path().join("leaked")).unwrap();
    fcntl(&leaked, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let mut helper = Helper::start(&dir.path().join("lock"));
    let pid_file = dir.path().join("pid");
    let line = format!(
        "env; echo $$ > {0}.tmp; mv {0}.tmp {0}; exec sleep 300",
        pid_file.display()
    );
    helper.send(&shell(&line).into_request());
    let command = pid_in(&pid_file);
    let numbers: Vec<_> = open_files(command)
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    assert_eq!(numbers, ["0", "1", "2"]);
    let theirs = leaked.metadata().unwrap().ino();
    assert!(
        !open_files(helper.pid())
            .iter()
            .any(|(_, inode)| *inode == theirs)
    );
    assert!(
        open_files(std::process::id().cast_signed())
            .iter()
            .any(|(_, inode)| *inode == theirs)
    );
    kill(Pid::from_raw(command), Signal::SIGKILL).unwrap();
    helper.finish().unwrap();
    let mut env: Vec<_> = helper
        .lines
        .iter()
        .filter(|line| !line.starts_with('_'))
        .cloned()
        .collect();
    env.sort();
    // A shell sets PWD by itself, and the mark tells whose it is when its helper was killed.
    assert!(env.remove(0).starts_with("CID_JOB="));
    assert_eq!(env, ["ONLY=this one", "PATH=/usr/bin:/bin", "PWD=/"]);
}

/// Number and inode of each open descriptor.
fn open_files(pid: i32) -> Vec<(String, u64)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut open: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.unwrap();
            Some((
                entry.file_name().into_string().unwrap(),
                fs::metadata(entry.path()).ok()?.ino(),
            ))
        })
        .collect();
    open.sort();
    open
}

#[test]
fn output_comes_in_order_capped_and_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let mut helper = Helper::start(&dir.path().join("lock"));
    let line = r"echo one; echo two >&2; printf '\377\n'; head -c 100000 /dev/zero | tr '\0' x; echo; echo last";
    assert_eq!(helper.ask(shell(line)).unwrap().status, 0);
    assert_eq!(helper.lines[..3], ["one", "two", "\u{fffd}"]);
    assert_eq!(helper.lines[3].len(), 16 * 1024);
    assert_eq!(helper.lines[4..], ["last"]);
}

#[test]
fn says_how_a_command_ended_and_why_it_could_not_begin() {
    let dir = tempfile::tempdir().unwrap();
    let mut helper = Helper::start(&dir.path().join("lock"));
    assert_eq!(helper.ask(shell("kill -9 $$")).unwrap().status, 137);
    let missing = RunCommand {
        command: vec!["no-such-program".into()],
        ..shell("")
    };
    let (message, hint) = helper.ask(missing).unwrap_err();
    assert_eq!(message, "cannot find the program no-such-program on PATH");
    assert_eq!(hint, "PATH is /usr/bin:/bin");
    let (message, _) = helper
        .ask(RunCommand {
            dir: "/no/such".into(),
            ..shell("")
        })
        .unwrap_err();
    assert!(
        message.starts_with("cannot run /usr/bin/sh in /no/such: "),
        "{message}"
    );
    assert_eq!(
        helper.ask(shell("exit 0")).unwrap().status,
        0,
        "a fault ends the request, not the helper"
    );
}

#[test]
fn what_a_builds_command_makes_is_its_users_alone_to_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut helper = Helper::start(&dir.path().join("lock"));
    for (alone, folder, file) in [(true, 0o750, 0o640), (false, 0o770, 0o660)] {
        let place = dir.path().join(format!("alone-{alone}"));
        let command = RunCommand {
            alone,
            ..shell(&format!("mkdir {0} && touch {0}/file", place.display()))
        };
        assert_eq!(helper.ask(command).unwrap().status, 0);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join("file"))), (folder, file));
    }
}

#[test]
fn two_do_not_work_at_the_same_time_for_one_job_and_identity() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("lock");
    let mut first = Helper::start(&lock);
    first.ask(shell("true")).unwrap();
    let mut second = Helper::start(&lock);
    second.send(&shell(&format!("touch {}/second", dir.path().display())).into_request());
    std::thread::sleep(Duration::from_millis(300));
    assert!(!dir.path().join("second").exists());
    first.close_input();
    eventually("the second has its turn", Duration::from_secs(5), || {
        dir.path().join("second").exists()
    });
}
