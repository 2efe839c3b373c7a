use crate::rig::{Rig, command_line, eventually, is_alive, kill, running, unit};
use cid_daemon::system::{
    Effect,
    supervisor::{ProcessState, Supervisor},
};
use std::{fs, sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_from_put_to_remove() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let (anna, bob) = (unit("anna"), unit("bob"));
    supervisor.put(&bob, &rig.program(&bob, &[("web", "exec sleep 1000")])).await.unwrap();
    let neighbour = running(&supervisor, &bob).await.pid.unwrap();

    // A child in the group, one that leaves it, and one that leaves its parent as well.
    let web = "sleep 1001 & setsid sleep 1002 & (setsid sleep 1003 &) ; exec sleep 1000";
    let program = rig.program(&anna, &[("web", web), ("worker", "exec sleep 1004")]);
    supervisor.put(&anna, &program).await.unwrap();
    eventually("five processes", Duration::from_secs(5), async || rig.apps().len() == 6).await;
    let first = running(&supervisor, &anna).await;
    let names: Vec<_> = supervisor.processes(&anna).await.unwrap().into_iter().map(|process| process.name).collect();
    assert_eq!(names, ["web", "worker"]);
    assert_eq!(supervisor.read(&anna).unwrap(), Some(program.clone()));
    assert_eq!(supervisor.list().unwrap(), [anna.clone(), bob.clone()]);
    let groups: Vec<_> = supervisor.groups().await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(groups, ["shop.anna", "shop.bob"]);

    supervisor.restart(&anna).await.unwrap();
    assert_ne!(running(&supervisor, &anna).await.pid, first.pid);
    assert!(!is_alive(first.pid.unwrap()));

    supervisor.put(&anna, &rig.program(&anna, &[("web", "exec sleep 1005")])).await.unwrap();
    let pid = running(&supervisor, &anna).await.pid.unwrap();
    eventually("the replacement runs", Duration::from_secs(5), async || command_line(pid).contains("1005")).await;
    assert_eq!(supervisor.processes(&anna).await.unwrap().len(), 1);

    assert_eq!(supervisor.remove(&anna).await, Ok(Effect::Done));
    assert_eq!(rig.apps(), [neighbour], "something of the workspace lives on");
    assert_eq!(supervisor.processes(&anna).await.unwrap(), []);
    assert_eq!(supervisor.read(&anna).unwrap(), None);
    assert!(!rig.layout.app_pid_dir().join("shop.anna.web").exists());
    assert_eq!(supervisor.remove(&anna).await, Ok(Effect::Done));
    assert!(supervisor.restart(&anna).await.is_err());
    assert_eq!(running(&supervisor, &bob).await.pid, Some(neighbour));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ends_at_once_is_seen_to() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let anna = unit("anna");
    supervisor.put(&anna, &rig.program(&anna, &[("web", "exit 3")])).await.unwrap();
    eventually("the failure shows", Duration::from_secs(5), async || {
        let processes = supervisor.processes(&anna).await.unwrap();
        processes.iter().any(|process| {
            matches!(process.state, ProcessState::Backoff | ProcessState::Fatal) && process.description.contains("Exited too quickly")
        })
    })
    .await;
    assert_eq!(supervisor.remove(&anna).await, Ok(Effect::Done));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_and_nobody_is_disturbed() {
    let rig = Rig::started().await;
    let supervisor = Arc::new(rig.supervisor());
    let bob = unit("bob");
    supervisor.put(&bob, &rig.program(&bob, &[("web", "exec sleep 1000")])).await.unwrap();
    let neighbour = running(&supervisor, &bob).await.pid;
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
            assert!(fault.message.contains("shop.w7") && fault.message.contains("does not exist"), "{fault}");
            assert_eq!(supervisor.read(&unit).unwrap(), None);
        } else {
            result.unwrap();
            running(&supervisor, &unit).await;
        }
    }
    assert_eq!(running(&supervisor, &bob).await.pid, neighbour);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_broken_file_is_blamed_by_name() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let (anna, bob) = (unit("anna"), unit("bob"));
    supervisor.put(&bob, &rig.program(&bob, &[("web", "exec sleep 1000")])).await.unwrap();
    let neighbour = running(&supervisor, &bob).await.pid;
    let foreign = rig.layout.program_dir().join("foreign.conf");
    fs::write(&foreign, "[program:x]\ncommand=%\n").unwrap();
    let fault = supervisor.put(&anna, &rig.program(&anna, &[("web", "exec sleep 1000")])).await.unwrap_err();
    assert!(fault.message.contains(&foreign.display().to_string()), "{fault}");
    assert_eq!(supervisor.read(&anna).unwrap(), None);
    assert_eq!(running(&supervisor, &bob).await.pid, neighbour);
    // To take away is always possible.
    assert_eq!(supervisor.remove(&bob).await, Ok(Effect::Done));
    assert_eq!(rig.apps(), Vec::<u32>::new());
    fs::remove_file(foreign).unwrap();
    supervisor.settle().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisord_is_back_and_nothing_runs_twice() {
    let rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let units = ["anna", "bob", "carl"].map(unit);
    for unit in &units {
        supervisor.put(unit, &rig.program(unit, &[("web", "sleep 1001 & exec sleep 1000")])).await.unwrap();
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
    supervisor.put(&anna, &rig.program(&anna, &[("web", "exec sleep 1000")])).await.unwrap();
    running(&supervisor, &anna).await;
    assert_eq!(rig.apps().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn supervisord_down_refuses_puts_and_owes_removals() {
    let mut rig = Rig::started().await;
    let supervisor = rig.supervisor();
    let (anna, bob) = (unit("anna"), unit("bob"));
    for unit in [&anna, &bob] {
        supervisor.put(unit, &rig.program(unit, &[("web", "sleep 1001 & exec sleep 1000")])).await.unwrap();
        running(&supervisor, unit).await;
    }
    rig.abandon().await;
    kill(rig.supervisord_pid());

    assert!(matches!(supervisor.remove(&anna).await, Ok(Effect::Owed(_))));
    assert_eq!(supervisor.read(&anna).unwrap(), None);
    assert_eq!(rig.apps().len(), 2, "only the other workspace's processes are left");
    let carl = unit("carl");
    let fault = supervisor.put(&carl, &rig.program(&carl, &[("web", "exec sleep 1000")])).await.unwrap_err();
    assert!(fault.message.contains("supervisord does not answer"), "{fault}");
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
    supervisor.put(&anna, &rig.program(&anna, &[("web", "exec sleep 1000")])).await.unwrap();
    running(&supervisor, &anna).await;
    // As after a crash between file and group, one way and the other.
    fs::remove_file(rig.layout.program_dir().join("shop.anna.conf")).unwrap();
    fs::write(rig.layout.program_dir().join("shop.bob.conf"), rig.program(&bob, &[("web", "exec sleep 1000")])).unwrap();
    fs::remove_dir(rig.layout.app_log_dir(&bob)).unwrap();
    supervisor.settle().await.unwrap();
    running(&supervisor, &bob).await;
    assert_eq!(supervisor.processes(&anna).await.unwrap(), []);
    assert_eq!(rig.apps().len(), 1);
    rig.stop().await;
}
