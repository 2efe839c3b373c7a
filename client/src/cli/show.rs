//! `cictl show`

use super::{Cx, Outcome, Target};
use crate::ui::table;
use cid_client::Exit;
use clap::Args;

/// Show one workspace
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let workspace = client
            .get(&self.target.email, self.target.project())
            .await?;
        cx.print(&workspace, || table::workspace(&workspace))?;
        Ok(Exit::Done)
    }
}
