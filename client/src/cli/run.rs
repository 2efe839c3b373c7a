//! `cictl run`

use super::{Cx, Failure, Outcome, Target, cx, terminal};
use cid_client::{Error, Exit, Kind, RunInput, RunOutput};
use clap::Args;
use futures::{Stream, StreamExt as _};
use serde::Serialize;
use std::{
    io::{self, Read as _},
    thread,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const CHUNK: usize = 16 * 1024;

/// Run a command in a workspace, as its user
///
/// Standard input, output and error are the command's, and so is the exit status.
/// Where all three are a terminal, the command gets one too. There is no shell in
/// between. The command ends with cictl, also when that is killed, and with the
/// daemon; not when its input ends, unless that is a terminal.
/// One account may run 16 at once, and 16 may run in one workspace.
///
/// On a server the arguments are in no log, but while the command runs `ps` shows
/// them to every account, as it shows those of cictl. Secrets are better read from
/// standard input or from a file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cictl run anna@example.com -- python manage.py check
  cictl run anna@example.com -- sh -c 'ls *.py | wc -l'
  cictl run anna@example.com -- python manage.py loaddata - < fixture.json")]
pub(super) struct Run {
    #[command(flatten)]
    target: Target,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// What a command wrote and how it ended; `-o json` prints it when it has ended.
#[derive(Debug, Default, Serialize)]
struct Ran {
    exit_status: u8,
    stdout: String,
    stderr: String,
}

impl Run {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        if terminal::is_there() && !cx.is_json() {
            return terminal::run(cx, &self.target, self.command).await;
        }
        let client = cx.connect().await?;
        let (email, project) = (&self.target.email, self.target.project());
        let mut answers = client
            .run(email, project, self.command, None, standard_input()?)
            .await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(answer) = answers.next().await {
            match answer? {
                RunOutput::Stdout(bytes) if cx.is_json() => stdout.extend(bytes),
                RunOutput::Stderr(bytes) if cx.is_json() => stderr.extend(bytes),
                RunOutput::Stdout(bytes) => pass_on(io::stdout(), &bytes)?,
                RunOutput::Stderr(bytes) => pass_on(io::stderr(), &bytes)?,
                RunOutput::Exit(exit_status) => {
                    if cx.is_json() {
                        cx::json_line(&Ran {
                            exit_status,
                            stdout: String::from_utf8_lossy(&stdout).into_owned(),
                            stderr: String::from_utf8_lossy(&stderr).into_owned(),
                        })?;
                    }
                    return Ok(Exit::Command(exit_status));
                }
            }
        }
        Err(unknown_end().into())
    }
}

/// The answers end without the command's status.
pub(super) fn unknown_end() -> Error {
    Error::new(
        Kind::Internal,
        "cannot tell how the command ended: the daemon did not say",
    )
}

pub(super) fn pass_on(mut to: impl io::Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// Standard input as a stream. A thread reads it, as a read of a terminal cannot
/// be taken back; the process ends without it.
fn standard_input() -> Result<impl Stream<Item = RunInput> + Send + 'static, Failure> {
    let (sender, receiver) = mpsc::channel(4);
    read_input(sender)?;
    Ok(ReceiverStream::new(receiver))
}

/// Sends all of standard input; the sender is dropped at its end.
pub(super) fn read_input(sender: mpsc::Sender<RunInput>) -> Result<(), Failure> {
    thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            let mut buffer = vec![0; CHUNK];
            // An error ends the command's input just as the end of ours does.
            while let Ok(read @ 1..) = io::stdin().read(&mut buffer) {
                let bytes = RunInput::Bytes(buffer[..read].to_vec());
                if sender.blocking_send(bytes).is_err() {
                    break;
                }
            }
        })
        .map_err(|error| Failure::Io("cannot read standard input", error))?;
    Ok(())
}
