//! What the operator's own install commands read, so that what they make can be shared.

use super::{
    declared::Declared,
    kinds::{KINDS, Kind},
    pyproject, requirements,
    snapshot::{Snapshot, beneath},
};
use cid_protocol::{fault::Fault, request::InstallCommands};
use std::path::{Path, PathBuf};

/// Verbs by which package managers install what their lock says.
const VERBS: &[&str] = &["ci", "i", "install", "sync", "fetch", "mod"];

/// Names what the commands make, with what a person may not expect; `None` where something outside the repository
/// decides.
///
/// # Errors
/// A file of the repository cannot be read or understood.
pub(super) fn key(
    snapshot: &Snapshot<'_>,
    install: &InstallCommands,
) -> Result<(Option<String>, Vec<String>), Fault> {
    let mut declared = declared(snapshot, install)?;
    // The environment that the commands find is of the Python that these name.
    pyproject::add_settings(snapshot, &mut declared)?;
    // No file has this name.
    let commands = format!("{:?}", install.commands).into_bytes();
    declared.files.insert(PathBuf::new(), commands);
    Ok((declared.key(&[]), declared.notes))
}

/// What decides what the commands make: what the operator names; else the files that each command is known to read;
/// else the whole commit.
///
/// # Errors
/// A file of the repository cannot be read or understood.
fn declared(snapshot: &Snapshot<'_>, install: &InstallCommands) -> Result<Declared, Fault> {
    let mut declared = Declared {
        is_whole: true,
        ..Declared::default()
    };
    for input in &install.inputs {
        let path = beneath(&snapshot.app_dir, input);
        match path.map(|path| Ok::<_, Fault>((snapshot.id_of(&path)?, path))) {
            Some(found) => match found? {
                (Some((_, id)), path) => drop(declared.others.insert(path, id)),
                (None, path) => declared.notes.push(format!(
                    "install_inputs names {}, which the repository does not have",
                    path.display()
                )),
            },
            None => declared.open = true,
        }
    }
    if !install.inputs.is_empty() {
        return Ok(declared);
    }
    for command in &install.commands {
        let known = match files_of(command) {
            Some(files) => of_requirements(snapshot, files)?,
            None => of_kind(snapshot, command)?,
        };
        match known {
            Some(known) => declared = declared.and(known),
            None => declared.add_all(snapshot),
        }
    }
    Ok(declared)
}

/// The files of `pip install -r FILE ...`, in each way to call pip.
fn files_of(command: &[String]) -> Option<Vec<&str>> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let begin: &[&[&str]] = &[
        &["pip", "install"],
        &["pip3", "install"],
        &["uv", "pip", "install"],
        &["python", "-m", "pip", "install"],
        &["python3", "-m", "pip", "install"],
    ];
    let rest = begin.iter().find_map(|begin| words.strip_prefix(*begin))?;
    let mut files = Vec::new();
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match *word {
            "-r" | "--requirement" | "-c" | "--constraint" => files.push(*words.next()?),
            flag if is_flag(flag) => {}
            // A package of an index.
            package if !package.contains(['/', '.', '@', ' ']) => {}
            _ => return None,
        }
    }
    Some(files)
}

fn of_requirements(snapshot: &Snapshot<'_>, files: Vec<&str>) -> Result<Option<Declared>, Fault> {
    let mut declared = Declared::default();
    for file in files {
        let Some(path) = beneath(&snapshot.app_dir, Path::new(file)) else {
            return Ok(None);
        };
        declared = declared.and(requirements::read_from(snapshot, path)?);
    }
    Ok(Some(declared))
}

/// What the lock decides that a package manager installs from.
fn of_kind(snapshot: &Snapshot<'_>, command: &[String]) -> Result<Option<Declared>, Fault> {
    let [program, words @ ..] = command else {
        return Ok(None);
    };
    let program = Path::new(program).file_name().map(PathBuf::from);
    let is_plain = match words {
        [] => program.as_deref() == Some(Path::new("yarn")),
        [verb, rest @ ..] => {
            VERBS.contains(&verb.as_str())
                && rest
                    .iter()
                    .all(|word| is_flag(word) || (verb == "mod" && word == "download"))
        }
    };
    if !is_plain {
        return Ok(None);
    }
    let is_of = |kind: &&Kind| {
        let tool = kind.tool.map_or("uv", |tool| tool.program);
        program.as_deref() == Some(Path::new(tool)) && snapshot.has(kind.needs)
    };
    for kind in KINDS.iter().filter(is_of) {
        if let Some(declared) = (kind.read)(snapshot, kind)? {
            return Ok(Some(declared));
        }
    }
    Ok(None)
}

/// One without a value, which could be a folder or a file.
fn is_flag(word: &str) -> bool {
    word.starts_with('-') && !word.contains('=')
}

#[cfg(test)]
mod tests {
    use crate::inspect::{commands::*, inspect, tests::repository};
    use cid_protocol::request::{Given, Inspect};

    const FILE: u32 = 0o100_644;

    /// Whether a change of this file means another key.
    fn decides(commands: &[&[&str]], inputs: &[&str], file: &str) -> bool {
        let install = InstallCommands {
            commands: commands
                .iter()
                .map(|command| command.iter().map(|&word| word.to_owned()).collect())
                .collect(),
            inputs: inputs.iter().map(PathBuf::from).collect(),
        };
        let key = |changed: Option<&str>| {
            let files = [
                "requirements/dev.txt",
                "requirements/base.txt",
                "package.json",
                "package-lock.json",
                "code.py",
                ".python-version",
            ];
            let files: Vec<_> = files
                .iter()
                .map(|name| {
                    let content: &[u8] = match (*name, changed == Some(*name)) {
                        ("requirements/dev.txt", false) => b"-r base.txt\n",
                        ("requirements/dev.txt", true) => b"-r base.txt\nsix\n",
                        ("requirements/base.txt", _) if changed == Some(*name) => b"flask\n",
                        (name, true) if name.ends_with("json") => b"{\"a\": 1}",
                        (name, false) if name.ends_with("json") => {
                            b"{\"dependencies\": {\"x\": \"1\"}}"
                        }
                        (".python-version", true) => b"3.12\n",
                        (".python-version", false) => b"3.11\n",
                        (_, true) => b"b\n",
                        _ => b"a\n",
                    };
                    (*name, FILE, content)
                })
                .collect();
            let (dir, commit) = repository(&files);
            let found = inspect(&Inspect {
                mirror: dir.path().to_owned(),
                commit: commit.clone(),
                base: commit,
                app_dir: ".".into(),
                given: Given {
                    install: true,
                    ..Given::default()
                },
                install: Some(install.clone()),
                python: None,
                settings: None,
                node: None,
                trunk: None,
            })
            .unwrap();
            assert_eq!(found.dependencies_key, found.base_key);
            found.dependencies_key.unwrap()
        };
        key(None) != key(Some(file))
    }

    #[test]
    fn commands_that_are_known_read_their_files_alone() {
        let pip: &[&[&str]] = &[&["pip", "install", "-r", "requirements/dev.txt", "gunicorn"]];
        for file in ["requirements/dev.txt", "requirements/base.txt"] {
            assert!(decides(pip, &[], file), "{file}");
        }
        assert!(!decides(pip, &[], "code.py"));
        // Their environment is of this Python.
        assert!(decides(pip, &[], ".python-version"));
        let npm: &[&[&str]] = &[&["npm", "ci", "--omit", "--no-audit"]];
        assert!(!decides(&[&["npm", "ci", "--no-audit"]], &[], "code.py"));
        assert!(decides(&[&["npm", "ci"]], &[], "package-lock.json"));
        assert!(decides(&[pip[0], npm[0]], &[], "package-lock.json"));
    }

    #[test]
    fn all_others_may_read_anything() {
        for command in [
            &["sh", "-c", "npm ci"][..],
            &["make", "deps"],
            &["npm", "run", "build"],
            &["npm", "ci", "--prefix", "code.py"],
            &["npm", "ci", "--prefix=web"],
            &["pip", "install", "-e", "."],
            &["pip", "install", "./code.py"],
        ] {
            assert!(decides(&[command], &[], "code.py"), "{command:?}");
        }
        // Unless the operator says what they read.
        let make: &[&[&str]] = &[&["make", "deps"]];
        assert!(!decides(make, &["package-lock.json"], "code.py"));
        assert!(decides(make, &["package-lock.json"], "package-lock.json"));
    }
}
