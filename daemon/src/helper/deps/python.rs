//! Which Python an environment is made of.

use crate::{
    helper::{
        command::{self, Code},
        environment::Environment,
        inspect::snapshot::Snapshot,
    },
    system::fault::Fault,
};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

/// The distribution's own: it stays where it is, unlike one that a person installed.
const SYSTEM: &str = "/usr/bin/python3";
/// Minor versions looked for by name, newest first.
const MINORS: std::ops::Range<u32> = 8..21;

/// The machine's own Python, with its version in the name where the distribution does so; part of
/// the key of shared environments, which an upgrade of it breaks.
pub(in crate::helper) fn machines_own() -> PathBuf {
    fs::canonicalize(SYSTEM).unwrap_or_else(|_| "python3".into())
}

/// Major, minor and micro version.
pub(super) type Version = [u32; 3];

/// What the repository asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::helper) struct Wanted {
    /// Of `.python-version`.
    pin: Option<Vec<u32>>,
    /// `requires-python` of `pyproject.toml`.
    requires: Option<String>,
}

impl Wanted {
    /// Reads what the app's folder says.
    pub(super) fn read(snapshot: &Snapshot<'_>) -> Result<Self, Fault> {
        let mut wanted = Self::default();
        for folder in [snapshot.app_dir.as_path(), Path::new("")] {
            if let Some(text) = snapshot.read_at(&folder.join(".python-version"))? {
                wanted.pin = pin(&String::from_utf8_lossy(&text));
                break;
            }
        }
        if let Some(text) = snapshot.read("pyproject.toml")? {
            let table: Option<toml::Table> = String::from_utf8_lossy(&text).parse().ok();
            wanted.requires = table.and_then(|table| {
                Some(
                    table
                        .get("project")?
                        .get("requires-python")?
                        .as_str()?
                        .to_owned(),
                )
            });
        }
        Ok(wanted)
    }

    /// Whether a version will do. Of a pinned version only major and minor count: a distribution's
    /// Python gets its fixes under the same minor version.
    fn takes(&self, version: Version) -> bool {
        let pinned = self
            .pin
            .as_ref()
            .is_none_or(|pin| pin.iter().zip(version).take(2).all(|(a, b)| *a == b));
        let required = self
            .requires
            .as_ref()
            .is_none_or(|text| text.split(',').all(|part| satisfies(part, version)));
        pinned && required
    }

    /// For people and for `uv python find`.
    pub(super) fn text(&self) -> String {
        match (&self.pin, &self.requires) {
            (Some(pin), _) => pin.iter().map(u32::to_string).collect::<Vec<_>>().join("."),
            (None, Some(requires)) => requires.clone(),
            (None, None) => "3".into(),
        }
    }
}

/// Finds one that will do: the system's, the first on PATH, then by version.
pub(super) fn find(wanted: &Wanted, env: &Environment) -> Option<PathBuf> {
    let on_path = |name: &str| command::find(OsStr::new(name), env, Path::new("/")).ok();
    let system = Some(PathBuf::from(SYSTEM)).filter(|path| path.exists());
    let by_version = MINORS
        .rev()
        .map(|minor| on_path(&format!("python3.{minor}")));
    [system, on_path("python3")]
        .into_iter()
        .flatten()
        .chain(of_pyenv(wanted, env))
        .chain(by_version.flatten())
        .find(|python| version(python, env).is_some_and(|version| wanted.takes(version)))
}

/// There is none at all.
pub(super) fn none() -> Fault {
    Fault::new("cannot find python3 on PATH").hint("install the packages python3 and python3-venv")
}

/// pyenv keeps each version in a folder called so; its wrappers on PATH start only the one that is
/// chosen at the time.
fn of_pyenv(wanted: &Wanted, env: &Environment) -> Vec<PathBuf> {
    let of = |name: &str| env.get(OsStr::new(name)).map(PathBuf::from);
    let root = of("PYENV_ROOT").or_else(|| Some(of("HOME")?.join(".pyenv")));
    let entries = root.and_then(|root| fs::read_dir(root.join("versions")).ok());
    let mut found: Vec<(Version, PathBuf)> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version: Version = numbers(entry.file_name().to_str()?)?.try_into().ok()?;
            Some((version, entry.path().join("bin/python3")))
        })
        .filter(|(version, _)| wanted.takes(*version))
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

fn version(python: &Path, env: &Environment) -> Option<Version> {
    let argv = [
        python.into(),
        "-I".into(),
        "-c".into(),
        "import sys; print(*sys.version_info[:3])".into(),
    ];
    let (status, lines) = command::capture(Code::Untrusted, &argv, env, Path::new("/")).ok()?;
    let numbers = lines.last().filter(|_| status.success())?;
    let numbers: Vec<u32> = numbers
        .split(' ')
        .map_while(|number| number.parse().ok())
        .collect();
    numbers.try_into().ok()
}

/// `3.12`, `3.12.1` or `cpython-3.12`; other texts name somebody's own environment.
fn pin(text: &str) -> Option<Vec<u32>> {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))?;
    numbers(
        line.strip_prefix("cpython-")
            .or_else(|| line.strip_prefix("python-"))
            .unwrap_or(line),
    )
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    let numbers: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    numbers.filter(|numbers| numbers.first() == Some(&3))
}

/// One part of a version specifier. What cannot be read is left to the installer, which reads it
/// again.
fn satisfies(part: &str, version: Version) -> bool {
    let part = part.trim();
    let at = part.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let (operator, text) = part.split_at(at);
    let text = text.trim();
    let (text, prefix) = text
        .strip_suffix(".*")
        .map_or((text, false), |text| (text, true));
    let parts: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    let Some(parts) = parts.filter(|parts| !parts.is_empty()) else {
        return true;
    };
    let mut bound = [0; 3];
    bound
        .iter_mut()
        .zip(&parts)
        .for_each(|(to, from)| *to = *from);
    let begins = |length: usize| version.iter().take(length).eq(parts.iter().take(length));
    match operator.trim() {
        ">=" => version >= bound,
        ">" => version > bound,
        "<=" => version <= bound,
        "<" => version < bound,
        "~=" => version >= bound && begins(parts.len() - 1),
        "==" if prefix => begins(parts.len()),
        "!=" if prefix => !begins(parts.len()),
        "==" => version == bound,
        "!=" => version != bound,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_specifiers() {
        let table = [
            (">=3.10", true),
            (">=3.12", false),
            ("<4", true),
            ("~=3.10", true),
            ("~=3.10.1", false),
            ("==3.11.*", true),
            ("!=3.11.*", false),
            ("==3.11.2", true),
            (">3.11", true),
            ("<=3.11", false),
            ("nonsense", true),
        ];
        for (part, expected) in table {
            assert_eq!(satisfies(part, [3, 11, 2]), expected, "{part}");
        }
    }

    #[test]
    fn finds_pyenvs_versions_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["3.9.18", "3.11.7", "3.12.1", "2.7.18", "my-env"] {
            fs::create_dir_all(dir.path().join("versions").join(name)).unwrap();
        }
        let env = Environment::from([("PYENV_ROOT".into(), dir.path().into())]);
        let wanted = Wanted {
            requires: Some("<3.12".into()),
            ..Wanted::default()
        };
        let expected = ["3.11.7", "3.9.18"]
            .map(|name| dir.path().join("versions").join(name).join("bin/python3"));
        assert_eq!(of_pyenv(&wanted, &env), expected);
    }

    #[test]
    fn reads_pins() {
        assert_eq!(pin("# x\n3.12.1\n"), Some(vec![3, 12, 1]));
        assert_eq!(pin("cpython-3.11"), Some(vec![3, 11]));
        assert_eq!(pin("my-env"), None);
        let wanted = Wanted {
            pin: Some(vec![3, 11, 9]),
            requires: Some(">=3.8,<4".into()),
        };
        assert!(wanted.takes([3, 11, 2]) && !wanted.takes([3, 12, 0]));
    }
}
