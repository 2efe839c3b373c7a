//! The names made from addresses and project files. Only these reach a path, a configuration file or a
//! command line.

use super::Email;
use data_encoding::Specification;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, sync::LazyLock};

/// Longest workspace name, in bytes: with `server_names_hash_bucket_size 64` nginx accepts 46.
pub const MAX_LEN: usize = 40;
const MARK_LEN: usize = 6;
/// Takes the place of a workspace's name.
const CATCH_ALL: &str = "catch-all";
/// A SHA-256 has 51 whole base-32 characters: eight marks of six.
const MARKS: usize = 8;

static BASE32: LazyLock<data_encoding::Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("abcdefghijklmnopqrstuvwxyz234567");
    #[expect(clippy::expect_used, reason = "a constant alphabet, covered by a test")]
    specification.encoding().expect("base-32 alphabet")
});

/// The name of a workspace's directory, branch and sub-domain: `[a-z0-9-]`, 1 to 40 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// The names that an address may get, best first: the readable one if it can come from this address
    /// only, then names with a mark, for when another address has the name.
    pub fn candidates(email: &Email) -> impl Iterator<Item = Self> {
        let plain = plain(email);
        let readable = is_reversible(email) && plain.len() <= MAX_LEN && !plain.starts_with("xn--");
        let digest = BASE32.encode(&Sha256::digest(email.as_str()));
        let safe = if plain.starts_with("xn--") {
            format!("w-{plain}")
        } else {
            plain.clone()
        };
        let marked = (0..MARKS).map(move |i| {
            let mark = &digest[i * MARK_LEN..(i + 1) * MARK_LEN];
            let head = &safe[..safe.len().min(MAX_LEN - 2 - MARK_LEN)];
            Self(format!("{head}--{mark}"))
        });
        readable.then_some(Self(plain)).into_iter().chain(marked)
    }

    /// The name of a stage: `[a-z][a-z0-9-]{0,30}`, without two hyphens in a row, which every workspace's name
    /// has, and none that [`UnitName`] takes for something else.
    pub fn of_stage(text: &str) -> Option<Self> {
        let good = ProjectName::parse(text).is_some() && !text.contains("--");
        let build = text.strip_prefix("build-");
        let is_build = build.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
        (good && !is_build && text != CATCH_ALL).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn plain(email: &Email) -> String {
    let mut plain = String::with_capacity(email.as_str().len() + 2);
    for character in email.as_str().chars() {
        match character {
            '@' => plain.push_str("---"),
            'a'..='z' | '0'..='9' => plain.push(character),
            _ => plain.push('-'),
        }
    }
    plain
}

/// `-`, `_` and `+` become `-`, as `.` does. Only an address without them can be recovered from the name.
fn is_reversible(email: &Email) -> bool {
    !email.as_str().contains(['-', '_', '+'])
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let good = !text.is_empty()
            && text.len() <= MAX_LEN
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-');
        if good {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom("not a workspace name"))
        }
    }
}

/// A project's name: the stem of its file, `[a-z][a-z0-9-]{0,30}`, not ending in `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct ProjectName(String);

impl ProjectName {
    /// Reads a name; `None` when it breaks the rule.
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=31).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        good.then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a project name"))
    }
}

/// `PROJECT.NAME`: the name of a workspace's vhost and log folder. `PROJECT.NAME.N`: an instance of it, with a
/// program group and a run file of its own; the first instance has the workspace's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct UnitName(String);

impl UnitName {
    /// Joins the two; a project's name holds no dot, so the parts stay separable.
    pub fn new(project: &ProjectName, name: &Name) -> Self {
        Self(format!("{project}.{name}"))
    }

    /// The unit that answers for all of a project's names that no workspace has. It cannot clash with a
    /// workspace, whose name always contains two adjacent hyphens.
    pub fn catch_all(project: &ProjectName) -> Self {
        Self(format!("{project}.{CATCH_ALL}"))
    }

    /// The web front's site. It is of no project, and no list of units has it.
    pub fn front() -> Self {
        Self("front".to_owned())
    }

    /// What the work for a build or a template is called. As of [`UnitName::catch_all`], it cannot clash with a
    /// workspace.
    pub fn made(project: &ProjectName, what: &'static str, number: u32) -> Self {
        Self(format!("{project}.{what}-{number}"))
    }

    /// Whether it is the unit for all names that no workspace has.
    pub fn is_catch_all(&self) -> bool {
        self.name() == CATCH_ALL
    }

    /// The instance of this number; the workspace itself is the first, 0.
    #[must_use]
    pub fn instance(&self, number: u32) -> Self {
        let Self(workspace) = self.workspace();
        match number {
            0 => Self(workspace),
            number => Self(format!("{workspace}.{number}")),
        }
    }

    /// The workspace that an instance is of.
    #[must_use]
    pub fn workspace(&self) -> Self {
        Self(format!("{}.{}", self.project(), self.name()))
    }

    /// The instance's number.
    pub fn number(&self) -> u32 {
        let number = self.0.splitn(3, '.').nth(2);
        number.map_or(0, |number| number.parse().unwrap_or_default())
    }

    /// Parses one, e.g. from a file name; `None` when it does not have the form.
    pub fn parse(text: &str) -> Option<Self> {
        let (project, rest) = text.split_once('.')?;
        ProjectName::parse(project)?;
        let (name, number) = match rest.split_once('.') {
            Some((name, number)) => (name, Some(number)),
            None => (rest, None),
        };
        // In one form only.
        let is_number = |text: &str| {
            let number = text.parse::<u32>();
            number.is_ok_and(|number| number > 0 && number.to_string() == text)
        };
        if !number.is_none_or(is_number) {
            return None;
        }
        let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name);
        Name::deserialize(name).ok()?;
        Some(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The project's part.
    pub fn project(&self) -> ProjectName {
        let project = self.0.split('.').next().unwrap_or_default();
        ProjectName(project.to_owned())
    }

    /// The workspace's part.
    pub fn name(&self) -> &str {
        self.0.split('.').nth(1).unwrap_or_default()
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UnitName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not PROJECT.NAME"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn first(text: &str) -> String {
        Name::candidates(&Email::parse(text).unwrap())
            .next()
            .unwrap()
            .0
    }

    #[test]
    fn readable_where_it_can_be_read_back() {
        assert_eq!(first("anna@example.com"), "anna---example-com");
        assert_eq!(first("a.b@x.org"), "a-b---x-org");
    }

    #[test]
    fn marked_where_it_cannot() {
        for text in ["a-b@x.org", "a+b@x.org", "a_b@x.org", "a@x-y.org"] {
            let name = first(text);
            let (_, mark) = name.rsplit_once("--").unwrap();
            assert_eq!(mark.len(), MARK_LEN, "{name}");
        }
        assert!(first("xn--a@b.c").starts_with("w-xn--"));
        assert_eq!(
            first(&format!("{}@example.com", "a".repeat(40))).len(),
            MAX_LEN
        );
    }

    #[test]
    fn offers_eight_others_on_a_clash() {
        let email = Email::parse("anna@example.com").unwrap();
        let names: Vec<_> = Name::candidates(&email).collect();
        assert_eq!(names.len(), 1 + MARKS);
        assert!(names[1].as_str().starts_with("anna---example-com--"));
    }

    #[test]
    fn names_are_read_back_if_cid_can_have_made_them() {
        let read = |text: &str| serde_json::from_value::<Name>(text.into()).is_ok();
        let (longest, longer) = ("a".repeat(MAX_LEN), "a".repeat(MAX_LEN + 1));
        for good in ["a", "0", "anna---example-com", "a-", &longest] {
            assert!(read(good), "{good:?}");
        }
        for bad in [
            "", "-", "-rf", "--", ".", "..", "a.b", "a/b", "A", "a_b", "ä", "a\n", &longer,
        ] {
            assert!(!read(bad), "{bad:?}");
        }
    }

    #[test]
    fn projects_are_called_as_files_accounts_and_labels_can_be() {
        let (longest, longer) = ("a".repeat(31), "a".repeat(32));
        for good in ["a", "a-b", "a1", &longest] {
            assert_eq!(ProjectName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "-", "-a", "a-", "1a", "A", "aB", "a.b", "a/b", "a_b", "ä", "a\n", &longer,
        ] {
            assert_eq!(ProjectName::parse(bad), None, "{bad:?}");
            assert_eq!(UnitName::parse(&format!("{bad}.anna")), None, "{bad:?}");
        }
        for bad in [
            "a",
            "a.",
            "a.-b",
            "a.b.c",
            ".b",
            "a.B",
            "a.b.",
            "a.b.0",
            "a.b.01",
            "a.b.+1",
            "a.b.1.2",
            "a.b.4294967296",
        ] {
            assert_eq!(UnitName::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_stages_name_is_no_workspaces_and_nothing_elses() {
        for text in ["test", "production", "build", "build-x", "eu-1"] {
            assert!(Name::of_stage(text).is_some(), "{text}");
        }
        for text in [
            "",
            "-a",
            "a-",
            "a--b",
            "a---example-com",
            "Test",
            "catch-all",
            "build-12",
            "1a",
            "a.b",
            "a/b",
        ] {
            assert_eq!(Name::of_stage(text), None, "{text}");
        }
        let email = Email::parse("a@b.c").unwrap();
        assert!(Name::candidates(&email).all(|name| Name::of_stage(name.as_str()).is_none()));
    }

    #[test]
    fn an_instance_has_a_number_behind_its_workspaces_name() {
        let unit = UnitName::parse("shop.anna").unwrap();
        assert_eq!((unit.number(), unit.instance(0)), (0, unit.clone()));
        let seventh = unit.instance(7);
        assert_eq!(seventh.as_str(), "shop.anna.7");
        assert_eq!(UnitName::parse("shop.anna.7"), Some(seventh.clone()));
        assert_eq!((seventh.name(), seventh.number()), ("anna", 7));
        assert_eq!(seventh.workspace(), unit);
        assert_eq!(seventh.instance(8).as_str(), "shop.anna.8");
    }

    fn address() -> impl Strategy<Value = String> {
        (
            "[a-z0-9]([a-z0-9._+-]{0,20}[a-z0-9])?",
            "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?",
            "[a-z]{2,3}",
        )
            .prop_map(|(local, domain, top)| format!("{local}@{domain}.{top}"))
    }

    proptest! {
        #[test]
        fn names_are_safe_everywhere(text in address()) {
            let Ok(email) = Email::parse(&text) else { return Ok(()) };
            for name in Name::candidates(&email) {
                let text = name.as_str();
                prop_assert!((1..=MAX_LEN).contains(&text.len()));
                prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                prop_assert!(!text.starts_with('-') && !text.ends_with('-') && !text.starts_with("xn--"));
                let json = serde_json::to_string(&name).unwrap();
                prop_assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
            }
        }

        #[test]
        fn different_addresses_have_different_first_names(texts in proptest::collection::vec(address(), 1..200)) {
            let mut seen = HashMap::new();
            for text in texts {
                let Ok(email) = Email::parse(&text) else { continue };
                let name = Name::candidates(&email).next().unwrap();
                if let Some(other) = seen.insert(name, email.clone()) {
                    prop_assert_eq!(other, email);
                }
            }
        }
    }
}
