//! Which Node the repository asks for.

use super::{node, snapshot::Snapshot, text};
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

/// What the operator wants, or else what the repository says; `None`: it is no app of Node's and builds nothing with
/// it.
///
/// # Errors
/// A file cannot be read.
pub(super) fn wanted(
    snapshot: &Snapshot<'_>,
    given: Option<&str>,
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
            let word = text.split_whitespace().next().unwrap_or_default();
            return Ok(Some(of(pin(word), &path)));
        }
    }
    let path = snapshot.app_dir.join(node::PACKAGE);
    let content = snapshot.read_at(&path)?.unwrap_or_default();
    let json: Value = serde_json::from_slice(&content).unwrap_or_default();
    let field = |table: &str| json.get(table)?.get("node")?.as_str();
    let range = field("volta").or_else(|| field("engines"));
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
fn pin(word: &str) -> Option<String> {
    let word = word.trim_start_matches('v');
    let line = word.strip_prefix("lts/").and_then(|line| {
        let known = LINES.iter().find(|(name, _)| *name == line);
        known.map(|(_, major)| (*major).to_owned())
    });
    let major = word.split('.').next().unwrap_or_default();
    let is_number = !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit());
    line.or_else(|| is_number.then(|| major.to_owned()))
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
        let wanted = wanted(&snapshot, given).unwrap()?;
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
        ] {
            let files: &[(&str, u32, &[u8])] = &[
                (".node-version", FILE, text.as_bytes()),
                ("package.json", FILE, b"{}"),
            ];
            let range = of_files(files, ".", None).unwrap().0;
            assert_eq!(range.as_deref(), major, "{text}");
        }
    }
}
