//! What an app's files declare, and the key under which an environment made of them is shared.

use crate::deps::python;
use cid_protocol::request::Dependencies;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// Dependencies as declared at one commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    /// All files that have a say, by path in the repository.
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Names of packages, normalised.
    pub(crate) packages: BTreeSet<String>,
    /// Something is named that these files do not hold: a local package, a folder of wheels.
    pub(crate) open: bool,
}

impl Declared {
    /// SHA-256 over the way of declaring, the machine's Python, and all files; `None` where these
    /// do not decide what gets installed.
    pub(crate) fn key(&self, dependencies: Dependencies) -> Option<String> {
        if self.open {
            return None;
        }
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // With its length, so that no two lists of parts read the same.
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(format!("{dependencies:?}").as_bytes());
        part(python::machines_own().as_os_str().as_encoded_bytes());
        for (path, content) in &self.files {
            part(path.as_os_str().as_encoded_bytes());
            part(content);
        }
        Some(data_encoding::HEXLOWER.encode(&hash.finalize()))
    }
}

/// The name a requirement begins with, as package indexes compare names; `None` when it begins
/// otherwise.
pub(super) fn package_name(requirement: &str) -> Option<String> {
    let name: &str = requirement
        .split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
        .next()
        .filter(|name| name.starts_with(|c: char| c.is_ascii_alphanumeric()))?;
    let mut normal = String::with_capacity(name.len());
    for character in name.chars() {
        if "._-".contains(character) {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.push(character.to_ascii_lowercase());
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use crate::inspect::declared::*;

    #[test]
    fn names_are_compared_as_indexes_do() {
        let name = |text| package_name(text).unwrap_or_default();
        assert_eq!(name("Django>=4"), "django");
        assert_eq!(name("ruamel.yaml_Clib[x] ; a"), "ruamel-yaml-clib");
        assert_eq!(name("--hash=x"), "");
    }

    #[test]
    fn keys_differ_by_content_and_by_way() {
        let with = |text: &str| Declared {
            files: BTreeMap::from([("requirements.txt".into(), text.into())]),
            ..Declared::default()
        };
        let key = |declared: &Declared| declared.key(Dependencies::Requirements).unwrap();
        assert_eq!(key(&with("a")), key(&with("a")));
        assert_ne!(key(&with("a")), key(&with("b")));
        assert_ne!(
            Some(key(&with("a"))),
            with("a").key(Dependencies::Pyproject)
        );
        assert_eq!(
            Declared {
                open: true,
                ..with("a")
            }
            .key(Dependencies::Requirements),
            None
        );
    }
}
