//! The verbs, one file each: its arguments, then what it does.

mod access;
mod agent;
mod audit;
mod build;
mod builds;
mod completions;
mod create;
mod cx;
mod delete;
mod deploy;
mod doctor;
mod failure;
mod follow;
mod front;
mod jobs;
mod list;
mod logs;
mod man;
mod people;
mod project;
mod promote;
mod prune;
mod restart;
mod rollback;
mod run;
mod shell;
mod show;
mod stages;
mod stop;
mod terminal;
mod test;
mod version;

pub(crate) use cx::{Cx, Format, json_line};
pub(crate) use failure::{Failure, Outcome};

use crate::ui;
use cid_client::{DEFAULT_SOCKET, Error, Exit, Kind};
use clap::{Args, Parser, Subcommand};
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::ExitCode,
};

/// The variable that names the daemon's socket where `--socket` does not.
const SOCKET: &str = "CID_SOCKET";

/// Workspaces for everybody: an e-mail address becomes a running copy of your project.
#[derive(Debug, Parser)]
#[command(
    name = "cictl",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit status: 0 done, 1 the job failed, 2 usage or invalid input, 3 not found,\n\
                  4 denied, 5 refused as things are, 6 the daemon cannot be reached, 130 detached by Ctrl-C.\n\
                  `run` and `shell` end with their command's own status; with 5 or 6, and a word, where the\n\
                  command was ended because its workspace goes or the daemon stops."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
struct Global {
    /// How to print the result
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    output: Format,
    /// The daemon's socket [env: CID_SOCKET] [default: /run/cid/cid.sock]
    ///
    /// A sandbox has it at DIR/run/cid.sock.
    // clap's own `env` would have its usage name the option as if it were wanted.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Where something needs an administrator's password, ask for it
    #[arg(long, global = true)]
    interactive: bool,
}

impl Global {
    /// Where the daemon is, by the option, else by this value of `CID_SOCKET`.
    fn socket(&self, environment: Option<OsString>) -> PathBuf {
        let set = environment.filter(|path| !path.is_empty());
        let named = self.socket.clone().or(set.map(PathBuf::from));
        named.unwrap_or_else(|| DEFAULT_SOCKET.into())
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(create::Create),
    Delete(delete::Delete),
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Deploy(deploy::Deploy),
    Test(test::Test),
    Restart(restart::Restart),
    Stop(stop::Stop),
    #[command(visible_alias = "wake")]
    Start(stop::Start),
    Sleep(stop::Sleep),
    Logs(logs::Logs),
    Run(run::Run),
    Shell(shell::Shell),
    Build(build::Build),
    Builds(builds::Builds),
    Stages(stages::Stages),
    Promote(promote::Promote),
    Rollback(rollback::Rollback),
    Access(access::Access),
    Jobs(jobs::Jobs),
    People(people::People),
    Front(front::Front),
    Project(project::Project),
    Doctor(doctor::Doctor),
    Prune(prune::Prune),
    Audit(audit::Audit),
    Completions(completions::Completions),
    Version(version::Version),
    #[command(hide = true)]
    Man(man::Man),
}

/// Which workspace is meant.
#[derive(Debug, Args)]
struct Target {
    /// Whose workspace, or the name of a stage where the verb takes one
    email: String,
    /// Which project's; may be left out where there is only one it can be
    #[arg(short, long)]
    project: Option<String>,
}

impl Target {
    fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// As it was typed, for a command to paste.
    fn words(&self) -> String {
        match &self.project {
            Some(project) => format!("{} -p {project}", self.email),
            None => self.email.clone(),
        }
    }
}

/// Reads the command line, carries it out and says how it went.
pub(crate) fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && wants_json(&args) => {
            return end(Format::Json, Err(usage(&error).into()));
        }
        Err(error) => {
            // Nobody is left to tell when this cannot be printed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let socket = cli.global.socket(std::env::var_os(SOCKET));
    let cx = Cx::new(cli.global.output, socket, cli.global.interactive);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return end(cx.format(), Err(Failure::Io("cannot start", error))),
    };
    let outcome = runtime.block_on(carry_out(cli.verb, &cx));
    // A thread that waits for standard input must not hold the end up.
    runtime.shutdown_background();
    end(cx.format(), outcome)
}

async fn carry_out(verb: Verb, cx: &Cx) -> Outcome {
    match verb {
        Verb::Create(verb) => verb.run(cx).await,
        Verb::Delete(verb) => verb.run(cx).await,
        Verb::List(verb) => verb.run(cx).await,
        Verb::Show(verb) => verb.run(cx).await,
        Verb::Deploy(verb) => verb.run(cx).await,
        Verb::Test(verb) => verb.run(cx).await,
        Verb::Restart(verb) => verb.run(cx).await,
        Verb::Stop(verb) => verb.run(cx).await,
        Verb::Start(verb) => verb.run(cx).await,
        Verb::Sleep(verb) => verb.run(cx).await,
        Verb::Logs(verb) => verb.run(cx).await,
        Verb::Run(verb) => verb.run(cx).await,
        Verb::Shell(verb) => verb.run(cx).await,
        Verb::Build(verb) => verb.run(cx).await,
        Verb::Builds(verb) => verb.run(cx).await,
        Verb::Stages(verb) => verb.run(cx).await,
        Verb::Promote(verb) => verb.run(cx).await,
        Verb::Rollback(verb) => verb.run(cx).await,
        Verb::Access(verb) => verb.run(cx).await,
        Verb::Jobs(verb) => verb.run(cx).await,
        Verb::People(verb) => verb.run(cx).await,
        Verb::Front(verb) => verb.run(cx).await,
        Verb::Project(verb) => verb.run(cx).await,
        Verb::Doctor(verb) => verb.run(cx).await,
        Verb::Prune(verb) => verb.run(cx).await,
        Verb::Audit(verb) => verb.run(cx).await,
        Verb::Completions(verb) => verb.run(cx).await,
        Verb::Version(verb) => verb.run(cx).await,
        Verb::Man(verb) => verb.run(),
    }
}

fn end(format: Format, outcome: Outcome) -> ExitCode {
    let exit = match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            ui::error::print(&failure, format);
            failure.exit()
        }
    };
    exit.into()
}

/// Whether JSON is asked for on a command line that clap could not read.
fn wants_json(args: &[OsString]) -> bool {
    let args = args.iter().take_while(|arg| *arg != "--");
    args.clone()
        .zip(args.clone().skip(1))
        .any(|(option, value)| (option == "-o" || option == "--output") && value == "json")
        || args.map(OsString::as_os_str).any(|arg| {
            [
                OsStr::new("-ojson"),
                "-o=json".as_ref(),
                "--output=json".as_ref(),
            ]
            .contains(&arg)
        })
}

fn usage(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let (message, usage) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let error = Error::new(Kind::Invalid, message);
    if usage.is_empty() {
        error
    } else {
        error.with_hint(usage.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_follow_the_verb() {
        let cli = Cli::try_parse_from([
            "cictl",
            "jobs",
            "list",
            "-o",
            "json",
            "--socket",
            "/tmp/cid.sock",
        ])
        .unwrap();
        assert_eq!(cli.global.output, Format::Json);
        let environment = || Some("/elsewhere".into());
        assert_eq!(
            cli.global.socket(environment()),
            PathBuf::from("/tmp/cid.sock")
        );
        let cli = Cli::try_parse_from(["cictl", "list"]).unwrap();
        assert_eq!(
            cli.global.socket(environment()),
            PathBuf::from("/elsewhere")
        );
        for unset in [None, Some("".into())] {
            assert_eq!(cli.global.socket(unset), PathBuf::from(DEFAULT_SOCKET));
        }
        let help = Cli::command().render_long_help().to_string();
        assert!(
            help.contains("[env: CID_SOCKET]") && help.contains(DEFAULT_SOCKET),
            "{help}"
        );
    }

    #[test]
    fn usage_names_what_is_wanted_and_no_more() {
        for args in [&["cictl", "project", "init"][..], &["cictl", "create"]] {
            let error = Cli::try_parse_from(args).unwrap_err().to_string();
            assert!(!error.contains("--socket"), "{error}");
        }
    }

    #[test]
    fn bare_jobs_takes_the_options_of_list() {
        assert!(Cli::try_parse_from(["cictl", "jobs"]).is_ok());
        assert!(Cli::try_parse_from(["cictl", "jobs", "-n", "5"]).is_ok());
        assert!(Cli::try_parse_from(["cictl", "jobs", "watch", "01"]).is_ok());
    }

    #[test]
    fn a_command_to_run_keeps_its_own_options() {
        let cli = Cli::try_parse_from(["cictl", "run", "a@b.c", "--", "ls", "-o", "json"]).unwrap();
        assert_eq!(cli.global.output, Format::Human);
        assert!(Cli::try_parse_from(["cictl", "run", "a@b.c"]).is_err());
    }

    #[test]
    fn force_is_about_the_branch_only() {
        assert!(Cli::try_parse_from(["cictl", "delete", "a@b.c", "--force"]).is_err());
        assert!(
            Cli::try_parse_from(["cictl", "delete", "a@b.c", "--with-branch", "--force"]).is_ok()
        );
    }

    #[test]
    fn json_is_found_on_a_broken_command_line() {
        let args = |text: &str| -> Vec<OsString> { text.split(' ').map(Into::into).collect() };
        assert!(wants_json(&args("cictl -o json nonsense")));
        assert!(wants_json(&args("cictl nonsense --output=json")));
        assert!(!wants_json(&args("cictl nonsense")));
        assert!(!wants_json(&args("cictl run -- ls -o json")));
    }
}
