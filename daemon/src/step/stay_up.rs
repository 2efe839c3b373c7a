//! Whether the processes just started stay up, and which one failed if they do not.

use super::last_lines::{LogsBefore, last_lines};
use crate::{
    domain::UnitName,
    engine::Cx,
    system::{
        listeners,
        probe::{App, is_served},
        supervisor::{How, Process, ProcessState},
    },
};
use cid_protocol::{
    fault::Fault,
    run_file::{RunFile, WEB},
};
use nix::libc::SIGKILL;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// How long a process must run, because it may load its code slowly and then fail. A process that answers
/// has proved itself.
const MOMENT: Duration = Duration::from_secs(3);
/// One exit may be an accident; a process that has exited this often will exit again.
const TOO_OFTEN: u32 = 2;

/// Watches the processes that a job has just started.
pub(super) struct StayingUp {
    instance: UnitName,
    /// The others are not started yet.
    web_alone: bool,
    /// How long the logs were before they were started.
    logs: LogsBefore,
    /// Since when each has been seen running, by name and process id.
    up: BTreeMap<(String, u32), Instant>,
    /// The failed process has been reported.
    pub(super) has_blamed: bool,
}

impl StayingUp {
    /// Has seen nothing of this instance yet.
    pub(super) fn of(instance: UnitName, web_alone: bool, logs: LogsBefore) -> Self {
        Self {
            instance,
            web_alone,
            logs,
            up: BTreeMap::new(),
            has_blamed: false,
        }
    }

    /// All processes. One that has ended too often is the fault, and its last lines are reported.
    ///
    /// # Errors
    /// A process ends again and again, or supervisord does not tell.
    pub(super) async fn look(&mut self, cx: &Cx, address: &App) -> Result<Vec<Process>, Fault> {
        let mut processes = cx.sys().supervisor.processes(&self.instance).await?;
        processes.retain(|process| !self.web_alone || process.name == WEB);
        let is_hopeless =
            |process: &&Process| process.ends >= TOO_OFTEN || process.state == ProcessState::Fatal;
        if let Some(process) = processes.iter().find(is_hopeless) {
            self.has_blamed = true;
            self.last_lines(cx, &process.name).await;
            return Err(self.blame(process, cx, address).await);
        }
        let now = Instant::now();
        let up = processes.iter().filter(|process| process.is_up());
        let up = up.filter_map(|process| Some((process.name.clone(), process.pid?)));
        self.up = up
            .map(|key| (key.clone(), self.up.get(&key).copied().unwrap_or(now)))
            .collect();
        Ok(processes)
    }

    /// Reports the last lines that a process wrote since it was started.
    pub(super) async fn last_lines(&self, cx: &Cx, process: &str) {
        last_lines(cx, process, &self.logs).await;
    }

    /// The processes that have not run long enough yet. `answers`: the web process has answered, which is proof enough
    /// if it has not ended before: what it left behind may have answered.
    pub(super) fn unsettled<'a>(
        &self,
        processes: &'a [Process],
        answers: bool,
    ) -> Option<&'a Process> {
        processes.iter().find(|process| {
            let key = process.pid.map(|pid| (process.name.clone(), pid));
            let since = key.and_then(|key| self.up.get(&key));
            let enough = match answers && process.name == WEB && process.ends == 0 {
                true => Duration::ZERO,
                false => MOMENT,
            };
            since.is_none_or(|since| since.elapsed() < enough)
        })
    }

    async fn blame(&self, process: &Process, cx: &Cx, address: &App) -> Fault {
        let mut message = format!(
            "cannot keep the process {} running: it {}",
            process.name,
            process.told()
        );
        let how = process.ended.as_ref().map(|ended| &ended.how);
        if process.name == WEB
            && let Some(other) = self.other_listener_than(process, cx, address).await
        {
            message.push_str(&format!("; {}", other.message));
            return Fault { message, ..other };
        }
        let hint = match how {
            Some(How::Exit(0)) => {
                "a process has to run until it is stopped: start it in the foreground, and leave out of the Procfile \
                 what does its work and ends"
            }
            Some(how) if how.signal() == Some(SIGKILL) => {
                "nobody kills a process so but the kernel, when memory runs out: memory under [limits.app] in the \
                 project file allows more"
            }
            _ => {
                "see its last lines of output; mend its command in the Procfile or in [app] of the project file"
            }
        };
        let is_procfiles = cx
            .project_file()
            .is_ok_and(|project| project.app.run.is_empty());
        match is_procfiles && process.name != WEB {
            true => Fault::new(message).hint(format!(
                "{hint}; to do without it:\n[app]\nskip = [{:?}]",
                process.name
            )),
            false => Fault::new(message).hint(hint),
        }
    }

    /// Another program that has the web process's port, and what to do about it.
    pub(super) async fn other_listener(&self, cx: &Cx, address: &App) -> Option<Fault> {
        let processes = cx.sys().supervisor.processes(&self.instance).await.ok()?;
        let web = processes.iter().find(|process| process.name == WEB)?;
        self.other_listener_than(web, cx, address).await
    }

    async fn other_listener_than(&self, web: &Process, cx: &Cx, address: &App) -> Option<Fault> {
        let App::Port(port) = *address else {
            return None;
        };
        if self.is_served(web, cx, port).await || !cx.sys().probe.is_open(port).await {
            return None;
        }
        let other = spawn_blocking(move || listeners::in_words(port)).await;
        let other = other.unwrap_or_default();
        let message = format!("{other} listens on its port {port}");
        Some(Fault::new(message).hint(other_port(cx).await))
    }

    /// Whether the process itself listens on its port: supervisord may have started it again a moment ago.
    async fn is_served(&self, process: &Process, cx: &Cx, port: u16) -> bool {
        let Ok(run_file) = RunFile::read(&cx.sys().layout.run_file(&self.instance)) else {
            return true;
        };
        let pids: Vec<u32> = process.pid.into_iter().collect();
        let probe = Arc::clone(&cx.sys().probe);
        let served = spawn_blocking(move || is_served(probe.as_ref(), &run_file, &pids, port));
        served.await.unwrap_or(true)
    }
}

/// What to do about a port that another program has.
async fn other_port(cx: &Cx) -> String {
    let end = "end that program (ss -ltnp shows it)";
    match cx.store().workspace(cx.workspace()).await {
        Ok(Some(workspace)) if !workspace.is_stage() => format!(
            "{end}, or have the app listen on another port: cictl deploy {} -p {}",
            workspace.owner, workspace.project
        ),
        _ => end.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::running;

    #[test]
    fn all_have_to_run_for_a_moment_but_one_that_answers() {
        let processes = [running("web", 1), running("worker", 2)];
        let key = |process: &Process| (process.name.clone(), process.pid.unwrap());
        let seen = |age: Duration| StayingUp {
            up: processes
                .iter()
                .map(|process| (key(process), Instant::now().checked_sub(age).unwrap()))
                .collect(),
            has_blamed: false,
            instance: UnitName::parse("shop.anna").unwrap(),
            web_alone: false,
            logs: LogsBefore::default(),
        };
        let name = |process: Option<&Process>| process.map(|process| process.name.clone());
        let young = seen(MOMENT / 2);
        assert_eq!(
            name(young.unsettled(&processes, true)).as_deref(),
            Some("worker")
        );
        assert_eq!(
            name(young.unsettled(&processes, false)).as_deref(),
            Some("web")
        );
        assert!(young.unsettled(&processes[..1], true).is_none());
        let once = [Process {
            ends: 1,
            ..running("web", 1)
        }];
        assert!(young.unsettled(&once, true).is_some());
        assert!(seen(MOMENT).unsettled(&processes, false).is_none());
        // A process that was started again counts from zero.
        let again = [running("worker", 3)];
        assert!(seen(MOMENT).unsettled(&again, true).is_some());
    }
}
