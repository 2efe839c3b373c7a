//! supervisord itself. Touches only the group it is about; never restarts supervisord.

use super::{
    Process, ProcessState, Supervisor,
    loader::Loader,
    orphans::{self, Orphans},
    program,
    rpc::{Rpc, RpcError, code},
};
use crate::{
    domain::UnitName,
    layout::Layout,
    system::{
        Effect, Fault,
        included::{Included, Put},
        turns::Turns,
    },
};
use async_trait::async_trait;
use dxr::{TryFromValue, Value};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Where somebody restarts supervisord, it answers again within this time.
const RESTART_LIMIT: Duration = Duration::from_secs(3);

/// The supervisord that listens on the layout's socket.
pub struct RealSupervisor {
    inner: Arc<Inner>,
}

struct Inner {
    layout: Layout,
    rpc: Rpc,
    programs: Included,
    turns: Turns<Loader>,
    /// One change of a group at a time.
    locks: Mutex<HashMap<UnitName, Weak<tokio::sync::Mutex<()>>>>,
}

impl RealSupervisor {
    /// Takes charge of the program files of this layout. Inside a tokio runtime.
    pub fn new(layout: &Layout) -> Self {
        let rpc = Rpc::new(layout.supervisor_socket());
        let programs = Included::new(layout.program_dir());
        let turns = Turns::start(Loader { programs: programs.clone(), rpc: rpc.clone() });
        let inner = Inner { layout: layout.clone(), rpc, programs, turns, locks: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Does a piece of work to its end, also when the caller stops waiting.
    async fn finish<F, R>(&self, work: impl FnOnce(Arc<Inner>) -> F) -> Result<R, Fault>
    where
        F: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send + 'static,
    {
        tokio::spawn(work(Arc::clone(&self.inner)))
            .await
            .unwrap_or_else(|error| Err(Fault::new(format!("cannot change a program group: {error}"))))
    }
}

#[async_trait]
impl Supervisor for RealSupervisor {
    async fn put(&self, unit: &UnitName, program: &str) -> Result<(), Fault> {
        let put = Put { unit: unit.clone(), text: program.to_owned() };
        self.finish(|inner| async move { inner.put(put).await }).await
    }

    async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault> {
        let unit = unit.clone();
        self.finish(|inner| async move { inner.remove(&unit).await }).await
    }

    async fn restart(&self, unit: &UnitName) -> Result<(), Fault> {
        let unit = unit.clone();
        self.finish(|inner| async move { inner.restart(&unit).await }).await
    }

    fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault> {
        self.inner.programs.read(unit)
    }

    fn list(&self) -> Result<Vec<UnitName>, Fault> {
        self.inner.programs.list()
    }

    async fn processes(&self, unit: &UnitName) -> Result<Vec<Process>, Fault> {
        // Asking for all is slow where there are many: 0.7 s for 1,000.
        let types = self.inner.programs.read(unit)?.map(|text| program::process_types(&text)).unwrap_or_default();
        let mut processes = Vec::with_capacity(types.len());
        for name in types {
            match self.inner.rpc.call::<Value>("getProcessInfo", format!("{unit}:{name}")).await {
                Ok(info) => processes.extend(read_info(&info).map(|(_, process)| process)),
                Err(error) if error.is(code::BAD_NAME) => {}
                Err(error) => return Err(error.fault(format_args!("ask for the processes of {unit}"))),
            }
        }
        if processes.is_empty() {
            let all = self.groups().await?;
            return Ok(all.into_iter().find(|(name, _)| name == unit.as_str()).map(|(_, group)| group).unwrap_or_default());
        }
        Ok(processes)
    }

    async fn groups(&self) -> Result<Vec<(String, Vec<Process>)>, Fault> {
        let all: Vec<Value> = self.inner.rpc.call("getAllProcessInfo", ()).await.map_err(|error| error.fault("ask for the processes"))?;
        let mut groups: BTreeMap<String, Vec<Process>> = BTreeMap::new();
        for (group, process) in all.iter().filter_map(read_info) {
            groups.entry(group).or_default().push(process);
        }
        Ok(groups.into_iter().collect())
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.finish(|inner| async move { inner.settle().await }).await
    }
}

impl Inner {
    async fn put(&self, put: Put) -> Result<(), Fault> {
        let unit = put.unit.clone();
        let lock = self.lock(&unit);
        let _held = lock.lock().await;
        self.wait_until_up().await;
        self.turns.ask(put).await??;
        if let Err(fault) = self.replace(&unit).await {
            // Without its file the group would come back with the next supervisord.
            self.programs.remove(&unit).await?;
            drop(self.rpc.remove_group(unit.as_str()).await);
            return Err(fault);
        }
        Ok(())
    }

    async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault> {
        let lock = self.lock(unit);
        let _held = lock.lock().await;
        let leavers = Orphans::of_unit(&self.layout, unit);
        let told = self.rpc.remove_group(unit.as_str()).await;
        // The file goes whatever supervisord says. It need not read its files again for that: a
        // group is only ever added after a fresh look.
        self.programs.remove(unit).await?;
        if let Err(fault) = self.end_leavers(unit, leavers).await {
            return Ok(Effect::Owed(fault.message));
        }
        match told {
            Ok(()) => Ok(Effect::Done),
            Err(error) => Ok(Effect::Owed(error.fault(format_args!("take the group {unit} out of supervisord")).message)),
        }
    }

    async fn restart(&self, unit: &UnitName) -> Result<(), Fault> {
        let lock = self.lock(unit);
        let _held = lock.lock().await;
        if self.programs.read(unit)?.is_none() {
            return Err(Fault::new(format!("cannot restart {unit}: it has no program file")));
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
        let leavers = Orphans::of_unit(&self.layout, unit);
        let cannot = |error: RpcError| error.fault(format_args!("stop the group {unit}"));
        self.rpc.remove_group(unit.as_str()).await.map_err(cannot)?;
        self.end_leavers(unit, leavers).await?;
        self.rpc.replace_group(unit.as_str()).await
    }

    /// Ends processes of a workspace that its stopped group left behind. Who they are is noted
    /// before the stop: who left the group cannot be found from it afterwards.
    async fn end_leavers(&self, unit: &UnitName, leavers: Orphans) -> Result<(), Fault> {
        let mut living = leavers.end().await;
        living.extend(Orphans::of_unit(&self.layout, unit).end().await);
        orphans::forget(&self.layout, unit);
        match living.first() {
            Some(id) => Err(Fault::new(format!("cannot stop process {} of {unit}: it takes no signal", id.pid))),
            None => Ok(()),
        }
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.wait_until_up().await;
        for unit in self.programs.list()? {
            let dir = self.layout.app_log_dir(&unit);
            // One folder that is missing keeps supervisord from reading any file.
            std::fs::create_dir_all(&dir).map_err(|error| Fault::io("make the folder", &dir, error))?;
        }
        let (added, changed, removed) = self.rpc.reread().await.map_err(|error| match error {
            RpcError::Refused { code: code::CANT_REREAD, text } => {
                crate::system::included::Tester::foreign(&self.rpc, &super::loader::parse(&text))
            }
            error => error.fault("make supervisord's groups agree with the program files"),
        })?;
        // Each as it is when its turn comes: somebody may have put or removed it meanwhile.
        for unit in removed.iter().chain(&added).chain(&changed).filter_map(|name| UnitName::parse(name)) {
            let lock = self.lock(&unit);
            let _held = lock.lock().await;
            if self.programs.read(&unit)?.is_some() {
                self.replace(&unit).await?;
            } else {
                let cannot = |error: RpcError| error.fault(format_args!("take the group {unit} out of supervisord"));
                self.rpc.remove_group(unit.as_str()).await.map_err(cannot)?;
            }
        }
        Ok(())
    }

    /// Somebody may be restarting supervisord just now. Whether it came back, the next call tells.
    async fn wait_until_up(&self) {
        let started = Instant::now();
        while started.elapsed() < RESTART_LIMIT
            && matches!(self.rpc.call::<Value>("getState", ()).await, Err(RpcError::Unreachable(_)))
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

/// Group and process out of supervisord's struct.
fn read_info(info: &Value) -> Option<(String, Process)> {
    let Value::Struct(info) = info else { return None };
    let text = |key: &str| String::try_from_value(info.get(key)?).ok();
    let number = |key: &str| i32::try_from_value(info.get(key)?).ok();
    let state = match text("statename")?.as_str() {
        "STOPPED" => ProcessState::Stopped,
        "STARTING" => ProcessState::Starting,
        "RUNNING" => ProcessState::Running,
        "BACKOFF" => ProcessState::Backoff,
        "STOPPING" => ProcessState::Stopping,
        "EXITED" => ProcessState::Exited,
        "FATAL" => ProcessState::Fatal,
        _ => ProcessState::Unknown,
    };
    let pid = number("pid").and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
    Some((text("group")?, Process { name: text("name")?, state, pid, description: text("description").unwrap_or_default() }))
}
