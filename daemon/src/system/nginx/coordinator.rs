//! Changes nginx: all waiting changes are made, tested and loaded together.

use super::{Nginx, certificate, files, master};
use crate::{
    domain::UnitName,
    system::{
        Effect,
        included::{Included, Objection, Put, Tester},
        standing::Standing,
        turns::{Turn, Turns},
    },
};
use async_trait::async_trait;
use cid_protocol::fault::Fault;
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;

/// Where an nginx and its files are.
#[derive(Clone, Debug)]
pub struct NginxPaths {
    /// What runs the program with other rights than the daemon's; `None`: nothing does.
    pub runner: Option<Standing>,
    /// The program.
    pub program: PathBuf,
    /// Its main configuration file.
    pub config: PathBuf,
    /// What relative paths in it are relative to.
    pub prefix: PathBuf,
    /// Where the master writes its process id.
    pub pid_file: PathBuf,
    /// Where it complains.
    pub error_log: PathBuf,
    /// The included folder of the workspaces' vhosts.
    pub vhost_dir: PathBuf,
    /// What a person does when it does not run.
    pub start_hint: &'static str,
}

/// nginx itself.
pub struct RealNginx {
    paths: NginxPaths,
    vhosts: Included,
    turns: Turns<Coordinator>,
}

impl RealNginx {
    /// Takes charge of the vhosts of this nginx. Inside a tokio runtime.
    pub fn new(paths: NginxPaths) -> Self {
        let vhosts = Included::new(paths.vhost_dir.clone());
        let turns = Turns::start(Coordinator {
            vhosts: vhosts.clone(),
            paths: paths.clone(),
        });
        Self {
            paths,
            vhosts,
            turns,
        }
    }
}

#[async_trait]
impl Nginx for RealNginx {
    async fn put(&self, unit: &UnitName, vhost: &str) -> Result<(), Fault> {
        let put = Put {
            unit: unit.clone(),
            text: vhost.to_owned(),
        };
        self.turns.ask(Change::Put(put)).await?.map(drop)
    }

    async fn put_back(&self, unit: &UnitName, vhost: &str) -> Result<Effect, Fault> {
        let put = Put {
            unit: unit.clone(),
            text: vhost.to_owned(),
        };
        self.turns.ask(Change::PutBack(put)).await?
    }

    async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault> {
        self.turns.ask(Change::Remove(unit.clone())).await?
    }

    fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault> {
        self.vhosts.read(unit)
    }

    fn list(&self) -> Result<Vec<UnitName>, Fault> {
        self.vhosts.list()
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.turns.ask(Change::Settle).await?.map(drop)
    }

    async fn check(&self) -> Result<(), Fault> {
        self.paths
            .test()
            .await
            .map_err(|objection| match objection {
                Objection::Failed(fault) => fault,
                Objection::Refused(refusal) => self.paths.foreign(&refusal),
            })
    }

    async fn configuration(&self) -> Result<String, Fault> {
        let paths = self.paths.clone();
        spawn_blocking(move || files::read(&paths.config, &paths.vhost_dir))
            .await
            .unwrap_or_else(|error| Err(Fault::new(format!("cannot read files: {error}"))))
    }

    async fn try_certificate(&self, file: &Path) -> Result<(), Fault> {
        certificate::attempt(&self.paths, file).await
    }
}

enum Change {
    Put(Put),
    PutBack(Put),
    Remove(UnitName),
    Settle,
}

struct Coordinator {
    paths: NginxPaths,
    vhosts: Included,
}

#[async_trait]
impl Turn for Coordinator {
    type Change = Change;
    type Reply = Result<Effect, Fault>;

    fn unit(change: &Change) -> Option<&UnitName> {
        match change {
            Change::Put(put) | Change::PutBack(put) => Some(&put.unit),
            Change::Remove(unit) => Some(unit),
            Change::Settle => None,
        }
    }

    async fn run(&mut self, changes: Vec<Change>) -> Vec<Self::Reply> {
        // What is taken away or put back needs no test, and may fix a failing one: it comes first.
        let mut undone = Vec::new();
        let mut puts = Vec::new();
        for change in &changes {
            match change {
                Change::Put(put) => puts.push(put.clone()),
                Change::PutBack(put) => undone.push(self.vhosts.replace(put).await.map(drop)),
                Change::Remove(unit) => undone.push(self.vhosts.remove(unit).await.map(drop)),
                Change::Settle => {}
            }
        }
        let admission = self.vhosts.admit(&puts, &self.paths).await;
        let only_refused =
            puts.len() == changes.len() && admission.verdicts.iter().all(Result::is_err);
        let loaded = match admission.standing {
            Ok(()) if only_refused => Ok(()),
            Ok(()) => self.load(&puts, &admission.verdicts).await,
            Err(fault) => Err(fault),
        };
        if loaded.is_ok() {
            for (put, _) in puts
                .iter()
                .zip(&admission.verdicts)
                .filter(|(_, v)| v.is_ok())
            {
                self.vhosts.forget_aside(&put.unit).await;
            }
        }
        let (mut undone, mut verdicts) = (undone.into_iter(), admission.verdicts.into_iter());
        let reply = |change: &Change| match change {
            Change::Put(_) => verdicts
                .next()
                .unwrap_or(Ok(None))
                .and(loaded.clone())
                .map(|()| Effect::Done),
            Change::PutBack(_) | Change::Remove(_) => {
                undone.next().unwrap_or(Ok(())).map(|()| match &loaded {
                    Ok(()) => Effect::Done,
                    Err(fault) => Effect::Owed(fault.message.clone()),
                })
            }
            Change::Settle => loaded.clone().map(|()| Effect::Done),
        };
        changes.iter().map(reply).collect()
    }
}

impl Coordinator {
    /// Reloads. When that fails, the new files go out again.
    async fn load(
        &self,
        puts: &[Put],
        verdicts: &[Result<Option<String>, Fault>],
    ) -> Result<(), Fault> {
        let Err(fault) = master::reload(&self.paths).await else {
            return Ok(());
        };
        let mut restored = false;
        for (put, verdict) in puts.iter().zip(verdicts) {
            let Ok(previous) = verdict else { continue };
            restored = true;
            if let Err(fault) = self.vhosts.restore(&put.unit, previous.as_deref()).await {
                tracing::error!(unit = %put.unit, %fault, "a vhost could not be put back");
            }
        }
        // nginx may have loaded some of it: it reloads what is on disk now. The next turn relies on no reload
        // being under way.
        if restored
            && master::running(&self.paths.pid_file).is_some()
            && self.paths.test().await.is_ok()
        {
            drop(master::reload(&self.paths).await);
        }
        Err(fault)
    }
}
