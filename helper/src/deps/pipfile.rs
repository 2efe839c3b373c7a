//! `Pipfile.lock` as a list of requirements, which installers read.

use cid_protocol::fault::Fault;
use serde_json::Value;
use std::{fs, path::Path};

/// The package index that installers ask by themselves, or the operator's in its place.
const USUAL: &str = "https://pypi.org/simple";

/// What the lock says of packages that are no development's.
///
/// # Errors
/// It cannot be read.
pub(super) fn requirements(path: &Path) -> Result<String, Fault> {
    let text = fs::read_to_string(path).map_err(|error| Fault::io("read", path, error))?;
    let lock: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| Fault::io("understand", path, error))?;
    Ok(list(&lock))
}

fn list(lock: &Value) -> String {
    let sources = lock
        .get("_meta")
        .and_then(|meta| meta.get("sources")?.as_array());
    let urls = sources
        .into_iter()
        .flatten()
        .filter_map(|source| source.get("url")?.as_str());
    let mut lines: Vec<String> = Vec::new();
    for (place, url) in urls.enumerate() {
        if url.trim_end_matches('/') == USUAL {
            continue;
        }
        let option = match place {
            0 => "--index-url",
            _ => "--extra-index-url",
        };
        lines.push(format!("{option} {url}"));
    }
    let packages = || {
        lock.get("default")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    };
    // pip takes sums for all or none.
    let has_sums = packages().all(|(_, package)| !sums(package).is_empty());
    lines.extend(packages().map(|(name, package)| line(name, package, has_sums)));
    lines.join("\n") + "\n"
}

fn sums(package: &Value) -> Vec<&str> {
    let sums = package.get("hashes").and_then(Value::as_array);
    sums.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn line(name: &str, package: &Value, has_sums: bool) -> String {
    let text = |key: &str| package.get(key).and_then(Value::as_str);
    let extras = package.get("extras").and_then(Value::as_array);
    let extras: Vec<&str> = extras
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let name = match extras.is_empty() {
        true => name.to_owned(),
        false => format!("{name}[{}]", extras.join(",")),
    };
    let marker = text("markers").map_or_else(String::new, |marker| format!(" ; {marker}"));
    if let Some(folder) = text("path") {
        let folder = match folder.starts_with(['.', '/']) {
            true => folder.to_owned(),
            false => format!("./{folder}"),
        };
        let is_editable = package.get("editable").and_then(Value::as_bool) == Some(true);
        return match is_editable {
            true => format!("-e {folder}"),
            false => folder,
        };
    }
    if let Some(url) = text("git") {
        let at = text("ref").map_or_else(String::new, |commit| format!("@{commit}"));
        let folder = text("subdirectory");
        let folder = folder.map_or_else(String::new, |folder| format!("#subdirectory={folder}"));
        return format!("{name} @ git+{url}{at}{folder}{marker}");
    }
    if let Some(url) = text("file").or_else(|| text("uri")) {
        return format!("{name} @ {url}{marker}");
    }
    let version = text("version")
        .filter(|version| *version != "*")
        .unwrap_or_default();
    let sums = match has_sums {
        true => sums(package),
        false => Vec::new(),
    };
    let sums: String = sums.iter().map(|sum| format!(" --hash={sum}")).collect();
    format!("{name}{version}{marker}{sums}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_said_as_installers_read_it() {
        let of = |text: &str| list(&serde_json::from_str(text).unwrap());
        let sources = r#""_meta": {"sources": [{"url": "https://pypi.org/simple"}, {"url": "https://x.example/simple"}]}"#;
        let plain = r#""django": {"version": "==4.2", "markers": "python_version >= '3.8'", "hashes": ["sha256:aa", "sha256:bb"]}"#;
        assert_eq!(
            of(&format!(
                "{{{sources}, \"default\": {{{plain}}}, \"develop\": {{\"x\": {{}}}}}}"
            )),
            "--extra-index-url https://x.example/simple\n\
             django==4.2 ; python_version >= '3.8' --hash=sha256:aa --hash=sha256:bb\n"
        );
        let others = r#"
            "own": {"path": "libs/own", "editable": true},
            "other": {"path": "./other"},
            "uvicorn": {"version": "==0.20", "extras": ["standard"]},
            "x": {"git": "https://git.example/x.git", "ref": "abc", "subdirectory": "py"},
            "y": {"version": "*"}"#;
        assert_eq!(
            of(&format!("{{\"default\": {{{plain}, {others}}}}}")),
            "django==4.2 ; python_version >= '3.8'\n-e ./libs/own\n./other\nuvicorn[standard]==0.20\n\
             x @ git+https://git.example/x.git@abc#subdirectory=py\ny\n"
        );
        assert_eq!(of("{}"), "\n");
    }
}
