//! The next instance's other processes take over from those of the present one.

use super::{
    Inspect,
    inspect::is_unchanged,
    last_lines::LogsBefore,
    start_processes::{program, types},
    stay_up::StayingUp,
};
use crate::{
    domain::{ProcessType, UnitName},
    engine::{Cx, Step},
    system::probe::App,
};
use cid_protocol::{
    fault::Fault,
    run_file::{RunFile, WEB},
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(50);
/// Each has to run for a moment; one that is started again and again is found by then.
const LIMIT: Duration = Duration::from_secs(20);

/// Stops the present instance's processes besides web, starts those of the next one, and sees that they stay up.
/// Two of a kind must not run at once: a scheduler's jobs would run twice. Visitors still get the present one.
#[derive(Serialize, Deserialize)]
pub struct SwapWorkers {
    /// The instance that serves.
    pub present: UnitName,
    /// The one that follows.
    pub next: UnitName,
}

impl Step for SwapWorkers {
    const KIND: &'static str = "swap-workers.v1";
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "exchange the other processes".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if is_unchanged(cx) {
            return Ok(());
        }
        hold(&self.present, present_types(&self.present, cx), cx).await?;
        let next = types(cx)?;
        let logs = LogsBefore::look(&cx.sys().layout.app_log_dir(cx.unit()));
        release(&self.next, next.clone(), cx).await?;
        match others(&next).is_empty() {
            true => Ok(()),
            false => self.see_them_stay_up(logs, cx).await,
        }
    }

    async fn undo(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if is_unchanged(cx) || cx.output::<Inspect>().is_err() {
            return Ok(());
        }
        hold(&self.next, types(cx)?, cx).await?;
        release(&self.present, present_types(&self.present, cx), cx).await
    }
}

impl SwapWorkers {
    async fn see_them_stay_up(&self, logs: LogsBefore, cx: &Cx) -> Result<(), Fault> {
        let run_file = RunFile::read(&cx.sys().layout.run_file(&self.next))?;
        let address = App::of(&run_file);
        let mut staying_up = StayingUp::of(self.next.clone(), false, logs);
        let begin = Instant::now();
        loop {
            let processes = staying_up.look(cx, &address).await?;
            // Web has answered.
            match staying_up.unsettled(&processes, true) {
                None => return Ok(()),
                Some(process) if begin.elapsed() > LIMIT => {
                    return Err(Fault::new(format!(
                        "cannot see the process {} stay up: it {}",
                        process.name,
                        process.told()
                    )));
                }
                Some(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = cx.cancel.cancelled() => return Err(Fault::cancelled()),
            }
        }
    }
}

/// The process types of an instance that is there; none where its run file is gone.
pub(super) fn present_types(instance: &UnitName, cx: &Cx) -> Vec<ProcessType> {
    let run_file = RunFile::read(&cx.sys().layout.run_file(instance));
    let names = run_file.map(|run_file| run_file.processes.into_keys());
    let names = names.into_iter().flatten();
    names.filter_map(|name| ProcessType::parse(&name)).collect()
}

fn others(types: &[ProcessType]) -> Vec<ProcessType> {
    let others = types.iter().filter(|name| name.as_str() != WEB);
    others.cloned().collect()
}

async fn hold(instance: &UnitName, types: Vec<ProcessType>, cx: &Cx) -> Result<(), Fault> {
    let others = others(&types);
    if others.is_empty() {
        return Ok(());
    }
    let program = program(instance, types, true, cx)?;
    cx.sys().supervisor.hold(instance, &program, &others).await
}

async fn release(instance: &UnitName, types: Vec<ProcessType>, cx: &Cx) -> Result<(), Fault> {
    let others = others(&types);
    if others.is_empty() {
        return Ok(());
    }
    let program = program(instance, types, false, cx)?;
    cx.sys()
        .supervisor
        .release(instance, &program, &others)
        .await
}
