//! A command or a shell in a workspace on the terminal that `cictl` is on.

use super::{
    Cx, Failure, Outcome, Target,
    run::{pass_on, read_input, unknown_end},
};
use cid_client::{Exit, RunInput, RunOutput, Terminal, TerminalSize};
use futures::{FutureExt as _, StreamExt as _, future::select_all};
use nix::sys::signal::{self, Signal};
use rustix::termios::{self, OptionalActions, Termios};
use std::io::{self, IsTerminal as _};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

/// Used if TERM is not set or is not a valid name.
const PLAIN: &str = "dumb";
/// These signals end `cictl`, and with it the command. Control-C is passed on like any key.
const ENDING: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
];

/// Whether input, output and error output are all a terminal: if one output went elsewhere, its
/// text would come out at the other.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Runs a command, or without one a shell, until it ends.
pub(super) async fn run(cx: &Cx, target: &Target, command: Vec<String>) -> Outcome {
    let client = cx.connect().await?;
    let (sender, input) = mpsc::channel(16);
    let terminal = Terminal {
        name: name(),
        size: size(),
    };
    // Keys are read only once the command may run: until then an administrator's password may be asked for.
    let mut answers = client
        .run(
            &target.email,
            target.project(),
            command,
            Some(terminal),
            ReceiverStream::new(input),
        )
        .await?;
    let mut ending = ending()?;
    let on = |kind| signal(kind).map_err(|error| Failure::Io("cannot watch for signals", error));
    let mut resized = on(SignalKind::window_change())?;
    let mut stopped = on(SignalKind::from_raw(Signal::SIGTSTP as i32))?;
    let mut continued = on(SignalKind::from_raw(Signal::SIGCONT as i32))?;
    let raw = Raw::set()?;
    // At the end of the input the sender is dropped, and the terminal in the workspace hangs up.
    let told = sender.downgrade();
    read_input(sender)?;
    loop {
        tokio::select! {
            answer = answers.next() => match answer {
                Some(Ok(RunOutput::Stdout(bytes))) => pass_on(io::stdout(), &bytes)?,
                Some(Ok(RunOutput::Stderr(bytes))) => pass_on(io::stderr(), &bytes)?,
                Some(Ok(RunOutput::Exit(status))) => return Ok(Exit::Command(status)),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(unknown_end().into()),
            },
            signal = &mut ending => return Ok(Exit::Command(128 + signal as u8)),
            Some(()) = resized.recv() => tell_size(&told),
            Some(()) = stopped.recv() => {
                raw.leave();
                let _ = signal::raise(Signal::SIGSTOP);
            }
            Some(()) = continued.recv() => {
                // Another program may have changed the terminal's settings meanwhile.
                raw.enter();
                tell_size(&told);
            }
        }
    }
}

/// The first signal that ends this process.
fn ending() -> Result<impl Future<Output = Signal> + Unpin, Failure> {
    let watch = |of: Signal| {
        let mut signals = signal(SignalKind::from_raw(of as i32))?;
        Ok(async move {
            signals.recv().await;
            of
        }
        .boxed())
    };
    let watched: io::Result<Vec<_>> = ENDING.into_iter().map(watch).collect();
    let watched = watched.map_err(|error| Failure::Io("cannot watch for signals", error))?;
    Ok(select_all(watched).map(|(signal, _, _)| signal))
}

/// A size that is not taken now is followed by another, or by input.
fn tell_size(to: &mpsc::WeakSender<RunInput>) {
    if let Some(to) = to.upgrade() {
        let _ = to.try_send(RunInput::Size(size()));
    }
}

fn name() -> String {
    let is_name = |name: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        (1..=64).contains(&name.len()) && name.chars().all(plain)
    };
    let name = std::env::var("TERM").ok().filter(is_name);
    name.unwrap_or_else(|| PLAIN.into())
}

fn size() -> TerminalSize {
    let size = termios::tcgetwinsize(io::stdin());
    size.map_or_else(
        |_| TerminalSize::default(),
        |size| TerminalSize {
            rows: size.ws_row,
            columns: size.ws_col,
        },
    )
}

/// Makes the terminal pass on each key unchanged. Dropping this restores its settings.
struct Raw {
    before: Termios,
    raw: Termios,
}

impl Raw {
    fn set() -> Result<Self, Failure> {
        let before = termios::tcgetattr(io::stdin());
        let before =
            before.map_err(|error| Failure::Io("cannot look at the terminal", error.into()))?;
        let mut raw = before.clone();
        raw.make_raw();
        let raw = Self { before, raw };
        raw.enter();
        Ok(raw)
    }

    /// A terminal that accepts no settings has gone, and its input ends.
    fn enter(&self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Drain, &self.raw);
    }

    fn leave(&self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.leave();
    }
}
