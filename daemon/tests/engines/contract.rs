//! What every nginx and every supervisor of `system` does, be it real or a fake. Tests of the engine
//! run on fakes and are worth something only while these hold for both.

use crate::rig::{eventually, unit};
use async_trait::async_trait;
use cid_daemon::{
    domain::UnitName,
    system::{
        Effect,
        nginx::Nginx,
        supervisor::{How, ProcessState, Supervisor},
    },
};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// What happens around an engine.
#[async_trait]
pub trait Outside: Sync {
    /// The engine is killed, and nobody starts it.
    async fn go_down(&self);
    /// It is started again.
    async fn come_up(&self);
    /// Somebody breaks a file of the configuration; gives what faults must name. `None` where
    /// there is nobody else.
    fn break_foreign(&self) -> Option<String>;
    /// They mend it.
    fn mend_foreign(&self);
}

/// An nginx and its surroundings.
#[async_trait]
pub trait NginxWorld: Outside {
    fn nginx(&self) -> &dyn Nginx;
    /// A vhost whose site answers with this word.
    fn vhost(&self, unit: &UnitName, word: &'static str) -> String;
    /// A vhost that nginx refuses.
    fn bad_vhost(&self, unit: &UnitName) -> String;
    /// The word that a unit's site answers with.
    async fn answer(&self, unit: &UnitName) -> Option<String>;
}

pub async fn nginx_contract(world: &dyn NginxWorld) {
    let nginx = world.nginx();
    let (anna, bob, carl) = (unit("anna"), unit("bob"), unit("carl"));
    let answers = async |unit: &UnitName| world.answer(unit).await;
    let some = |word: &str| Some(word.to_owned());

    // From put to remove, neighbours untouched.
    assert_eq!(nginx.list().unwrap(), []);
    nginx.put(&bob, &world.vhost(&bob, "second")).await.unwrap();
    assert_eq!(answers(&anna).await, None);
    for word in ["first", "second", "first"] {
        nginx.put(&anna, &world.vhost(&anna, word)).await.unwrap();
        assert_eq!(answers(&anna).await, some(word));
    }
    assert_eq!(
        nginx.read(&anna).unwrap(),
        Some(world.vhost(&anna, "first"))
    );
    assert_eq!(nginx.list().unwrap(), [anna.clone(), bob.clone()]);

    // Its own mistake is its own; what was there stays.
    let bad = nginx.put(&carl, &world.bad_vhost(&carl)).await.unwrap_err();
    assert!(bad.message.contains(carl.as_str()), "{bad}");
    assert_eq!(nginx.read(&carl).unwrap(), None);
    nginx.put(&anna, &world.bad_vhost(&anna)).await.unwrap_err();
    assert_eq!(answers(&anna).await, some("first"));

    assert_eq!(nginx.remove(&anna).await, Ok(Effect::Done));
    assert_eq!(
        (answers(&anna).await, nginx.read(&anna).unwrap()),
        (None, None)
    );
    assert_eq!(nginx.remove(&anna).await, Ok(Effect::Done));

    if let Some(place) = world.break_foreign() {
        world.mend_foreign();
        nginx_and_a_foreign_file(world, &place).await;
    }

    // While it is down nothing can be put in, everything be taken out.
    nginx
        .put(&anna, &world.vhost(&anna, "first"))
        .await
        .unwrap();
    world.go_down().await;
    let put = nginx.put(&carl, &world.vhost(&carl, "first")).await;
    assert!(put.is_err());
    assert!(matches!(nginx.remove(&anna).await, Ok(Effect::Owed(_))));
    assert!(nginx.settle().await.is_err());
    assert_eq!(nginx.list().unwrap(), std::slice::from_ref(&bob));
    world.come_up().await;
    nginx.settle().await.unwrap();
    assert_eq!(
        (answers(&anna).await, answers(&bob).await),
        (None, some("second"))
    );
    assert_eq!(nginx.remove(&bob).await, Ok(Effect::Done));
}

/// Somebody else's mistake is named; nothing is put in, everything can be taken out.
async fn nginx_and_a_foreign_file(world: &dyn NginxWorld, place: &str) {
    let nginx = world.nginx();
    let (anna, carl) = (unit("anna"), unit("carl"));
    nginx
        .put(&anna, &world.vhost(&anna, "first"))
        .await
        .unwrap();
    nginx.check().await.unwrap();
    world.break_foreign();
    assert!(nginx.check().await.unwrap_err().message.contains(place));
    let fault = nginx
        .put(&carl, &world.vhost(&carl, "first"))
        .await
        .unwrap_err();
    assert!(
        fault.message.contains(place) && fault.hint.is_some(),
        "{fault:?}"
    );
    assert_eq!(nginx.read(&carl).unwrap(), None);
    assert_eq!(world.answer(&anna).await, Some("first".to_owned()));
    let before = world.vhost(&anna, "second");
    let put_back = nginx.put_back(&anna, &before).await;
    assert!(matches!(put_back, Ok(Effect::Owed(_))), "{put_back:?}");
    assert_eq!(nginx.read(&anna).unwrap(), Some(before));
    world.mend_foreign();
    nginx.settle().await.unwrap();
    assert_eq!(world.answer(&anna).await, Some("second".to_owned()));
    world.break_foreign();
    let Ok(Effect::Owed(reason)) = nginx.remove(&anna).await else {
        panic!("the reload is not owed")
    };
    assert!(reason.contains(place), "{reason}");
    assert_eq!(nginx.read(&anna).unwrap(), None);
    assert!(nginx.settle().await.unwrap_err().message.contains(place));
    world.mend_foreign();
    nginx.settle().await.unwrap();
    assert_eq!(world.answer(&anna).await, None);
}

/// A supervisor and its surroundings.
pub trait SupervisorWorld: Outside {
    fn supervisor(&self) -> &dyn Supervisor;
    /// A program file whose one process, `web`, runs until it is stopped.
    fn steady(&self, unit: &UnitName) -> String;
    /// A program file whose one process, `web`, ends at once. `None` where that cannot be.
    fn failing(&self, unit: &UnitName) -> Option<String>;
}

pub async fn supervisor_contract(world: &dyn SupervisorWorld) {
    let supervisor = world.supervisor();
    let (anna, bob, carl) = (unit("anna"), unit("bob"), unit("carl"));
    assert_eq!(supervisor.list().unwrap(), []);
    assert_eq!(supervisor.processes(&anna).await.unwrap(), []);

    // From put to remove, neighbours untouched.
    supervisor.put(&bob, &world.steady(&bob)).await.unwrap();
    let neighbour = running(supervisor, &bob).await;
    supervisor.put(&anna, &world.steady(&anna)).await.unwrap();
    running(supervisor, &anna).await;
    assert_eq!(supervisor.read(&anna).unwrap(), Some(world.steady(&anna)));
    assert_eq!(supervisor.list().unwrap(), [anna.clone(), bob.clone()]);
    let groups: Vec<_> = supervisor
        .groups()
        .await
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(groups, [anna.as_str(), bob.as_str()]);
    supervisor.restart(&anna).await.unwrap();
    running(supervisor, &anna).await;
    supervisor.put(&anna, &world.steady(&anna)).await.unwrap();
    running(supervisor, &anna).await;
    assert_eq!(supervisor.remove(&anna).await, Ok(Effect::Done));
    assert_eq!(supervisor.processes(&anna).await.unwrap(), []);
    assert_eq!(supervisor.read(&anna).unwrap(), None);
    assert_eq!(supervisor.remove(&anna).await, Ok(Effect::Done));
    assert!(supervisor.restart(&anna).await.is_err());
    assert_eq!(running(supervisor, &bob).await, neighbour);

    // An app that ends at once is seen to.
    if let Some(program) = world.failing(&carl) {
        supervisor.put(&carl, &program).await.unwrap();
        eventually("the failure shows", PATIENCE, async || {
            let processes = supervisor.processes(&carl).await.unwrap();
            processes.iter().any(|process| {
                let how = process.ended.as_ref().map(|ended| &ended.how);
                process.ends >= 2 && process.restarts >= 1 && how == Some(&How::Exit(3))
            })
        })
        .await;
        assert_eq!(supervisor.remove(&carl).await, Ok(Effect::Done));
    }

    // A broken file of another service stops nothing.
    if world.break_foreign().is_some() {
        supervisor.put(&anna, &world.steady(&anna)).await.unwrap();
        running(supervisor, &anna).await;
        assert_eq!(supervisor.remove(&anna).await, Ok(Effect::Done));
        supervisor.settle().await.unwrap();
        world.mend_foreign();
        assert_eq!(running(supervisor, &bob).await, neighbour);
    }
    assert_eq!(supervisor.tells().await, Ok(true));

    // While it is down nothing can be put in, everything be taken out.
    supervisor.put(&anna, &world.steady(&anna)).await.unwrap();
    running(supervisor, &anna).await;
    world.go_down().await;
    assert!(supervisor.put(&carl, &world.steady(&carl)).await.is_err());
    assert!(matches!(
        supervisor.remove(&anna).await,
        Ok(Effect::Owed(_))
    ));
    assert!(supervisor.processes(&bob).await.is_err());
    assert!(supervisor.settle().await.is_err());
    assert_eq!(supervisor.list().unwrap(), std::slice::from_ref(&bob));
    world.come_up().await;
    supervisor.settle().await.unwrap();
    assert_eq!(supervisor.processes(&anna).await.unwrap(), []);
    running(supervisor, &bob).await;
    assert_eq!(supervisor.remove(&bob).await, Ok(Effect::Done));
    assert_eq!(supervisor.groups().await.unwrap(), []);
}

/// The process id of a unit's only process, once it runs.
pub async fn running(supervisor: &dyn Supervisor, unit: &UnitName) -> u32 {
    let mut found = None;
    eventually(&format!("{unit} runs"), PATIENCE, async || {
        let processes = supervisor.processes(unit).await.unwrap();
        let runs = processes
            .into_iter()
            .find(|process| process.state == ProcessState::Running);
        found = runs.and_then(|process| process.pid);
        found.is_some()
    })
    .await;
    found.unwrap()
}
