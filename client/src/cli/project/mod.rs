//! `cictl project`

mod app_folder;
mod dotenv;
mod from_env;
mod init;
mod remove;
mod values;

use super::{Cx, Outcome, list::NO_PROJECTS};
use crate::ui::table;
use cid_client::{Exit, Severity};
use clap::{Args, Subcommand};
use init::Init;
use remove::Remove;

/// Show projects, check them, look at their remotes, begin a new one, take one away
#[derive(Debug, Args)]
pub(super) struct Project {
    #[command(subcommand)]
    verb: Verb,
}

/// One project, as a word or as other verbs take it.
#[derive(Debug, Args)]
struct Which {
    /// The project; may be left out where there is only one
    name: Option<String>,
    /// The same
    #[arg(short, long, value_name = "NAME", conflicts_with = "name")]
    project: Option<String>,
}

impl Which {
    fn name(&self) -> Option<&str> {
        self.name.as_deref().or(self.project.as_deref())
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show all projects
    List,
    /// Show one project
    Show {
        /// The project
        name: String,
    },
    /// Have the daemon read project files again and say what is wrong with them
    Check {
        /// The projects; all when left out
        names: Vec<String>,
    },
    /// Look at a project's remote now, and begin what follows from what is new there
    ///
    /// A moved base branch is built and tested, a moved branch of a workspace deployed, as the project's file says.
    /// The jobs go on by themselves: see `cictl jobs` and `cictl builds`.
    Fetch(Which),
    /// Show the latest webhooks, and what came of each
    Hooks(Which),
    Init(Init),
    Remove(Remove),
}

impl Project {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        match self.verb {
            Verb::List => {
                let projects = cx.connect().await?.projects().await?;
                if projects.is_empty() {
                    cx.say(NO_PROJECTS);
                }
                cx.print(&projects, || table::projects(&projects))?;
            }
            Verb::Show { name } => {
                let project = cx.connect().await?.project(&name).await?;
                cx.print(&project, || table::project(&project))?;
            }
            Verb::Check { names } => {
                let client = cx.connect().await?;
                let mut items = Vec::new();
                match names.is_empty() {
                    true => items = client.check(None).await?,
                    false => {
                        for name in &names {
                            items.extend(client.check(Some(name)).await?);
                        }
                    }
                }
                cx.print(&items, || table::checks(&items))?;
                let is_bad = |severity| matches!(severity, Severity::Error | Severity::Unknown);
                if items.iter().any(|item| is_bad(item.severity)) {
                    return Ok(Exit::Failed);
                }
            }
            Verb::Fetch(which) => {
                let followed = cx.connect().await?.fetch(which.name()).await?;
                if followed.is_empty() {
                    cx.say("nothing is new");
                }
                cx.print_list(&followed, "nothing has changed", || {
                    table::follow_ups(&followed)
                })?;
            }
            Verb::Hooks(which) => {
                let deliveries = cx.connect().await?.hooks(which.name()).await?;
                if deliveries.is_empty() {
                    cx.say("no webhook has come");
                }
                cx.print_list(&deliveries, "no webhooks have come", || {
                    table::hooks(&deliveries, cx.width())
                })?;
            }
            Verb::Init(init) => init.run(cx)?,
            Verb::Remove(remove) => return remove.run(cx).await,
        }
        Ok(Exit::Done)
    }
}
