//! `cictl project remove`

use super::super::{Cx, Failure, Outcome, delete, follow};
use crate::ui::{error, text};
use cid_client::{Client, DeleteOptions, Error, Exit, Kind, RemovedProject, Workspace};
use clap::Args;

/// Take a project away: its mirror, packages, accounts, certificate copy and folders
///
/// Refused with their addresses while the project has workspaces, unless
/// --with-workspaces takes them away first. Work in one that is nowhere else is
/// named and keeps it, and the project, unless --discard says so.
///
/// The project's file is set aside as NAME.toml.removed, so that it can be had
/// back. Also takes away what is left of a project whose file is gone. When it is
/// interrupted, the same again goes on from there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cictl project remove shop
  cictl project remove shop --yes --with-workspaces
  cictl project remove shop --yes --with-workspaces --discard     (loses work that is nowhere else)")]
pub(super) struct Remove {
    /// The project
    name: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Delete the project's workspaces first; their remote branches stay
    #[arg(long)]
    with_workspaces: bool,
    /// With --with-workspaces: lose uncommitted and unpushed work
    #[arg(long, requires = "with_workspaces")]
    discard: bool,
}

impl Remove {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        if !self.yes && !delete::can_ask() {
            return Err(Error::new(
                Kind::Invalid,
                "cannot ask whether to remove: this is no terminal",
            )
            .with_hint("pass --yes to remove without being asked")
            .into());
        }
        let client = cx.connect().await?;
        let workspaces = match self.with_workspaces {
            true => {
                client.check_removal(&self.name).await?;
                self.workspaces(&client).await?
            }
            false => Vec::new(),
        };
        if !self.yes {
            let and = match workspaces.len() {
                0 => String::new(),
                count => format!(" with {count} workspaces"),
            };
            let question = format!("remove the project {}{and}? [y/N] ", self.name);
            if !delete::confirmed(&question).await? {
                cx.say("nothing was removed");
                return Ok(Exit::Failed);
            }
        }
        self.delete_all(cx, &client, &workspaces).await?;
        let removed = client.remove_project(&self.name).await?;
        cx.print(&removed, || self.told(&removed))?;
        Ok(Exit::Done)
    }

    async fn workspaces(&self, client: &Client) -> Result<Vec<Workspace>, Error> {
        match client.list(Some(&self.name)).await {
            // The daemon says it when the project is to go, if there is nothing of it at all.
            Err(error) if error.kind == Kind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// One that may not go keeps no other.
    async fn delete_all(
        &self,
        cx: &Cx,
        client: &Client,
        workspaces: &[Workspace],
    ) -> Result<(), Failure> {
        let mut kept = None;
        for workspace in workspaces {
            let deleted = self.delete(cx, client, &workspace.email).await;
            let Err(failure) = deleted else { continue };
            if matches!(failure, Failure::Detached(_)) {
                return Err(failure);
            }
            if let Some(earlier) = kept.replace(failure) {
                error::print(&earlier, cx.format());
            }
        }
        kept.map_or(Ok(()), Err)
    }

    async fn delete(&self, cx: &Cx, client: &Client, email: &str) -> Result<(), Failure> {
        let options = DeleteOptions {
            discard: self.discard,
            ..DeleteOptions::default()
        };
        let deletion = client
            .delete_resuming(email, Some(&self.name), options)
            .await?;
        follow::to_success(cx, client, &deletion.job).await?;
        cx.say(&format!(
            "deleted {} in {}",
            text::clean(email),
            text::clean(&self.name)
        ));
        Ok(())
    }

    fn told(&self, removed: &RemovedProject) -> String {
        let mut told: Vec<String> = Vec::new();
        told.extend(removed.removed.iter().map(|what| format!("removed {what}")));
        told.extend(removed.kept.iter().map(|what| format!("kept {what}")));
        if let Some(file) = &removed.file {
            told.push(format!("the project file is now {file}"));
        }
        told.push(format!("the project {} is gone", self.name));
        text::clean_lines(&told.join("\n"))
    }
}
