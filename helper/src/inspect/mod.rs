//! Says what an app is made of, by file name and content at a commit of the mirror. Nothing of the
//! repository is run.

mod commands;
pub(super) mod declared;
mod freshness;
mod hints;
pub(super) mod kinds;
mod lists;
mod locks;
mod nearby;
mod node;
mod others;
mod php;
mod procfile;
mod pyproject;
mod reads;
pub(super) mod requirements;
pub(super) mod snapshot;
mod start;
mod text;
mod unfetched;
mod uv_lock;
pub(super) mod wanted;
mod wanted_node;

use crate::{deps::tools, git::open_mirror};
use cid_protocol::{
    budget,
    fault::Fault,
    request::{Dependencies, Inspect, Inspection},
};
use git2::ObjectType;
use kinds::{detect, together};
use sha2::{Digest, Sha256};
use snapshot::Snapshot;
use wanted::Wanted;

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
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "Gemfile",
    "Gemfile.lock",
    "composer.json",
    "composer.lock",
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
        let wanted = Wanted::read(&snapshot, ask.python.as_deref())?;
        if ask.python.is_some() {
            let of_repository = Wanted::read(&snapshot, None).ok();
            let refused = of_repository.and_then(|repository| repository.refusal_of(&wanted));
            found.notes.extend(refused);
        }
        found.notes.extend(wanted.notes);
        found.python = wanted.asked;
    }
    found.node = wanted_node::wanted(&snapshot, ask.node.as_deref(), &mut found.notes)?;
    note_folders(&snapshot, &mut found.notes);
    let given = ask.given.env || ask.given.install;
    let detected = match detect(&snapshot) {
        Err(fault) if given => {
            found
                .notes
                .push(format!("{fault}; the project file says how to install"));
            Vec::new()
        }
        detected => detected?,
    };
    for (kind, declared) in &detected {
        let by = kind.tool.map_or("uv", |tool| tool.program);
        let elsewhere = declared.run_in.as_ref();
        let elsewhere = elsewhere.filter(|folder| **folder != snapshot.app_dir);
        let place = match elsewhere {
            None => kind.file.to_owned(),
            Some(folder) => format!("/{}", folder.join(kind.file).display()),
        };
        found.declared_in.push(format!("{place} (by {by})"));
        if found.missing.is_none() {
            let of_composer = kind.dependencies == Dependencies::Composer;
            let missing = tools::missing(kind)
                .or_else(|| of_composer.then(|| php::missing(declared)).flatten());
            found.missing = missing.map(|fault| (fault.message, fault.hint.unwrap_or_default()));
        }
        found
            .found
            .extend([kind.file, kind.needs].map(str::to_owned));
        found.found.dedup();
    }
    let mut is_whole = ask.install.is_some();
    if let Some((dependencies, declared)) = together(detected) {
        is_whole |= declared.is_whole;
        found.local = declared.local;
        found.notes.extend(declared.notes.iter().cloned());
        found.gunicorn = declared.packages.contains("gunicorn");
        found.dependencies_key = declared.key(&dependencies);
        found.dependencies = dependencies;
    }
    if let Some(install) = &ask.install {
        let (key, notes) = commands::key(&snapshot, install)?;
        (found.dependencies_key, found.local) = (key, false);
        found.notes.extend(notes);
    }
    if !ask.given.run
        && found.processes.is_empty()
        && let Some((command, file)) = start::start(&snapshot, &found.dependencies)
    {
        found.start = Some(command);
        if !found.found.iter().any(|known| known == file) {
            found.found.push(file.to_owned());
        }
    }
    found.build = start::build(&snapshot, &found.dependencies);
    if !given {
        note_unread(&snapshot, &mut found);
        let lists = (found.dependencies.is_empty()).then(|| lists::requirements(&snapshot));
        found.notes.extend(lists.flatten());
    }
    if !ask.given.run {
        let note = nearby::procfile_note(&snapshot, &found);
        found.notes.extend(note);
    }
    found.submodules = unfetched::submodules(&snapshot);
    found.notes.extend(unfetched::notes(&snapshot));
    found.sample = hints::sample(&snapshot);
    let module = ask.settings.clone();
    let module = module.or_else(|| hints::settings_module(&snapshot));
    let files = match &module {
        Some(module) => reads::settings_files(&snapshot, module),
        None => reads::other_files(&snapshot),
    };
    found.settings = module.and_then(|module| {
        let mut settings = hints::django(&files, &module)?;
        settings.has_others = hints::has_other_settings(&snapshot, &module);
        Some(settings)
    });
    found.reads = reads::reads(&snapshot, &files);
    let wsgi = found.wsgi_module.is_some() && found.gunicorn;
    let runs = found.django || wsgi || found.start.is_some();
    if !ask.given.run && found.processes.is_empty() && !runs {
        found.nearby = nearby::nearby(&snapshot);
    }
    found.base_key = base_key(&mirror, ask);
    if is_whole && !is_merged(&mirror, ask) {
        let of_commit = found
            .dependencies_key
            .map(|key| key_of_commit(&key, &snapshot));
        // A build's commit is its base.
        found.base_key.clone_from(&of_commit);
        found.dependencies_key = of_commit;
    }
    Ok(found)
}

/// Whether the base branch has the commit, or no build is asked for, which alone makes packages from its own commit.
fn is_merged(mirror: &git2::Repository, ask: &Inspect) -> bool {
    let Some(trunk) = &ask.trunk else {
        return true;
    };
    let tip = mirror.refname_to_id(&format!("refs/heads/{trunk}"));
    let (Ok(tip), Ok(commit)) = (tip, git2::Oid::from_str(&ask.commit)) else {
        return false;
    };
    tip == commit || mirror.graph_descendant_of(tip, commit).unwrap_or(false)
}

/// The key of what is made from all of a commit's files.
fn key_of_commit(key: &str, snapshot: &Snapshot<'_>) -> String {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(snapshot.root().id().as_bytes());
    data_encoding::HEXLOWER.encode(&hash.finalize())
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

/// A folder where a file would count is passed over.
fn note_folders(snapshot: &Snapshot<'_>, notes: &mut Vec<String>) {
    let mut files: Vec<&str> = kinds::KINDS.iter().map(|kind| kind.file).collect();
    files.dedup();
    for file in files {
        let found = snapshot.id_of(&snapshot.app_dir.join(file));
        if let Ok(Some((ObjectType::Tree, _))) = found {
            notes.push(format!("{file} is a folder, and is passed over"));
        }
    }
}

/// Names what a person may take for installed. Beside dependencies that cid reads, that is only what says
/// the same in other words.
fn note_unread(snapshot: &Snapshot<'_>, found: &mut Inspection) {
    let locks = |file: &str| file.contains("lock");
    let is_read = |file: &str| found.found.iter().any(|known| known == file);
    let unread: Vec<&str> = UNREAD
        .iter()
        .copied()
        .filter(|file| found.dependencies.is_empty() || locks(file))
        .filter(|file| snapshot.has(file) && !is_read(file))
        .collect();
    let poetry = found.dependencies.is_empty() && snapshot.has(pyproject::FILE);
    let unread: Vec<&str> = unread
        .into_iter()
        .chain(poetry.then_some("pyproject.toml (it has no [project])"))
        .collect();
    if unread.is_empty() {
        return;
    }
    let counts: Vec<&str> = found
        .dependencies
        .iter()
        .filter_map(|dependencies| kinds::kind(*dependencies))
        .map(|kind| kind.file)
        .collect();
    let instead = match counts.is_empty() {
        true => "nothing is installed; `install` in [app] of the project file says how".to_owned(),
        false => format!("{} counts", counts.join(" and ")),
    };
    found.notes.push(format!(
        "cid does not install from {}: {instead}",
        unread.join(", ")
    ));
}

/// A base branch that cannot be understood only means that there is nothing to share with it.
fn base_key(mirror: &git2::Repository, ask: &Inspect) -> Option<String> {
    let snapshot = Snapshot::open(mirror, &ask.base, &ask.app_dir).ok()?;
    if let Some(install) = &ask.install {
        return commands::key(&snapshot, install).ok()?.0;
    }
    let (dependencies, declared) = together(detect(&snapshot).ok()?)?;
    declared.key(&dependencies)
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
mod kinds_tests;
#[cfg(test)]
pub(crate) mod tests;
