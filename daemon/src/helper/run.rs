//! `cid-helper run`: a person's command in a workspace, with its environment and on the person's
//! terminal. Stays its parent, so that nothing of it outlives the session.

use super::{
    app, command,
    drop::{self, Role},
    identity::{self, Keeper},
    reaper,
};
use crate::system::fault::{Fault, FaultContext};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd,
};
use std::{
    ffi::OsString,
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

/// How often to look whether the parent is still there, in milliseconds. A unit's is systemd, which ends
/// the unit as a whole.
const LOOK_EVERY: u16 = 500;
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Runs the command to its end and gives its status.
///
/// # Errors
/// The run file cannot be read, or names no user although `user_required`; the user cannot be taken
/// on; the program cannot be found or started.
pub(super) fn run(
    run_file: &Path,
    argv: &[OsString],
    user_required: bool,
) -> Result<ExitCode, Fault> {
    drop::settle(Role::Runner)?;
    let parent = unistd::getppid();
    let look_every = match run_file == Path::new(app::CREDENTIAL) {
        true => PollTimeout::NONE,
        false => PollTimeout::from(LOOK_EVERY),
    };
    let run_file = app::read(run_file)?;
    identity::assume(&run_file, user_required, Keeper::Unit)?;
    let env = app::environment(&run_file);
    let (name, arguments) = argv
        .split_first()
        .ok_or_else(|| Fault::new("cannot run an empty command"))?;
    let program = command::find(name, &env, &run_file.dir)?;
    let signals = Signals::block()?;
    let mut child = Command::new(&program)
        .arg0(name)
        .args(arguments)
        .env_clear()
        .envs(&env)
        .current_dir(&run_file.dir)
        .spawn()
        .cannot(format!(
            "run {} in {}",
            program.display(),
            run_file.dir.display()
        ))?;
    let code = loop {
        if let Some(status) = child
            .try_wait()
            .cannot(format!("wait for {}", program.display()))?
        {
            break command::code(status);
        }
        if let Some(signal) = signals.wait(look_every)? {
            break 128 + signal as i32;
        }
        if unistd::getppid() != parent {
            break 128 + Signal::SIGHUP as i32;
        }
    };
    reaper::kill_descendants(std::process::id().cast_signed(), KILL_LIMIT);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// The signals this process waits for instead of dying of them. Its children do not inherit the
/// blocking: the standard library resets it when it starts a process.
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
