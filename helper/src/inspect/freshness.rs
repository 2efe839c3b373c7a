//! Whether `uv.lock` was made for what `pyproject.toml` asks for now. What is compared is what uv writes into
//! the lock as it stands; anything else is left to uv.

use crate::inspect::declared::package_name;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use toml::{Table, Value};

/// Version clauses by the package's name; `None` where they cannot be compared.
type Asked = BTreeMap<String, Option<BTreeSet<String>>>;

/// What differs, for people; `None`: nothing that can be seen. `app` is the project's folder as the lock names
/// it.
pub(super) fn stale(pyproject: &Table, lock: &Table, app: &Path) -> Option<String> {
    let project = pyproject.get("project")?.as_table()?;
    let list = |table: &Table, key: &str| -> Vec<Value> {
        let list = table.get(key).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let is_dynamic = |field: &str| {
        list(project, "dynamic")
            .iter()
            .any(|name| name.as_str() == Some(field))
    };
    if is_dynamic("dependencies") {
        return None;
    }
    let name = project
        .get("name")
        .and_then(Value::as_str)
        .and_then(package_name)?;
    let packages = list(lock, "package");
    let Some(own) = packages.iter().find(|package| is_at(package, app)) else {
        return Some(format!("it does not hold the project {name}"));
    };
    if own.get("name").and_then(Value::as_str) != Some(name.as_str()) {
        return Some(format!("it does not hold the project {name}"));
    }
    let wanted = wanted(&list(project, "dependencies"));
    let locked = own
        .get("metadata")
        .and_then(|metadata| metadata.get("requires-dist")?.as_array());
    let locked = locked_for(locked.map_or(&[], Vec::as_slice));
    for (name, clauses) in &wanted {
        match locked.get(name) {
            None => return Some(format!("pyproject.toml asks for {name}, the lock does not")),
            Some(others) => {
                if let (Some(clauses), Some(others)) = (clauses, others)
                    && clauses != others
                {
                    return Some(format!(
                        "pyproject.toml asks for {}, the lock for {}",
                        shown(name, clauses),
                        shown(name, others)
                    ));
                }
            }
        }
    }
    let gone = locked.keys().find(|name| !wanted.contains_key(*name))?;
    Some(format!("the lock asks for {gone}, pyproject.toml does not"))
}

fn shown(name: &str, clauses: &BTreeSet<String>) -> String {
    let clauses: Vec<&str> = clauses.iter().map(String::as_str).collect();
    format!("{name}{}", clauses.join(","))
}

fn is_at(package: &Value, app: &Path) -> bool {
    let source = package.get("source");
    let path = source.and_then(|source| source.get("editable").or_else(|| source.get("virtual")));
    path.and_then(Value::as_str)
        .is_some_and(|path| Path::new(path).components().eq(app.components()))
}

fn wanted(dependencies: &[Value]) -> Asked {
    let mut asked = Asked::new();
    for text in dependencies.iter().filter_map(Value::as_str) {
        let Some(name) = package_name(text.trim()) else {
            continue;
        };
        let requirement = text.split(';').next().unwrap_or_default();
        let begin = requirement.find(['<', '>', '=', '!', '~', '@', '(']);
        let clauses = begin.map_or("", |begin| &requirement[begin..]);
        add(&mut asked, name, clauses_of(clauses));
    }
    asked
}

/// Entries of extras stand beside the others; which are which their marker says.
fn locked_for(entries: &[Value]) -> Asked {
    const COMPARED: &[&str] = &["name", "extras", "marker", "specifier"];
    let mut asked = Asked::new();
    for entry in entries.iter().filter_map(Value::as_table) {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("marker").contains("extra ==") {
            continue;
        }
        let is_plain = entry.keys().all(|key| COMPARED.contains(&key.as_str()));
        let clauses = is_plain.then(|| clauses_of(text("specifier"))).flatten();
        if let Some(name) = package_name(text("name")) {
            add(&mut asked, name, clauses);
        }
    }
    asked
}

fn add(asked: &mut Asked, name: String, clauses: Option<BTreeSet<String>>) {
    let known = asked.entry(name).or_insert_with(|| Some(BTreeSet::new()));
    match (known.as_mut(), clauses) {
        (Some(known), Some(clauses)) => known.extend(clauses),
        _ => *known = None,
    }
}

/// Clauses of plain version numbers, in one form; `None` where one is of another kind.
fn clauses_of(text: &str) -> Option<BTreeSet<String>> {
    let text = text
        .trim()
        .trim_start_matches('(')
        .trim_end_matches(')')
        .trim();
    if text.is_empty() {
        return Some(BTreeSet::new());
    }
    let parts = text.trim_end_matches(',').split(',').map(str::trim);
    parts
        .map(|part| {
            let begin = part.find(|c: char| c.is_ascii_digit())?;
            let (operator, version) = part.split_at(begin);
            let is_plain = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let known = [">=", ">", "<=", "<", "==", "!=", "~="].contains(&operator.trim());
            (is_plain && known).then(|| format!("{}{version}", operator.trim()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 1
[[package]]
name = "my-app"
version = "0.1"
source = { virtual = "." }
[package.metadata]
requires-dist = [
    { name = "django", extras = ["argon2"], specifier = ">=4.2,<5" },
    { name = "six" },
    { name = "old", marker = "python_full_version < '3.9'" },
    { name = "pytest", marker = "extra == 'test'", specifier = ">=8" },
    { name = "lib", editable = "libs/lib" },
]
[[package]]
name = "six"
"#;

    fn said(dependencies: &str) -> Option<String> {
        let pyproject = format!("[project]\nname = \"My_App\"\ndependencies = [{dependencies}]\n");
        stale(
            &pyproject.parse().unwrap(),
            &LOCK.parse().unwrap(),
            Path::new("."),
        )
    }

    #[test]
    fn the_same_in_other_words_is_fresh() {
        for same in [
            r#""Django[argon2] <5, >= 4.2", "six", "old; python_version < '3.9'", "lib""#,
            r#""six", "lib>=2", "old ; python_version<'3.9'", "django[argon2] (>=4.2,<5)""#,
            // Of a kind that is not compared.
            r#""django>=4.2rc1", "six @ https://x.org/six.whl", "old", "lib""#,
        ] {
            assert_eq!(said(same), None, "{same}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        for (other, named) in [
            (
                r#""django>=5", "six", "old", "lib""#,
                "asks for django>=5, the lock for django<5,>=4.2",
            ),
            (
                r#""django>=4.2,<5", "six", "old", "lib", "celery""#,
                "asks for celery",
            ),
            (r#""django>=4.2,<5", "old", "lib""#, "the lock asks for six"),
            (
                r#""django>=4.2,<5", "six>=1", "old", "lib""#,
                "asks for six>=1, the lock for six",
            ),
        ] {
            let said = said(other).unwrap_or_default();
            assert!(said.contains(named), "{other}: {said}");
        }
        let renamed: Table = "[project]\nname = \"other\"\n".parse().unwrap();
        assert!(
            stale(&renamed, &LOCK.parse().unwrap(), Path::new("."))
                .unwrap()
                .contains("other")
        );
        let moved: Table = "[project]\nname = \"my-app\"\n".parse().unwrap();
        assert!(stale(&moved, &LOCK.parse().unwrap(), Path::new("apps/x")).is_some());
    }
}
