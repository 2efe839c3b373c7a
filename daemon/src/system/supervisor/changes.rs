//! Changes to workspaces' groups, one at a time for each workspace.

use super::{
    ProcessState, app_groups,
    link::Link,
    orphans::{self, Orphans},
    refusal,
    rpc::{Rpc, RpcError, code},
};
use crate::{
    domain::UnitName,
    layout::Layout,
    system::{
        Effect,
        included::{Included, Put},
    },
};
use cid_protocol::fault::Fault;
use dxr::Value;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};

/// A supervisord that is being restarted answers again within this time.
const RESTART_LIMIT: Duration = Duration::from_secs(3);

/// How a workspace's processes are found, including those that left supervisord's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// By the process ids they wrote down, descent, and marks in their environment.
    Marks,
    /// By a control group.
    ControlGroup,
}

/// Changes workspaces' groups.
pub(super) struct Changes {
    layout: Layout,
    pub(super) keeper: Keeper,
    pub(super) rpc: Rpc,
    pub(super) link: Link,
    pub(super) programs: Included,
    /// Each group is changed by one caller at a time.
    locks: Mutex<HashMap<UnitName, Weak<tokio::sync::Mutex<()>>>>,
}

impl Changes {
    pub(super) fn new(layout: &Layout, keeper: Keeper) -> Self {
        let rpc = Rpc::new(layout.supervisor_socket());
        Self {
            layout: layout.clone(),
            keeper,
            link: Link::start(rpc.clone(), layout.supervisor_events()),
            rpc,
            programs: Included::new(layout.program_dir()),
            locks: Mutex::default(),
        }
    }

    pub(super) async fn put(&self, put: Put) -> Result<(), Fault> {
        let unit = put.unit.clone();
        let lock = self.lock(&unit);
        let _held = lock.lock().await;
        self.wait_until_up().await;
        self.refuse_earlier(&unit).await?;
        let started = match self.programs.replace(&put).await? {
            Some(_) => self.replace(&unit).await,
            // A unit without a file has no processes; looking for them would take longer than a start.
            None => self.start(&unit).await,
        };
        if let Err(fault) = started {
            // Without removing the file, the group would come back with the next supervisord.
            self.programs.remove(&unit).await?;
            drop(self.rpc.remove_group(unit.as_str()).await);
            return Err(fault);
        }
        Ok(())
    }

    pub(super) async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault> {
        let lock = self.lock(unit);
        let _held = lock.lock().await;
        let running = self.running_beside(unit).await;
        let leavers = self.leavers(unit, &running).await;
        let told = self.rpc.remove_group_beside(unit.as_str(), &running);
        let told = told.await;
        // The file goes whatever supervisord says.
        self.programs.remove(unit).await?;
        if let Err(fault) = self.end_leavers(unit, leavers, &running).await {
            return Ok(Effect::Owed(fault.message));
        }
        match told {
            Ok(()) => {
                self.link.seen_gone(unit.as_str()).await;
                Ok(Effect::Done)
            }
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
        self.refuse_earlier(unit).await?;
        self.replace(unit).await
    }

    /// Comes before anything is stopped: a supervisord of an earlier version cannot read a single file.
    async fn refuse_earlier(&self, unit: &UnitName) -> Result<(), Fault> {
        let tells = self.link.is_told().await;
        let tells = tells.map_err(|error| error.fault(format_args!("start the group {unit}")))?;
        match tells {
            true => Ok(()),
            false => Err(Fault::new(format!(
                "cannot start the group {unit}: supervisord runs since before cid was upgraded"
            ))
            .hint("restart it, and with it all apps; cictl doctor says how")),
        }
    }

    /// Stops a workspace's processes and starts its group from its file.
    async fn replace(&self, unit: &UnitName) -> Result<(), Fault> {
        let running = self.running_beside(unit).await;
        let leavers = self.leavers(unit, &running).await;
        self.remove_group(unit).await?;
        self.end_leavers(unit, leavers, &running).await?;
        self.start(unit).await
    }

    async fn remove_group(&self, unit: &UnitName) -> Result<(), Fault> {
        let cannot = |error: RpcError| error.fault(format_args!("stop the group {unit}"));
        let running = self.running_beside(unit).await;
        let removed = self.rpc.remove_group_beside(unit.as_str(), &running);
        removed.await.map_err(cannot)
    }

    /// Starts the group of a workspace's file.
    async fn start(&self, unit: &UnitName) -> Result<(), Fault> {
        let file = self.programs.path(unit);
        let mut loaded = self.rpc.load(unit.as_str(), &file).await;
        // Most groups are new: trying is the quickest way to learn that the name is taken.
        if is_there(&loaded) {
            self.remove_group(unit).await?;
            loaded = self.rpc.load(unit.as_str(), &file).await;
        }
        match loaded {
            Ok(told) => {
                self.link.seen(told).await;
                Ok(())
            }
            // supervisord was restarted in between and has started it.
            Err(error) if error.is(code::ALREADY_ADDED) => Ok(()),
            Err(RpcError::Refused {
                code: code::CANT_REREAD,
                text,
            }) => Err(refused(unit, &text)),
            Err(error) => Err(error.fault(format_args!("start the group {unit}"))),
        }
    }

    /// Processes of other groups that have run for a while, as far as supervisord tells: what need not be
    /// looked at where one group is changed.
    pub(super) async fn running_beside(&self, unit: &UnitName) -> BTreeSet<u32> {
        let running = self.link.look(|groups| {
            let others = groups.iter().filter(|(name, _)| *name != unit.as_str());
            others
                .flat_map(|(_, processes)| processes)
                .filter(|process| process.state == ProcessState::Running)
                .filter_map(|process| process.pid)
                .collect()
        });
        running.await.unwrap_or_default()
    }

    /// A look at all processes, so not on a thread that serves others.
    async fn leavers(&self, unit: &UnitName, running: &BTreeSet<u32>) -> Orphans {
        if self.keeper == Keeper::ControlGroup {
            return Orphans::default();
        }
        let (layout, unit, running) = (self.layout.clone(), unit.clone(), running.clone());
        let look = spawn_blocking(move || Orphans::of_unit(&layout, &unit, &running));
        look.await.unwrap_or_default()
    }

    /// Ends processes that a workspace's stopped group left behind. They are recorded before the stop,
    /// because a process that left the group cannot be found from it afterwards.
    async fn end_leavers(
        &self,
        unit: &UnitName,
        leavers: Orphans,
        running: &BTreeSet<u32>,
    ) -> Result<(), Fault> {
        let mut living = leavers.end().await;
        living.extend(self.leavers(unit, running).await.end().await);
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

    /// Removes groups without a file and starts files without a group. Contents of files are not compared.
    pub(super) async fn settle(&self) -> Result<(), Fault> {
        self.wait_until_up().await;
        let files = BTreeSet::from_iter(self.programs.list()?);
        for unit in &files {
            let dir = self.layout.app_log_dir(&unit.workspace());
            std::fs::create_dir_all(&dir)
                .map_err(|error| Fault::io("make the folder", &dir, error))?;
        }
        let groups = self.units().await?;
        let mut done = Ok(());
        for unit in files.symmetric_difference(&groups) {
            // One failure must not stop the others.
            done = done.and(self.settle_one(unit).await);
        }
        done?;
        match self.keeper {
            Keeper::Marks => Ok(()),
            Keeper::ControlGroup => self.end_orphans().await,
        }
    }

    /// Checked again when its turn comes: another caller may have put or removed it meanwhile.
    async fn settle_one(&self, unit: &UnitName) -> Result<(), Fault> {
        let lock = self.lock(unit);
        let _held = lock.lock().await;
        match (
            self.programs.read(unit)?,
            self.units().await?.contains(unit),
        ) {
            (Some(_), false) => self.replace(unit).await,
            (None, true) => {
                self.remove_group(unit).await?;
                self.link.seen_gone(unit.as_str()).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The workspaces that have groups in supervisord.
    async fn units(&self) -> Result<BTreeSet<UnitName>, Fault> {
        let units = self.link.look(|groups| {
            let names = groups.keys();
            names.filter_map(|name| UnitName::parse(name)).collect()
        });
        units
            .await
            .map_err(|error| error.fault("ask for the processes"))
    }

    /// Ends apps without a program file: what a removal could not end at once.
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

    /// supervisord may be restarting. The next call shows whether it came back.
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

    pub(super) fn lock(&self, unit: &UnitName) -> Arc<tokio::sync::Mutex<()>> {
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

fn is_there(loaded: &Result<u64, RpcError>) -> bool {
    matches!(loaded, Err(error) if error.is(code::ALREADY_ADDED))
}

/// supervisord's complaint about a program file. The file is named if it is not the workspace's own.
fn refused(unit: &UnitName, said: &str) -> Fault {
    let refusal = refusal::parse(said);
    let own = format!("{unit}.conf");
    let name = |file: &std::path::Path| file.file_name().is_some_and(|name| name == own.as_str());
    if refusal.file.as_deref().is_none_or(name) {
        let message = refusal.message;
        return Fault::new(format!(
            "cannot load the program file of {unit}: supervisord says: {message}"
        ));
    }
    let place = refusal.place().unwrap_or_default();
    Fault::new(format!(
        "cannot change supervisord: its configuration is broken by {place}: {}",
        refusal.message
    ))
    .hint("mend that file, then try again")
}
