//! Installs an app's dependencies into an environment; what of the repository itself is a package stays in the
//! workspace's tree and is used from there.
//!
//! What is installed may come with code that runs meanwhile. Nothing that one build writes is there for
//! another: its HOME and its cache go with it, and uv is brought in by somebody else.

mod another;
mod brought;
mod export;
mod for_tree;
mod installer;
mod local;
pub(super) mod node;
mod pipfile;
pub(super) mod python;
mod seal;
mod settings;
pub(super) mod tools;
mod unbuilt;
mod uv;
mod work;

use super::{
    Lines,
    git::open_mirror,
    inspect::{
        kinds::{EXPORTED, Kind},
        snapshot::Snapshot,
        wanted::Wanted,
    },
    tree::purge,
};
use another::{Another, another};
use cid_protocol::{
    fault::Fault,
    request::{
        BringNode, BringPython, BringUv, BuildPackages, Built, CheckPackages, Checked,
        Dependencies, FindNode, FindPython, InstallLocal, LocalInstalled, NodeFound, PlacePackages,
        Placed, PythonFound, SealPackages,
    },
};
use installer::Installer;
use std::{fs, path::Path};
use work::Work;

/// Brings uv in where it is not there yet.
///
/// # Errors
/// It cannot be installed.
pub(super) fn bring_uv(ask: &BringUv, lines: Lines) -> Result<(), Fault> {
    uv::bring(&ask.tools_dir, &ask.env, lines)
}

/// Says of which Python an environment would be made. Nothing of a repository runs.
///
/// # Errors
/// No Python fits.
pub(super) fn find_python(ask: &FindPython) -> Result<PythonFound, Fault> {
    let env = settings::of_operator(&ask.env);
    let uv = uv::find(&ask.tools_dir, &env);
    let wanted: Wanted = ask.wanted.clone().into();
    match installer::which_python(&wanted, uv.as_deref(), &ask.tools_dir, &env) {
        Ok((_, told)) => Ok(PythonFound { bring: None, told }),
        Err(fault) => match python::to_bring(&wanted).filter(|_| ask.may_bring) {
            Some(minor) => Ok(PythonFound {
                bring: Some(minor),
                told: format!(
                    "Python 3.{minor}, which is fetched: {}",
                    wanted.text().unwrap_or_default()
                ),
            }),
            None => Err(fault),
        },
    }
}

/// Brings a Python in where it is not there yet.
///
/// # Errors
/// It cannot be fetched.
pub(super) fn bring_python(ask: &BringPython, lines: Lines) -> Result<(), Fault> {
    brought::bring(ask, lines)
}

/// Says which Node runs an app. Nothing of a repository runs.
///
/// # Errors
/// As [`node::find`].
pub(super) fn find_node(ask: &FindNode) -> Result<NodeFound, Fault> {
    node::find(ask)
}

/// Brings a Node in where it is not there yet.
///
/// # Errors
/// It cannot be fetched.
pub(super) fn bring_node(ask: &BringNode, lines: Lines) -> Result<(), Fault> {
    node::bring(ask, lines)
}

/// Builds the environment afresh. That one is complete is for the daemon to know: what lies there may
/// have been written by what was being installed.
///
/// # Errors
/// The files cannot be read, there is no fitting Python, or an installer fails; then the
/// environment is gone again, or at least empty: its parent may be somebody else's.
pub(super) fn build(ask: &BuildPackages, lines: Lines) -> Result<Built, Fault> {
    let mirror = open_mirror(&ask.mirror)?;
    let snapshot = Snapshot::open(&mirror, &ask.commit, &ask.app_dir)?;
    purge::make_empty(&ask.target)?;
    let (mut other, mut old_tools) = (None, false);
    let built = loop {
        let built = install(ask, &mirror, &snapshot, (other.clone(), old_tools), lines);
        let (Err(fault), false) = (&built, other.is_some()) else {
            break built;
        };
        match another(ask, &snapshot, fault.clone())? {
            Another::Take(python, why) => {
                lines(&format!("{why}: once more with such a one"));
                other = Some(python);
            }
            Another::OldTools(why) if !old_tools => {
                lines(&format!("{why}: once more with an older one"));
                old_tools = true;
            }
            Another::OldTools(_) => break built,
            Another::Bring(minor) => {
                discard(&ask.target)?;
                return Ok(Built::WantsPython(minor));
            }
            Another::Tell(fault) => break Err(fault),
        }
        purge::make_empty(&ask.target)?;
    };
    built.inspect_err(|_| {
        // The reason it failed matters more than a rest, which the next attempt removes as well.
        let _ = discard(&ask.target);
    })
}

/// Installs what of the repository is a package, so that it is used where it lies in a workspace's tree.
///
/// # Errors
/// As [`local::install`].
pub(super) fn install_local(ask: &InstallLocal, lines: Lines) -> Result<LocalInstalled, Fault> {
    local::install(ask, lines)
}

/// Removes what is there of an environment, or at least all that is in it: its parent may be somebody
/// else's.
///
/// # Errors
/// Something in it cannot be removed.
pub(super) fn discard(target: &Path) -> Result<(), Fault> {
    purge::purge(target)
        .map(drop)
        .or_else(|_| purge::make_empty(target))
}

/// Makes a complete one read-only and writes down what it looks like.
///
/// # Errors
/// As [`seal::seal`].
pub(super) fn seal(ask: &SealPackages) -> Result<(), Fault> {
    seal::seal(&ask.target)
}

/// Says whether a sealed one is as it was.
///
/// # Errors
/// It cannot be looked at.
pub(super) fn check(ask: &CheckPackages) -> Result<Checked, Fault> {
    seal::check(ask)
}

/// Puts what belongs into a workspace's tree there.
///
/// # Errors
/// As [`for_tree::place`].
pub(super) fn place(ask: &PlacePackages) -> Result<Placed, Fault> {
    for_tree::place(ask)
}

fn install(
    ask: &BuildPackages,
    mirror: &git2::Repository,
    snapshot: &Snapshot<'_>,
    (wanted, old_tools): (Option<Wanted>, bool),
    lines: Lines,
) -> Result<Built, Fault> {
    let work = Work::begin(&ask.target, ask.own_home)?;
    let mut python = None;
    if tools::has_python(ask) {
        let wanted = match wanted {
            Some(wanted) => wanted,
            None => Wanted::read(snapshot, ask.python.as_deref())?,
        };
        let Some(installer) = Installer::choose(ask, &work, (&wanted, old_tools), lines)? else {
            return Ok(Built::WantsUv);
        };
        installer.make_environment()?;
        python = Some(installer);
    }
    let sources = work.sources();
    let mut is_for_tree = false;
    for (kind, declared) in export::export(mirror, snapshot, &ask.dependencies, &sources)? {
        let dependencies = kind.dependencies;
        let folder = declared.run_in.as_ref().unwrap_or(&snapshot.app_dir);
        let folder = sources.join(folder);
        match (&kind.tool, &python) {
            (Some(tool), _) => {
                let uv = tools::uv_of(ask, &work);
                tools::install(ask, kind, tool, &folder, (&work, uv.as_deref()), lines)?;
                is_for_tree |= !dependencies.is_python();
                let exported = folder.join(EXPORTED);
                if let (true, Some(installer)) = (exported.exists(), &python) {
                    installer.install_exported(&folder, EXPORTED)?;
                    // It belongs into no tree.
                    fs::remove_file(&exported)
                        .map_err(|error| Fault::io("remove", &exported, error))?;
                }
            }
            (None, Some(installer)) => by_uv(installer, kind, &folder)?,
            (None, None) => {}
        }
        if let (true, Some(installer)) = (declared.local, &python) {
            let app = declared.is_package.then_some(snapshot.app_dir.as_path());
            local::take_out(installer, &ask.target, &sources, app)?;
        }
    }
    if let (true, Some(installer)) = (ask.install.is_empty(), &python) {
        installer.add_setuptools();
    }
    if let (false, Some(installer)) = (ask.install.is_empty(), &python) {
        let app = export::export_all(mirror, snapshot, &sources)?;
        for command in &ask.install {
            tools::run_given(ask, command, &app, &work, lines)?;
        }
        local::take_out(installer, &ask.target, &sources, None)?;
        is_for_tree = true;
    }
    if is_for_tree && !for_tree::take(mirror, snapshot, &sources, &ask.target)? {
        discard(&ask.target)?;
        return Ok(Built::NotShared);
    }
    work.end()?;
    Ok(Built::Complete)
}

fn by_uv(installer: &Installer<'_>, kind: &Kind, app: &Path) -> Result<(), Fault> {
    match kind.dependencies {
        Dependencies::UvLock => installer.sync(app),
        Dependencies::Requirements => installer.install_requirements(app),
        Dependencies::Pipenv => {
            let list = pipfile::requirements(&app.join(kind.file))?;
            let file = app.join(EXPORTED);
            fs::write(&file, list).map_err(|error| Fault::io("write", &file, error))?;
            installer.install_exported(app, EXPORTED)?;
            // It belongs into no tree.
            fs::remove_file(&file).map_err(|error| Fault::io("remove", &file, error))
        }
        _ => installer.install_project_dependencies(app),
    }
}
