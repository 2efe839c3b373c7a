//! `secrets_file` of a stage: lines of `NAME=VALUE`, for cid's own user alone.

use super::{EnvName, read_private};
use cid_protocol::{budget::VARIABLES_BYTES, fault::Fault};
use std::{collections::BTreeMap, path::Path};

/// Reads it. No error shows a value.
///
/// # Errors
/// Others could read it, or a line is not `NAME=VALUE`.
pub(super) fn read(path: &Path) -> Result<BTreeMap<EnvName, String>, Fault> {
    let text = read_private(path, VARIABLES_BYTES.most as u64)?;
    let mut all = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refuse = |why: &str| {
            let why = format!("line {}: {why}", index + 1);
            Fault::io("use", path, why).hint("write a line NAME=VALUE for each variable")
        };
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| refuse("it is not NAME=VALUE"))?;
        let name = EnvName::try_from(name.trim().to_owned())
            .map_err(|_| refuse("what is before = is no variable's name that cid takes"))?;
        let value = unquoted(value.trim());
        if value.contains('\0') {
            return Err(refuse("a variable cannot hold NUL"));
        }
        if all.insert(name, value.to_owned()).is_some() {
            return Err(refuse("the variable has a line already"));
        }
    }
    Ok(all)
}

/// Without the quotes around it, which mean nothing else here.
fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_kernel::fs;

    #[test]
    fn lines_become_variables_and_errors_show_no_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets");
        let read_one = |text: &str, mode| {
            fs::write_atomic(&path, text.as_bytes(), mode).unwrap();
            read(&path)
        };
        let good = "# of production\nA = one two\n\nB=\"it's {x}\"\nC='=='\nD=\n";
        let all = read_one(good, 0o600).unwrap();
        let values: Vec<&str> = all.values().map(String::as_str).collect();
        assert_eq!(values, ["one two", "it's {x}", "==", ""]);
        for (text, mode, why) in [
            ("A=s3cret", 0o640, "others"),
            ("A=s3cret", 0o604, "others"),
            ("A=1\ns3cret", 0o600, "line 2"),
            ("s3-cret=1", 0o600, "line 1"),
            ("CID_X=s3cret", 0o600, "line 1"),
            ("A=1\nA=s3cret", 0o600, "line 2"),
            ("A=s3cret\0", 0o600, "NUL"),
        ] {
            let told = format!("{:?}", read_one(text, mode).unwrap_err());
            assert!(told.contains(why) && !told.contains("s3cret"), "{told}");
        }
        let long = format!("A={}", "x".repeat(VARIABLES_BYTES.most));
        assert!(read_one(&long, 0o600).is_err());
        assert!(read(&dir.path().join("none")).is_err());
    }
}
