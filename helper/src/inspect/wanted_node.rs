//! Which Node the repository asks for.

use super::{node, snapshot::Snapshot, text};
use crate::deps::node::is_range;
use cid_protocol::{fault::Fault, request::WantedNode};
use serde_json::Value;
use std::path::Path;

/// One version each, as nvm and nodenv read them; in the app's folder or one above it.
const PINS: &[&str] = &[".nvmrc", ".node-version"];
/// The operator's own choice.
const GIVEN: &str = "app.node";
/// Lines of long support by name.
const LINES: &[(&str, &str)] = &[
    ("hydrogen", "18"),
    ("iron", "20"),
    ("jod", "22"),
    ("krypton", "24"),
];

/// Words for whichever there is.
const ANY: &[&str] = &["node", "stable", "latest", "current", "lts", "lts/*", "*"];

/// What the operator wants, or else what the repository says; `None`: it is no app of Node's and builds nothing with
/// it. What of it is passed over becomes a note.
///
/// # Errors
/// A file cannot be read or understood.
pub(super) fn wanted(
    snapshot: &Snapshot<'_>,
    given: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<WantedNode>, Fault> {
    if let Some(given) = given {
        return Ok(Some(WantedNode {
            range: Some(given.to_owned()),
            place: GIVEN.to_owned(),
            is_given: true,
        }));
    }
    if !snapshot.has(node::PACKAGE) {
        return Ok(None);
    }
    for folder in snapshot.app_dir.ancestors() {
        for name in PINS {
            let path = folder.join(name);
            let Some(content) = snapshot.read_at(&path)? else {
                continue;
            };
            let text = text::decode(&content, &path)?;
            // nvm passes comments over.
            let lines = text
                .lines()
                .map(|line| line.split('#').next().unwrap_or_default());
            match lines.map(str::trim).find(|line| !line.is_empty()) {
                Some(word) => return Ok(Some(of(pin(word, &path)?, &path))),
                None => notes.push(format!("{} names no version", path.display())),
            }
        }
    }
    let path = snapshot.app_dir.join(node::PACKAGE);
    let content = snapshot.read_at(&path)?.unwrap_or_default();
    let json: Value = serde_json::from_slice(&content).unwrap_or_default();
    let field = |table: &str| json.get(table)?.get("node")?.as_str();
    let range = field("volta").or_else(|| field("engines"));
    let range = range.filter(|range| {
        let is_known = ANY.contains(&range.trim()) || is_range(range);
        if !is_known {
            notes.push(format!(
                "{} asks for Node {range:?}, which is no range: no Node is refused for it",
                path.display()
            ));
        }
        is_known
    });
    Ok(Some(of(range.map(str::to_owned), &path)))
}

fn of(range: Option<String>, path: &Path) -> WantedNode {
    WantedNode {
        range,
        place: path.display().to_string(),
        is_given: false,
    }
}

/// Of one version the first number counts: fixes come under the same one. `None`: any.
fn pin(word: &str, path: &Path) -> Result<Option<String>, Fault> {
    if ANY.contains(&word) {
        return Ok(None);
    }
    if let Some(line) = word.strip_prefix("lts/") {
        let back = line.strip_prefix('-').and_then(|back| back.parse().ok());
        let line = match back {
            Some(back) => LINES.iter().rev().nth(back),
            None => LINES.iter().find(|(name, _)| *name == line),
        };
        if let Some((_, major)) = line {
            return Ok(Some((*major).to_owned()));
        }
    }
    let number = word.trim_start_matches("node-").trim_start_matches('v');
    let major = number.split('.').next().unwrap_or_default();
    let is_number = !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit());
    match is_number {
        true => Ok(Some(major.to_owned())),
        false if is_range(word) => Ok(Some(word.to_owned())),
        false => Err(Fault::new(format!(
            "cannot understand {} of the repository: {word} is no version of Node that cid knows",
            path.display()
        ))
        .hint("write one such as 22 or lts/*, or name one as node in [app] of the project file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::tests::repository;

    const FILE: u32 = 0o100_644;

    fn of_files(
        files: &[(&str, u32, &[u8])],
        dir: &str,
        given: Option<&str>,
    ) -> Option<(Option<String>, String)> {
        let (mirror, commit) = repository(files);
        let mirror = git2::Repository::open_bare(mirror.path()).unwrap();
        let snapshot = Snapshot::open(&mirror, &commit, Path::new(dir)).unwrap();
        let wanted = wanted(&snapshot, given, &mut Vec::new()).unwrap()?;
        Some((wanted.range, wanted.place))
    }

    #[test]
    fn the_operator_then_a_pin_then_the_package_itself_says_which() {
        let package: &[u8] = br#"{"engines": {"node": ">=18 <23"}}"#;
        let files: &[(&str, u32, &[u8])] = &[
            (".nvmrc", FILE, b"v22.3.0\n"),
            ("web/package.json", FILE, package),
        ];
        let some = |range: &str, place: &str| Some((Some(range.to_owned()), place.to_owned()));
        assert_eq!(of_files(files, "web", Some("24")), some("24", "app.node"));
        assert_eq!(of_files(files, "web", None), some("22", ".nvmrc"));
        assert_eq!(of_files(files, ".", None), None);
        assert_eq!(
            of_files(&files[1..], "web", None),
            some(">=18 <23", "web/package.json")
        );
        for (text, major) in [
            ("lts/iron", Some("20")),
            ("lts/*", None),
            ("node", None),
            ("24", Some("24")),
            ("\u{feff}v20.1.0", Some("20")),
            ("# as in production\n18\n", Some("18")),
            ("", None),
            ("lts/-1", Some("22")),
            (">=18", Some(">=18")),
        ] {
            let files: &[(&str, u32, &[u8])] = &[
                (".node-version", FILE, text.as_bytes()),
                ("package.json", FILE, b"{}"),
            ];
            let range = of_files(files, ".", None).unwrap().0;
            assert_eq!(range.as_deref(), major, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_not_taken_for_absent() {
        for text in ["abc", "iojs", "lts/nothing"] {
            let files: &[(&str, u32, &[u8])] = &[
                (".nvmrc", FILE, text.as_bytes()),
                ("package.json", FILE, b"{}"),
            ];
            let (mirror, commit) = repository(files);
            let mirror = git2::Repository::open_bare(mirror.path()).unwrap();
            let snapshot = Snapshot::open(&mirror, &commit, Path::new(".")).unwrap();
            let fault = wanted(&snapshot, None, &mut Vec::new()).unwrap_err();
            assert!(fault.message.contains(text), "{fault}");
        }
        let package: &[u8] = br#"{"engines": {"node": "banana"}}"#;
        let (mirror, commit) = repository(&[("package.json", FILE, package)]);
        let mirror = git2::Repository::open_bare(mirror.path()).unwrap();
        let snapshot = Snapshot::open(&mirror, &commit, Path::new(".")).unwrap();
        let mut notes = Vec::new();
        let wanted = wanted(&snapshot, None, &mut notes).unwrap().unwrap();
        assert_eq!(wanted.range, None);
        assert!(notes[0].contains("banana"), "{notes:?}");
    }
}
