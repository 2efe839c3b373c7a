//! `cid-web`, the web front. Everything is in the library; see its list of modules.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    cid_web::run(&cid_web::args::Args::parse())
}
