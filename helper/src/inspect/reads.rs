//! Which variables an app's settings read, told by their text, and what becomes of one that nothing sets. Nothing of
//! the repository is run.

use super::{
    snapshot::{Snapshot, beneath},
    text,
};
use cid_protocol::request::{ReadVariable, Unset};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Where apps that are not Django's read theirs, in the app's folder.
const SETTINGS: &[&str] = &[
    "config.py",
    "settings.py",
    "app.py",
    "main.py",
    "app/__init__.py",
    "app/config.py",
    "app/settings.py",
    "app/main.py",
    "app/core/config.py",
    "src/config.py",
];
/// Files that python-dotenv and Flask read by themselves, where a repository tracks them.
const TRACKED: &[&str] = &[".env", ".flaskenv"];
/// Settings are in few files.
const FILES: usize = 8;
/// More names say no more.
const MOST: usize = 60;
/// A call is no longer than this, in bytes.
const CALL: usize = 400;

/// The settings module's files: its own first, then those that it takes all of (`from .base import *`).
pub(super) fn settings_files(snapshot: &Snapshot<'_>, module: &str) -> Vec<(PathBuf, String)> {
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    let mut waiting = vec![module.to_owned()];
    while let Some(module) = waiting.pop() {
        let Some((path, text)) = read_module(snapshot, &module) else {
            continue;
        };
        if files.len() == FILES || files.iter().any(|(known, _)| *known == path) {
            continue;
        }
        let is_package = path.ends_with("__init__.py");
        for line in text.lines() {
            let from = line.trim().strip_prefix("from ");
            if let Some((from, _)) = from.and_then(|rest| rest.split_once(" import *")) {
                waiting.extend(absolute(from.trim(), &module, is_package));
            }
        }
        files.push((path, text));
    }
    files
}

/// The files of an app that is not Django's.
pub(super) fn other_files(snapshot: &Snapshot<'_>) -> Vec<(PathBuf, String)> {
    let read = |name: &&str| {
        let path = PathBuf::from(name);
        Some((path.clone(), decode(snapshot, &path)?))
    };
    SETTINGS.iter().filter_map(read).collect()
}

fn read_module(snapshot: &Snapshot<'_>, module: &str) -> Option<(PathBuf, String)> {
    let path = PathBuf::from(module.replace('.', "/"));
    let file = path.with_extension("py");
    let package = path.join("__init__.py");
    [file, package]
        .into_iter()
        .find_map(|path| Some((path.clone(), decode(snapshot, &path)?)))
}

fn decode(snapshot: &Snapshot<'_>, path: &Path) -> Option<String> {
    let content = snapshot.read(path.to_str()?).ok()??;
    text::decode(&content, path).ok()
}

/// A file by its path from the app's folder, which may lead to one above.
fn decode_beside(snapshot: &Snapshot<'_>, name: &str) -> Option<String> {
    let path = beneath(&snapshot.app_dir, Path::new(name))?;
    let content = snapshot.read_at(&path).ok()??;
    text::decode(&content, &path).ok()
}

/// Those that a class of pydantic's settings reads: `env_file="../.env"`.
fn env_files(text: &str) -> impl Iterator<Item = &str> {
    text.split("env_file").skip(1).filter_map(|rest| {
        let rest = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|c| "'\"".contains(*c))?;
        rest[1..].split(quote).next()
    })
}

/// `.base` as a module of the same package, in one of this name.
fn absolute(from: &str, module: &str, is_package: bool) -> Option<String> {
    let name = from.trim_start_matches('.');
    let levels = from.len() - name.len();
    if levels == 0 {
        return Some(name.to_owned());
    }
    let parts: Vec<&str> = module.split('.').collect();
    let up = levels - usize::from(is_package);
    let parts = parts.get(..parts.len().checked_sub(up)?)?;
    let whole: Vec<&str> = parts.iter().copied().chain([name]).collect();
    Some(whole.join("."))
}

/// The variables that these files read and that the repository's own `.env` does not set. One that is read in several
/// ways is as strict as its first.
pub(super) fn reads(snapshot: &Snapshot<'_>, files: &[(PathBuf, String)]) -> Vec<ReadVariable> {
    let named = files.iter().flat_map(|(_, text)| env_files(text));
    let tracked = TRACKED
        .iter()
        .copied()
        .chain(named)
        .filter_map(|name| decode_beside(snapshot, name));
    let mut known: BTreeSet<String> = tracked
        .flat_map(|text| super::hints::names(&text).collect::<Vec<_>>())
        .collect();
    let mut found = Vec::new();
    for (path, text) in files {
        let mut of_file = calls(text);
        of_file.extend(fields(text));
        for (name, unset, line) in of_file {
            // The file looks first whether it is there.
            let is_asked_for = [format!("\"{name}\" in "), format!("'{name}' in ")]
                .iter()
                .any(|mark| text.contains(mark.as_str()));
            let unset = match unset {
                Unset::Fails if is_asked_for => Unset::Nothing,
                unset => unset,
            };
            if found.len() < MOST && known.insert(name.clone()) {
                found.push(ReadVariable {
                    name,
                    path: path.clone(),
                    unset,
                    line,
                });
            }
        }
    }
    found
}

type Read = (String, Unset, String);

/// `os.environ["X"]`, `os.getenv("X", ...)`, `env.list("X")` of django-environ and environs, `config("X")` of
/// decouple, and functions of the app's own whose name begins with `env`.
fn calls(text: &str) -> Vec<Read> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = text[at..].find(['[', '(']) {
        let open = at + offset;
        at = open + 1;
        let (before, after) = (&text[..open], &text[at..]);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let is_comment = before[start..].contains('#');
        if is_comment {
            continue;
        }
        let callee = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)))
            .map_or(before, |end| &before[end + 1..]);
        let line = line_at(text, open);
        // The whole of what an app of Heroku's says of its database.
        let is_database_alone = ["env.db", "env.db_url", "env.dj_db_url"].contains(&callee)
            || callee == "dj_database_url.config";
        if is_database_alone && text.as_bytes()[open] == b'(' {
            let arguments = arguments(after);
            if arguments.is_some_and(|arguments| {
                !arguments.contains("default") && !arguments.contains(['"', '\''])
            }) {
                found.push(("DATABASE_URL".to_owned(), Unset::Fails, line.to_owned()));
                continue;
            }
        }
        let Some((name, rest)) = quoted_name(after) else {
            continue;
        };
        let unset = match text.as_bytes()[open] {
            b'[' => subscript(callee, rest),
            _ => call(callee, rest),
        };
        if let Some(unset) = unset {
            found.push((name.to_owned(), unset, with_use(text, open)));
        }
    }
    found
}

/// The line that reads a variable, to its last bracket, and the one soon after it that takes the value apart.
fn with_use(text: &str, open: usize) -> String {
    let first = line_at(text, open);
    let inside = arguments(&text[open + 1..]).map_or(0, str::len);
    let mut line = first.to_owned();
    let end = open + 1 + inside;
    if text[open..end].contains('\n') {
        let rest = text[open..end].lines().skip(1).map(str::trim);
        line.extend(rest.filter(|rest| !rest.is_empty()));
        let last = text[end..].lines().next().unwrap_or_default();
        line.push_str(last.trim());
    }
    let name = first.split(":=").next().filter(|_| first.contains(":="));
    let name = name.or_else(|| first.split_once(" = ").map(|(name, _)| name));
    let name = name.and_then(|name| name.trim().rsplit([' ', '(']).next());
    let mark = format!("{}.split(", name.unwrap_or_default());
    let after = text[end..].lines().skip(1).take(USED_WITHIN);
    if let Some(used) = after
        .filter(|_| mark.len() > 7)
        .find(|line| line.contains(&mark))
    {
        line.push(' ');
        line.push_str(used.trim());
    }
    line
}

/// So many lines further on a value is still looked for.
const USED_WITHIN: usize = 4;

fn line_at(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    text[start..end].trim()
}

/// A name of a variable in quotes, and what follows it.
fn quoted_name(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|c| "'\"".contains(*c))?;
    let (name, rest) = text[1..].split_once(quote)?;
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_whole = name.len() >= 2 && name.chars().all(is_name);
    (is_whole && name.starts_with(|c: char| c.is_ascii_uppercase())).then_some((name, rest))
}

fn subscript(callee: &str, rest: &str) -> Option<Unset> {
    let is_environment = callee == "environ" || callee.ends_with(".environ") || callee == "env";
    let after = rest.trim_start().strip_prefix(']')?.trim_start();
    let is_set = after.starts_with('=') && !after.starts_with("==");
    (is_environment && !is_set).then_some(Unset::Fails)
}

fn call(callee: &str, rest: &str) -> Option<Unset> {
    let last = callee.rsplit('.').next().unwrap_or_default();
    let owner = callee.strip_suffix(last).unwrap_or_default();
    let is_lenient = (last == "get" && owner.ends_with("environ.")) || last == "getenv";
    let is_strict = ["config", "get_env_variable", "get_env", "getenv_required"].contains(&callee)
        || callee.starts_with("env")
        || owner == "env.";
    if !is_lenient && (!is_strict || ["setdefault", "read_env", "pop"].contains(&last)) {
        return None;
    }
    let rest = arguments(rest)?;
    let second = rest.trim().strip_prefix(',').map(str::trim_start);
    let is_positional = second.is_some_and(|second| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let after = second.trim_start_matches(word).trim_start();
        let is_named = after.starts_with('=') && !after.starts_with("==");
        !second.is_empty() && !is_named
    });
    // What a function of the app's own does without it is not seen.
    let is_own = callee.starts_with("env") && callee != "env" && owner != "env.";
    Some(match is_positional || rest.contains("default") {
        true => Unset::Default,
        false if is_lenient || is_own => Unset::Nothing,
        false => Unset::Fails,
    })
}

/// What stands before the bracket that closes a call.
fn arguments(rest: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let end = rest.char_indices().take(CALL).find(|(_, c)| match c {
        '(' | '[' | '{' => {
            depth += 1;
            false
        }
        ')' | ']' | '}' if depth == 0 => true,
        ')' | ']' | '}' => {
            depth -= 1;
            false
        }
        _ => false,
    });
    end.map(|(end, _)| &rest[..end])
}

/// Fields of a class of pydantic's settings that have no default: `    DATABASE_URL: str`.
fn fields(text: &str) -> Vec<Read> {
    if !text.contains("BaseSettings") {
        return Vec::new();
    }
    let field = |line: &str| {
        let inner = line
            .strip_prefix("    ")
            .or_else(|| line.strip_prefix('\t'))?;
        let (name, kind) = inner.split('#').next()?.split_once(':')?;
        let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let is_field = name.len() >= 2 && name.chars().all(is_name);
        if !is_field || kind.trim().is_empty() {
            return None;
        }
        // What begins here and ends on another line may say it there.
        let is_open = kind.matches('[').count() > kind.matches(']').count();
        let has_default = is_open || kind.contains('=') || kind.contains("None");
        let unset = match has_default {
            true => Unset::Default,
            false => Unset::Fails,
        };
        Some((name.to_owned(), unset, inner.trim().to_owned()))
    };
    text.lines().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::tests::repository;

    #[test]
    fn each_way_to_read_a_variable_is_told_from_one_that_has_a_default() {
        use Unset::{Default, Fails, Nothing};
        for (line, expected) in [
            ("X = os.environ['SECRET_KEY']", Some(Fails)),
            ("X = os.environ[\"SECRET_KEY\"]", Some(Fails)),
            ("X = os.environ.get('SECRET_KEY')", Some(Nothing)),
            ("X = os.environ.get('SECRET_KEY') or 'x'", Some(Nothing)),
            (
                "X = os.environ.get(\n    'SECRET_KEY',\n    'x')",
                Some(Default),
            ),
            ("X = os.getenv('SECRET_KEY', default='x')", Some(Default)),
            ("X = env('SECRET_KEY')", Some(Fails)),
            ("X = env.list('SECRET_KEY', [])", Some(Default)),
            ("X = env.bool('SECRET_KEY', default=False)", Some(Default)),
            ("X = config('SECRET_KEY', cast=Csv())", Some(Fails)),
            ("X = envsecret('SECRET_KEY', '---')", Some(Default)),
            ("X = envsecret('SECRET_KEY')", Some(Nothing)),
            ("X = environ['SECRET_KEY'] == 'x'", Some(Fails)),
            ("os.environ['SECRET_KEY'] = 'x'", None),
            ("os.environ.setdefault('SECRET_KEY', 'x')", None),
            ("# X = os.environ['SECRET_KEY']", None),
            ("X = headers['SECRET_KEY']", None),
            ("X = print('SECRET_KEY')", None),
        ] {
            let found: Vec<Unset> = calls(line).into_iter().map(|(_, unset, _)| unset).collect();
            assert_eq!(found.first().copied(), expected, "{line}");
        }
    }

    #[test]
    fn the_line_tells_how_the_value_is_used() {
        let line = |text: &str| calls(text).into_iter().next().unwrap().2;
        for text in [
            "if v := os.getenv(\"ALLOWED_HOSTS\"):\n    ALLOWED_HOSTS = v.split(\",\")\n",
            "hosts = os.environ.get(\"ALLOWED_HOSTS\", \"\")\n\nALLOWED_HOSTS = hosts.split(\",\")\n",
            "ALLOWED_HOSTS = os.environ.get(\n    \"ALLOWED_HOSTS\",\n    \"\",\n).split(\",\")\n",
        ] {
            assert!(line(text).contains(".split(\",\")"), "{}", line(text));
        }
        let far = "v = os.getenv('AB')\n\n\n\n\n\n\nx = v.split(',')\n";
        assert_eq!(line(far), "v = os.getenv('AB')");
        assert_eq!(
            line("x(os.getenv('AB'))\ny.split(',')"),
            "x(os.getenv('AB'))"
        );
    }

    #[test]
    fn a_database_that_is_not_named_is_one_too() {
        let of = |line: &str| {
            let first = calls(line).into_iter().next();
            first.map(|(name, unset, _)| (name, unset))
        };
        let wanted = Some(("DATABASE_URL".to_owned(), Unset::Fails));
        assert_eq!(of("D = {'default': env.db()}"), wanted);
        assert_eq!(of("D = dj_database_url.config(conn_max_age=600)"), wanted);
        assert_eq!(of("D = env.db('DATABASE_URL')"), wanted);
        assert_eq!(
            of("D = dj_database_url.config(default='sqlite:///x')"),
            None
        );
        let fields = fields(
            "class S(BaseSettings):\n    DATABASE_URL: str\n    DEBUG: bool = False\n    x: int\n",
        );
        let open = super::fields(
            "class S(BaseSettings):\n    ORIGINS: Annotated[\n        list\n    ] = []\n",
        );
        assert_eq!(open[0].1, Unset::Default);
        let named =
            "c = SettingsConfigDict(env_file=\"../.env\", x=1)\n    env_file = '.env.local'\n";
        assert_eq!(
            env_files(named).collect::<Vec<_>>(),
            ["../.env", ".env.local"]
        );
        assert_eq!(fields.len(), 2);
        assert_eq!((fields[0].1, fields[1].1), (Unset::Fails, Unset::Default));
    }

    #[test]
    fn settings_are_read_with_all_that_they_are_made_of() {
        const FILE: u32 = 0o100_644;
        let (dir, commit) = repository(&[
            ("config/settings/local.py", FILE, b"from .base import *\n"),
            (
                "config/settings/base.py",
                FILE,
                b"A = env('A_KEY')\nif 'B_KEY' in os.environ:\n    B = os.environ['B_KEY']\nC = env('C_KEY')\n",
            ),
            (".env", FILE, b"C_KEY=1\n"),
        ]);
        let mirror = git2::Repository::open_bare(dir.path()).unwrap();
        let snapshot = Snapshot::open(&mirror, &commit, Path::new(".")).unwrap();
        let files = settings_files(&snapshot, "config.settings.local");
        assert_eq!(files.len(), 2);
        let reads = reads(&snapshot, &files);
        let reads: Vec<_> = reads.iter().map(|read| (&*read.name, read.unset)).collect();
        assert_eq!(reads, [("A_KEY", Unset::Fails), ("B_KEY", Unset::Nothing)]);
    }
}
