//! Helpers as the children of a daemon.

#![expect(clippy::disallowed_methods, reason = "tests set their own scene")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

#[path = "../../helper/tests/helper/rig.rs"]
#[expect(dead_code, reason = "shared with other tests, which use more of it")]
mod rig;

use cid_daemon::{
    domain::ProjectName,
    layout::Layout,
    system::{
        fake::{COMMIT, Fake},
        helpers::{Call, Identity, Launcher, ask},
        launcher::HelperLauncher,
    },
};
use cid_protocol::{
    fault::Fault,
    request::{Ask, Exited, ExportCommit, Fetch, Remote, RunCommand},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeMap, fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::PathBuf,
    sync::Arc, time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use rig::{Helper, binary, eventually, is_alive, pid_in, runaway};

/// A launcher in a folder of its own.
struct World {
    dir: tempfile::TempDir,
    layout: Arc<Layout>,
    launcher: Arc<HelperLauncher>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::sandbox(dir.path()));
        let launcher = Arc::new(HelperLauncher::local(Arc::clone(&layout), binary()));
        Self {
            dir,
            layout,
            launcher,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn locks(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.layout.helper_dir()).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Begins a command that starts a runaway and does not end; gives the runaway.
    async fn begin(&self, call: &Call) -> (tokio::task::JoinHandle<Result<Exited, Fault>>, i32) {
        let pid_file = self.file("pid");
        let command = shell(&format!("{}; echo begun; sleep 300", runaway(&pid_file)));
        let (launcher, call) = (Arc::clone(&self.launcher), call.clone());
        let task = tokio::spawn(async move { ask(&*launcher, &call, command).await });
        let pid = tokio::task::spawn_blocking(move || pid_in(&pid_file))
            .await
            .unwrap();
        (task, pid)
    }
}

fn call(job: Uuid, limit: Duration) -> (Call, mpsc::Receiver<String>) {
    let (lines, received) = mpsc::channel(100);
    let identity = Identity::Build(ProjectName::parse("pressa").unwrap(), "key".into());
    (
        Call {
            job,
            identity,
            limit,
            lines,
            cancel: CancellationToken::new(),
            who: Arc::default(),
        },
        received,
    )
}

fn shell(line: &str) -> RunCommand {
    RunCommand {
        alone: false,
        command: vec!["sh".into(), "-c".into(), line.into()],
        dir: "/".into(),
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_helper_serves_a_jobs_calls_until_it_ends() {
    let world = World::new();
    let (call, mut lines) = call(Uuid::now_v7(), LONG);
    for _ in 0..2 {
        let exited = ask(&*world.launcher, &call, shell("echo $PPID; exit 4"))
            .await
            .unwrap();
        assert_eq!(exited.status, 4);
    }
    let (first, second) = (lines.recv().await.unwrap(), lines.recv().await.unwrap());
    assert_eq!(first, second);
    let other = Call {
        identity: Identity::Tools,
        ..call.clone()
    };
    ask(&*world.launcher, &other, shell("echo $PPID"))
        .await
        .unwrap();
    assert_ne!(lines.recv().await.unwrap(), first);
    assert_eq!(world.locks().len(), 2);
    world.launcher.end(call.job).await.unwrap();
    assert!(!is_alive(first.parse().unwrap()));
    assert!(world.locks().is_empty());
}

#[tokio::test]
async fn only_a_command_that_is_no_program_is_told_apart() {
    let world = World::new();
    let (call, _lines) = call(Uuid::now_v7(), LONG);
    fs::write(world.file("text"), "text").unwrap();
    let text = world.file("text").display().to_string();
    let junk = world.file("junk");
    fs::write(&junk, [0_u8; 9]).unwrap();
    fs::set_permissions(&junk, fs::Permissions::from_mode(0o755)).unwrap();
    let junk = junk.display().to_string();
    for program in ["no-such-program", "/no/such/program", &text, &junk, "/etc"] {
        let command = RunCommand {
            command: vec![program.into()],
            ..shell("")
        };
        let fault = ask(&*world.launcher, &call, command).await.unwrap_err();
        assert!(fault.no_program, "{program}: {fault}");
    }
    let command = RunCommand {
        command: Vec::new(),
        ..shell("")
    };
    let fault = ask(&*world.launcher, &call, command).await.unwrap_err();
    assert!(!fault.no_program, "{fault}");
    // A helper that is lost says nothing about its command.
    let fault = ask(&*world.launcher, &call, shell("kill -9 $PPID"))
        .await
        .unwrap_err();
    assert!(!fault.no_program, "{fault}");
}

/// What the real helper and the made-up one promise of an export: it may run again, and holds nothing else then.
async fn export_contract(
    launcher: &dyn Launcher,
    mirror: PathBuf,
    commit: String,
    target: PathBuf,
) {
    let (call, _lines) = call(Uuid::now_v7(), LONG);
    fs::create_dir_all(&target).unwrap();
    for half in [None, Some("app.py"), Some("half"), Some("folder/half")] {
        if let Some(half) = half.map(|half| target.join(half)) {
            fs::create_dir_all(half.parent().unwrap()).unwrap();
            fs::write(half, "half of").unwrap();
        }
        let request = ExportCommit {
            mirror: mirror.clone(),
            commit: commit.clone(),
            target: target.clone(),
        };
        let exported = ask(launcher, &call, request).await.unwrap();
        assert_eq!(exported.files, 1, "{half:?}");
        let entries = fs::read_dir(&target).unwrap();
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["app.py"], "{half:?}");
        assert_eq!(fs::read(target.join("app.py")).unwrap(), b"x", "{half:?}");
    }
    launcher.end(call.job).await.unwrap();
}

#[tokio::test]
async fn an_export_keeps_the_contract() {
    let world = World::new();
    let work = world.file("work");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("app.py"), "x").unwrap();
    let git = |words: &[&str]| {
        let told = std::process::Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(words)
            .current_dir(&work)
            .output()
            .unwrap();
        assert!(told.status.success(), "{told:?}");
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "One"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let mirror = world.file("mirror");
    git(&["clone", "--quiet", "--bare", ".", mirror.to_str().unwrap()]);
    export_contract(&*world.launcher, mirror, commit, world.file("out")).await;
}

#[tokio::test]
async fn a_made_up_export_keeps_the_contract() {
    let world = World::new();
    let fake = Fake::new(Arc::clone(&world.layout));
    let nowhere = world.file("mirror");
    export_contract(&fake, nowhere, COMMIT.into(), world.file("out")).await;
}

#[tokio::test]
async fn a_cancelled_call_leaves_nothing_alive() {
    let world = World::new();
    let (call, _lines) = call(Uuid::now_v7(), LONG);
    let (task, runaway) = world.begin(&call).await;
    call.cancel.cancel();
    assert!(task.await.unwrap().unwrap_err().cancelled);
    assert!(!is_alive(runaway));
    let again = Call {
        cancel: CancellationToken::new(),
        ..call
    };
    assert_eq!(
        ask(&*world.launcher, &again, shell("true"))
            .await
            .unwrap()
            .status,
        0
    );
}

#[tokio::test]
async fn a_call_that_takes_too_long_leaves_nothing_alive() {
    let world = World::new();
    let (call, _lines) = call(Uuid::now_v7(), Duration::from_secs(2));
    let (task, runaway) = world.begin(&call).await;
    let fault = task.await.unwrap().unwrap_err();
    assert_eq!(
        fault.message,
        "cannot run the command: it took longer than 2s"
    );
    assert!(
        fault
            .hint
            .unwrap()
            .contains("[limits] in the project file or cid.toml")
    );
    assert!(!fault.cancelled && !is_alive(runaway));
}

#[tokio::test]
async fn a_killed_helper_takes_nothing_along_but_what_it_started() {
    let world = World::new();
    let (call, mut lines) = call(Uuid::now_v7(), LONG);
    let launcher = Arc::clone(&world.launcher);
    let of_task = call.clone();
    let task =
        tokio::spawn(
            async move { ask(&*launcher, &of_task, shell("echo $PPID $$; sleep 300")).await },
        );
    let pids: Vec<i32> = lines
        .recv()
        .await
        .unwrap()
        .split(' ')
        .map(|pid| pid.parse().unwrap())
        .collect();
    kill(Pid::from_raw(pids[0]), Signal::SIGKILL).unwrap();
    let fault = task.await.unwrap().unwrap_err();
    assert_eq!(fault.message, "cannot go on: the helper died (signal 9)");
    assert!(!is_alive(pids[1]));
    assert_eq!(
        ask(&*world.launcher, &call, shell("true"))
            .await
            .unwrap()
            .status,
        0
    );
}

#[tokio::test]
async fn a_frozen_helper_is_killed_with_all_it_started() {
    let world = World::new();
    let (call, mut lines) = call(Uuid::now_v7(), LONG);
    ask(&*world.launcher, &call, shell("echo $PPID"))
        .await
        .unwrap();
    let helper: i32 = lines.recv().await.unwrap().parse().unwrap();
    let (task, runaway) = world.begin(&call).await;
    kill(Pid::from_raw(helper), Signal::SIGSTOP).unwrap();
    call.cancel.cancel();
    assert!(task.await.unwrap().unwrap_err().cancelled);
    assert!(!is_alive(runaway) && !is_alive(helper));
}

#[tokio::test]
async fn the_end_of_a_job_ends_a_call_under_way_and_one_that_was_dropped() {
    let world = World::new();
    let (of_job, _lines) = call(Uuid::now_v7(), LONG);
    let (task, runaway) = world.begin(&of_job).await;
    world.launcher.end(of_job.job).await.unwrap();
    assert!(!is_alive(runaway));
    assert!(task.await.unwrap().unwrap_err().cancelled);
    fs::remove_file(world.file("pid")).unwrap();
    let (of_job, _lines) = call(Uuid::now_v7(), LONG);
    let (task, runaway) = world.begin(&of_job).await;
    task.abort();
    world.launcher.end(of_job.job).await.unwrap();
    assert!(!is_alive(runaway));
}

#[tokio::test]
async fn helpers_of_an_earlier_daemon_are_ended() {
    let world = World::new();
    let job = Uuid::now_v7();
    fs::create_dir_all(world.layout.helper_dir()).unwrap();
    let lock = |name: &str| world.layout.helper_dir().join(format!("{job}.{name}.lock"));
    // The one does not see its daemon's death; the other was killed together with it.
    let begin = |name: &str| {
        let mut helper = Helper::start(&lock(name));
        let pid_file = world.file(name);
        let line = format!(
            "echo $$ > {0}.tmp; mv {0}.tmp {0}; sleep 300",
            pid_file.display()
        );
        helper.send(&shell(&line).into_request());
        (helper, pid_in(&pid_file))
    };
    let (deaf, of_deaf) = begin("deaf");
    let (mut killed, of_killed) = begin("killed");
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(is_alive(of_killed) && is_alive(of_deaf));
    let bystander = world
        .layout
        .helper_dir()
        .join(format!("{}.x.lock", Uuid::now_v7()));
    fs::write(&bystander, "1 1 x").unwrap();
    world.launcher.end(job).await.unwrap();
    for pid in [deaf.pid(), of_deaf, of_killed] {
        eventually("all are dead", Duration::from_secs(1), || !is_alive(pid));
    }
    assert_eq!(world.locks(), [bystander]);
}

#[tokio::test]
async fn a_helper_that_cannot_be_started_is_a_fault() {
    let world = World::new();
    let launcher = HelperLauncher::local(Arc::clone(&world.layout), "/no/cid-helper".into());
    let (call, _lines) = call(Uuid::now_v7(), LONG);
    let fault = ask(&launcher, &call, shell("true")).await.unwrap_err();
    assert!(
        fault.message.starts_with("cannot start /no/cid-helper"),
        "{fault}"
    );
}

#[tokio::test]
async fn nobody_listening_stops_nothing() {
    let world = World::new();
    let (call, lines) = call(Uuid::now_v7(), LONG);
    drop(lines);
    let exited = ask(&*world.launcher, &call, shell("seq 1 1000"))
        .await
        .unwrap();
    assert_eq!(exited.status, 0);
}

/// Accepts and never says a word.
#[tokio::test]
async fn a_server_that_hangs_is_given_up_at_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let layout = Arc::new(Layout::sandbox(dir.path()));
    let launcher = HelperLauncher::local(Arc::clone(&layout), binary());
    let project = ProjectName::parse("pressa").unwrap();
    let mirror = layout.mirror(&project);
    let (lines, _received) = mpsc::channel(10);
    let call = Call {
        job: Uuid::now_v7(),
        identity: Identity::Git(project),
        limit: Duration::from_secs(2),
        lines,
        cancel: CancellationToken::new(),
        who: Arc::default(),
    };
    for url in [
        format!("ssh://git@127.0.0.1:{port}/x"),
        format!("https://127.0.0.1:{port}/x"),
    ] {
        let remote = Remote {
            url: url.clone(),
            identity_file: None,
            known_hosts: None,
            credential_file: None,
        };
        let fetch = Fetch {
            tags: false,
            is_fresh: false,
            max_bytes: 1 << 30,
            mirror: mirror.clone(),
            remote,
            base: "main".into(),
            branch: "devel/anna".into(),
        };
        let fault = ask(&launcher, &call, fetch).await.unwrap_err();
        assert_eq!(
            fault.message,
            format!("cannot fetch from {url}: it took longer than 2s")
        );
        assert_eq!(
            fault.hint.unwrap(),
            "look whether its server answers, and is not slow; git under [limits] in cid.toml allows more time"
        );
    }
    launcher.end(call.job).await.unwrap();
}
