//! Starts and stops some processes of a group while the others run on.

use super::{
    app_groups,
    changes::{Changes, Keeper},
    rpc::{RpcError, code},
};
use crate::{
    domain::{ProcessType, UnitName},
    system::included::Put,
};
use cid_protocol::fault::Fault;
use dxr::{TryFromValue, Value};
use std::{collections::HashMap, time::Duration};
use tokio::time::{Instant, sleep};

/// supervisord kills after 10 s what does not stop.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const AT_REST: [&str; 3] = ["STOPPED", "EXITED", "FATAL"];

impl Changes {
    /// See [`Supervisor::hold`](super::Supervisor::hold). A group that is gone has nothing to stop.
    pub(super) async fn hold(&self, put: Put, processes: &[ProcessType]) -> Result<(), Fault> {
        let lock = self.lock(&put.unit);
        let _held = lock.lock().await;
        // First, so that a supervisord that is restarted in between does not start them again.
        self.programs.replace(&put).await?;
        let running = self.running_beside(&put.unit).await;
        self.rpc.wait_for_exec(&running).await;
        for process in processes {
            self.stop_one(&put.unit, process).await?;
            // What it started and left: the same work would go on twice.
            if self.keeper == Keeper::ControlGroup {
                app_groups::end_type(&put.unit, process).await?;
            }
        }
        Ok(())
    }

    /// See [`Supervisor::release`](super::Supervisor::release).
    pub(super) async fn release(&self, put: Put, processes: &[ProcessType]) -> Result<(), Fault> {
        let lock = self.lock(&put.unit);
        let _held = lock.lock().await;
        self.programs.replace(&put).await?;
        for process in processes {
            let started = self
                .rpc
                .call::<Value>("startProcess", (name_of(&put.unit, process), false));
            match started.await {
                Err(error) if !error.is(code::ALREADY_STARTED) => {
                    return Err(error.fault(format_args!("start {process} of {}", put.unit)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn stop_one(&self, unit: &UnitName, process: &ProcessType) -> Result<(), Fault> {
        let cannot = |error: RpcError| error.fault(format_args!("stop {process} of {unit}"));
        let name = name_of(unit, process);
        match self
            .rpc
            .call::<Value>("stopProcess", (name.clone(), false))
            .await
        {
            Err(error) if error.is(code::BAD_NAME) => return Ok(()),
            Err(error) if !error.is(code::NOT_RUNNING) => return Err(cannot(error)),
            _ => {}
        }
        let begin = Instant::now();
        while begin.elapsed() < STOP_LIMIT {
            let info = self
                .rpc
                .call::<HashMap<String, Value>>("getProcessInfo", name.clone());
            let info = info.await.map_err(cannot)?;
            let state = info.get("statename");
            let state = state.and_then(|state| String::try_from_value(state).ok());
            if state.is_some_and(|state| AT_REST.contains(&state.as_str())) {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(Fault::new(format!(
            "cannot stop {process} of {unit}: it takes no signal"
        )))
    }
}

fn name_of(unit: &UnitName, process: &ProcessType) -> String {
    format!("{unit}:{unit}.{process}")
}
