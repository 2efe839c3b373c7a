//! Serves a daemon's requests one after the other.

use crate::{
    Lines, account_files, build,
    command::{self, Code},
    deps,
    drop::{self, Role},
    end_processes, git,
    identity::Expectations,
    inspect, mail, post, socket, tree,
};
use cid_kernel::{cgroup::Refusals, reaper};
use cid_protocol::wire::CONNECTION;
use cid_protocol::{
    environment::{Environment, PATH},
    fault::{Fault, FaultContext},
    request::{Exited, Request, Resolve, Resolved, RunCommand, RunTool, ToolExited},
    wire::Answer,
};
use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, Seek, Write},
    net::ToSocketAddrs,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    process::{self, ExitCode},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long an earlier helper for the same job and identity may take to end.
const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// How long everything started here may take to die before this process leaves regardless.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How long a request may take to end that is not to be broken off. The machine's tools take some 20 ms.
const FINISH_LIMIT: Duration = Duration::from_secs(45);

/// Exit status for a unit that is not as it should be; EX_CONFIG of sysexits.h.
const MISCONFIGURED: u8 = 78;

/// Serves until standard input ends.
///
/// # Errors
/// It cannot drop its rights, or an earlier helper for the same job and identity is still alive.
pub(super) fn serve(
    job: uuid::Uuid,
    lock: Option<&Path>,
    finish: bool,
    mut expectations: Expectations,
) -> Result<ExitCode, Fault> {
    if let Err(fault) = expectations.verify() {
        super::failed(&fault);
        return Ok(ExitCode::from(MISCONFIGURED));
    }
    drop::settle(Role::Server)?;
    command::mark(job);
    let _lock = lock.map(take_lock).transpose()?;
    if let Some(lock) = lock {
        git::ssh::keep_in(lock.with_extension(CONNECTION));
    }
    // Before there is a second thread, which would stay outside.
    expectations.confine()?;
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || watch(sender, finish));
    for line in requests {
        // This thread serves all requests and starts all commands.
        expectations.narrow()?;
        let answer = match serde_json::from_str(&line) {
            Ok(request) => answer(request),
            Err(error) => Err(Fault::new(format!(
                "cannot understand a request of job {job}: {error}"
            ))
            .hint("cid and cid-helper must be of the same version")),
        };
        Answer::from(answer).send();
    }
    Ok(ExitCode::SUCCESS)
}

/// Hands requests over, and watches for the end: then everything dies, at once or when the request under way has
/// ended.
fn watch(requests: mpsc::Sender<String>, finish: bool) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if requests.send(line).is_err() {
            break;
        }
    }
    if finish {
        // The other thread ends this process when it has nothing more to do.
        drop(requests);
        thread::sleep(FINISH_LIMIT);
    }
    command::close();
    let gone = reaper::kill_descendants(process::id().cast_signed(), KILL_LIMIT);
    git::fetch::clean_up();
    process::exit(i32::from(!gone));
}

/// Locks the file until this process ends and writes into it who that is: number, start time and
/// boot, which together mean this process and no other.
fn take_lock(path: &Path) -> Result<Flock<File>, Fault> {
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)
            .map_err(|error| Fault::io("open the lock file", path, error))?;
        if let Ok(mut lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            && is_still_there(&lock, path)
        {
            let me = process::id();
            let start = reaper::Process::read(me.cast_signed()).map_or(0, |p| p.start);
            let written = lock
                .set_len(0)
                .and_then(|()| lock.rewind())
                .and_then(|()| write!(lock, "{me} {start} {}", reaper::boot_id()));
            return match written {
                // What frees a full disk needs a helper too. The lock holds, and the job's mark tells what is its.
                Err(error) if !cid_kernel::fs::is_full(&error) => {
                    Err(Fault::io("write the lock file", path, error))
                }
                _ => Ok(lock),
            };
        }
        if Instant::now() >= deadline {
            return Err(Fault::new(format!(
                "cannot lock {}: an earlier helper of this job is still alive",
                path.display()
            )));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the locked file is the one at the path: what ended the earlier helper may have
/// removed it in between.
fn is_still_there(file: &File, path: &Path) -> bool {
    let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
    file.metadata().ok().map(identity) == fs::symlink_metadata(path).ok().map(identity)
}

fn answer(request: Request) -> Result<Value, Fault> {
    let lines: Lines = &|line| Answer::Line(line.to_owned()).send();
    drop::shared_umask();
    match request {
        Request::UseCredential(ask) => {
            git::credential::keep(ask);
            reply(Ok(()))
        }
        Request::Fetch(ask) => reply(git::fetch::fetch(&ask)),
        Request::ListBranches(ask) => reply(git::branches::list(&ask)),
        Request::Inspect(ask) => reply(inspect::inspect(&ask)),
        Request::FindCommit(ask) => reply(build::find(&ask)),
        Request::CompareCommits(ask) => reply(build::compare(&ask)),
        Request::IsAncestor(ask) => reply(build::is_ancestor(&ask)),
        Request::ExportCommit(ask) => {
            drop::open_umask();
            reply(build::export(&ask))
        }
        Request::SealBuild(ask) => reply(build::seal(&ask)),
        Request::TakeOver(ask) => reply(build::take_over(&ask)),
        Request::CopyBuild(ask) => {
            drop::open_umask();
            reply(build::copy(&ask))
        }
        Request::TakeMade(ask) => {
            drop::open_umask();
            reply(build::take(&ask))
        }
        Request::PlaceMade(ask) => {
            drop::tree_umask();
            reply(build::place(&ask))
        }
        Request::ReadReports(ask) => reply(build::read_reports(&ask)),
        Request::HangUp(_) => reply(git::ssh::hang_up()),
        Request::Push(ask) => reply(git::push::push(&ask)),
        Request::DeleteBranch(ask) => reply(git::push::delete(&ask)),
        Request::BuildPackages(ask) => {
            drop::open_umask();
            reply(deps::build(&ask, lines))
        }
        Request::SealPackages(ask) => reply(deps::seal(&ask)),
        Request::CheckPackages(ask) => reply(deps::check(&ask)),
        Request::DiscardPackages(ask) => reply(deps::discard(&ask.target)),
        Request::InstallLocal(ask) => {
            drop::open_umask();
            reply(deps::install_local(&ask, lines))
        }
        Request::PlacePackages(ask) => {
            umask_in_tree(ask.alone);
            reply(deps::place(&ask))
        }
        Request::FindPython(ask) => reply(deps::find_python(&ask)),
        Request::FindNode(ask) => reply(deps::find_node(&ask)),
        Request::BringNode(ask) => {
            drop::open_umask();
            reply(deps::bring_node(&ask, lines))
        }
        Request::BringPython(ask) => {
            drop::open_umask();
            reply(deps::bring_python(&ask, lines))
        }
        Request::BringUv(ask) => {
            drop::open_umask();
            reply(deps::bring_uv(&ask, lines))
        }
        Request::ShowStatic(ask) => reply(tree::collect::show(&ask)),
        Request::CollectStatic(ask) => reply(tree::collect::collect(&ask)),
        Request::GrantAccess(ask) => reply(tree::acl::grant(&ask)),
        Request::OpenSockets(ask) => reply(tree::acl::open_sockets(&ask)),
        Request::AnswerBy(ask) => reply(socket::answer_by(&ask)),
        Request::RemoveSocket(ask) => reply(socket::remove(&ask)),
        Request::LookAtAccess(ask) => reply(tree::acl::look(&ask)),
        Request::LookAtPaths(ask) => reply(tree::acl::look_at_paths(&ask)),
        Request::Resolve(ask) => reply(Ok(resolve(&ask))),
        Request::SendMail(ask) => reply(mail::send(&ask)),
        Request::Post(ask) => reply(post::post(&ask)),
        Request::WorkStatus(ask) => reply(git::work::status(&ask)),
        Request::UnfinishedWork(ask) => reply(git::work::unfinished(&ask)),
        Request::LookAtTree(ask) => reply(git::work::look(&ask)),
        Request::RecordMade(ask) => reply(git::work::record(&ask)),
        Request::Purge(ask) => reply(tree::purge::purge(&ask.path)),
        Request::KeepFile(ask) => reply(tree::keep::keep_file(&ask)),
        Request::KeepOnly(ask) => reply(tree::keep::keep_only(&ask)),
        Request::EndProcesses(ask) => reply(end_processes::end_processes(ask, lines)),
        Request::CloneTree(ask) => {
            drop::tree_umask();
            reply(git::clone::clone(&ask))
        }
        Request::Configure(ask) => {
            drop::tree_umask();
            reply(tree::configure::configure(&ask))
        }
        Request::FindAccountFiles(ask) => reply(account_files::find(&ask)),
        Request::RunTool(ask) => {
            drop::system_umask();
            reply(run_tool(&ask, lines))
        }
        Request::UpdateTree(ask) => {
            drop::tree_umask();
            reply(git::work::update(&ask))
        }
        Request::TakeBackTree(ask) => {
            drop::tree_umask();
            reply(git::work::take_back(&ask))
        }
        Request::RunCommand(ask) => {
            umask_in_tree(ask.alone);
            reply(run_command(&ask, lines))
        }
    }
}

/// In a build the group are the accounts of all workspaces, which have no business with its files before they are sealed.
fn umask_in_tree(alone: bool) {
    match alone {
        true => drop::shared_umask(),
        false => drop::tree_umask(),
    }
}

fn reply<T: serde::Serialize>(done: Result<T, Fault>) -> Result<Value, Fault> {
    serde_json::to_value(done?).cannot("write the reply")
}

/// By whatever this machine asks about names.
fn resolve(ask: &Resolve) -> Resolved {
    let addresses = |name: &String| {
        let found = (name.as_str(), 0).to_socket_addrs();
        found
            .into_iter()
            .flatten()
            .map(|found| found.ip())
            .collect()
    };
    Resolved {
        answers: ask.names.iter().map(addresses).collect(),
    }
}

fn run_tool(ask: &RunTool, lines: Lines) -> Result<ToolExited, Fault> {
    let argv: Vec<_> = ask.command.iter().map(Into::into).collect();
    let env = Environment::from([("PATH".into(), PATH.into()), ("LC_ALL".into(), "C".into())]);
    let status = command::run(Code::Machines, &argv, &env, Path::new("/"), lines)?;
    Ok(ToolExited {
        status: status.code(),
    })
}

fn run_command(ask: &RunCommand, lines: Lines) -> Result<Exited, Fault> {
    let argv: Vec<_> = ask.command.iter().map(Into::into).collect();
    let env: Environment = ask.env.iter().map(|(k, v)| (k.into(), v.into())).collect();
    let before = Refusals::count();
    let status = command::run(Code::Untrusted, &argv, &env, &ask.dir, lines)?;
    Ok(Exited {
        status: command::code(status),
        ran_out_of: before.since(),
    })
}
