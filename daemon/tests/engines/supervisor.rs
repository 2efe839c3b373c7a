use crate::{
    contract::{Outside, SupervisorWorld, running, supervisor_contract},
    rig::{Rig, command_line, eventually, is_alive, kill, unit},
};
use async_trait::async_trait;
use cid_daemon::{
    domain::UnitName,
    system::{
        Effect,
        supervisor::{RealSupervisor, Supervisor},
    },
};
use std::{fs, sync::Arc, time::Duration};

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
