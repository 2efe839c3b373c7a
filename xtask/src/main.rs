//! What a person types in a checkout: `cargo xtask demo`, `test`, `bench`.

mod bench;
mod build;
mod demo;
mod demo_delivery;
mod deny;
mod dist;
mod host;
mod interrupt;
mod mutants;
mod setup;
mod test;

use clap::Parser;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Tries, tests and measures cid; sets up what is missing"
)]
enum Command {
    /// Starts a sandbox with an example project and makes a workspace of it
    Demo(demo::Args),
    /// Runs every test
    Test(test::Args),
    /// Measures cid against what the app itself takes
    Bench(bench::Args),
    /// Boots a throw-away Debian with cid installed and gives a shell on it
    Host(host::Args),
    /// Builds the Debian package
    Dist(dist::Args),
    /// Checks licences, bans, sources and advisories of all dependencies
    Deny,
    /// Changes files in small ways, and lists the changes that no test sees
    Mutants(mutants::Args),
    /// Installs the Debian packages that building and testing need
    Setup,
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Deny => deny::run(),
        Command::Host(args) => host::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Mutants(args) => mutants::run(&args),
        Command::Setup => setup::ensure(setup::Purpose::Test),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
