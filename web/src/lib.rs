//! The web front of cid: a form, a table and a page of live progress.
//!
//! It holds no privilege and no state. Everything that it shows comes fresh from the daemon, over the
//! one socket that it can reach, and the daemon decides on every request.

/// Colours of a terminal.
pub mod ansi;
/// The state all pages share, the routes and the layers around them.
pub mod app;
/// The command line.
pub mod args;
/// What is served from the binary itself: style sheet, script, icon.
pub mod asset;
/// What to answer when something cannot be shown or done.
pub mod error;
/// Reading a submitted form strictly.
pub mod form;
/// Which language a page speaks, and every sentence it may say.
pub mod i18n;
/// Choosing another language.
pub mod language;
/// How much of anything there may be at once, and for how long.
pub mod limits;
/// The pages, one file each.
pub mod page;
/// How often forms may be submitted.
pub mod rate;
/// What is shown in the place of a page, or of what was asked for.
pub mod refusal;
/// Giving away every right the front does not need.
pub mod sandbox;
/// Headers that every answer carries.
pub mod security;
/// Listening, accepting, and ending cleanly.
pub mod serve;
/// Making what came from commands and people safe to show.
pub mod text;
/// Who makes a request.
pub mod visitor;
/// Visitors of workspaces that do not answer.
pub mod wake;
/// What a browser keeps while its visitor signs in.
pub mod wanted;

use anyhow::Context;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Binds the listener, gives its rights away and serves until it is told to stop.
///
/// The order matters: Landlock binds the calling thread and those it starts, so the runtime
/// comes after it.
pub fn run(args: &args::Args) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_env("CID_WEB_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .init();

    let max_connections = limits::connections();
    // Asked for here because it reads files below /proc and /sys.
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
    let listener = serve::Bound::bind(&args.listen)?;
    sandbox::confine(&args.socket);

    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(serve::serve(listener, &args.socket, max_connections))
}
