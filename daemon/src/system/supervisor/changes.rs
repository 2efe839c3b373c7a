//! Changes to workspaces' groups, one at a time for each workspace.

use super::{
    app_groups,
    loader::{self, Loader},
    orphans::{self, Orphans},
    rpc::{Rpc, RpcError, code},
};
use crate::{
    domain::UnitName,
    layout::Layout,
    system::{
        Effect, Fault,
        included::{Included, Put, Tester},
        turns::Turns,
    },
};
use dxr::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

/// Where somebody restarts supervisord, it answers again within this time.
const RESTART_LIMIT: Duration = Duration::from_secs(3);

/// What holds a workspace's processes together, also those that left supervisord's group of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// Process ids that they wrote down, descent, and marks in their environment.
    Marks,
    /// A control group.
    ControlGroup,
}

/// Makes changes to workspaces' groups.
pub(super) struct Changes {
    layout: Layout,
    keeper: Keeper,
    pub(super) rpc: Rpc,
    pub(super) programs: Included,
    turns: Turns<Loader>,
    /// One change of a group at a time.
    locks: Mutex<HashMap<UnitName, Weak<tokio::sync::Mutex<()>>>>,
    announced: Mutex<HashMap<UnitName, Announced>>,
}

/// A program file on its way to supervisord.
struct Announced {
    text: String,
    /// What it replaced.
    verdict: JoinHandle<Result<Option<String>, Fault>>,
}

impl Changes {
    pub(super) fn new(layout: &Layout, keeper: Keeper) -> Self {
        let rpc = Rpc::new(layout.supervisor_socket());
        let programs = Included::new(layout.program_dir());
        let turns = Turns::start(Loader {
            programs: programs.clone(),
            rpc: rpc.clone(),
        });
        Self {
            layout: layout.clone(),
            keeper,
            rpc,
            programs,
            turns,
            locks: Mutex::default(),
            announced: Mutex::default(),
        }
    }

    pub(super) async fn announce(self: &Arc<Self>, put: Put) {
        let lock = self.lock(&put.unit);
        let _held = lock.lock().await;
        self.arrived(&put.unit).await;
        let (unit, text) = (put.unit.clone(), put.text.clone());
        let changes = Arc::clone(self);
        let verdict = tokio::spawn(async move { changes.turns.ask(put).await? });
        self.announced().insert(unit, Announced { text, verdict });
    }

    /// Waits for a file that was announced, if one was; what it replaced, where all went well.
    async fn arrived(&self, unit: &UnitName) -> Option<(String, Option<String>)> {
        let announced = self.announced().remove(unit)?;
        let previous = announced.verdict.await.ok()?.ok()?;
        Some((announced.text, previous))
    }

    fn announced(&self) -> MutexGuard<'_, HashMap<UnitName, Announced>> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn put(&self, put: Put) -> Result<(), Fault> {
        let unit = put.unit.clone();
        let lock = self.lock(&unit);
        let _held = lock.lock().await;
        let previous = match self.arrived(&unit).await {
            Some((text, previous)) if text == put.text => previous,
            // Also where supervisord was not up then.
            _ => {
                self.wait_until_up().await;
                self.turns.ask(put).await??
            }
        };
        let started = match previous {
            Some(_) => self.replace(&unit).await,
            // A unit that had no file has no processes: looking for them takes longer than a start.
            None => self.rpc.replace_group(unit.as_str()).await,
        };
        if let Err(fault) = started {
            // Without its file the group would come back with the next supervisord.
            self.programs.remove(&unit).await?;
            drop(self.rpc.remove_group(unit.as_str()).await);
            return Err(fault);
        }
        Ok(())
    }

    pub(super) async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault> {
        let lock = self.lock(unit);
        let _held = lock.lock().await;
        self.arrived(unit).await;
        let leavers = self.leavers(unit);
        let told = self.rpc.remove_group(unit.as_str()).await;
        // The file goes whatever supervisord says. It need not read its files again for that: a
        // group is only ever added after a fresh look.
        self.programs.remove(unit).await?;
        if let Err(fault) = self.end_leavers(unit, leavers).await {
            return Ok(Effect::Owed(fault.message));
        }
        match told {
            Ok(()) => Ok(Effect::Done),
            Err(error) => Ok(Effect::Owed(
                error
                    .fault(format_args!("take the group {unit} out of supervisord"))
                    .message,
            )),
        }
    }

    pub(super) async fn restart(&self, unit: &UnitName) -> Result<(), Fault> {
        let lock = self.lock(unit);
        let _held = lock.lock().await;
        if self.programs.read(unit)?.is_none() {
            return Err(Fault::new(format!(
                "cannot restart {unit}: it has no program file"
            )));
        }
        self.wait_until_up().await;
        match self.replace(unit).await {
            // supervisord has not seen the file yet.
            Err(_) if self.rpc.reread().await.is_ok() => self.replace(unit).await,
            result => result,
        }
    }

    /// Stops what runs of a workspace and starts its group as supervisord last read it.
    async fn replace(&self, unit: &UnitName) -> Result<(), Fault> {
        let leavers = self.leavers(unit);
        let cannot = |error: RpcError| error.fault(format_args!("stop the group {unit}"));
        self.rpc.remove_group(unit.as_str()).await.map_err(cannot)?;
        self.end_leavers(unit, leavers).await?;
        self.rpc.replace_group(unit.as_str()).await
    }

    fn leavers(&self, unit: &UnitName) -> Orphans {
        match self.keeper {
            Keeper::Marks => Orphans::of_unit(&self.layout, unit),
            Keeper::ControlGroup => Orphans::default(),
        }
    }

    /// Ends processes of a workspace that its stopped group left behind. Who they are is noted
    /// before the stop: who left the group cannot be found from it afterwards.
    async fn end_leavers(&self, unit: &UnitName, leavers: Orphans) -> Result<(), Fault> {
        let mut living = leavers.end().await;
        living.extend(self.leavers(unit).end().await);
        orphans::forget(&self.layout, unit);
        if self.keeper == Keeper::ControlGroup {
            app_groups::end(unit).await?;
        }
        match living.first() {
            Some(id) => Err(Fault::new(format!(
                "cannot stop process {} of {unit}: it takes no signal",
                id.pid
            ))),
            None => Ok(()),
        }
    }

    pub(super) async fn settle(&self) -> Result<(), Fault> {
        self.wait_until_up().await;
        for unit in self.programs.list()? {
            let dir = self.layout.app_log_dir(&unit);
            // One folder that is missing keeps supervisord from reading any file.
            std::fs::create_dir_all(&dir)
                .map_err(|error| Fault::io("make the folder", &dir, error))?;
        }
        let (added, changed, removed) = self.rpc.reread().await.map_err(|error| match error {
            RpcError::Refused {
                code: code::CANT_REREAD,
                text,
            } => self.rpc.foreign(&loader::parse(&text)),
            error => error.fault("make supervisord's groups agree with the program files"),
        })?;
        // Each as it is when its turn comes: somebody may have put or removed it meanwhile.
        for unit in removed
            .iter()
            .chain(&added)
            .chain(&changed)
            .filter_map(|name| UnitName::parse(name))
        {
            let lock = self.lock(&unit);
            let _held = lock.lock().await;
            if self.programs.read(&unit)?.is_some() {
                self.replace(&unit).await?;
            } else {
                let cannot = |error: RpcError| {
                    error.fault(format_args!("take the group {unit} out of supervisord"))
                };
                self.rpc.remove_group(unit.as_str()).await.map_err(cannot)?;
            }
        }
        match self.keeper {
            Keeper::Marks => Ok(()),
            Keeper::ControlGroup => self.end_orphans().await,
        }
    }

    /// Ends apps that have no program file any more: what a removal could not end at once.
    async fn end_orphans(&self) -> Result<(), Fault> {
        for unit in app_groups::all().await? {
            let lock = self.lock(&unit);
            let _held = lock.lock().await;
            if self.programs.read(&unit)?.is_none() {
                app_groups::end(&unit).await?;
            }
        }
        Ok(())
    }

    /// Somebody may be restarting supervisord just now. Whether it came back, the next call tells.
    async fn wait_until_up(&self) {
        let started = Instant::now();
        while started.elapsed() < RESTART_LIMIT
            && matches!(
                self.rpc.call::<Value>("getState", ()).await,
                Err(RpcError::Unreachable(_))
            )
        {
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn lock(&self, unit: &UnitName) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(unit).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        locks.insert(unit.clone(), Arc::downgrade(&lock));
        lock
    }
}
