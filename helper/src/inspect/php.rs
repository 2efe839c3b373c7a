//! Extensions of PHP's that a lock of Composer's asks for and this machine's PHP is without.

use super::declared::Declared;
use crate::command::{self, Code};
use cid_protocol::{environment::passed_on, fault::Fault};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

const LOCK: &str = "composer.lock";
const FILE: &str = "composer.json";

/// Debian's packages by the extensions that they bring; each other one brings that of its own name.
const PACKAGES: &[(&str, &[&str])] = &[
    (
        "php-xml",
        &["dom", "simplexml", "xml", "xmlreader", "xmlwriter", "xsl"],
    ),
    ("php-sqlite3", &["pdo_sqlite", "sqlite3"]),
    ("php-mysql", &["mysqli", "mysqlnd", "pdo_mysql"]),
    ("php-pgsql", &["pdo_pgsql", "pgsql"]),
    ("php-odbc", &["odbc", "pdo_odbc"]),
    (
        "php-common",
        &[
            "calendar",
            "ctype",
            "exif",
            "ffi",
            "fileinfo",
            "ftp",
            "gettext",
            "iconv",
            "pdo",
            "phar",
            "posix",
            "shmop",
            "sockets",
            "sysvmsg",
            "sysvsem",
            "sysvshm",
            "tokenizer",
        ],
    ),
    ("php-cli", &["pcntl", "readline"]),
];

/// Why the lock cannot be installed here; `None`: it can, as far as its extensions go.
pub(super) fn missing(declared: &Declared) -> Option<Fault> {
    let wanted = wanted(declared);
    if wanted.is_empty() {
        return None;
    }
    let there = there()?;
    let missing: Vec<&String> = wanted.iter().filter(|one| !there.contains(*one)).collect();
    if missing.is_empty() {
        return None;
    }
    let shown: Vec<String> = missing.iter().map(|one| format!("ext-{one}")).collect();
    let packages: BTreeSet<String> = missing.iter().map(|one| package(one)).collect();
    let packages: Vec<String> = packages.into_iter().collect();
    Some(
        Fault::new(format!(
            "cannot install what {LOCK} says: this machine's PHP is without {}",
            shown.join(", ")
        ))
        .hint(format!(
            "apt install {}; or say otherwise by `install` in [app] of the project file",
            packages.join(" ")
        )),
    )
}

fn package(extension: &str) -> String {
    let holds = |(_, all): &&(&str, &[&str])| all.contains(&extension);
    let known = PACKAGES.iter().find(holds);
    known.map_or_else(
        || format!("php-{}", extension.replace('_', "-")),
        |(package, _)| (*package).to_owned(),
    )
}

/// The extensions that packages ask for, without those that a package stands in for or the project takes for there.
fn wanted(declared: &Declared) -> BTreeSet<String> {
    let json = |name: &str| -> Option<Value> {
        let is_it = |path: &&PathBuf| path.file_name() == Some(OsStr::new(name));
        let path = declared.files.keys().find(is_it)?;
        serde_json::from_slice(declared.files.get(path)?).ok()
    };
    let (Some(lock), own) = (json(LOCK), json(FILE).unwrap_or_default()) else {
        return BTreeSet::new();
    };
    let packages = || {
        lock.get("packages")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let of = |table: Option<&Value>| {
        let names = table.and_then(Value::as_object).into_iter().flatten();
        names
            .filter_map(|(name, _)| extension(name))
            .collect::<Vec<_>>()
    };
    let mut wanted: BTreeSet<String> = packages().flat_map(|one| of(one.get("require"))).collect();
    wanted.extend(of(lock.get("platform")));
    let stand_in = packages().flat_map(|one| [of(one.get("provide")), of(one.get("replace"))]);
    let taken = of(own.get("config").and_then(|config| config.get("platform")));
    for name in stand_in.flatten().chain(taken) {
        wanted.remove(&name);
    }
    wanted
}

fn extension(name: &str) -> Option<String> {
    let name = name
        .strip_prefix("ext-")?
        .to_ascii_lowercase()
        .replace('-', "_");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// Those that the machine's PHP has; `None`: it cannot be asked.
fn there() -> Option<BTreeSet<String>> {
    let env = passed_on();
    let php = command::find(OsStr::new("php"), &env, Path::new("/")).ok()?;
    let argv = [OsString::from(php), "-m".into()];
    let (status, lines) = command::capture(Code::Untrusted, &argv, &env, Path::new("/")).ok()?;
    let name = |line: &String| {
        let line = line.trim().to_ascii_lowercase();
        line.trim_start_matches("zend ").replace(' ', "_")
    };
    let opcache = lines.iter().any(|line| line.trim() == "Zend OPcache");
    let names = lines.iter().map(name);
    let mut names: BTreeSet<String> = names.collect();
    names.extend(opcache.then(|| "zend_opcache".to_owned()));
    status.success().then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lock: &str, own: &str) -> Vec<String> {
        let mut declared = Declared::default();
        let mut add = |name: &str, text: &str| {
            declared.files.insert(name.into(), text.into());
        };
        add("web/composer.lock", lock);
        add("web/composer.json", own);
        wanted(&declared).into_iter().collect()
    }

    #[test]
    fn extensions_are_those_of_packages_and_the_project() {
        let lock = r#"{
            "packages": [
                {"require": {"php": ">=8", "ext-DOM": "*", "ext-mbstring": "*", "ext-zip": "*", "x/y": "1"}},
                {"provide": {"ext-mbstring": "*"}}
            ],
            "packages-dev": [{"require": {"ext-xdebug": "*"}}],
            "platform": {"php": ">=8.1", "ext-pdo_sqlite": "*"}
        }"#;
        assert_eq!(of(lock, "{}"), ["dom", "pdo_sqlite", "zip"]);
        let own = r#"{"config": {"platform": {"ext-zip": "1.0"}}}"#;
        assert_eq!(of(lock, own), ["dom", "pdo_sqlite"]);
        assert_eq!(of("nonsense", "{}"), [""; 0]);
        assert_eq!(package("dom"), "php-xml");
        assert_eq!(package("pdo_sqlite"), "php-sqlite3");
        assert_eq!(package("intl"), "php-intl");
    }

    #[test]
    fn what_php_is_without_is_told_with_its_package() {
        if there().is_none() {
            return eprintln!("skipped: there is no php");
        }
        let mut declared = Declared::default();
        let lock = r#"{"platform": {"ext-core": "*", "ext-no-such_thing": "*"}}"#;
        declared.files.insert(LOCK.into(), lock.into());
        let fault = missing(&declared).unwrap();
        assert!(
            fault.message.ends_with("without ext-no_such_thing"),
            "{fault}"
        );
        assert!(
            fault
                .hint
                .unwrap()
                .contains("apt install php-no-such-thing;")
        );
    }
}
