//! The daemon's command line.

use crate::{
    app::{self, HostOptions, SandboxOptions},
    engine::Hooks,
    layout::Layout,
    reload,
    system::{nginx, supervisor},
};
use cid_protocol::fault::Fault;
use clap::{Parser, Subcommand};
use std::{io::IsTerminal, path::PathBuf, process::ExitCode, sync::Arc};
use tokio::runtime::Runtime;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Self-hosted workspaces: an e-mail becomes a running copy of your project.
#[derive(Parser)]
#[command(
    name = "cid",
    version,
    after_help = "People use `cictl`; this program is the daemon behind it."
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve this host, as systemd's cid.service does
    Serve,
    /// Have the daemon with this process id read the project files again, and wait until it has, as
    /// `systemctl reload cid` does; fails when a project cannot be used
    Reload {
        /// The daemon's process id
        #[arg(value_parser = clap::value_parser!(i32).range(1..))]
        daemon: i32,
    },
    /// Before supervisord starts again after a bad end, set program files aside that it does not take
    #[command(hide = true)]
    SetAsidePrograms {
        /// Folder of program files
        #[arg(long)]
        programs: PathBuf,
        /// supervisord's configuration
        #[arg(long)]
        configuration: PathBuf,
    },
    /// Before nginx starts, set vhosts of workspaces aside that it would not start with
    #[command(hide = true)]
    SetAsideVhosts {
        /// Folder of vhosts
        #[arg(long)]
        vhosts: PathBuf,
        /// nginx's configuration
        #[arg(long)]
        configuration: PathBuf,
    },
    /// Run a whole cid in one folder, as an ordinary user: its own nginx and supervisord, on
    /// unprivileged ports, until SIGTERM or Ctrl-C
    ///
    /// Project files go into DIR/etc/projects.d/; SIGHUP reads them again. A killed sandbox leaves its
    /// engines and workspaces running, and the next start in the same folder takes them over.
    Sandbox {
        /// The sandbox's folder; made when it does not exist
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Where its nginx listens on the loopback, for the front and all workspaces [default: as the
        /// last time, at first 8080]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        http_port: Option<u16>,
        /// Where it listens for HTTPS, once a project has a certificate [default: as the last time, at
        /// first 8443]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        https_port: Option<u16>,
    },
}

/// Runs `cid`; `hooks` observe the engine.
pub fn main(hooks: Arc<dyn Hooks>) -> ExitCode {
    let arguments = Arguments::parse();
    log();
    match run(arguments.verb, hooks) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = error
                .downcast_ref::<Fault>()
                .and_then(|fault| fault.hint.as_ref())
            {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb, hooks: Arc<dyn Hooks>) -> anyhow::Result<()> {
    match verb {
        Verb::Reload { daemon } => Ok(reload::reload(&Layout::host(), daemon)?),
        Verb::SetAsidePrograms {
            programs,
            configuration,
        } => Ok(supervisor::at_start::set_aside(&programs, &configuration)?),
        Verb::SetAsideVhosts {
            vhosts,
            configuration,
        } => Ok(nginx::at_start::set_aside(&vhosts, &configuration)?),
        Verb::Serve => {
            let bin_dir = app::bin_dir()?;
            runtime()?.block_on(app::host(HostOptions { bin_dir, hooks }))
        }
        Verb::Sandbox {
            dir,
            http_port,
            https_port,
        } => {
            let options = SandboxOptions {
                dir,
                http_port,
                https_port,
                bin_dir: app::bin_dir()?,
                hooks,
            };
            runtime()?.block_on(app::sandbox(options))
        }
    }
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// Logs to the journal under systemd, otherwise as readable lines on standard error. `CID_LOG` sets the
/// filter, e.g. `debug` or `cid_daemon::engine=debug`.
fn log() {
    let filter = EnvFilter::try_from_env("CID_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    if std::env::var_os("JOURNAL_STREAM").is_some()
        && let Ok(journal) = tracing_journald::layer()
    {
        // No prefix: people type `journalctl WORKSPACE=...`.
        registry.with(journal.with_field_prefix(None)).init();
        return;
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_writer(std::io::stderr);
    registry
        .with(lines.with_ansi(std::io::stderr().is_terminal()))
        .init();
}
