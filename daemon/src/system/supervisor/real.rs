//! The real supervisord. Touches only the group in question; never restarts supervisord.

use super::{
    Process, Supervisor,
    changes::{Changes, Keeper},
    rpc::RpcError,
};
use crate::{
    domain::{ProcessType, UnitName},
    layout::Layout,
    system::{Effect, included::Put},
};
use async_trait::async_trait;
use cid_protocol::fault::Fault;
use dxr::Value;
use std::sync::Arc;

/// The supervisord that listens on the layout's socket.
pub struct RealSupervisor {
    inner: Arc<Changes>,
}

impl RealSupervisor {
    /// Manages the program files of this layout, and processes that leave their group. Must be called inside
    /// a tokio runtime.
    pub fn new(layout: &Layout) -> Self {
        Self {
            inner: Arc::new(Changes::new(layout, Keeper::Marks)),
        }
    }

    /// Like [`RealSupervisor::new`], on a host. Processes belong to other users there: those that leave their
    /// group are found in the control group of their workspace's app.
    pub fn of_host(layout: &Layout) -> Self {
        Self {
            inner: Arc::new(Changes::new(layout, Keeper::ControlGroup)),
        }
    }

    /// Runs work to its end, even if the caller stops waiting.
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

    async fn hold(
        &self,
        unit: &UnitName,
        program: &str,
        processes: &[ProcessType],
    ) -> Result<(), Fault> {
        let put = Put {
            unit: unit.clone(),
            text: program.to_owned(),
        };
        let processes = processes.to_vec();
        self.finish(|inner| async move { inner.hold(put, &processes).await })
            .await
    }

    async fn release(
        &self,
        unit: &UnitName,
        program: &str,
        processes: &[ProcessType],
    ) -> Result<(), Fault> {
        let put = Put {
            unit: unit.clone(),
            text: program.to_owned(),
        };
        let processes = processes.to_vec();
        self.finish(|inner| async move { inner.release(put, &processes).await })
            .await
    }

    fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault> {
        self.inner.programs.read(unit)
    }

    fn list(&self) -> Result<Vec<UnitName>, Fault> {
        self.inner.programs.list()
    }

    async fn processes(&self, unit: &UnitName) -> Result<Vec<Process>, Fault> {
        let of_unit = self.inner.link.look(|groups| {
            let processes = groups.get(unit.as_str());
            processes.cloned().unwrap_or_default()
        });
        of_unit
            .await
            .map_err(|error| error.fault(format_args!("ask for the processes of {unit}")))
    }

    async fn groups(&self) -> Result<Vec<(String, Vec<Process>)>, Fault> {
        let all = self.inner.link.look(|groups| {
            let groups = groups.iter();
            groups
                .map(|(name, processes)| (name.clone(), processes.clone()))
                .collect()
        });
        all.await
            .map_err(|error| error.fault("ask for the processes"))
    }

    async fn tells(&self) -> Result<bool, Fault> {
        let cannot = |error: RpcError| error.fault("ask for the processes");
        // A call that hangs has already sent all it could.
        let state = self.inner.rpc.call::<Value>("getState", ()).await;
        state.map_err(cannot)?;
        self.inner.link.is_told().await.map_err(cannot)
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.finish(|inner| async move { inner.settle().await })
            .await
    }
}
