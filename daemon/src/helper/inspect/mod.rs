//! Says what an app is made of, by file name and content at a commit of the mirror. Nothing of the
//! repository is run.

pub(super) mod declared;
mod procfile;
mod pyproject;
pub(super) mod requirements;
pub(super) mod snapshot;
mod uv_lock;

use super::{
    git::open_mirror,
    request::{Dependencies, Inspect, Inspection},
};
use crate::{budget, system::fault::Fault};
use declared::Declared;
use snapshot::Snapshot;

/// A way to declare dependencies. Other languages join by a line in [`DETECTORS`].
pub(super) struct Detector {
    /// What it is called in requests.
    pub(super) dependencies: Dependencies,
    /// All of these are in the app's folder; the first is the deciding one.
    pub(super) files: &'static [&'static str],
    /// Reads them; `None` when they declare nothing after all.
    read: fn(&Snapshot<'_>) -> Result<Option<Declared>, Fault>,
}

/// The first whose files are there counts.
const DETECTORS: &[Detector] = &[
    Detector {
        dependencies: Dependencies::UvLock,
        files: &["uv.lock", "pyproject.toml"],
        read: uv_lock::read,
    },
    Detector {
        dependencies: Dependencies::Requirements,
        files: &[requirements::FILE],
        read: requirements::read,
    },
    Detector {
        dependencies: Dependencies::Pyproject,
        files: &["pyproject.toml"],
        read: pyproject::read,
    },
];

const PROCFILE: &str = "Procfile";
const MANAGE: &str = "manage.py";
const WSGI: &str = "wsgi.py";
const LOOKED_FOR: &[&str] = &[PROCFILE, MANAGE, "*/wsgi.py"];

/// Looks at a commit, and at the base's for its key.
///
/// # Errors
/// The mirror cannot be read, or the app's folder does not exist at the commit.
pub(super) fn inspect(ask: &Inspect) -> Result<Inspection, Fault> {
    let mirror = open_mirror(&ask.mirror)?;
    let snapshot = Snapshot::open(&mirror, &ask.commit, &ask.app_dir)?;
    let mut found = Inspection {
        looked_for: LOOKED_FOR
            .iter()
            .chain(detector_files())
            .map(|file| (*file).to_owned())
            .collect(),
        django: snapshot.has(MANAGE),
        ..Inspection::default()
    };
    found.looked_for.dedup();
    if let Some(text) = snapshot.read_short(PROCFILE, &budget::PROCFILE)? {
        (found.processes, found.release) = procfile::parse(&String::from_utf8_lossy(&text))?;
        found.found.push(PROCFILE.into());
    }
    if found.django {
        found.found.push(MANAGE.into());
    }
    if let Some(module) = wsgi_module(&snapshot) {
        found.found.push(format!("{module}/{WSGI}"));
        found.wsgi_module = Some(format!("{module}.wsgi"));
    }
    if let Some((detector, declared)) = detect(&snapshot)? {
        found.dependencies = Some(detector.dependencies);
        found
            .found
            .extend(detector.files.iter().map(|file| (*file).to_owned()));
        found.gunicorn = declared.packages.contains("gunicorn");
        found.dependencies_key = declared.key(detector.dependencies);
    }
    found.base_key = base_key(&mirror, ask);
    Ok(found)
}

/// How a commit declares its dependencies.
pub(super) fn detect(
    snapshot: &Snapshot<'_>,
) -> Result<Option<(&'static Detector, Declared)>, Fault> {
    for detector in DETECTORS
        .iter()
        .filter(|d| d.files.iter().all(|file| snapshot.has(file)))
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

fn detector_files() -> impl Iterator<Item = &'static &'static str> {
    DETECTORS
        .iter()
        .filter_map(|detector| detector.files.first())
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
