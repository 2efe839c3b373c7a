//! Takes over what the base branch's template holds.

use super::{
    Inspect,
    inspect::Inspected,
    make_directory::{HOME, TREE},
    make_template::MADE,
};
use crate::{
    config::Limits,
    domain::BuildState,
    engine::{Cx, Step},
    recipe::templated,
    system::templates::WantedTemplate,
};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, request::PlaceMade};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Takes over what the base branch's template holds, in a workspace that begins at just that commit. Whatever
/// is wrong with a template, the workspace can run the commands itself. What is taken over goes with its folder.
#[derive(Serialize, Deserialize)]
pub struct TakeTemplate {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
}

/// What came of it.
#[derive(Default, Serialize, Deserialize)]
pub struct Taken {
    /// The commands' work is there.
    pub is_taken: bool,
    /// A template would have helped.
    wanted: Option<Want>,
}

#[derive(Serialize, Deserialize)]
struct Want {
    commit: String,
    again: bool,
}

impl Step for TakeTemplate {
    const KIND: &'static str = "take-template.v1";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    const HAS_FINISH: bool = true;
    type Before = ();
    type Output = Taken;

    fn label(&self) -> String {
        "take over what the template holds".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.clone
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<Taken, Fault> {
        let taken = self.take(cx).await?;
        if !taken.is_taken {
            cx.idle();
        }
        Ok(taken)
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// Now that the workspace is there, nobody waits for the template.
    async fn finish(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if !cx.is_taken_back()
            && let Ok(taken) = cx.output::<Self>()
            && let Some(Want { commit, again }) = taken.wanted
        {
            let wanted = WantedTemplate { commit, again };
            cx.sys().templates.want(cx.project_name(), wanted);
        }
        Ok(())
    }
}

impl TakeTemplate {
    async fn take(&self, cx: &Cx) -> Result<Taken, Fault> {
        let project = cx.project()?;
        let Inspected {
            commit,
            base,
            recipe,
            made_from,
            ..
        } = cx.output::<Inspect>()?;
        if commit != base || templated(&project, &recipe).is_none() {
            return Ok(Taken::default());
        }
        let want = |again| Taken {
            is_taken: false,
            wanted: Some(Want {
                commit: base.clone(),
                again,
            }),
        };
        let of = project.digest.clone();
        let found = cx.store().template(project.name.clone(), commit, of);
        let Some(found) = found.await? else {
            return Ok(want(false));
        };
        let made = found.directory.join(MADE);
        match found.state {
            BuildState::Passed if found.digest != Some(made_from.digest) || !fs::exists(&made) => {
                return Ok(want(true));
            }
            BuildState::Passed => {}
            BuildState::Failed => {
                if let Some(verdict) = found.verdict {
                    cx.line(verdict.message).await;
                }
                return Ok(Taken::default());
            }
            BuildState::Error => {
                cx.note(format!(
                    "there is no template of this commit, so the release commands run here: cictl jobs show {} says why",
                    found.job
                ));
                return Ok(want(false));
            }
            // It is being made.
            _ => return Ok(Taken::default()),
        }
        let place = PlaceMade {
            source: made,
            tree: self.directory.join(TREE),
            home: self.directory.join(HOME),
        };
        match cx.ask(cx.user(), place).await {
            Ok(files) => {
                let number = found.number;
                cx.line(format!("{files} files of template {number}")).await;
                Ok(Taken {
                    is_taken: true,
                    wanted: None,
                })
            }
            Err(fault) if fault.cancelled => Err(fault),
            Err(fault) => {
                cx.note(format!(
                    "the template is not taken over, and the release commands run here: {fault}"
                ));
                Ok(Taken::default())
            }
        }
    }
}
