//! A terminal for a person's command: the kernel's pair of devices, made here as the workspace's user, and
//! what goes between it and the daemon's pipes.

use cid_protocol::{
    fault::{Fault, FaultContext},
    frame::{self, Frame},
};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{InputFlags, SetArg, tcgetattr, tcsetattr},
    },
    unistd::{self, Pid},
};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

/// Gives a program a session of its own with this terminal. Of a package that every Debian has.
const SETSID: &str = "/usr/bin/setsid";
const CHUNK: usize = 16 * 1024;

/// A terminal.
pub(super) struct Terminal {
    name: String,
    path: PathBuf,
    /// The end that stands for the person.
    persons: File,
    /// The end that is the command's.
    commands: OwnedFd,
}

/// Ends when all that the command wrote has been passed on.
pub(super) type Written = mpsc::Receiver<()>;

impl Terminal {
    /// Makes one. Before this process shuts itself in: then it reaches no terminal any more.
    pub(super) fn open(wanted: &frame::Terminal) -> Result<Self, Fault> {
        let pair = openpty(&window(wanted.size), None).cannot("make a terminal")?;
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).cannot("make a terminal")?;
        }
        // What is deleted in a line is a character, not a byte.
        let mut modes = tcgetattr(&pair.slave).cannot("set the terminal up")?;
        modes.input_flags |= InputFlags::IUTF8;
        tcsetattr(&pair.slave, SetArg::TCSANOW, &modes).cannot("set the terminal up")?;
        Ok(Self {
            name: wanted.name.clone(),
            path: unistd::ttyname(&pair.slave).cannot("find the terminal")?,
            persons: pair.master.into(),
            commands: pair.slave,
        })
    }

    /// The device that is the command's.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its kind: TERM.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs this program on the terminal.
    pub(super) fn command(&self, program: &Path) -> Result<Command, Fault> {
        let end = || {
            self.commands
                .try_clone()
                .cannot("copy the terminal")
                .map(Stdio::from)
        };
        let mut command = Command::new(SETSID);
        command.arg("--ctty").arg(program);
        command.stdin(end()?).stdout(end()?).stderr(end()?);
        Ok(command)
    }

    /// Passes on what is typed and written from here on. When `input` ends, the person has gone, and this
    /// process is told so by a hang-up.
    pub(super) fn relay(self, mut input: File) -> Result<Written, Fault> {
        let Self {
            persons, commands, ..
        } = self;
        drop(commands);
        let mut typed = persons.try_clone().cannot("copy the terminal")?;
        start("typed", move || {
            while let Ok(Some(frame)) = Frame::read(&mut input) {
                let passed = match frame {
                    Frame::Input(bytes) => typed.write_all(&bytes),
                    Frame::Size(size) => resize(&typed, size),
                    Frame::Start(_) => break,
                };
                if passed.is_err() {
                    break;
                }
            }
            let _ = kill(Pid::this(), Signal::SIGHUP);
        })?;
        let output = io::stdout().as_fd().try_clone_to_owned();
        let output = File::from(output.cannot("copy standard output")?);
        let (done, written) = mpsc::channel();
        start("written", move || {
            pass_on(persons, output);
            drop(done);
        })?;
        Ok(written)
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Fault> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread.cannot("start a thread").map(drop)
}

fn resize(terminal: &File, size: frame::Size) -> io::Result<()> {
    let size = window(size);
    rustix::termios::tcsetwinsize(
        terminal,
        rustix::termios::Winsize {
            ws_row: size.ws_row,
            ws_col: size.ws_col,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )?;
    Ok(())
}

fn window(size: frame::Size) -> Winsize {
    Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// Until nobody has the terminal open any more, or nobody reads.
fn pass_on(mut from: File, mut to: File) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}
