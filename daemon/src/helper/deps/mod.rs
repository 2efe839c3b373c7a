//! Installs an app's dependencies into an environment, without the app itself.

mod export;
mod installer;
pub(super) mod python;
mod settings;
mod uv;

use super::{
    Lines,
    git::open_mirror,
    inspect::snapshot::Snapshot,
    request::{BuildEnvironment, Dependencies, ENVIRONMENT_MARK},
    tree::purge,
};
use crate::system::fault::Fault;
use installer::Installer;
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

/// Written as the last act: an environment without it is half-made.
const MARK: &str = ENVIRONMENT_MARK;
/// Where the declaring files lie while the environment is built; inside it, so that nothing is
/// left elsewhere when the build is killed.
const SOURCES: &str = ".cid-build";

/// Builds the environment; a complete one is left as it is.
///
/// # Errors
/// The files cannot be read, there is no fitting Python, or an installer fails; then the
/// environment is gone again, or at least empty: its parent may be somebody else's.
pub(super) fn build(ask: &BuildEnvironment, lines: Lines) -> Result<(), Fault> {
    if ask.target.join(MARK).exists() {
        return Ok(());
    }
    let mirror = open_mirror(&ask.mirror)?;
    let snapshot = Snapshot::open(&mirror, &ask.commit, &ask.app_dir)?;
    fs::create_dir_all(&ask.tools_dir).map_err(|error| Fault::io("make", &ask.tools_dir, error))?;
    purge::make_empty(&ask.target)?;
    install(ask, &mirror, &snapshot, lines).inspect_err(|_| {
        // The reason it failed matters more than a rest, which the next attempt removes as well.
        let _ = purge::purge(&ask.target)
            .map(drop)
            .or_else(|_| purge::make_empty(&ask.target));
    })
}

fn install(
    ask: &BuildEnvironment,
    mirror: &git2::Repository,
    snapshot: &Snapshot<'_>,
    lines: Lines,
) -> Result<(), Fault> {
    let installer = Installer::choose(ask, &python::Wanted::read(snapshot)?, lines)?;
    installer.make_environment()?;
    let sources = ask.target.join(SOURCES);
    if let Some(dependencies) = ask.dependencies {
        export::export(mirror, snapshot, dependencies, &sources)?;
        let app = sources.join(&snapshot.app_dir);
        match dependencies {
            Dependencies::UvLock => installer.sync(&app)?,
            Dependencies::Requirements => installer.install_requirements(&app)?,
            Dependencies::Pyproject => installer.install_project_dependencies(&app)?,
        }
        purge::purge(&sources)?;
    }
    mark(&ask.target)
}

fn mark(target: &Path) -> Result<(), Fault> {
    let path = target.join(MARK);
    File::create(&path)
        .and_then(|mut file| {
            file.write_all(b"made by cid\n")
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| File::open(target)?.sync_all())
        .map_err(|error| Fault::io("write", &path, error))
}
