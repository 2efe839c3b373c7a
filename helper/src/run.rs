//! `cid-helper run`: a person's command in a workspace, with its environment, and on a terminal where the
//! person has one. Stays its parent, so that nothing of it outlives the session.

use crate::{
    app, command,
    drop::{self, Role},
    identity::{self, Keeper},
    shell,
    terminal::{Terminal, Written},
};
use cid_kernel::reaper;
use cid_protocol::{
    environment::Environment,
    fault::{Fault, FaultContext},
    frame::{Frame, Start},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::{self, Pid},
};
use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

/// How often to look whether the parent is still there, in milliseconds. A unit's is systemd, which ends
/// the unit as a whole.
const LOOK_EVERY: u16 = 500;
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// A command that is told that its terminal is gone gets so long: a shell writes its history down.
const HANGUP_LIMIT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// Runs the command that the first frame of the input names to its end and gives its status.
///
/// # Errors
/// The input or the run file cannot be read, or the latter names no user although `user_required`; the
/// user cannot be taken on; the program cannot be found or started.
pub(super) fn run(run_file: &Path, user_required: bool) -> Result<ExitCode, Fault> {
    drop::settle(Role::Runner)?;
    let parent = unistd::getppid();
    let look_every = match run_file == Path::new(app::CREDENTIAL) {
        true => PollTimeout::NONE,
        false => PollTimeout::from(LOOK_EVERY),
    };
    let (start, input) = begin()?;
    let run_file = app::read(run_file)?;
    let terminal = start.terminal.as_ref().map(Terminal::open).transpose()?;
    let path = terminal.as_ref().map(Terminal::path);
    identity::assume(&run_file, user_required, Keeper::Unit, path)?;
    let network = run_file.network.iter();
    let mut env: Environment = network
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    env.extend(app::environment(&run_file));
    let more = start.env.iter();
    env.extend(more.map(|(name, value)| (name.into(), value.into())));
    let (program, words) = program(&start, &mut env, &run_file.dir)?;
    let mut command = match &terminal {
        Some(terminal) => {
            env.insert("TERM".into(), terminal.name().into());
            terminal.command(&program)?
        }
        None => {
            let mut command = Command::new(&program);
            command.arg0(&words[0]);
            command
        }
    };
    command.args(&words[1..]).env_clear().envs(&env);
    let mut child = command.current_dir(&run_file.dir).spawn().cannot(format!(
        "run {} in {}",
        program.display(),
        run_file.dir.display()
    ))?;
    // Only now: the command would have them blocked as well, and no Control-C would end it.
    let signals = Signals::block()?;
    // It holds the command's end of the terminal.
    drop(command);
    let written = terminal.map(|terminal| terminal.relay(input)).transpose()?;
    let code = loop {
        if let Some(status) = child
            .try_wait()
            .cannot(format!("wait for {}", program.display()))?
        {
            break command::code(status);
        }
        let ended = signals.wait(look_every)?;
        if let Some(signal) =
            ended.or_else(|| (unistd::getppid() != parent).then_some(Signal::SIGHUP))
        {
            if written.is_some() {
                hang_up(&mut child);
            }
            reaper::kill_descendants(std::process::id().cast_signed(), KILL_LIMIT);
            return Ok(exit_code(128 + signal as i32));
        }
    };
    reaper::kill_descendants(std::process::id().cast_signed(), KILL_LIMIT);
    if let Some(written) = written {
        wait_until_written(&written, &signals)?;
    }
    Ok(exit_code(code))
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Reads what to run, and nothing of what follows: that is the command's.
fn begin() -> Result<(Start, File), Fault> {
    let input: io::Result<OwnedFd> = io::stdin().as_fd().try_clone_to_owned();
    let mut input = File::from(input.cannot("copy standard input")?);
    match Frame::read(&mut input).cannot("read what to run")? {
        Some(Frame::Start(start)) => Ok((start, input)),
        _ => Err(Fault::new("cannot run anything: nobody said what")),
    }
}

/// What to execute, its path and its words.
fn program(
    start: &Start,
    env: &mut Environment,
    dir: &Path,
) -> Result<(PathBuf, Vec<OsString>), Fault> {
    let Some(command) = &start.command else {
        let words = shell::for_person(env, start.terminal.as_ref());
        return Ok((PathBuf::from(&words[0]), words));
    };
    let words: Vec<OsString> = command.iter().map(Into::into).collect();
    let name = words
        .first()
        .ok_or_else(|| Fault::new("cannot run an empty command"))?;
    Ok((command::find(name, env, dir)?, words))
}

/// As if the terminal had gone, which it will have when this process ends.
fn hang_up(child: &mut Child) {
    let session = Pid::from_raw(child.id().cast_signed());
    for signal in [Signal::SIGHUP, Signal::SIGCONT] {
        let _ = kill(session, signal);
    }
    let deadline = Instant::now() + HANGUP_LIMIT;
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(PAUSE);
    }
}

/// A reader may be slow; a signal says that nothing reads.
fn wait_until_written(written: &Written, signals: &Signals) -> Result<(), Fault> {
    while let Err(RecvTimeoutError::Timeout) = written.recv_timeout(PAUSE) {
        if signals.wait(PollTimeout::ZERO)?.is_some() {
            break;
        }
    }
    Ok(())
}

/// The signals this process waits for instead of dying of them. What is started later has them blocked too.
struct Signals(SignalFd);

impl Signals {
    fn block() -> Result<Self, Fault> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGCHLD,
        ] {
            set.add(signal);
        }
        set.thread_block().cannot("block signals")?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map(Self)
            .cannot("wait for signals")
    }

    /// Waits a moment; gives the signal that asks this process to end, if one came.
    fn wait(&self, limit: PollTimeout) -> Result<Option<Signal>, Fault> {
        let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, limit) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).cannot("wait for signals"),
        }
        while let Some(info) = self.0.read_signal().cannot("read signals")? {
            let signal = Signal::try_from(info.ssi_signo.cast_signed());
            // Control-C and control-\ reach the command itself; what they mean is up to it.
            if let Ok(signal @ (Signal::SIGTERM | Signal::SIGHUP)) = signal {
                return Ok(Some(signal));
            }
        }
        Ok(None)
    }
}
