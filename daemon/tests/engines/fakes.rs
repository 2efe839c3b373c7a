use crate::contract::{NginxWorld, Outside, SupervisorWorld, nginx_contract, supervisor_contract};
use async_trait::async_trait;
use cid_daemon::{
    domain::UnitName,
    layout::Layout,
    system::{System, fake::Fake, nginx::Nginx, probe::Page, supervisor::Supervisor},
};
use std::{sync::Arc, time::Duration};

/// The made-up machine, with one engine that can go down.
struct MadeUp {
    _dir: tempfile::TempDir,
    fake: Fake,
    system: System,
    engine: &'static str,
}

impl MadeUp {
    fn new(engine: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fake = Fake::new(Arc::new(Layout::sandbox(dir.path())));
        Self {
            system: fake.system(),
            _dir: dir,
            fake,
            engine,
        }
    }
}

#[async_trait]
impl Outside for MadeUp {
    async fn go_down(&self) {
        self.fake.break_down(self.engine);
    }
    async fn come_up(&self) {
        self.fake.mend();
    }
    fn break_foreign(&self) -> Option<String> {
        None
    }
    fn mend_foreign(&self) {}
}

#[async_trait]
impl NginxWorld for MadeUp {
    fn nginx(&self) -> &dyn Nginx {
        &*self.system.nginx
    }
    fn vhost(&self, _: &UnitName, word: &'static str) -> String {
        word.to_owned()
    }
    fn bad_vhost(&self, _: &UnitName) -> String {
        "bad".to_owned()
    }
    async fn answer(&self, unit: &UnitName) -> Option<String> {
        let (_, name) = unit.as_str().split_once('.').unwrap();
        let limit = Duration::from_secs(1);
        match self
            .system
            .probe
            .get(Page::http(name, "/"), limit)
            .await
            .unwrap()
        {
            (404, _) => None,
            _ => self.system.nginx.read(unit).unwrap(),
        }
    }
}

impl SupervisorWorld for MadeUp {
    fn supervisor(&self) -> &dyn Supervisor {
        &*self.system.supervisor
    }
    fn steady(&self, _: &UnitName) -> String {
        "steady".to_owned()
    }
    fn failing(&self, _: &UnitName) -> Option<String> {
        None
    }
}

#[tokio::test]
async fn the_made_up_nginx_keeps_the_contract() {
    nginx_contract(&MadeUp::new("nginx")).await;
}

#[tokio::test]
async fn the_made_up_supervisor_keeps_the_contract() {
    supervisor_contract(&MadeUp::new("supervisor")).await;
}
