//! What an app's files declare, and the key under which an environment made of them is shared.

use crate::{
    deps::python,
    inspect::{pyproject, snapshot::Snapshot},
};
use cid_protocol::{fault::Fault, request::Dependencies};
use git2::{ObjectType, Oid};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Dependencies as declared at one commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    /// All files that have a say, by path in the repository.
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Names of packages, normalised.
    pub(crate) packages: BTreeSet<String>,
    /// Other things of the repository that have a say, by path, as git numbers their content.
    pub(crate) others: BTreeMap<PathBuf, Oid>,
    /// Installers need more of the commit than `files`.
    pub(crate) is_whole: bool,
    /// Folders of the repository are among the packages.
    pub(crate) local: bool,
    /// The app itself is a package, whether or not something asks for it.
    pub(crate) is_package: bool,
    /// Something is named that the repository does not hold.
    pub(crate) open: bool,
    /// The folder in the repository where the installer runs; `None`: the app's.
    pub(crate) run_in: Option<PathBuf>,
    /// What a person may not expect.
    pub(crate) notes: Vec<String>,
}

impl Declared {
    /// Adds a package of the repository, a folder or an archive. What a folder needs is in its
    /// `pyproject.toml` where that says it all, and may be anywhere in it otherwise.
    pub(super) fn add_local(&mut self, snapshot: &Snapshot<'_>, path: &Path) -> Result<(), Fault> {
        self.is_whole = true;
        let Some((kind, id)) = snapshot.id_of(path)? else {
            self.open = true;
            return Ok(());
        };
        if kind == ObjectType::Tree {
            self.local = true;
            let file = path.join(pyproject::FILE);
            if let Some(content) = snapshot.read_at(&file)?
                && pyproject::says_all(&pyproject::parse(&content, &file)?)
            {
                self.files.insert(file, content);
                return Ok(());
            }
        }
        self.others.insert(path.to_owned(), id);
        Ok(())
    }

    /// With what another kind declares, whose installer runs where it says itself.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        self.packages.extend(other.packages);
        self.others.extend(other.others);
        self.is_whole |= other.is_whole;
        self.local |= other.local;
        self.is_package |= other.is_package;
        self.open |= other.open;
        self.notes.extend(other.notes);
        self
    }

    /// Adds a file, where there is one.
    pub(super) fn add_file(&mut self, snapshot: &Snapshot<'_>, path: &Path) -> Result<(), Fault> {
        if let Some(content) = snapshot.read_at(path)? {
            self.files.insert(path.to_owned(), content);
        }
        Ok(())
    }

    /// Adds a file or a folder, where there is one. A file is not read, a folder means that the installer needs the
    /// commit.
    pub(super) fn add_thing(&mut self, snapshot: &Snapshot<'_>, path: &Path) -> Result<(), Fault> {
        match snapshot.id_of(path)? {
            Some((ObjectType::Blob, id)) => {
                if self.is_whole {
                    self.others.insert(path.to_owned(), id);
                } else {
                    self.add_file(snapshot, path)?;
                }
            }
            Some((_, id)) => {
                self.is_whole = true;
                self.others.insert(path.to_owned(), id);
            }
            None => {}
        }
        Ok(())
    }

    /// Adds a folder of which all has a say.
    pub(super) fn add_folder(
        &mut self,
        snapshot: &Snapshot<'_>,
        path: PathBuf,
    ) -> Result<(), Fault> {
        self.is_whole = true;
        if let Some((_, id)) = snapshot.id_of(&path)? {
            self.others.insert(path, id);
        }
        Ok(())
    }

    /// Makes the whole commit decide.
    pub(super) fn add_all(&mut self, snapshot: &Snapshot<'_>) {
        self.is_whole = true;
        self.others.insert(PathBuf::new(), snapshot.root().id());
    }

    /// SHA-256 over the way of declaring, the machine's Python, and all files; `None` where these
    /// do not decide what gets installed.
    pub(crate) fn key(&self, dependencies: &[Dependencies]) -> Option<String> {
        if self.open {
            return None;
        }
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // With its length, so that no two lists of parts read the same.
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(format!("{dependencies:?} {}", std::env::consts::ARCH).as_bytes());
        part(python::machines_own().as_os_str().as_encoded_bytes());
        for (path, content) in &self.files {
            part(path.as_os_str().as_encoded_bytes());
            part(content);
        }
        for (path, id) in &self.others {
            part(path.as_os_str().as_encoded_bytes());
            part(id.as_bytes());
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
        let key = |declared: &Declared| declared.key(&[Dependencies::Requirements]).unwrap();
        assert_eq!(key(&with("a")), key(&with("a")));
        assert_ne!(key(&with("a")), key(&with("b")));
        assert_ne!(
            Some(key(&with("a"))),
            with("a").key(&[Dependencies::Pyproject])
        );
        assert_eq!(
            Declared {
                open: true,
                ..with("a")
            }
            .key(&[Dependencies::Requirements]),
            None
        );
    }
}
