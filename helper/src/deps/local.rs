//! Packages of the repository itself. They are installed to learn what they need, taken out again, and then
//! installed from a workspace's own tree, so that what is edited there is what runs.
//!
//! A shared environment is not a workspace's to change: a thin one lies over it, which holds these packages
//! alone, reads the others where they are, and has a copy of each script that names its Python.

use crate::{
    Lines,
    deps::{installer::Installer, settings, work::Work},
    tree::purge,
};
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{InstallLocal, LOCAL_LIST as LIST, LocalInstalled},
};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::Read,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Leads from the thin environment to the shared one. Its name comes before those of other such files, so
/// that installed packages are found before the tree's folders, as in one environment.
const LINK: &str = "00-cid-shared.pth";
/// How far into a program the Python that runs it is named.
const HEAD: usize = 1024;

/// A package of the repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Local {
    /// Its folder in the repository.
    path: PathBuf,
    /// Something asks for it. The app itself, where nothing does, may be no package after all.
    is_asked_for: bool,
}

/// Takes what was installed from `sources` out of an environment again, and writes down what it was; `app`
/// is one more such folder.
///
/// # Errors
/// The environment cannot be read or changed.
pub(super) fn take_out(
    installer: &Installer<'_>,
    target: &Path,
    sources: &Path,
    app: Option<&Path>,
) -> Result<(), Fault> {
    let sources = fs::canonicalize(sources).map_err(|error| Fault::io("find", sources, error))?;
    let mut names = Vec::new();
    let mut list = Vec::new();
    for folder in site_packages(target)? {
        for entry in read_dir(&folder)? {
            if let Some((name, path)) = installed_from(&entry, &sources) {
                names.push(name);
                list.push(Local {
                    path,
                    is_asked_for: true,
                });
            }
        }
    }
    if let Some(path) = app.filter(|app| list.iter().all(|local| local.path != *app)) {
        list.push(Local {
            path: path.to_owned(),
            is_asked_for: false,
        });
    }
    list.sort();
    if !names.is_empty() {
        installer.uninstall(&names)?;
    }
    let text = serde_json::to_vec(&list).cannot("write down local packages")?;
    let path = target.join(LIST);
    fs::write(&path, text).map_err(|error| Fault::io("write", &path, error))
}

/// Installs a workspace's local packages from its own tree.
///
/// # Errors
/// One that something asks for cannot be installed.
pub(super) fn install(ask: &InstallLocal, lines: Lines) -> Result<LocalInstalled, Fault> {
    if ask.shared.is_some() {
        purge::make_empty(&ask.environment)?;
    }
    let from = ask.shared.as_ref().unwrap_or(&ask.environment);
    let path = from.join(LIST);
    let list = fs::read(&path).map_err(|error| Fault::io("read", &path, error))?;
    let list: Vec<Local> =
        serde_json::from_slice(&list).map_err(|error| Fault::io("understand", &path, error))?;
    let work = Work::begin(&ask.environment, ask.own_home)?;
    let env = settings::environment(&ask.environment, &work, &ask.env);
    let installer = Installer::of(&ask.environment, from, &ask.tools_dir, env, lines);
    if let Some(shared) = &ask.shared {
        installer.make_environment()?;
        lay_over(&ask.environment, shared)?;
    }
    let mut installed = LocalInstalled::default();
    let app = ask.tree.join(&ask.app_dir);
    let (needed, others): (Vec<_>, Vec<_>) = list.into_iter().partition(|one| one.is_asked_for);
    let folders = |list: &[Local]| -> Vec<PathBuf> {
        list.iter().map(|one| ask.tree.join(&one.path)).collect()
    };
    if !needed.is_empty() {
        installer.install_editable(&folders(&needed), &app)?;
    }
    for other in others {
        if let Err(fault) = installer.install_editable(&folders(&[other]), &app) {
            installed.notes.push(format!(
                "the app itself is not installed as a package, for it cannot be built: {fault}"
            ));
        }
    }
    work.end()?;
    Ok(installed)
}

/// Lets one environment see what another one has.
fn lay_over(environment: &Path, shared: &Path) -> Result<(), Fault> {
    let seen = |folder: &PathBuf| {
        // A text of JSON is one of Python.
        let text = serde_json::to_string(folder).cannot("name the shared packages")?;
        Ok(format!("import site; site.addsitedir({text})\n"))
    };
    let seen: Result<Vec<String>, Fault> = site_packages(shared)?.iter().map(seen).collect();
    let seen = seen?;
    for folder in site_packages(environment)? {
        let link = folder.join(LINK);
        fs::write(&link, seen.concat()).map_err(|error| Fault::io("write", &link, error))?;
    }
    let (theirs, ours) = (shared.join("bin"), environment.join("bin"));
    for program in read_dir(&theirs)? {
        let Some(name) = program.file_name() else {
            continue;
        };
        let own = ours.join(name);
        if fs::symlink_metadata(&own).is_ok() || !program.is_file() {
            continue;
        }
        let failed = |error| Fault::io("write", &own, error);
        match for_another(&program, &theirs, &ours)? {
            Some(script) => {
                fs::write(&own, script).map_err(failed)?;
                let mode = fs::metadata(&program).map_err(failed)?.permissions();
                fs::set_permissions(&own, mode).map_err(failed)?;
            }
            None => symlink(&program, &own).map_err(failed)?,
        }
    }
    Ok(())
}

/// A script with another folder's Python at its head; `None` for what names none.
fn for_another(program: &Path, theirs: &Path, ours: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let failed = |error| Fault::io("read", program, error);
    let mut file = fs::File::open(program).map_err(failed)?;
    let mut head = Vec::new();
    (&mut file)
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .map_err(failed)?;
    // The head may end in the middle of a character.
    let text = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let folder = |path: &Path| format!("{}/python", path.display());
    if !text.starts_with("#!") || !text.contains(&folder(theirs)) {
        return Ok(None);
    }
    let mut script = text.replace(&folder(theirs), &folder(ours)).into_bytes();
    script.extend_from_slice(&head[text.len()..]);
    file.read_to_end(&mut script).map_err(failed)?;
    Ok(Some(script))
}

/// Name and folder in `sources` of what a `NAME-VERSION.dist-info` says was installed from there (PEP 610).
fn installed_from(info: &Path, sources: &Path) -> Option<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Origin {
        url: String,
        dir_info: Option<serde::de::IgnoredAny>,
    }
    let origin = fs::read(info.join("direct_url.json")).ok()?;
    let origin: Origin = serde_json::from_slice(&origin).ok()?;
    origin.dir_info?;
    let path = percent_decode_str(origin.url.strip_prefix("file://")?);
    let path = PathBuf::from(path.decode_utf8().ok()?.into_owned());
    let path = fs::canonicalize(path)
        .ok()?
        .strip_prefix(sources)
        .ok()?
        .to_owned();
    let metadata = fs::read_to_string(info.join("METADATA")).ok()?;
    let name = metadata
        .lines()
        .find_map(|line| line.strip_prefix("Name:"))?;
    Some((name.trim().to_owned(), path))
}

fn site_packages(environment: &Path) -> Result<Vec<PathBuf>, Fault> {
    let found = read_dir(&environment.join("lib"))?;
    let found = found.into_iter().map(|python| python.join("site-packages"));
    Ok(found.filter(|folder| folder.is_dir()).collect())
}

/// What is in a folder, sorted.
fn read_dir(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let failed = |error| Fault::io("read", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        found.push(entry.map_err(failed)?.path());
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_get_another_python_and_programs_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let (theirs, ours) = (dir.path().join("s/bin"), dir.path().join("o/bin"));
        fs::create_dir_all(&theirs).unwrap();
        let shown = theirs.display();
        let long =
            format!("#!/bin/sh\n'''exec' '{shown}/python3' \"$0\" \"$@\"\n' '''\nx = '\u{fc}'\n");
        for (name, content, changes) in [
            ("short", format!("#!{shown}/python\nimport x\n"), true),
            ("long", long, true),
            (
                "far",
                format!("#!{shown}/python\n{}end", "\u{fc}".repeat(HEAD)),
                true,
            ),
            ("sh", "#!/bin/sh\necho\n".to_owned(), false),
            ("binary", "\u{7f}ELF".to_owned(), false),
        ] {
            let path = theirs.join(name);
            fs::write(&path, &content).unwrap();
            let changed = for_another(&path, &theirs, &ours).unwrap();
            let expected = content.replace(&shown.to_string(), &ours.display().to_string());
            let expected = changes.then_some(expected);
            assert_eq!(
                changed.map(|script| String::from_utf8(script).unwrap()),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn tells_what_was_installed_from_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        let sources = dir.path().canonicalize().unwrap().join("so urces");
        fs::create_dir_all(sources.join("libs/x")).unwrap();
        let info = dir.path().join("x-1.dist-info");
        fs::create_dir(&info).unwrap();
        fs::write(info.join("METADATA"), "Metadata-Version: 2.1\nName: my.X\n").unwrap();
        let url = format!("file://{}", sources.display()).replace(' ', "%20");
        let origin = |text: String| fs::write(info.join("direct_url.json"), text).unwrap();
        origin(format!(
            r#"{{"url": "{url}/libs/x", "dir_info": {{"editable": true}}}}"#
        ));
        let expected = ("my.X".to_owned(), PathBuf::from("libs/x"));
        assert_eq!(installed_from(&info, &sources), Some(expected));
        for other in [
            format!(r#"{{"url": "{url}/libs/x", "archive_info": {{}}}}"#),
            r#"{"url": "file:///usr", "dir_info": {}}"#.to_owned(),
            r#"{"url": "https://x.org/y", "vcs_info": {}}"#.to_owned(),
        ] {
            origin(other);
            assert_eq!(installed_from(&info, &sources), None);
        }
    }
}
