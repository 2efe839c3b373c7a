//! Visitors get the app again.

use super::{
    last_lines::LogsBefore,
    stay_up::StayingUp,
    turn_away::{is_away, let_in, turn_away},
};
use crate::{
    config::Limits,
    domain::UnitName,
    engine::{Cx, Step},
    system::probe::App,
};
use cid_protocol::{
    fault::Fault,
    run_file::{RunFile, WEB},
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(3);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Waits until the web process that was just started listens where nginx asks for it, and has nginx ask it again.
#[derive(Serialize, Deserialize)]
pub struct LetIn {
    /// Which instance answers.
    pub instance: UnitName,
    /// One that does not come up is a failure; without it the job goes on.
    pub must: bool,
}

impl Step for LetIn {
    const KIND: &'static str = "let-in.v1";
    /// They were turned away before.
    type Before = bool;
    type Output = ();

    fn label(&self) -> String {
        "let visitors in".into()
    }

    /// The project's own time-out ends it earlier.
    fn limit(&self, _: &Limits) -> Duration {
        Duration::from_hours(24)
    }

    async fn observe(&self, cx: &Cx) -> Result<bool, Fault> {
        Ok(is_away(&cx.sys().layout, cx.unit()))
    }

    async fn apply(&self, _: &bool, cx: &Cx) -> Result<(), Fault> {
        match self.listens(cx).await {
            Err(fault) if self.must || fault.cancelled => return Err(fault),
            Err(fault) => cx.note(fault.message),
            Ok(()) => {}
        }
        let_in(&cx.sys().layout, cx.unit())
    }

    async fn undo(&self, before: &bool, cx: &Cx) -> Result<(), Fault> {
        match before {
            true => turn_away(&cx.sys().layout, cx.unit()),
            false => Ok(()),
        }
    }
}

impl LetIn {
    async fn listens(&self, cx: &Cx) -> Result<(), Fault> {
        let run_file = RunFile::read(&cx.sys().layout.run_file(&self.instance))?;
        if !run_file.processes.contains_key(WEB) {
            return Ok(());
        }
        let timeout = *cx.project_file()?.app.health.timeout;
        let address = App::of(&run_file);
        let logs = LogsBefore::of_job(cx);
        let mut staying_up = StayingUp::of(self.instance.clone(), false, logs);
        let (begin, mut pause) = (Instant::now(), PAUSE);
        loop {
            let processes = staying_up.look(cx, &address).await?;
            let why = match processes.iter().find(|process| process.name == WEB) {
                Some(web) if web.is_up() => address.is_reached(web, &run_file, cx).await,
                _ => Err("cannot reach the web process: it does not run".to_owned()),
            };
            let Err(why) = why else {
                return Ok(());
            };
            if begin.elapsed() > timeout {
                staying_up.last_lines(cx, WEB).await;
                return Err(Fault::new(format!("{why}, after {} s", timeout.as_secs())));
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cx.cancel.cancelled() => return Err(Fault::cancelled()),
            }
            pause = (pause * 5 / 4).min(LONGEST_PAUSE);
        }
    }
}
