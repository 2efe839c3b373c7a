//! Which Python an environment is made of.

use crate::{
    command::{self, Code},
    inspect::wanted::Wanted,
};
use cid_protocol::{environment::Environment, fault::Fault};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

/// The distribution's own: it stays where it is, unlike one that a person installed.
const SYSTEM: &str = "/usr/bin/python3";
/// Minor versions looked for by name.
const MINORS: std::ops::Range<u32> = 6..21;

/// The machine's own Python, with its version in the name where the distribution does so; part of
/// the key of shared environments, which an upgrade of it breaks.
pub(crate) fn machines_own() -> PathBuf {
    fs::canonicalize(SYSTEM).unwrap_or_else(|_| "python3".into())
}

/// Major, minor and micro version.
pub(crate) type Version = [u32; 3];

/// A Python of the machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its program.
    pub(super) path: PathBuf,
    /// What it says of itself.
    pub(super) version: Version,
}

impl Found {
    fn minor(&self) -> u32 {
        self.version[1]
    }

    fn shown(&self) -> String {
        let [major, minor, micro] = self.version;
        format!("{major}.{minor}.{micro}")
    }
}

/// Finds one that will do, for the first version asked for that there is: the system's, the first on
/// PATH, then by version, the oldest that fits.
pub(super) fn find(wanted: &Wanted, env: &Environment) -> Option<Found> {
    wanted.each().iter().find_map(|one| find_one(one, env))
}

fn find_one(wanted: &Wanted, env: &Environment) -> Option<Found> {
    let on_path = |name: &str| command::find(OsStr::new(name), env, Path::new("/")).ok();
    let system = Some(PathBuf::from(SYSTEM)).filter(|path| path.exists());
    // Packages of the time when a range was written are built for its oldest.
    let by_version = MINORS.map(|minor| on_path(&format!("python3.{minor}")));
    [system, on_path("python3")]
        .into_iter()
        .flatten()
        .chain(of_pyenv(wanted, env))
        .chain(by_version.flatten())
        .filter_map(|path| look_at(path, env))
        .find(|found| wanted.takes(found.version))
}

/// The machine has no Python at all.
pub(super) fn none() -> Fault {
    Fault::new("cannot find python3 on PATH").hint("install the packages python3 and python3-venv")
}

/// The Pythons that programs find by name, one of each minor version, the distribution's first.
pub(super) fn all(env: &Environment) -> Vec<Found> {
    let on_path = |name: &str| command::find(OsStr::new(name), env, Path::new("/")).ok();
    let by_version = MINORS.map(|minor| on_path(&format!("python3.{minor}")));
    let names = [Some(PathBuf::from(SYSTEM)), on_path("python3")];
    let mut found: Vec<Found> = Vec::new();
    for path in names.into_iter().chain(by_version).flatten() {
        let one = look_at(path, env);
        found.extend(one.filter(|one| !found.iter().any(|other| other.minor() == one.minor())));
    }
    found
}

/// None of these, which are all that there are, fits.
pub(super) fn missing(wanted: &Wanted, there: &[Found]) -> Fault {
    if there.is_empty() {
        return none();
    }
    let shown: Vec<String> = there.iter().map(Found::shown).collect();
    let fault = Fault::new(format!(
        "cannot find the Python that the repository wants: {}; this machine has {}",
        wanted.text().unwrap_or_default(),
        shown.join(", ")
    ));
    let minor = oldest_that_fits(wanted);
    // What a package requires, its installer refuses as well.
    let nearest = match (minor, wanted.is_required()) {
        (_, true) => None,
        (Some(minor), false) => there.iter().min_by_key(|one| one.minor().abs_diff(minor)),
        (None, false) => there.first(),
    };
    let go_on = nearest.map(|one| {
        let (minor, place) = (one.minor(), wanted.place());
        format!("many apps run with another one as well: write into the project file, which counts more than {place}:\n[app]\npython = \"3.{minor}\"\n")
    });
    let go_on = go_on.unwrap_or_default();
    let Some(minor) = minor else {
        return fault.hint(format!(
            "{go_on}no version is all of these: mend what the repository says"
        ));
    };
    let or = match go_on.is_empty() {
        true => "",
        false => "or ",
    };
    let by_cid = match minor {
        FETCHED.. => {
            "let cid fetch it: `python_downloads = true` in cid.toml, and restart cid; or "
        }
        _ => "",
    };
    fault.hint(format!(
        "{go_on}{or}{by_cid}install python3.{minor} where every account finds it: by the packages python3.{minor} and \
         python3.{minor}-venv if the distribution has them, otherwise by `UV_PYTHON_INSTALL_DIR=/opt/python uv \
         python install 3.{minor}`, and a link to its python3.{minor} in /usr/local/bin"
    ))
}

/// The oldest minor version that can be fetched.
const FETCHED: u32 = 8;

/// The minor version to bring in; `None`: there is none to be had.
pub(super) fn to_bring(wanted: &Wanted) -> Option<u32> {
    oldest_that_fits(wanted).filter(|minor| *minor >= FETCHED)
}

/// The minor version to install, for the first version asked for.
fn oldest_that_fits(wanted: &Wanted) -> Option<u32> {
    let wanted = wanted.each();
    wanted
        .iter()
        .find_map(|one| MINORS.clone().find(|minor| one.takes_minor(*minor)))
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
    // Of a minor version the newest.
    found.sort_by_key(|([major, minor, micro], _)| (*major, *minor, u32::MAX - micro));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Asks a Python for its version.
pub(super) fn look_at(path: PathBuf, env: &Environment) -> Option<Found> {
    let argv = [
        path.clone().into(),
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
    let version = numbers.try_into().ok()?;
    Some(Found { path, version })
}

pub(super) fn numbers(text: &str) -> Option<Vec<u32>> {
    let numbers: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    numbers.filter(|numbers| numbers.first() == Some(&3))
}

/// One part of a version specifier. What cannot be read is left to the installer, which reads it
/// again.
pub(crate) fn satisfies(part: &str, version: Version) -> bool {
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

/// Whether a part of a version specifier can be read.
pub(crate) fn is_specifier(part: &str) -> bool {
    let part = part.trim();
    let at = part.find(|c: char| c.is_ascii_digit());
    let Some((operator, text)) = at.map(|at| part.split_at(at)) else {
        return false;
    };
    const OPERATORS: &[&str] = &[">=", ">", "<=", "<", "~=", "==", "===", "!="];
    let is_version = |c: char| c.is_ascii_alphanumeric() || ".*!+-_".contains(c);
    OPERATORS.contains(&operator.trim()) && text.chars().all(is_version)
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
    fn the_first_version_that_there_is_counts() {
        let env = Environment::from([("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())]);
        let [major, minor, _] = find(&Wanted::default(), &env).unwrap().version;
        let there = format!("{major}.{minor}");
        let found = find(&Wanted::of(&format!("3.99.1\n{there}\n"), None), &env).unwrap();
        assert_eq!(found.version[..2], [major, minor]);
        assert_eq!(find(&Wanted::of("3.99\n3.98", None), &env), None);
        assert_eq!(find(&Wanted::of(&there, Some("<3")), &env), None);
    }

    #[test]
    fn what_is_missing_is_told_with_what_to_do() {
        let one = |minor| Found {
            path: SYSTEM.into(),
            version: [3, minor, 2],
        };
        let there = [one(11), one(12)];
        for (pins, requires, said) in [
            ("3.13.1\n3.12", None, "install python3.13 "),
            (
                "3.14",
                None,
                "[app]\npython = \"3.12\"\nor let cid fetch it",
            ),
            (
                "3.7",
                None,
                "[app]\npython = \"3.11\"\nor install python3.7 ",
            ),
            ("3.6.4", None, "install python3.6 "),
            ("", Some(">=3.13.4,<4"), "install python3.13 "),
            ("", Some("==3.10.7"), "install python3.10 "),
            ("3.13", Some("<3.12"), "no version is all of these"),
        ] {
            let wanted = Wanted::of(pins, requires);
            let fault = missing(&wanted, &there);
            let named = "this machine has 3.11.2, 3.12.2";
            assert!(fault.message.contains(named), "{fault}");
            let hint = fault.hint.unwrap();
            assert!(hint.contains(said), "{pins} {requires:?}: {hint}");
            // An installer would refuse another one.
            assert_eq!(hint.contains("python = "), requires.is_none(), "{hint}");
        }
        assert_eq!(to_bring(&Wanted::of("3.14", None)), Some(14));
        assert_eq!(to_bring(&Wanted::of("3.7", None)), None);
    }

    #[test]
    fn finds_pyenvs_versions_the_oldest_that_fits_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["3.9.18", "3.11.7", "3.11.9", "3.12.1", "2.7.18", "my-env"] {
            fs::create_dir_all(dir.path().join("versions").join(name)).unwrap();
        }
        let env = Environment::from([("PYENV_ROOT".into(), dir.path().into())]);
        let wanted = Wanted::of("", Some("<3.12"));
        let expected = ["3.9.18", "3.11.9", "3.11.7"]
            .map(|name| dir.path().join("versions").join(name).join("bin/python3"));
        assert_eq!(of_pyenv(&wanted, &env), expected);
    }
}
