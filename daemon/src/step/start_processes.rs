//! Has supervisord run the workspace's processes.

use super::Inspect;
use crate::{
    domain::ProcessType,
    engine::{Cx, Step},
    store::{Artifact, Debt},
    system::{Fault, supervisor::program::Program},
};
use serde::{Deserialize, Serialize};

/// Has supervisord run the workspace's processes.
#[derive(Serialize, Deserialize)]
pub struct StartProcesses {}

impl Step for StartProcesses {
    const KIND: &'static str = "start-processes.v1";
    /// The program file that was there.
    type Before = Option<String>;
    type Output = ();

    fn label(&self) -> String {
        "start the processes".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        cx.sys().supervisor.read(cx.unit())
    }

    async fn apply(&self, _: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        let layout = &cx.sys().layout;
        let names = cx.output::<Inspect>()?.recipe.processes.into_keys();
        // The recipe has none that is no process type.
        let types = names.filter_map(|name| ProcessType::parse(&name)).collect();
        let program = Program {
            unit: cx.unit().clone(),
            processes: types,
            helper: cx.sys().site.helper.clone(),
            run_file: layout.run_file(cx.unit()),
            require_user: cx.sys().accounts.is_some(),
            log_dir: layout.app_log_dir(cx.unit()),
        };
        let program = program.render()?;
        let (recorded, started) = tokio::join!(
            cx.record(Artifact::Program, &program),
            cx.sys().supervisor.put(cx.unit(), &program)
        );
        recorded.and(started)
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
