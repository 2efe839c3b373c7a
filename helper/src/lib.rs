//! `cid-helper`: the process that does work under another identity than the daemon's.
//!
//! `cid-helper serve` reads one JSON [`request::Request`] a line on its standard input and writes
//! JSON lines on its standard output: any number of `{"line": "..."}` while it works, then one
//! `{"reply": ...}` or `{"fault": {"message": ..., "hint": ...}}`; see [`wire`]. It serves one
//! request at a time. When its standard input ends - the daemon died, or cancelled the job - it
//! kills everything it started and exits; with `--finish` it ends the request that it is at first.
//!
//! `cid-helper app` and `cid-helper run` start a workspace's processes and commands from its run
//! file; `cid-helper supervise` becomes their supervisord. Called by git as its SSH program, it runs
//! `ssh` with options of its own; called as the one that asks for passwords, it answers with the project's
//! token.

mod account_files;
mod app;
mod build;
mod command;
mod deps;
mod drop;
mod end_processes;
mod git;
mod identity;
mod inspect;
mod leavings;
mod mail;
mod post;
mod programs;
mod run;
mod serve;
mod shell;
mod socket;
mod supervise;
mod terminal;
mod tree;

use cid_protocol::fault::Fault;
use clap::{Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf, process::ExitCode};

/// Where output lines of a request go.
type Lines<'a> = &'a (dyn Fn(&str) + Sync);

#[derive(Parser)]
#[command(
    name = "cid-helper",
    about = "Does cid's work under another identity",
    version
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve a daemon's requests on standard input until it ends
    Serve {
        /// The job all requests belong to
        #[arg(long)]
        job: uuid::Uuid,
        /// File locked while this helper or anything it started is alive
        #[arg(long)]
        lock: Option<PathBuf>,
        /// End the request under way before the helper ends itself: half of it would stay
        #[arg(long)]
        finish: bool,
        #[command(flatten)]
        expectations: identity::Expectations,
    },
    /// Become a process of a workspace
    App {
        /// Refuse a run file that names no user
        #[arg(long)]
        require_user: bool,
        /// The workspace's run file
        run_file: PathBuf,
        /// Which of its processes
        process: String,
    },
    /// Give nginx's name to the socket of a workspace's web process once it listens
    NameSocket {
        /// Refuse a run file that names no user
        #[arg(long)]
        require_user: bool,
        /// Be the process that waits
        #[arg(long)]
        stay: bool,
        /// The workspace's run file
        run_file: PathBuf,
        /// Number of the web process
        process: u32,
    },
    /// Become supervisord, in a control group of its own
    Supervise {
        /// Folder of program files...
        #[arg(long, requires = "logs")]
        programs: Option<PathBuf>,
        /// ...that each need a log folder in this one
        #[arg(long, requires = "programs")]
        logs: Option<PathBuf>,
        /// Program and arguments
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// Run the command that standard input names first in a workspace and exit with its status
    Run {
        /// Refuse a run file that names no user
        #[arg(long)]
        require_user: bool,
        /// The workspace's run file; `-`: the credential `run-file` of the unit
        run_file: PathBuf,
    },
}

/// All of `cid-helper`.
pub fn main() -> ExitCode {
    if git::ssh::is_asked_for() {
        return git::ssh::run_ssh().unwrap_or_else(|fault| failed(&fault));
    }
    if git::credential::is_asked_for() {
        return git::credential::answer();
    }
    let done = match Arguments::parse().verb {
        Verb::Serve {
            job,
            lock,
            finish,
            expectations,
        } => serve::serve(job, lock.as_deref(), finish, expectations),
        Verb::App {
            require_user,
            run_file,
            process,
        } => app::become_app(&run_file, &process, require_user).map(|never| match never {}),
        Verb::NameSocket {
            require_user,
            stay,
            run_file,
            process,
        } => socket::name_when_it_listens(&run_file, process, stay, require_user),
        Verb::Supervise {
            programs,
            logs,
            command,
        } => {
            if let (Some(programs), Some(logs)) = (programs, logs) {
                programs::make_log_dirs(&programs, &logs);
            }
            supervise::supervise(&command).map(|never| match never {})
        }
        Verb::Run {
            require_user,
            run_file,
        } => run::run(&run_file, require_user),
    };
    done.unwrap_or_else(|fault| failed(&fault))
}

fn failed(fault: &Fault) -> ExitCode {
    eprintln!("cid-helper: {fault}");
    if let Some(hint) = &fault.hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(127)
}
