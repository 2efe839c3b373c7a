//! The name by which nginx reaches a workspace's web process. Each instance binds a socket of its own; the one
//! that answers has a second name, which changes hands by a hard link and a rename: no request meets a missing
//! or a dead socket. No program binds that name, for programs remove what they have bound when they stop.

use crate::{
    app,
    drop::{self, Role},
    identity::{self, Keeper},
};
use cid_kernel::cgroup::Kept;
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{AnswerBy, RemoveSocket},
    run_file::{RunFile, WEB_SOCKET, own_web_socket},
};
use rustix::{
    event::{self, PollFd, PollFlags, Timespec},
    process::{Pid, PidfdFlags},
};
use std::{
    env, fs,
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt, MetadataExt},
            net::UnixStream,
        },
    },
    path::Path,
    process::{self, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Ends the name of a socket's link before that takes the place of the old one. Each socket has its own.
const NEW: &str = "new";
/// Another process may be doing the same.
const TRIES: usize = 5;
/// How often to look whether the web process listens: at first, and when it takes long.
const PAUSE: Duration = Duration::from_millis(5);
const LONG_PAUSE: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(10);

/// Has nginx reach this instance from now on; `false`: it has no socket.
///
/// # Errors
/// The folder cannot be written, or something that is no socket is in the name's place.
pub(crate) fn answer_by(ask: &AnswerBy) -> Result<bool, Fault> {
    let own = ask.folder.join(own_web_socket(ask.instance));
    let is_socket = fs::symlink_metadata(&own).is_ok_and(|meta| meta.file_type().is_socket());
    match is_socket {
        true => take_name(&own).map(|()| true),
        false => Ok(false),
    }
}

/// Removes the socket of an instance that has stopped; not the name by which nginx reaches another one.
///
/// # Errors
/// It cannot be removed.
pub(crate) fn remove(ask: &RemoveSocket) -> Result<(), Fault> {
    remove_file(&ask.folder.join(own_web_socket(ask.instance)))
}

/// Starts the process that gives the name to this web process once it listens, unless another instance answers
/// by then. It outlives this program, which becomes the web process, and is no child of it: not every program
/// expects children that it did not start.
pub(crate) fn name_later(run_file: &Path, user_required: bool) {
    let started = || -> Result<(), Fault> {
        let me = process::id();
        let mut command = own_program()?;
        command
            .arg("name-socket")
            .args(user_required.then_some("--require-user"))
            .arg(run_file)
            .arg(me.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // It starts another one and ends.
        command.status().cannot("start cid-helper").map(drop)
    };
    if let Err(fault) = started() {
        eprintln!("cid-helper: nginx may not find the app: {fault}");
    }
}

/// Waits until the web process of this id listens, and gives it the name, unless another instance answers.
///
/// # Errors
/// The run file cannot be read, its user cannot be taken on, or the name cannot be taken.
pub(crate) fn name_when_it_listens(
    path: &Path,
    web: u32,
    stays: bool,
    user_required: bool,
) -> Result<ExitCode, Fault> {
    drop::settle(Role::App)?;
    if !stays {
        let mut command = own_program()?;
        command
            .args(env::args_os().skip(1))
            .arg("--stay")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        return command
            .spawn()
            .cannot("start cid-helper")
            .map(|_| ExitCode::SUCCESS);
    }
    let run_file = app::read(path)?;
    // Opened now: other processes are hidden from who has walls of its own.
    let web = open(web);
    identity::assume(
        &run_file,
        user_required,
        Keeper::Group(Kept::default()),
        None,
    )?;
    wait_and_name(&run_file, web.as_ref()).map(|()| ExitCode::SUCCESS)
}

/// A process, whichever has its number later; `None`: it is gone.
fn open(process: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(process.cast_signed())?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn wait_and_name(run_file: &RunFile, web: Option<&OwnedFd>) -> Result<(), Fault> {
    let (Some(web), Some(own)) = (web, &run_file.web_socket) else {
        return Ok(());
    };
    let begin = Instant::now();
    // It becomes readable when the process ends.
    let is_alive = || {
        let mut ended = [PollFd::new(web, PollFlags::IN)];
        event::poll(&mut ended, Some(&Timespec::default())).is_ok_and(|ended| ended == 0)
    };
    while is_alive() {
        if listens(own) {
            return match listens(&own.with_file_name(WEB_SOCKET)) {
                true => Ok(()),
                false => take_name(own),
            };
        }
        thread::sleep(match begin.elapsed() < SOON {
            true => PAUSE,
            false => LONG_PAUSE,
        });
    }
    Ok(())
}

fn own_program() -> Result<Command, Fault> {
    env::current_exe()
        .cannot("find cid-helper")
        .map(Command::new)
}

/// A queue that is full is one too.
fn listens(socket: &Path) -> bool {
    match UnixStream::connect(socket) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// A bare rename would not do: the program must find what it has bound when it stops.
fn take_name(own: &Path) -> Result<(), Fault> {
    let (new, name) = (
        own.with_added_extension(NEW),
        own.with_file_name(WEB_SOCKET),
    );
    let take = || -> io::Result<()> {
        // rename(2) leaves both where they are one file already.
        if inode(own)? == inode(&name).unwrap_or_default() {
            return Ok(());
        }
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::hard_link(own, &new)?;
        fs::rename(&new, &name)?;
        // Another process may have given it to another socket in the same moment.
        match inode(own)? == inode(&name)? {
            true => Ok(()),
            false => Err(ErrorKind::AlreadyExists.into()),
        }
    };
    let mut taken = take();
    for _ in 1..TRIES {
        match &taken {
            Err(error)
                if [ErrorKind::AlreadyExists, ErrorKind::NotFound].contains(&error.kind()) =>
            {
                taken = take();
            }
            _ => break,
        }
    }
    taken.map_err(|error| Fault::io("give the name to a socket:", &name, error))
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

fn remove_file(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Fault::io("remove", path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::socket::*;
    use std::os::unix::net::UnixListener;

    fn answering(folder: &Path) -> Option<u64> {
        inode(&folder.join(WEB_SOCKET)).ok().map(|(_, inode)| inode)
    }

    #[test]
    fn the_name_changes_hands_and_is_never_missing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let ask = |instance| AnswerBy {
            folder: folder.to_owned(),
            instance,
        };
        assert!(!answer_by(&ask(0)).unwrap());
        let bind = |name: &str| UnixListener::bind(folder.join(name)).unwrap();
        let (first, second) = (bind("web.0.sock"), bind("web.1.sock"));
        // What an interrupted attempt left is no obstacle.
        fs::write(folder.join("web.0.sock.new"), "").unwrap();
        for instance in [0, 0, 1, 1, 0] {
            assert!(answer_by(&ask(instance)).unwrap());
            let own = inode(&folder.join(own_web_socket(instance))).unwrap();
            assert_eq!(answering(folder), Some(own.1));
            assert!(!folder.join(format!("web.{instance}.sock.new")).exists());
        }
        drop((first, second));
        let gone = |instance| RemoveSocket {
            folder: folder.to_owned(),
            instance,
        };
        for _ in 0..2 {
            remove(&gone(1)).unwrap();
        }
        assert!(answering(folder).is_some());
        // Somebody's folder in its place is not replaced.
        fs::remove_file(folder.join(WEB_SOCKET)).unwrap();
        fs::create_dir(folder.join(WEB_SOCKET)).unwrap();
        assert!(answer_by(&ask(0)).is_err());
    }

    /// Each that says it has the name had it then, whatever others do at the same time.
    #[test]
    fn two_that_take_the_name_at_once_do_not_move_each_others_link() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let bind = |name: &str| UnixListener::bind(folder.join(name)).unwrap();
        let _both = (bind("web.0.sock"), bind("web.1.sock"));
        thread::scope(|scope| {
            for instance in [0, 1] {
                scope.spawn(move || {
                    for _ in 0..300 {
                        let folder = folder.to_owned();
                        // One that never wins says so.
                        let _ = answer_by(&AnswerBy { folder, instance });
                    }
                });
            }
        });
        for instance in [1, 0] {
            let folder = folder.to_owned();
            assert!(answer_by(&AnswerBy { folder, instance }).unwrap());
        }
        assert_eq!(
            answering(folder),
            Some(inode(&folder.join("web.0.sock")).unwrap().1)
        );
        assert_eq!(fs::read_dir(folder).unwrap().count(), 3, "no link is left");
    }

    #[test]
    fn a_process_that_comes_back_takes_the_name_only_from_the_dead() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let run_file = |instance| RunFile {
            unit: "p.w".into(),
            dir: folder.into(),
            env: Default::default(),
            network: Default::default(),
            processes: Default::default(),
            web_socket: Some(folder.join(own_web_socket(instance))),
            pid_dir: folder.into(),
            made_from: Default::default(),
            run_as: None,
        };
        let me = open(process::id());
        let wait = |instance| wait_and_name(&run_file(instance), me.as_ref()).unwrap();
        let bind = |name: &str| UnixListener::bind(folder.join(name)).unwrap();
        let first = bind("web.0.sock");
        wait(0);
        let inode_of = |name: &str| inode(&folder.join(name)).unwrap().1;
        assert_eq!(answering(folder), Some(inode_of("web.0.sock")));
        // The next one waits for its turn, as long as the first one listens.
        let second = bind("web.1.sock");
        wait(1);
        assert_eq!(answering(folder), Some(inode_of("web.0.sock")));
        drop(first);
        fs::remove_file(folder.join("web.0.sock")).unwrap();
        let _again = bind("web.0.sock");
        wait(0);
        assert_eq!(answering(folder), Some(inode_of("web.0.sock")));
        drop(second);
        // A process that is gone is not waited for.
        let mut gone = Command::new("true").spawn().unwrap();
        let held = open(gone.id());
        gone.wait().unwrap();
        assert!(held.is_some());
        wait_and_name(&run_file(7), held.as_ref()).unwrap();
    }
}
