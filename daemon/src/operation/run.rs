//! A command in a workspace, for as long as somebody waits for it.

use super::{Named, bind, project_of, refuse_live_job, refuse_stage, resolve};
use crate::{
    authz::Claim,
    cid::Cid,
    domain::{Opener, Workspace},
    error::Error,
    system::{
        helpers::{Identity, WorkspaceUser},
        launcher::session_name,
        session::{self, Session},
        sessions::{Full, Place},
    },
};
use cid_protocol::{budget::RUN_COMMAND, frame::Start};
use std::collections::BTreeMap;

/// The name of an interactive shell in the log and the audit.
const SHELL: &str = "shell";
/// The longest name of a terminal type.
const MAX_NAME: usize = 64;

/// What is to be run.
pub enum Wanted {
    /// A command, or a shell on a terminal.
    Command(Start),
    /// One of the project's tests, counted from 1.
    Test(u32),
}

impl Wanted {
    /// The program that is to be run, for the log.
    pub fn program(&self) -> &str {
        match self {
            Self::Command(start) => program(start.command.as_deref().unwrap_or_default()),
            Self::Test(_) => "test",
        }
    }
}

/// A command that has started.
pub struct Running {
    /// What it was started with.
    pub start: Start,
    /// Its streams.
    pub session: Session,
    /// Held until it ends; tells when its workspace goes.
    pub place: Place,
}

/// The program that is to be run, for the log.
fn program(command: &[String]) -> &str {
    command.first().map_or(SHELL, String::as_str)
}

/// Starts a command, or a shell on a terminal.
///
/// # Errors
/// It makes no sense, the workspace is not ready, too many run, or the actor may not.
pub async fn run(cid: &Cid, claim: Claim, named: &Named, wanted: Wanted) -> Result<Running, Error> {
    if let Wanted::Command(start) = &wanted {
        check(start)?;
        let words = start.command.iter().flatten();
        let bytes = words.map(|word| word.len() + 1).sum();
        let taken = RUN_COMMAND.check(bytes, "this command");
        taken.map_err(|over| Error::over("command", &over))?;
    }
    if matches!(wanted, Wanted::Test(_)) {
        // There they would run with its secrets, and on its data.
        refuse_stage(named, "its builds were tested before they came there")?;
    }
    let program = wanted.program().to_owned();
    let workspace = resolve(cid, named).await?;
    let permit = bind(cid, claim, &workspace).await?;
    let start = match wanted {
        Wanted::Command(start) => start,
        Wanted::Test(number) => test(cid, &workspace, number)?,
    };
    if !workspace.state.is_whole() {
        refuse_live_job(cid, &workspace).await?;
        return Err(Error::Precondition {
            message: format!("the workspace of {} is not ready", workspace.owner),
            hint: Some("cictl show tells its state and its job".into()),
        });
    }
    // Before the command starts, so that a delete that begins now finds it.
    let opener = Opener::new(permit.uid(), permit.actor().person());
    let place = cid.sys.sessions.begin(&workspace.unit(), opener);
    let place = place.map_err(exhausted)?;
    let unit = match &cid.sys.host {
        Some(host) => {
            let identity = Identity::Workspace(WorkspaceUser::of(&workspace));
            Some((host.units)(&identity)?.unit.named(session_name(&identity)))
        }
        None => None,
    };
    let session = session::start(
        &cid.sys.site.helper,
        &cid.layout.run_file(&workspace.instance()),
        unit,
        start.terminal.is_some(),
    )?;
    tracing::info!(caller = %permit, program, "running a command in a workspace");
    Ok(Running {
        start,
        session,
        place,
    })
}

/// One of the commands of `app.test`, with the surroundings that a build's tests have, as far as a workspace can have
/// them.
fn test(cid: &Cid, workspace: &Workspace, number: u32) -> Result<Start, Error> {
    let project = project_of(cid, workspace, "there are no tests without it")?;
    let tests = project.app.test.as_deref().unwrap_or_default();
    let index = usize::try_from(number).unwrap_or_default().wrapping_sub(1);
    let command = tests.get(index).ok_or_else(|| Error::NotFound {
        message: format!(
            "the project {} has {} tests, and no number {number}",
            project.name,
            tests.len()
        ),
        hint: Some("name the commands under [app] test in the project's file".into()),
    })?;
    let tmp = workspace.directory.join("tmp");
    let mut env: BTreeMap<String, String> = [
        // Never the one that the app uses, which others may share.
        (
            "DATABASE_URL",
            format!("sqlite:///{}", tmp.join("test.sqlite3").display()),
        ),
        ("CID_REPORTS", tmp.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let own = project.test.env.iter();
    env.extend(own.map(|(name, value)| (name.as_str().to_owned(), value.clone())));
    Ok(Start {
        command: Some(command.words().to_vec()),
        terminal: None,
        env,
    })
}

/// A shell needs a terminal, and everything else a program.
fn check(wanted: &Start) -> Result<(), Error> {
    if let Some(terminal) = &wanted.terminal {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let name = &terminal.name;
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
            return Err(Error::invalid(
                "terminal",
                "the kind of a terminal is a name as in TERM",
            ));
        }
    }
    let is_runnable = match &wanted.command {
        None => wanted.terminal.is_some(),
        Some(command) => {
            command.first().is_some_and(|program| !program.is_empty())
                && !command.iter().any(|word| word.contains('\0'))
        }
    };
    match is_runnable {
        true => Ok(()),
        false => Err(Error::invalid(
            "command",
            "a command needs a program, and must not hold NUL",
        )),
    }
}

fn exhausted(full: Full) -> Error {
    let hint = match full {
        Full::User | Full::Person | Full::Workspace => {
            "end one of them, or wait until one has ended"
        }
        Full::All => "try again when some have ended",
    };
    Error::Exhausted {
        message: full.to_string(),
        hint: Some(hint.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::frame::{Size, Terminal};

    fn start(command: &[&str], terminal: Option<&str>) -> Start {
        let command: Vec<String> = command.iter().map(|&word| word.into()).collect();
        Start {
            command: Some(command).filter(|command| !command.is_empty()),
            env: BTreeMap::new(),
            terminal: terminal.map(|name| Terminal {
                name: name.into(),
                size: Size {
                    rows: 24,
                    columns: 80,
                },
            }),
        }
    }

    #[test]
    fn a_shell_takes_a_terminal_and_all_else_a_program() {
        assert!(check(&start(&[], Some("xterm-256color"))).is_ok());
        assert!(check(&start(&["ls", ""], None)).is_ok());
        for (command, terminal) in [
            (&[][..], None),
            (&[""], None),
            (&["", "x"], Some("xterm")),
            (&["a", "b\0c"], None),
            (&["a"], Some("")),
            (&["a"], Some("x\ny")),
            (&["a"], Some("../x")),
            (&["a"], Some(&"x".repeat(65))),
        ] {
            assert!(
                check(&start(command, terminal)).is_err(),
                "{command:?} {terminal:?}"
            );
        }
    }
}
