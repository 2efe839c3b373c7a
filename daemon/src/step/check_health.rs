//! Waits until the processes just started run and the web process answers through nginx.

use super::{inspect::with_likely_causes, last_lines::LogsBefore, stay_up::StayingUp};
use crate::{
    config::{Health, Limits, Who},
    domain::UnitName,
    engine::{Cx, Step},
    health::page::wrong,
    system::{
        probe::{App, Page, is_served, of_workspace},
        supervisor::Process,
        visit::{OwnSite, Visited},
    },
};
use cid_kernel::fs;
use cid_protocol::fault::FaultContext;
use cid_protocol::{
    fault::Fault,
    run_file::{RunFile, WEB},
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// How often to check whether anything listens at all.
const GLANCE: Duration = Duration::from_millis(2);
/// How often to request the page at first, and later.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How often to request a page that answers wrongly, at first and later: each request may add lines to the log
/// whose end people are shown.
const PAUSE_WRONG: Duration = Duration::from_millis(100);
const LONGEST_PAUSE_WRONG: Duration = Duration::from_secs(1);
/// One request may take as long as this.
const REQUEST: Duration = Duration::from_secs(10);
/// An app that answers wrongly for this long is not going to recover.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until the workspace answers.
#[derive(Serialize, Deserialize)]
pub struct CheckHealth {
    /// Whose processes.
    pub instance: UnitName,
    /// The app itself is asked, at its own address, for visitors do not get it yet; its web process alone runs.
    #[serde(default)]
    pub past_nginx: bool,
    /// `NAME.DOMAIN`.
    pub host: String,
    /// Requested over HTTPS, as the workspace's address says: HTTP would only redirect there.
    #[serde(default)]
    pub tls: bool,
    /// `WORK_DIR/NAME`, where it has just been written.
    #[serde(default)]
    pub directory: Option<PathBuf>,
}

impl Step for CheckHealth {
    const KIND: &'static str = "check-health.v2";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "wait for the first answer".into()
    }

    /// The project's own time-out ends it earlier.
    fn limit(&self, _: &Limits) -> Duration {
        Duration::from_hours(24)
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let health = cx.project_file()?.app.health.clone();
        let run_file = RunFile::read(&cx.sys().layout.run_file(&self.instance))?;
        // A ready workspace's tree must survive a power cut. Syncing it costs no extra time while the app
        // starts.
        let mut staying_up = StayingUp::of(
            self.instance.clone(),
            self.past_nginx,
            LogsBefore::of_job(cx),
        );
        let wait = self.wait(cx, &health, &run_file, &mut staying_up);
        let (result, synced) = tokio::join!(wait, self.sync());
        if result.is_err() && !staying_up.has_blamed {
            staying_up.last_lines(cx, WEB).await;
        }
        result
            .map_err(|fault| with_likely_causes(fault, cx))
            .and(synced)
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

impl CheckHealth {
    async fn sync(&self) -> Result<(), Fault> {
        match &self.directory {
            Some(directory) => sync_all_of(directory.clone()).await,
            None => Ok(()),
        }
    }

    async fn wait(
        &self,
        cx: &Cx,
        health: &Health,
        run_file: &RunFile,
        staying_up: &mut StayingUp,
    ) -> Result<(), Fault> {
        let address = App::of(run_file);
        let begin = Instant::now();
        let mut pause = PAUSE;
        let mut wrong_since = None;
        loop {
            let open = open_soon(cx, &address).await?;
            // Both finding the listener and the first answer take a while.
            let (seen, answer) =
                tokio::join!(Seen::look(cx, run_file, &address, staying_up), async {
                    match open {
                        true => self.ask(cx, health, &address).await,
                        false => Err(Fault::new("cannot reach the web process: nobody listens")),
                    }
                });
            let mut state = judge(health, seen?, answer, staying_up);
            if let (State::Silent(_), true, Some(port)) = (&state, open, self.closed_port(cx).await)
            {
                state = State::Wrong(Fault::new(format!(
                    "cannot reach nginx: nobody listens on port {port}"
                )));
            }
            match &state {
                State::Answers => return Ok(()),
                State::Wrong(_) if wrong_since.is_none() => wrong_since = Some(Instant::now()),
                State::Wrong(wrong)
                    if wrong_since.is_some_and(|since: Instant| since.elapsed() > PATIENCE) =>
                {
                    return Err(self
                        .failed(cx, health, &address, wrong.clone(), staying_up)
                        .await);
                }
                State::Wrong(_) => {}
                State::Silent(_) => wrong_since = None,
            }
            pause = match wrong_since {
                Some(_) => (pause * 2).clamp(PAUSE_WRONG, LONGEST_PAUSE_WRONG),
                None => (pause * 5 / 4).min(LONGEST_PAUSE),
            };
            if begin.elapsed() > *health.timeout {
                let mut wrong = match state {
                    State::Wrong(wrong) => wrong,
                    State::Silent(message) => Fault::new(message),
                    State::Answers => return Ok(()),
                };
                let after = format!(", after {} s", health.timeout.as_secs());
                wrong.message.push_str(&after);
                return Err(self.failed(cx, health, &address, wrong, staying_up).await);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cx.cancel.cancelled() => return Err(Fault::cancelled()),
            }
        }
    }

    async fn ask(&self, cx: &Cx, health: &Health, address: &App) -> Result<Visited, Fault> {
        let project = cx.project_file()?;
        // nginx would ask cid who it is.
        let is_guarded = project.visit_of(cx.unit().name()).who != Who::Anyone;
        if self.past_nginx || is_guarded {
            return self.ask_itself(cx, health, address).await;
        }
        let copy = cx.certificate()?;
        let site = OwnSite {
            host: &self.host,
            certificate: self.tls.then_some(&copy),
            ports: &cx.sys().site,
        };
        let (probe, path) = (cx.sys().probe.as_ref(), health.path.as_str());
        let is_meant = |status| health.accepts(status);
        site.visit(probe, path, is_meant, REQUEST).await
    }

    /// The port of nginx, if nobody listens there: the app cannot help that.
    async fn closed_port(&self, cx: &Cx) -> Option<u16> {
        let site = &cx.sys().site;
        let port = match self.tls {
            true => site.https_port,
            false => site.http_port,
        };
        let is_open = self.past_nginx || cx.sys().probe.is_open(port).await;
        (!is_open).then_some(port)
    }

    /// Where a redirect leads is seen through nginx, once visitors get there.
    async fn ask_itself(&self, cx: &Cx, health: &Health, address: &App) -> Result<Visited, Fault> {
        let page = Page {
            host: &self.host,
            path: health.path.as_str(),
            certificate: self.tls.then_some(Path::new("")),
        };
        let status = cx
            .sys()
            .probe
            .get_past_nginx(address, page, REQUEST)
            .await?;
        let redirects = (300..400).contains(&status) && health.status.is_empty();
        Ok(Visited::Page {
            path: health.path.as_str().to_owned(),
            status: if redirects { 200 } else { status },
        })
    }

    /// The fault for a wrong page, with the cause as far as it can be determined.
    async fn failed(
        &self,
        cx: &Cx,
        health: &Health,
        address: &App,
        wrong: Fault,
        staying_up: &StayingUp,
    ) -> Fault {
        let Fault { message, hint, .. } = wrong;
        if let Some(other) = staying_up.other_listener(cx, address).await {
            return Fault {
                message: format!("{message}; {}", other.message),
                ..other
            };
        }
        let page = Page {
            host: &self.host,
            path: health.path.as_str(),
            certificate: self.tls.then_some(Path::new("")),
        };
        let probe = &cx.sys().probe;
        let itself = probe.get_past_nginx(address, page, REQUEST).await;
        if !self.past_nginx
            && let Ok(status) = itself
            && health.accepts(status)
        {
            let message = format!("{message}; but the app itself answers with status {status}");
            return Fault::new(message).hint(
                "nginx does not bring visitors to the app: cictl doctor says what is missing, or nginx -T what else has this name",
            );
        }
        let empty = cx
            .project()
            .ok()
            .and_then(|project| project.empty_database());
        match empty {
            Some(empty) => Fault {
                message: format!("{message}; {}", empty.message),
                ..empty
            },
            None => Fault::new(message).hint(hint.unwrap_or_else(|| hint_about(health))),
        }
    }
}

/// What to look at when nothing more is known.
fn hint_about(health: &Health) -> String {
    format!(
        "see the web process's last lines; it must answer {} on $PORT (or $SOCKET) within {} s (see [app] health in the project file)",
        health.path.as_str(),
        health.timeout.as_secs()
    )
}

/// Waits a moment for anything to listen; `false`: nothing did. Looking closely costs supervisord and the
/// kernel work that the starting app needs.
async fn open_soon(cx: &Cx, address: &App) -> Result<bool, Fault> {
    let closely = Instant::now() + LONGEST_PAUSE;
    while !address.is_open(cx).await {
        if Instant::now() >= closely {
            return Ok(false);
        }
        tokio::select! {
            () = tokio::time::sleep(GLANCE) => {}
            () = cx.cancel.cancelled() => return Err(Fault::cancelled()),
        }
    }
    Ok(true)
}

/// What can be seen of the processes just started.
struct Seen {
    processes: Vec<Process>,
    /// `Ok` if the web process listens where it should; else where it listens, in words. `None`: there is
    /// none.
    place: Option<Result<(), String>>,
}

impl Seen {
    /// # Errors
    /// A process ends again and again, or supervisord does not tell.
    async fn look(
        cx: &Cx,
        run_file: &RunFile,
        address: &App,
        staying_up: &mut StayingUp,
    ) -> Result<Self, Fault> {
        let processes = staying_up.look(cx, address).await?;
        let place = match processes.iter().find(|process| process.name == WEB) {
            Some(web) => Some(address.is_listened_on_by(web, run_file, cx).await),
            None => None,
        };
        Ok(Self { processes, place })
    }
}

/// Whether the process just started listens where it should and answered as expected.
fn judge(
    health: &Health,
    seen: Seen,
    answer: Result<Visited, Fault>,
    staying_up: &StayingUp,
) -> State {
    let settled = |answers| match staying_up.unsettled(&seen.processes, answers) {
        None => State::Answers,
        Some(process) => State::Silent(format!(
            "cannot see the process {} stay up: it {}",
            process.name,
            process.told()
        )),
    };
    match seen.place {
        Some(Ok(())) => {}
        Some(Err(elsewhere)) => return State::Silent(elsewhere + &ended_before(&seen.processes)),
        None => return settled(false),
    }
    match answer {
        Ok(Visited::Page { status, .. }) if health.accepts(status) => settled(true),
        // nginx's own words for an upstream that is not there yet.
        Ok(Visited::Page {
            status: 502..=504, ..
        }) => State::Silent("cannot reach the web process through nginx".into()),
        Ok(visited) => State::Wrong(wrong(health, &visited)),
        Err(fault) => State::Silent(fault.message),
    }
}

/// That the web process has been started again, for a message.
fn ended_before(processes: &[Process]) -> String {
    let web = processes.iter().find(|process| process.name == WEB);
    match web.filter(|web| web.ends > 0) {
        Some(web) => format!("; it {} and was started again", web.told()),
        None => String::new(),
    }
}

enum State {
    Answers,
    /// It answers, but not as expected.
    Wrong(Fault),
    /// It does not answer.
    Silent(String),
}

impl App {
    /// Whether anything seems to listen there: a first, cheap check, which a socket that was left passes.
    pub(super) async fn is_open(&self, cx: &Cx) -> bool {
        match self {
            Self::Port(port) => cx.sys().probe.is_open(*port).await,
            Self::Socket(socket) => socket.is_there(),
        }
    }

    /// Whether nginx's next request gets to this web process; else why not.
    pub(super) async fn is_reached(
        &self,
        web: &Process,
        run_file: &RunFile,
        cx: &Cx,
    ) -> Result<(), String> {
        self.is_listened_on_by(web, run_file, cx).await?;
        match cx.sys().probe.is_named(self).await {
            true => Ok(()),
            false => Err("cannot reach the web process: it does not listen yet".to_owned()),
        }
    }

    /// Anybody may bind a crashed app's port: an answer counts only from the process itself.
    async fn is_listened_on_by(
        &self,
        web: &Process,
        run_file: &RunFile,
        cx: &Cx,
    ) -> Result<(), String> {
        let port = match self {
            Self::Socket(socket) if socket.is_there() => return Ok(()),
            Self::Socket(socket) => {
                return Err(format!(
                    "cannot reach the web process: it does not listen on {}",
                    socket.display()
                ));
            }
            Self::Port(port) => *port,
        };
        let pids: Vec<u32> = web.pid.into_iter().collect();
        let probe = Arc::clone(&cx.sys().probe);
        let run_file = run_file.clone();
        let listeners = spawn_blocking(move || {
            let served = is_served(probe.as_ref(), &run_file, &pids, port);
            (!served).then(|| of_workspace(probe.as_ref(), &run_file, &pids))
        });
        let Some(listeners) = listeners.await.unwrap_or(Some(Vec::new())) else {
            return Ok(());
        };
        if listeners.is_empty() {
            return Err(format!(
                "cannot reach the web process: it does not listen on its port {port}"
            ));
        }
        let elsewhere: Vec<String> = listeners.iter().map(ToString::to_string).collect();
        let is_port = listeners.iter().any(|address| address.port() == port);
        let place = match is_port {
            true => format!("127.0.0.1:{port}, where nginx asks"),
            false => format!("its port {port}"),
        };
        Err(format!(
            "cannot reach the web process: it listens on {} and not on {place}",
            elsewhere.join(", ")
        ))
    }
}

pub(super) async fn sync_all_of(dir: PathBuf) -> Result<(), Fault> {
    spawn_blocking(move || fs::sync_all_of(&dir))
        .await
        .cannot("sync the disk")?
}
