//! Starts and stops one supervisord group without waiting inside supervisord, whose own waiting calls check
//! once a second.

use super::rpc::{Rpc, RpcError, code};
use crate::system::procs;
use cid_protocol::fault::Fault;
use dxr::Value;
use std::{collections::BTreeSet, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// supervisord kills after 10 s what does not stop.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const EXEC_LIMIT: Duration = Duration::from_millis(500);

/// Groups by what supervisord would do with them: added, changed, removed.
pub(crate) type Differences = (Vec<String>, Vec<String>, Vec<String>);

impl Rpc {
    /// Starts the group of one program file and reads no other file. Returns how many lines supervisord has
    /// sent by then.
    ///
    /// # Errors
    /// `CANT_REREAD`: the file is invalid; `ALREADY_ADDED`: a group of that name exists.
    pub(super) async fn load(&self, name: &str, file: &Path) -> Result<u64, RpcError> {
        let path = file.to_string_lossy().into_owned();
        let told: i32 = self.call_own("load", (name, path)).await?;
        Ok(u64::try_from(told).unwrap_or_default())
    }

    /// Makes supervisord read all files again. Starts and stops nothing.
    pub(crate) async fn reread(&self) -> Result<Differences, RpcError> {
        let answer: Vec<Differences> = self.call("reloadConfig", ()).await?;
        Ok(answer.into_iter().next().unwrap_or_default())
    }

    /// Starts the group as supervisord last read it, after stopping a group of its name.
    pub(crate) async fn replace_group(&self, name: &str) -> Result<(), Fault> {
        let cannot = |error: RpcError| error.fault(format_args!("start the group {name}"));
        self.remove_group(name).await.map_err(cannot)?;
        match self.call::<bool>("addProcessGroup", name).await {
            Ok(_) => {}
            // supervisord was restarted in between and has started it.
            Err(error) if error.is(code::ALREADY_ADDED) => {}
            Err(error) => return Err(cannot(error)),
        }
        // supervisord starts processes on the next pass of its loop, which any call triggers.
        drop(self.call::<Value>("getState", ()).await);
        Ok(())
    }

    /// Stops and removes a group; it is no error if there is none.
    pub(crate) async fn remove_group(&self, name: &str) -> Result<(), RpcError> {
        self.remove_group_beside(name, &BTreeSet::new()).await
    }

    /// The same, where these processes of supervisord's are known to be programs already.
    pub(super) async fn remove_group_beside(
        &self,
        name: &str,
        programs: &BTreeSet<u32>,
    ) -> Result<(), RpcError> {
        self.wait_for_exec(programs).await;
        match self.call::<Value>("stopProcessGroup", (name, false)).await {
            Ok(_) => {}
            Err(error) if error.is(code::BAD_NAME) => return Ok(()),
            Err(error) => return Err(error),
        }
        let started = Instant::now();
        loop {
            // Each call also makes supervisord check its processes.
            match self.call::<bool>("removeProcessGroup", name).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is(code::BAD_NAME) => return Ok(()),
                Err(error) if error.is(code::STILL_RUNNING) && started.elapsed() < STOP_LIMIT => {}
                Err(error) => return Err(error),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until children that supervisord has just forked have become programs. Before that they have its
    /// signal handlers and lose a TERM: the stop would take the 10 s until KILL. Those in `programs` need no look.
    pub(crate) async fn wait_for_exec(&self, programs: &BTreeSet<u32>) {
        let Ok(pid) = self.call::<i32>("getPID", ()).await.map(i32::unsigned_abs) else {
            return;
        };
        let own = procs::command_line(pid);
        let mut forked = procs::children(pid);
        forked.retain(|child| !programs.contains(child));
        let started = Instant::now();
        while started.elapsed() < EXEC_LIMIT {
            forked.retain(|child| procs::command_line(*child) == own);
            if forked.is_empty() {
                return;
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}
