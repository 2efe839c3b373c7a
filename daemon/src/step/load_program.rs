//! Has supervisord read the workspace's program file, while other steps are at work.

use super::Inspect;
use crate::{
    domain::ProcessType,
    engine::{Cx, Step},
    store::{Artifact, Debt},
    system::{Fault, supervisor::program::Program},
};
use serde::{Deserialize, Serialize};

/// Has supervisord read the workspace's program file. Starts nothing: see
/// [`StartProcesses`](super::StartProcesses), which is taken back here too.
#[derive(Serialize, Deserialize)]
pub struct LoadProgram {}

impl Step for LoadProgram {
    const KIND: &'static str = "load-program.v1";
    /// The program file that was there.
    type Before = Option<String>;
    type Output = ();

    fn label(&self) -> String {
        "write the program file".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        cx.sys().supervisor.read(cx.unit())
    }

    async fn apply(&self, _: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        let program = program(cx)?;
        cx.sys().supervisor.announce(cx.unit(), &program).await;
        cx.record(Artifact::Program, &program).await
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        restore(before, cx).await
    }
}

/// Brings program file and processes back to what they were.
pub(super) async fn restore(before: &Option<String>, cx: &Cx) -> Result<(), Fault> {
    match before {
        Some(program) => cx.sys().supervisor.put(cx.unit(), program).await,
        None => {
            let effect = cx.sys().supervisor.remove(cx.unit()).await?;
            cx.owe_effect(effect, Debt::SupervisorUpdate).await
        }
    }
}

/// The workspace's program file.
pub(super) fn program(cx: &Cx) -> Result<String, Fault> {
    let layout = &cx.sys().layout;
    let names = cx.output::<Inspect>()?.recipe.processes.into_keys();
    // The recipe has none that is no process type.
    let types = names.filter_map(|name| ProcessType::parse(&name)).collect();
    let program = Program {
        unit: cx.unit().clone(),
        processes: types,
        helper: cx.sys().site.app_helper.clone(),
        run_file: layout.run_file(cx.unit()),
        require_user: cx.sys().accounts.is_some(),
        log_dir: layout.app_log_dir(cx.unit()),
    };
    program.render()
}
