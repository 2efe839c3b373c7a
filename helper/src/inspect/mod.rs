//! Says what an app is made of, by file name and content at a commit of the mirror. Nothing of the
//! repository is run.

pub(super) mod declared;
mod freshness;
mod nearby;
mod procfile;
mod pyproject;
pub(super) mod requirements;
pub(super) mod snapshot;
mod text;
mod unfetched;
mod uv_lock;
pub(super) mod wanted;

use crate::git::open_mirror;
use cid_protocol::{
    budget,
    fault::Fault,
    request::{Dependencies, Inspect, Inspection},
};
use declared::Declared;
use snapshot::Snapshot;
use wanted::Wanted;

/// A way to declare dependencies. Other languages join by a line in [`DETECTORS`].
pub(super) struct Detector {
    /// What it is called in requests.
    pub(super) dependencies: Dependencies,
    /// The deciding file.
    file: &'static str,
    /// This one is in the app's folder.
    needs: &'static str,
    /// Reads them; `None` when they declare nothing after all.
    read: fn(&Snapshot<'_>) -> Result<Option<Declared>, Fault>,
}

/// The first whose files are there counts.
const DETECTORS: &[Detector] = &[
    Detector {
        dependencies: Dependencies::UvLock,
        file: uv_lock::FILE,
        needs: pyproject::FILE,
        read: uv_lock::read,
    },
    Detector {
        dependencies: Dependencies::Requirements,
        file: requirements::FILE,
        needs: requirements::FILE,
        read: requirements::read,
    },
    Detector {
        dependencies: Dependencies::Pyproject,
        file: pyproject::FILE,
        needs: pyproject::FILE,
        read: pyproject::read,
    },
];

const PROCFILE: &str = "Procfile";
const MANAGE: &str = "manage.py";
const WSGI: &str = "wsgi.py";
/// What others install from, and cid does not by itself.
const UNREAD: &[&str] = &[
    "Pipfile",
    "Pipfile.lock",
    "poetry.lock",
    "pdm.lock",
    "pylock.toml",
    "requirements.in",
    "setup.py",
    "environment.yml",
    "package.json",
    "Gemfile",
    "composer.json",
    "go.mod",
    "Cargo.toml",
];

/// Looks at a commit, and at the base's for its key.
///
/// # Errors
/// The mirror cannot be read, or the app's folder does not exist at the commit.
pub(super) fn inspect(ask: &Inspect) -> Result<Inspection, Fault> {
    let mirror = open_mirror(&ask.mirror)?;
    let snapshot = Snapshot::open(&mirror, &ask.commit, &ask.app_dir)?;
    let mut found = Inspection {
        django: snapshot.has(MANAGE),
        ..Inspection::default()
    };
    read_procfile(&snapshot, ask, &mut found)?;
    if found.django {
        found.found.push(MANAGE.into());
    }
    if let Some(module) = wsgi_module(&snapshot) {
        found.found.push(format!("{module}/{WSGI}"));
        found.wsgi_module = Some(format!("{module}.wsgi"));
    }
    // Of what the project file has its own word for, nothing need be understood.
    if !ask.given.env {
        let wanted = Wanted::read(&snapshot)?;
        found.notes.extend(wanted.notes);
        found.python = wanted.asked;
    }
    let given = ask.given.env || ask.given.install;
    let detected = match detect(&snapshot) {
        Err(fault) if given => {
            found
                .notes
                .push(format!("{fault}; the project file says how to install"));
            None
        }
        detected => detected?,
    };
    if let Some((detector, declared)) = detected {
        found.dependencies = Some(detector.dependencies);
        let files = [detector.file, detector.needs].map(str::to_owned);
        found.found.extend(files);
        found.found.dedup();
        found.local = declared.local;
        found.notes.extend(declared.notes.iter().cloned());
        found.gunicorn = declared.packages.contains("gunicorn");
        found.dependencies_key = declared.key(detector.dependencies);
    }
    if !given {
        note_unread(&snapshot, &mut found);
    }
    found.notes.extend(unfetched::notes(&snapshot));
    let wsgi = found.wsgi_module.is_some() && found.gunicorn;
    if !ask.given.run && found.processes.is_empty() && !found.django && !wsgi {
        found.nearby = nearby::nearby(&snapshot);
    }
    found.base_key = base_key(&mirror, ask);
    Ok(found)
}

/// Where the project file names the processes, a Procfile is read for its `release` line alone, and not at
/// all where that is given too.
fn read_procfile(
    snapshot: &Snapshot<'_>,
    ask: &Inspect,
    found: &mut Inspection,
) -> Result<(), Fault> {
    if ask.given.run && ask.given.release {
        return Ok(());
    }
    let read = || {
        let content = snapshot.read_short(PROCFILE, &budget::PROCFILE)?;
        let path = snapshot.app_dir.join(PROCFILE);
        let read = |content: Vec<u8>| procfile::parse(&text::decode(&content, &path)?, &path);
        content.map(read).transpose()
    };
    match read() {
        Ok(None) => {}
        Ok(Some(procfile)) => {
            found.found.push(PROCFILE.into());
            found.release = procfile.release;
            if !ask.given.run {
                found.processes = procfile.processes;
                found.notes.extend(procfile.notes);
            }
        }
        Err(fault) if ask.given.run => found.notes.push(format!(
            "no release line is taken from the Procfile: {fault}"
        )),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

/// Names what a person may take for installed. Beside dependencies that cid reads, that is only what says
/// the same in other words.
fn note_unread(snapshot: &Snapshot<'_>, found: &mut Inspection) {
    let locks = |file: &str| file.ends_with("lock");
    let unread: Vec<&str> = UNREAD
        .iter()
        .copied()
        .filter(|file| found.dependencies.is_none() || locks(file))
        .filter(|file| snapshot.has(file))
        .collect();
    let poetry = found.dependencies.is_none() && snapshot.has(pyproject::FILE);
    let unread: Vec<&str> = unread
        .into_iter()
        .chain(poetry.then_some("pyproject.toml (it has no [project])"))
        .collect();
    if unread.is_empty() {
        return;
    }
    let instead = match found.dependencies {
        Some(Dependencies::UvLock) => "uv.lock counts",
        Some(Dependencies::Requirements) => "requirements.txt counts",
        Some(Dependencies::Pyproject) => "pyproject.toml counts",
        None => "nothing is installed; `install` in [app] of the project file says how",
    };
    found.notes.push(format!(
        "cid does not install from {}: {instead}",
        unread.join(", ")
    ));
}

/// How a commit declares its dependencies.
pub(super) fn detect(
    snapshot: &Snapshot<'_>,
) -> Result<Option<(&'static Detector, Declared)>, Fault> {
    for detector in DETECTORS
        .iter()
        .filter(|detector| snapshot.has(detector.needs))
    {
        if let Some(declared) = (detector.read)(snapshot)? {
            return Ok(Some((detector, declared)));
        }
    }
    Ok(None)
}

/// A base branch that cannot be understood only means that there is nothing to share with it.
fn base_key(mirror: &git2::Repository, ask: &Inspect) -> Option<String> {
    let snapshot = Snapshot::open(mirror, &ask.base, &ask.app_dir).ok()?;
    let (detector, declared) = detect(&snapshot).ok()??;
    declared.key(detector.dependencies)
}

/// The one package with a `wsgi.py`; with several, the operator must say which.
fn wsgi_module(snapshot: &Snapshot<'_>) -> Option<String> {
    let mut modules = snapshot
        .folders()
        .filter(|name| is_identifier(name) && snapshot.has(&format!("{name}/{WSGI}")));
    let first = modules.next()?;
    modules.next().is_none().then_some(first)
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests;
