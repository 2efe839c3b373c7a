//! Which Python the repository asks for.

use super::{kinds, pyproject, snapshot::Snapshot, text};
use crate::deps::python::{Version, is_specifier, satisfies};
use cid_protocol::{
    fault::Fault,
    request::{WantedPython, WantedVersion},
};
use std::path::PathBuf;
use toml::Value;

/// One or more versions, as pyenv and uv read them; in the app's folder or one above it.
const PINS: &str = ".python-version";
/// One version, as Heroku reads it; where there is no other file.
const RUNTIME: &str = "runtime.txt";

/// The operator's own choice.
const GIVEN: &str = "app.python";
/// Its `[requires]` names a version, as Pipenv reads it.
const PIPFILE: &str = "Pipfile";

/// What the repository asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(super) asked: WantedPython,
    /// What of it is passed over.
    pub(crate) notes: Vec<String>,
}

impl From<WantedPython> for Wanted {
    fn from(asked: WantedPython) -> Self {
        Self {
            asked,
            notes: Vec::new(),
        }
    }
}

impl Wanted {
    /// Any from this version on.
    pub(crate) fn at_least(version: &str) -> Self {
        let mut wanted = Self::default();
        wanted.asked.requires = Some(format!(">={version}"));
        wanted
    }

    /// A file names versions, and no other will do.
    pub(crate) fn is_pinned(&self) -> bool {
        !self.asked.choices.is_empty()
    }

    /// The packages themselves say so: what installs them refuses another one.
    pub(crate) fn is_required(&self) -> bool {
        self.asked.requires.is_some()
    }

    /// The file that names versions.
    pub(crate) fn place(&self) -> std::path::Display<'_> {
        self.asked.place.display()
    }

    /// What the operator wants, or else what the repository says of the app's folder.
    ///
    /// # Errors
    /// A file cannot be understood.
    pub(crate) fn read(snapshot: &Snapshot<'_>, given: Option<&str>) -> Result<Self, Fault> {
        let mut wanted = Self::default();
        if let Some(given) = given {
            wanted.take(given, GIVEN.into())?;
            return Ok(wanted);
        }
        let above = kinds::above(snapshot);
        let snapshot = above.as_ref().unwrap_or(snapshot);
        for path in version_files(snapshot) {
            let Some(content) = snapshot.read_at(&path)? else {
                continue;
            };
            wanted.take(&text::decode(&content, &path)?, path)?;
            if !wanted.asked.choices.is_empty() {
                break;
            }
        }
        if let Some(content) = snapshot.read(pyproject::FILE)? {
            let path = snapshot.app_dir.join(pyproject::FILE);
            let table = pyproject::parse(&content, &path)?;
            let requires = table
                .get("project")
                .and_then(|project| project.get("requires-python"));
            wanted.asked.requires = match requires {
                None => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(_) => {
                    return Err(Fault::new(format!(
                        "cannot understand {} of the repository: requires-python is no text",
                        path.display()
                    ))
                    .hint("write it in quotes, such as \">=3.11\""));
                }
            };
            let poetrys = of_poetry(&table);
            wanted.asked.requires = wanted.asked.requires.or(poetrys);
            if let Some(requires) = &wanted.asked.requires
                && !requires.split(',').all(is_specifier)
            {
                wanted.notes.push(format!(
                    "{} requires Python {requires:?}, which is no version specifier: no Python is refused for it",
                    path.display()
                ));
            }
        }
        if wanted.asked.choices.is_empty() {
            wanted.take_pipfiles(snapshot)?;
        }
        Ok(wanted)
    }

    /// `python_version` or `python_full_version` of a `Pipfile`.
    fn take_pipfiles(&mut self, snapshot: &Snapshot<'_>) -> Result<(), Fault> {
        let Some(content) = snapshot.read(PIPFILE)? else {
            return Ok(());
        };
        let path = snapshot.app_dir.join(PIPFILE);
        let table = pyproject::parse(&content, &path)?;
        let of = |key: &str| table.get("requires")?.get(key)?.as_str();
        match of("python_version").or(of("python_full_version")) {
            Some(text) if text != "*" => self.take(text, path),
            _ => Ok(()),
        }
    }

    /// As these files' texts say.
    #[cfg(test)]
    pub(crate) fn of(pins: &str, requires: Option<&str>) -> Self {
        let mut wanted = Self::default();
        wanted.asked.requires = requires.map(str::to_owned);
        let taken = wanted.take(pins, PINS.into());
        assert_eq!(taken, Ok(()));
        wanted
    }

    /// Takes the first word of each line that is no comment.
    fn take(&mut self, text: &str, path: PathBuf) -> Result<(), Fault> {
        let words: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|word| !word.starts_with('#'))
            .collect();
        let (mut choices, mut strange) = (Vec::new(), Vec::new());
        for word in &words {
            match version(word) {
                Some(version) => choices.push(WantedVersion {
                    text: (*word).to_owned(),
                    version,
                }),
                None => strange.push(*word),
            }
        }
        let strange = strange.join(", ");
        let shown = path.display();
        if words.is_empty() {
            self.notes.push(format!("{shown} names no version"));
            return Ok(());
        }
        // Other languages' platforms read this file too.
        let of_others = path.ends_with(RUNTIME)
            && !words
                .iter()
                .any(|word| word.to_ascii_lowercase().starts_with("python"));
        if choices.is_empty() && !strange.is_empty() && !of_others {
            return Err(Fault::new(format!(
                "cannot understand {shown} of the repository: {strange} is no version of Python that cid knows"
            ))
            .hint("write one such as 3.12 or 3.12.4, or name a ready environment as app.env in the project file"));
        }
        if !strange.is_empty() {
            let also = if choices.is_empty() { "" } else { "also " };
            self.notes.push(format!(
                "{shown} {also}says {strange}, which is no version of Python that cid knows"
            ));
        }
        if choices.len() > 1 {
            let all: Vec<&str> = choices.iter().map(|choice| choice.text.as_str()).collect();
            self.notes.push(format!(
                "{shown} asks for {}: the first of these that this machine has counts",
                all.join(", ")
            ));
        }
        (self.asked.choices, self.asked.place) = (choices, path);
        Ok(())
    }

    /// What to look for, one after the other: each takes the place of all that follow.
    pub(crate) fn each(&self) -> Vec<Self> {
        let one = |choice: &WantedVersion| {
            let mut one = self.clone();
            one.asked.choices = vec![choice.clone()];
            one
        };
        match self.asked.choices.is_empty() {
            true => vec![self.clone()],
            false => self.asked.choices.iter().map(one).collect(),
        }
    }

    /// Whether a version will do. Of one asked for only major and minor count: a distribution's
    /// Python gets its fixes under the same minor version.
    pub(crate) fn takes(&self, version: Version) -> bool {
        let fits = |choice: &WantedVersion| {
            let numbers = choice.version.iter().flatten();
            numbers.zip(version).take(2).all(|(a, b)| *a == b)
        };
        let required = self
            .asked
            .requires
            .as_ref()
            .is_none_or(|text| text.split(',').all(|part| satisfies(part, version)));
        (self.asked.choices.is_empty() || self.asked.choices.iter().any(fits)) && required
    }

    /// What to say where the packages require another Python than the one that is chosen over the repository's words.
    pub(crate) fn refusal_of(&self, chosen: &Self) -> Option<String> {
        let requires = self.asked.requires.clone()?;
        let required = Self::from(WantedPython {
            requires: Some(requires.clone()),
            ..WantedPython::default()
        });
        let numbers = chosen.asked.choices.first()?.version.as_ref()?;
        let minor = *numbers.get(1)?;
        (!required.takes_minor(minor)).then(|| {
            format!("pyproject.toml requires Python {requires}: what installs its packages refuses the 3.{minor} of {GIVEN}")
        })
    }

    /// Whether some version of these numbers will do.
    pub(crate) fn takes_minor(&self, minor: u32) -> bool {
        (0..50).any(|micro| self.takes([3, minor, micro]))
    }

    /// What `uv python find` is asked for.
    pub(crate) fn request(&self) -> String {
        let numbers = self
            .asked
            .choices
            .first()
            .and_then(|choice| choice.version.as_ref());
        match (numbers, &self.asked.requires) {
            (Some(numbers), _) => {
                let parts: Vec<String> = numbers.iter().take(2).map(u32::to_string).collect();
                parts.join(".")
            }
            (None, Some(requires)) => requires.clone(),
            (None, None) => "3".into(),
        }
    }

    /// Who asks for what, for people; `None`: nobody for anything.
    pub(crate) fn text(&self) -> Option<String> {
        let texts: Vec<&str> = self
            .asked
            .choices
            .iter()
            .map(|choice| choice.text.as_str())
            .collect();
        let choices = (!texts.is_empty()).then(|| {
            format!(
                "{} asks for {}",
                self.asked.place.display(),
                texts.join(", ")
            )
        });
        let requires = self
            .asked
            .requires
            .as_ref()
            .map(|text| format!("pyproject.toml requires {text}"));
        match (choices, requires) {
            (Some(choices), Some(requires)) => Some(format!("{choices}, {requires}")),
            (choices, requires) => choices.or(requires),
        }
    }
}

/// What Poetry's own field asks for, as a specifier: `^3.9` means below 4, `~3.9` below 3.10.
fn of_poetry(table: &toml::Table) -> Option<String> {
    let poetry = table.get("tool")?.get("poetry")?;
    let text = poetry.get("dependencies")?.get("python")?.as_str()?;
    let part = |part: &str| -> Option<String> {
        let part = part.trim();
        let (sign, version) = part.split_at_checked(1)?;
        let mut numbers = version.split('.').map(str::parse::<u32>);
        let (Some(Ok(major)), minor) = (numbers.next(), numbers.next()) else {
            return Some(part.to_owned());
        };
        match (sign, minor) {
            ("^", _) => Some(format!(">={version},<{}", major + 1)),
            ("~", Some(Ok(minor))) => Some(format!(">={version},<{major}.{}", minor + 1)),
            _ => Some(part.to_owned()),
        }
    };
    // Several ranges, or any version: no lower bound must be kept.
    if text.contains("||") || text.trim() == "*" {
        return None;
    }
    let parts: Option<Vec<String>> = text.split(',').map(part).collect();
    parts.map(|parts| parts.join(","))
}

/// Files that say which Python to use, the first that names one counts.
pub(super) fn version_files(snapshot: &Snapshot<'_>) -> Vec<PathBuf> {
    let above = snapshot.app_dir.ancestors();
    above
        .map(|folder| folder.join(PINS))
        .chain([snapshot.app_dir.join(RUNTIME)])
        .collect()
}

/// `3.12`, `3.12.1`, `3.13-dev`, `3.13.0rc1`, `python-3.12.1`, `cpython@3.12`; inside `None` for `system`,
/// outside for anything else, such as another Python than CPython or an environment of the person's own.
fn version(word: &str) -> Option<Option<Vec<u32>>> {
    if word == "system" {
        return Some(None);
    }
    let text = ["cpython-", "cpython@", "python-", "python@"]
        .iter()
        .find_map(|prefix| word.strip_prefix(prefix))
        .unwrap_or(word);
    let text = text.strip_suffix("-dev").unwrap_or(text);
    let mut parts: Vec<&str> = text.split('.').collect();
    if let (3, Some(last)) = (parts.len(), parts.last_mut()) {
        let end = last
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(last.len());
        let (number, stage) = last.split_at(end);
        if ["a", "b", "rc"].iter().any(|name| {
            stage
                .strip_prefix(name)
                .is_some_and(|rest| rest.parse::<u32>().is_ok())
        }) {
            *last = number;
        }
    }
    let numbers: Option<Vec<u32>> = parts.iter().map(|part| part.parse().ok()).collect();
    numbers
        .filter(|numbers| numbers.first() == Some(&3) && numbers.len() <= 3)
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str, text: &str) -> Result<Wanted, Fault> {
        let mut wanted = Wanted::default();
        wanted.take(text, name.into()).map(|()| wanted)
    }

    fn numbers(name: &str, text: &str) -> Vec<Option<Vec<u32>>> {
        let wanted = taken(name, text).unwrap();
        wanted
            .asked
            .choices
            .into_iter()
            .map(|choice| choice.version)
            .collect()
    }

    #[test]
    fn reads_each_form_that_its_tools_read() {
        for (text, expected) in [
            ("# x\n3.12.1\n", &[3, 12, 1][..]),
            ("cpython-3.11", &[3, 11]),
            ("cpython@3.11", &[3, 11]),
            ("  3.13-dev # next", &[3, 13]),
            ("3.14.0rc2", &[3, 14, 0]),
            ("3", &[3]),
        ] {
            assert_eq!(numbers(PINS, text), [Some(expected.to_vec())], "{text}");
        }
        assert_eq!(
            numbers(RUNTIME, "python-3.12.3\r\n"),
            [Some(vec![3, 12, 3])]
        );
        assert_eq!(numbers(PINS, "system\n"), [None]);
        assert_eq!(numbers(PINS, "# nothing\n"), []);
    }

    #[test]
    fn several_are_taken_in_their_order_and_said() {
        let wanted = taken(PINS, "3.13.1\npypy3.10-7.3\n3.11\n").unwrap();
        assert_eq!(wanted.notes.len(), 2);
        assert!(
            wanted.notes[0].contains("pypy3.10-7.3") && wanted.notes[1].contains("3.13.1, 3.11")
        );
        let each: Vec<String> = wanted.each().iter().map(Wanted::request).collect();
        assert_eq!(each, ["3.13", "3.11"]);
        assert!(wanted.takes([3, 11, 2]) && !wanted.takes([3, 12, 0]));
    }

    #[test]
    fn another_form_is_refused_by_name() {
        for (name, text) in [
            (PINS, "my-env"),
            (PINS, "pypy3.10-7.3"),
            (PINS, "2.7.18"),
            (PINS, "3.13t"),
            (PINS, "3.x"),
            (RUNTIME, "python-3.x"),
            (RUNTIME, "python3"),
        ] {
            let fault = taken(name, text).unwrap_err();
            assert!(
                fault.message.contains(name) && fault.message.contains(text),
                "{fault}"
            );
        }
        // Not Python's.
        let wanted = taken(RUNTIME, "r-4.3-2023-06-01").unwrap();
        assert!(wanted.asked.choices.is_empty() && wanted.notes.len() == 1);
    }

    #[test]
    fn both_files_count() {
        let mut wanted = taken(PINS, "3.11.9").unwrap();
        wanted.asked.requires = Some(">=3.8,<4".into());
        assert!(wanted.takes([3, 11, 2]) && !wanted.takes([3, 12, 0]));
        let text = wanted.text().unwrap();
        assert_eq!(
            text,
            ".python-version asks for 3.11.9, pyproject.toml requires >=3.8,<4"
        );
        assert_eq!(Wanted::default().text(), None);
        wanted.asked.choices.clear();
        assert_eq!(wanted.request(), ">=3.8,<4");
    }

    #[test]
    fn a_chosen_version_that_the_packages_refuse_is_told() {
        let chosen = Wanted::of("3.13", None);
        let refusal = |requires: &str| Wanted::of("", Some(requires)).refusal_of(&chosen);
        assert!(refusal(">=3.14").is_some_and(|said| said.contains(">=3.14")));
        assert_eq!(refusal(">=3.13.4"), None);
        assert_eq!(Wanted::of("3.12", None).refusal_of(&chosen), None);
    }

    #[test]
    fn poetrys_ranges_are_read_as_others_are_written() {
        let of = |text: &str| {
            let table = format!("[tool.poetry.dependencies]\npython = {text:?}\n");
            of_poetry(&table.parse().unwrap())
        };
        for (text, expected) in [
            ("^3.9", Some(">=3.9,<4")),
            ("~3.11", Some(">=3.11,<3.12")),
            (">=3.9, <3.13", Some(">=3.9,<3.13")),
            ("3.12.*", Some("3.12.*")),
            ("*", None),
            ("^2.7 || ^3.9", None),
        ] {
            assert_eq!(of(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_operator_and_pipenv_name_a_version_too() {
        use crate::inspect::{snapshot::Snapshot, tests::repository};
        let files: &[(&str, u32, &[u8])] = &[(
            "Pipfile",
            0o100_644,
            b"[requires]\npython_version = \"3.9\"\n",
        )];
        let (dir, commit) = repository(files);
        let mirror = git2::Repository::open_bare(dir.path()).unwrap();
        let snapshot = Snapshot::open(&mirror, &commit, std::path::Path::new(".")).unwrap();
        let text = |given| Wanted::read(&snapshot, given).unwrap().text().unwrap();
        assert_eq!(text(None), "Pipfile asks for 3.9");
        assert_eq!(text(Some("3.12")), "app.python asks for 3.12");
    }
}
