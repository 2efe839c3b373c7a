use crate::{
    contract::{Outside, SupervisorWorld, running, supervisor_contract},
    rig::{Rig, command_line, eventually, is_alive, kill, unit},
};
use async_trait::async_trait;
use cid_daemon::{
    domain::UnitName,
    system::{
        Effect,
        supervisor::{How, RealSupervisor, Supervisor},
    },
};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use std::{fs, os::unix::fs::symlink, sync::Arc, time::Duration};

/// A real supervisord.
struct Real {
    rig: Rig,
    supervisor: RealSupervisor,
}

#[async_trait]
impl Outside for Real {
    async fn go_down(&self) {
        self.rig.abandon().await;
        kill(self.rig.supervisord_pid());
    }
    async fn come_up(&self) {
        self.rig.start().await;
    }
    fn break_foreign(&self) -> Option<String> {
        fs::write(self.rig.foreign_program(), "[program:x]\ncommand=%\n").unwrap();
        Some(self.rig.foreign_program().display().to_string())
    }
    fn mend_foreign(&self) {
        fs::remove_file(self.rig.foreign_program()).unwrap();
    }
}

impl SupervisorWorld for Real {
    fn supervisor(&self) -> &dyn Supervisor {
        &self.supervisor
    }
    fn steady(&self, unit: &UnitName) -> String {
        self.rig
            .program(unit, &[("web", "sleep 1001 & exec sleep 1000")])
    }
    fn failing(&self, unit: &UnitName) -> Option<String> {
        Some(self.rig.program(unit, &[("web", "exit 3")]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let rig = Rig::started().await;
    let real = Real {
        supervisor: rig.supervisor(),
        rig,
    };
    supervisor_contract(&real).await;
    assert_eq!(real.rig.apps(), Vec::<u32>::new());
    real.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remove_takes_along_who_left_the_group() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let (anna, bob) = (unit("anna"), unit("bob"));
    supervisor
        .put(&bob, &rig.program(&bob, &[("web", "exec sleep 1000")]))
        .await
        .unwrap();
    let neighbour = running(&supervisor, &bob).await;

    // A child in the group, one that leaves it, and one that leaves its parent as well.
    let web = "sleep 1001 & setsid sleep 1002 & (setsid sleep 1003 &) ; exec sleep 1000";
    let program = rig.program(&anna, &[("web", web), ("worker", "exec sleep 1004")]);
    supervisor.put(&anna, &program).await.unwrap();
    eventually("all processes", Duration::from_secs(5), async || {
        rig.apps().len() == 6
    })
    .await;
    let first = running(&supervisor, &anna).await;
    let names: Vec<_> = supervisor
        .processes(&anna)
        .await
        .unwrap()
        .into_iter()
        .map(|process| process.name)
        .collect();
    assert_eq!(names, ["web", "worker"]);
    assert_eq!(supervisor.read(&anna).unwrap(), Some(program.clone()));
    assert_eq!(supervisor.list().unwrap(), [anna.clone(), bob.clone()]);
    let groups: Vec<_> = supervisor
        .groups()
        .await
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(groups, ["shop.anna", "shop.bob"]);

    supervisor.restart(&anna).await.unwrap();
    assert_ne!(running(&supervisor, &anna).await, first);
    assert!(!is_alive(first));
    eventually("all processes, once", Duration::from_secs(5), async || {
        rig.apps().len() == 6
    })
    .await;

    supervisor
        .put(&anna, &rig.program(&anna, &[("web", "exec sleep 1005")]))
        .await
        .unwrap();
    let pid = running(&supervisor, &anna).await;
    eventually("the replacement runs", Duration::from_secs(5), async || {
        command_line(pid).contains("1005")
    })
    .await;
    assert_eq!(supervisor.processes(&anna).await.unwrap().len(), 1);
    assert_eq!(rig.apps().len(), 2);

    assert_eq!(supervisor.remove(&anna).await, Ok(Effect::Done));
    assert_eq!(
        rig.apps(),
        [neighbour],
        "something of the workspace lives on"
    );
    assert_eq!(supervisor.processes(&anna).await.unwrap(), []);
    assert_eq!(supervisor.read(&anna).unwrap(), None);
    assert!(!rig.layout.app_pid_dir().join("shop.anna.web").exists());
    assert_eq!(supervisor.remove(&anna).await, Ok(Effect::Done));
    assert!(supervisor.restart(&anna).await.is_err());
    assert_eq!(running(&supervisor, &bob).await, neighbour);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_and_nobody_is_disturbed() {
    let rig = Rig::started().await;
    let supervisor = Arc::new(rig.supervisor());
    let bob = unit("bob");
    supervisor
        .put(&bob, &rig.program(&bob, &[("web", "exec sleep 1000")]))
        .await
        .unwrap();
    let neighbour = running(&*supervisor, &bob).await;
    let puts: Vec<_> = (0..20)
        .map(|i| {
            let (supervisor, unit) = (Arc::clone(&supervisor), unit(&format!("w{i}")));
            let program = rig.program(&unit, &[("web", "exec sleep 1000")]);
            // A log folder that is missing is a mistake of that workspace alone.
            if i == 7 {
                fs::remove_dir(rig.layout.app_log_dir(&unit)).unwrap();
            }
            tokio::spawn(async move { (supervisor.put(&unit, &program).await, unit) })
        })
        .collect();
    for put in puts {
        let (result, unit) = put.await.unwrap();
        if unit.as_str() == "shop.w7" {
            let fault = result.unwrap_err();
            assert!(
                fault.message.contains("shop.w7") && fault.message.contains("does not exist"),
                "{fault}"
            );
            assert_eq!(supervisor.read(&unit).unwrap(), None);
        } else {
            result.unwrap();
            running(&*supervisor, &unit).await;
        }
    }
    assert_eq!(running(&*supervisor, &bob).await, neighbour);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisord_is_back_and_nothing_runs_twice() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let units = ["anna", "bob", "carl"].map(unit);
    for unit in &units {
        supervisor
            .put(
                unit,
                &rig.program(unit, &[("web", "sleep 1001 & exec sleep 1000")]),
            )
            .await
            .unwrap();
        running(&supervisor, unit).await;
    }
    let before = rig.apps();
    assert_eq!(before.len(), 6);
    kill(rig.supervisord_pid());
    eventually("all run again, once", Duration::from_secs(5), async || {
        let apps = rig.apps();
        apps.len() == 6 && apps.iter().all(|pid| !before.contains(pid))
    })
    .await;
    for unit in &units {
        running(&supervisor, unit).await;
    }
    assert_eq!(rig.apps().len(), 6);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_for_a_supervisord_that_is_coming_back() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let anna = unit("anna");
    kill(rig.supervisord_pid());
    supervisor
        .put(&anna, &rig.program(&anna, &[("web", "exec sleep 1000")]))
        .await
        .unwrap();
    running(&supervisor, &anna).await;
    assert_eq!(rig.apps().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn supervisord_down_refuses_puts_and_owes_removals() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let (anna, bob) = (unit("anna"), unit("bob"));
    for unit in [&anna, &bob] {
        supervisor
            .put(
                unit,
                &rig.program(unit, &[("web", "sleep 1001 & exec sleep 1000")]),
            )
            .await
            .unwrap();
        running(&supervisor, unit).await;
    }
    rig.abandon().await;
    kill(rig.supervisord_pid());

    assert!(matches!(
        supervisor.remove(&anna).await,
        Ok(Effect::Owed(_))
    ));
    assert_eq!(supervisor.read(&anna).unwrap(), None);
    assert_eq!(
        rig.apps().len(),
        2,
        "only the other workspace's processes are left"
    );
    let carl = unit("carl");
    let fault = supervisor
        .put(&carl, &rig.program(&carl, &[("web", "exec sleep 1000")]))
        .await
        .unwrap_err();
    assert!(
        fault.message.contains("supervisord does not answer"),
        "{fault}"
    );
    assert_eq!(supervisor.read(&carl).unwrap(), None);
    assert!(supervisor.processes(&bob).await.is_err());
    assert!(supervisor.settle().await.is_err());

    rig.start().await;
    running(&supervisor, &bob).await;
    assert_eq!(rig.apps().len(), 2);
    supervisor.settle().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settle_makes_groups_agree_with_files() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let (anna, bob) = (unit("anna"), unit("bob"));
    supervisor
        .put(&anna, &rig.program(&anna, &[("web", "exec sleep 1000")]))
        .await
        .unwrap();
    running(&supervisor, &anna).await;
    // As after a crash between file and group, one way and the other.
    fs::remove_file(rig.layout.program_dir().join("shop.anna.conf")).unwrap();
    fs::write(
        rig.layout.program_dir().join("shop.bob.conf"),
        rig.program(&bob, &[("web", "exec sleep 1000")]),
    )
    .unwrap();
    fs::remove_dir(rig.layout.app_log_dir(&bob)).unwrap();
    supervisor.settle().await.unwrap();
    running(&supervisor, &bob).await;
    assert_eq!(supervisor.processes(&anna).await.unwrap(), []);
    assert_eq!(rig.apps().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_counted_and_their_signal_is_told() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let anna = unit("anna");
    let processes = [
        ("web", "exec sleep 1000"),
        ("worker", "sleep 1.5; kill -SEGV $$"),
    ];
    supervisor
        .put(&anna, &rig.program(&anna, &processes))
        .await
        .unwrap();
    eventually("two ends", Duration::from_secs(10), async || {
        let processes = supervisor.processes(&anna).await.unwrap();
        let [web, worker] = &processes[..] else {
            panic!("{processes:?}")
        };
        assert_eq!((web.ends, web.restarts), (0, 0), "{web:?}");
        let ended = worker.ended.as_ref();
        assert!(ended.is_none_or(|ended| ended.how == How::Signal(11)));
        worker.ends == 2
            && worker.restarts >= 1
            && ended.is_some_and(|ended| ended.before < ended.at)
    })
    .await;
    // A restart that a person asks for does not count.
    supervisor.restart(&anna).await.unwrap();
    let processes = supervisor.processes(&anna).await.unwrap();
    assert!(
        processes
            .iter()
            .all(|process| process.restarts == 0 && process.pid.is_some()),
        "{processes:?}"
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_comes_back_is_told_again() {
    let rig = Rig::started().await;
    let anna = unit("anna");
    let first = rig.supervisor();
    let program = rig.program(&anna, &[("web", "sleep 2; exit 4")]);
    first.put(&anna, &program).await.unwrap();
    drop(first);
    let second = rig.supervisor();
    eventually("the end is told", Duration::from_secs(10), async || {
        let processes = second.processes(&anna).await.unwrap();
        processes[0].ends >= 1
    })
    .await;
    assert_eq!(second.tells().await, Ok(true));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisord_of_an_earlier_version_keeps_its_apps() {
    let rig = Rig::started().await;
    let (anna, bob) = (unit("anna"), unit("bob"));
    let steady = |unit| rig.program(unit, &[("web", "exec sleep 1000")]);
    let first = rig.supervisor();
    first.put(&anna, &steady(&anna)).await.unwrap();
    running(&first, &anna).await;
    drop(first);
    rig.abandon().await;
    rig.replace_by_earlier_supervisord().await;
    rig.start().await;

    let supervisor = rig.supervisor();
    assert_eq!(supervisor.tells().await, Ok(false));
    let before = running(&supervisor, &anna).await;
    let refused = [
        supervisor.put(&bob, &steady(&bob)).await.unwrap_err(),
        supervisor.restart(&anna).await.unwrap_err(),
    ];
    for fault in refused {
        assert!(
            fault.message.contains("since before cid was upgraded"),
            "{fault}"
        );
        assert!(fault.hint.is_some());
    }
    assert_eq!(supervisor.list().unwrap(), std::slice::from_ref(&anna));
    assert_eq!(running(&supervisor, &anna).await, before);
    assert_eq!(supervisor.remove(&anna).await, Ok(Effect::Done));
    assert_eq!(supervisor.processes(&anna).await.unwrap(), []);
    rig.stop().await;
}

/// What of supervisord its own part uses, and a daemon that connects and never reads.
const DEAF: &str = r#"
import socket, sys
from types import SimpleNamespace as Made
from supervisor import events
import cid_supervisor
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
group = Made(config=Made(name='shop.anna'), processes={})
process = Made(config=Made(name='web'), group=group, pid=7, backoff=0, spawnerr=None, get_state=lambda: 20)
group.processes['web'] = process
options = Made(mood=1, waitpid=lambda: (None, None), process_group_configs=[])
part = cid_supervisor.make(Made(options=options, process_groups={'shop.anna': group}), sys.argv[1])
part.watch('token')
told = 0
while part._link is not None and told < 100_000:
    events.notify(events.ProcessStateStartingEvent(process, 0))
    options.waitpid()
    told += 1
assert 10 < told < 100_000, told
events.notify(events.ProcessStateStartingEvent(process, 0))
options.waitpid()
assert '"restarts": %d' % told in part.watch('again')
print('well')
"#;

#[test]
fn a_daemon_that_does_not_read_is_hung_up_on() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/supervisor");
    let output = std::process::Command::new("/usr/bin/python3")
        .args(["-c", DEAF])
        .arg(dir.path().join("s"))
        .env("PYTHONPATH", plugin)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "well\n", "{said}");
}

/// supervisord's own complaint that it cannot write finds no room either.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_no_supervisord() {
    let rig = Rig::new();
    let full = "/dev/full";
    fs::create_dir_all(&rig.layout.log_dir).unwrap();
    let log = |name: &str| rig.layout.log_dir.join(name);
    symlink(full, log("supervisord.out")).unwrap();
    rig.start().await;
    let supervisor = rig.supervisor();
    let (anna, bob) = (unit("anna"), unit("bob"));
    let program = rig.program(&bob, &[("web", "exec sleep 1000")]);
    supervisor.put(&bob, &program).await.unwrap();
    let neighbour = running(&supervisor, &bob).await;
    let before = rig.supervisord_pid();
    // It opens its log again.
    fs::remove_file(log("supervisord.log")).unwrap();
    symlink(full, log("supervisord.log")).unwrap();
    let pid = Pid::from_raw(i32::try_from(before).unwrap());
    signal::kill(pid, Signal::SIGUSR2).unwrap();

    let line = "while :; do echo full; sleep 0.05; done";
    let program = rig.program(&anna, &[("web", line)]);
    let log = rig.layout.app_log_dir(&anna).join("web.log");
    symlink(full, &log).unwrap();
    supervisor.put(&anna, &program).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;

    assert!(is_alive(before), "supervisord has ended");
    assert_eq!(rig.supervisord_pid(), before);
    assert_eq!(running(&supervisor, &bob).await, neighbour);
    rig.stop().await;
}
