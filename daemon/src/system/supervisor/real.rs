//! supervisord itself. Touches only the group it is about; never restarts supervisord.

use super::{
    Process, ProcessState, Supervisor,
    changes::{Changes, Keeper},
    program,
    rpc::code,
};
use crate::{
    domain::UnitName,
    layout::Layout,
    system::{Effect, Fault, included::Put},
};
use async_trait::async_trait;
use dxr::{TryFromValue, Value};
use std::{collections::BTreeMap, sync::Arc};

/// The supervisord that listens on the layout's socket.
pub struct RealSupervisor {
    inner: Arc<Changes>,
}

impl RealSupervisor {
    /// Takes charge of the program files of this layout, and of processes that leave their group.
    /// Inside a tokio runtime.
    pub fn new(layout: &Layout) -> Self {
        Self {
            inner: Arc::new(Changes::new(layout, Keeper::Marks)),
        }
    }

    /// As [`RealSupervisor::new`] on a host, where processes are other users': those that leave their
    /// group are found in the control group of their workspace's app.
    pub fn of_host(layout: &Layout) -> Self {
        Self {
            inner: Arc::new(Changes::new(layout, Keeper::ControlGroup)),
        }
    }

    /// Does a piece of work to its end, also when the caller stops waiting.
    async fn finish<F, R>(&self, work: impl FnOnce(Arc<Changes>) -> F) -> Result<R, Fault>
    where
        F: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send + 'static,
    {
        tokio::spawn(work(Arc::clone(&self.inner)))
            .await
            .unwrap_or_else(|error| {
                Err(Fault::new(format!(
                    "cannot change a program group: {error}"
                )))
            })
    }
}

#[async_trait]
impl Supervisor for RealSupervisor {
    async fn announce(&self, unit: &UnitName, program: &str) {
        let put = Put {
            unit: unit.clone(),
            text: program.to_owned(),
        };
        Changes::announce(&self.inner, put).await;
    }

    async fn put(&self, unit: &UnitName, program: &str) -> Result<(), Fault> {
        let put = Put {
            unit: unit.clone(),
            text: program.to_owned(),
        };
        self.finish(|inner| async move { inner.put(put).await })
            .await
    }

    async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault> {
        let unit = unit.clone();
        self.finish(|inner| async move { inner.remove(&unit).await })
            .await
    }

    async fn restart(&self, unit: &UnitName) -> Result<(), Fault> {
        let unit = unit.clone();
        self.finish(|inner| async move { inner.restart(&unit).await })
            .await
    }

    fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault> {
        self.inner.programs.read(unit)
    }

    fn list(&self) -> Result<Vec<UnitName>, Fault> {
        self.inner.programs.list()
    }

    async fn processes(&self, unit: &UnitName) -> Result<Vec<Process>, Fault> {
        // Asking for all is slow where there are many: 0.7 s for 1,000.
        let types = self
            .inner
            .programs
            .read(unit)?
            .map(|text| program::process_types(&text))
            .unwrap_or_default();
        let mut processes = Vec::with_capacity(types.len());
        for name in types {
            match self
                .inner
                .rpc
                .call::<Value>("getProcessInfo", format!("{unit}:{name}"))
                .await
            {
                Ok(info) => processes.extend(read_info(&info).map(|(_, process)| process)),
                Err(error) if error.is(code::BAD_NAME) => {}
                Err(error) => {
                    return Err(error.fault(format_args!("ask for the processes of {unit}")));
                }
            }
        }
        if processes.is_empty() {
            let all = self.groups().await?;
            return Ok(all
                .into_iter()
                .find(|(name, _)| name == unit.as_str())
                .map(|(_, group)| group)
                .unwrap_or_default());
        }
        Ok(processes)
    }

    async fn groups(&self) -> Result<Vec<(String, Vec<Process>)>, Fault> {
        let all: Vec<Value> = self
            .inner
            .rpc
            .call("getAllProcessInfo", ())
            .await
            .map_err(|error| error.fault("ask for the processes"))?;
        let mut groups: BTreeMap<String, Vec<Process>> = BTreeMap::new();
        for (group, process) in all.iter().filter_map(read_info) {
            groups.entry(group).or_default().push(process);
        }
        Ok(groups.into_iter().collect())
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.finish(|inner| async move { inner.settle().await })
            .await
    }
}

/// Group and process out of supervisord's struct.
fn read_info(info: &Value) -> Option<(String, Process)> {
    let Value::Struct(info) = info else {
        return None;
    };
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
    let pid = number("pid")
        .and_then(|pid| u32::try_from(pid).ok())
        .filter(|pid| *pid > 0);
    Some((
        text("group")?,
        Process {
            name: text("name")?,
            state,
            pid,
            description: text("description").unwrap_or_default(),
        },
    ))
}
