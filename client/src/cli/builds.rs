//! `cictl builds`

use super::{Cx, Failure, Outcome, follow};
use crate::ui::{table, text};
use cid_client::{BuildState, Client, Exit};
use clap::{Args, Subcommand};
use futures::StreamExt as _;
use std::io::Write as _;

/// Show builds, what their commands and tests printed, and remove one
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Builds {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(List),
    /// Show one build, with the digest of its files and the tests that failed
    Show(Which),
    /// Print all that a build's commands and tests printed
    ///
    /// Of a build that could not be made, it prints what its job did.
    Logs(Which),
    /// Remove a build with its files
    Delete(Which),
}

/// Show the newest builds, newest first (so does `builds` alone)
#[derive(Debug, Args)]
struct List {
    /// Only this project's
    #[arg(short, long)]
    project: Option<String>,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Args)]
struct Which {
    /// Its number
    number: u32,
    /// Which project's; may be left out where there is only one it can be
    #[arg(short, long)]
    project: Option<String>,
}

impl Builds {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        match self.verb.unwrap_or(Verb::List(self.list)) {
            Verb::List(list) => {
                let builds = client.builds(list.project.as_deref(), list.limit).await?;
                let none = "there are no builds; make one with: cictl build";
                cx.print_list(&builds, none, || table::builds(&builds, cx.width()))?;
            }
            Verb::Show(which) => {
                let project = which.project.as_deref();
                let build = client.show_build(project, which.number).await?;
                cx.print(&build, || table::build(&build))?;
            }
            Verb::Logs(which) => logs(cx, &client, &which).await?,
            Verb::Delete(which) => {
                let project = which.project.as_deref();
                client.delete_build(project, which.number).await?;
                cx.say(&format!("build {} is deleted", which.number));
            }
        }
        Ok(Exit::Done)
    }
}

async fn logs(cx: &Cx, client: &Client, which: &Which) -> Result<(), Failure> {
    let project = which.project.as_deref();
    let build = client.show_build(project, which.number).await?;
    if build.state == BuildState::Error {
        cx.say("it could not be made; its job printed:");
        return follow::print_output(cx, client, &build.job).await;
    }
    let mut output = client.build_logs(project, which.number).await?;
    let mut stdout = std::io::stdout().lock();
    // A line may be in two chunks, and a character too.
    let mut rest = Vec::new();
    while let Some(chunk) = output.next().await {
        rest.extend(chunk?.0);
        let whole = rest.iter().rposition(|&byte| byte == b'\n');
        let whole: Vec<u8> = rest.drain(..whole.map_or(0, |end| end + 1)).collect();
        print(&mut stdout, &whole)?;
    }
    print(&mut stdout, &rest)?;
    stdout.flush()?;
    Ok(())
}

/// Without what a terminal would act upon: tests wrote it.
fn print(to: &mut impl std::io::Write, lines: &[u8]) -> std::io::Result<()> {
    for line in String::from_utf8_lossy(lines).lines() {
        writeln!(to, "{}", text::clean(line))?;
    }
    Ok(())
}
