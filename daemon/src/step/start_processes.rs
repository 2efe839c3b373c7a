//! Has supervisord run the workspace's processes.

use super::{
    Configure, Inspect, Publish, ReservePort,
    inspect::is_unchanged,
    last_lines::LogsBefore,
    reserve_port,
    switch::{answer_by, has_web_socket},
};
use crate::{
    domain::{ProcessType, UnitName},
    engine::{Cx, Step},
    store::{Artifact, Debt},
    system::supervisor::program::Program,
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Writes the workspace's program file and has supervisord run it. If another program has taken the port
/// since it was reserved, the next port is used, and the files that name the port are written again.
#[derive(Serialize, Deserialize)]
pub struct StartProcesses {
    /// How a port is reserved.
    pub reserve_port: ReservePort,
    /// Writes it into the configuration.
    pub configure: Configure,
    /// Writes it into the vhost.
    /// `None` for a deployment, whose instance visitors do not get yet; and of its processes only web starts, for
    /// there must not be two of any other.
    pub publish: Option<Publish>,
}

impl Step for StartProcesses {
    const KIND: &'static str = "start-processes.v2";
    /// The program file that was there.
    type Before = Option<String>;
    type Output = LogsBefore;

    fn label(&self) -> String {
        "start the processes".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        cx.sys().supervisor.read(self.instance())
    }

    async fn apply(&self, _: &Self::Before, cx: &Cx) -> Result<LogsBefore, Fault> {
        if is_unchanged(cx) {
            return Ok(LogsBefore::default());
        }
        self.leave_taken_port(cx).await?;
        let before = LogsBefore::look(&cx.sys().layout.app_log_dir(cx.unit()));
        let types = types(cx)?;
        if self.publish.is_none() {
            let program = program(self.instance(), types, true, cx)?;
            cx.sys().supervisor.put(self.instance(), &program).await?;
            return Ok(before);
        }
        let program = program(self.instance(), types, false, cx)?;
        let (recorded, put) = tokio::join!(
            cx.record(Artifact::Program, Some(&program)),
            cx.sys().supervisor.put(self.instance(), &program),
        );
        recorded.and(put)?;
        Ok(before)
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        restore(self.instance(), before, cx).await?;
        // After a reboot in between it may have had the visitors.
        match (&self.publish, &self.configure.follows) {
            (None, Some(present)) if has_web_socket(present, cx) => {
                answer_by(&self.configure.directory, present, cx)
                    .await
                    .map(drop)
            }
            _ => Ok(()),
        }
    }
}

impl StartProcesses {
    fn instance(&self) -> &UnitName {
        &self.configure.instance
    }

    async fn leave_taken_port(&self, cx: &Cx) -> Result<(), Fault> {
        let recipe = cx.output::<Inspect>()?.recipe;
        if !recipe.has_web() || recipe.web_on_socket {
            return Ok(());
        }
        // An earlier daemon that was killed started it: the listener may be the app itself.
        if cx.sys().supervisor.read(self.instance())?.is_some() {
            return Ok(());
        }
        let taken = reserve_port::port(self.instance(), cx).await?;
        if cx.sys().probe.port_is_free(taken) {
            return Ok(());
        }
        let port = self.reserve_port.give_up(cx).await?;
        cx.note(format!(
            "another program listens on port {taken} by now: the app gets {port}"
        ));
        self.configure.apply(&(), cx).await?;
        match &self.publish {
            Some(publish) => publish.apply(&None, cx).await,
            None => Ok(()),
        }
    }
}

/// Restores the previous program file and processes of an instance.
pub(super) async fn restore(
    instance: &UnitName,
    before: &Option<String>,
    cx: &Cx,
) -> Result<(), Fault> {
    match before {
        Some(program) => cx.sys().supervisor.put(instance, program).await,
        None => {
            let effect = cx.sys().supervisor.remove(instance).await?;
            cx.owe_effect(effect, Debt::SupervisorUpdate).await
        }
    }
}

/// The process types of the recipe.
pub(super) fn types(cx: &Cx) -> Result<Vec<ProcessType>, Fault> {
    let names = cx.output::<Inspect>()?.recipe.processes.into_keys();
    // The recipe contains nothing else.
    Ok(names.filter_map(|name| ProcessType::parse(&name)).collect())
}

/// An instance's program file. `web_alone`: supervisord starts no other process by itself.
pub(super) fn program(
    instance: &UnitName,
    types: Vec<ProcessType>,
    web_alone: bool,
    cx: &Cx,
) -> Result<String, Fault> {
    let layout = &cx.sys().layout;
    let program = Program {
        web_alone,
        unit: instance.clone(),
        processes: types,
        helper: cx.sys().site.app_helper.clone(),
        run_file: layout.run_file(instance),
        require_user: cx.sys().is_host(),
        log_dir: layout.app_log_dir(&instance.workspace()),
    };
    program.render()
}
