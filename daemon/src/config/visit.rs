//! `[visit]`: who may visit a project's workspaces and stages.

use super::{AbsolutePath, place::Broken};
use cid_protocol::fault::Fault;
use rustix::fs::{self as sys, FileType, Mode, OFlags};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{fs::File, io::Read as _, path::Path};

/// A project has no more open paths.
const MAX_OPEN: usize = 32;
/// A file of passwords is no longer.
const MAX_PASSWORDS: u64 = 1 << 20;

/// `[visit]`, of a project or of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Visit {
    /// Who gets to the app.
    pub who: Who,
    /// Names and hashes of passwords, as htpasswd writes them.
    pub passwords: Option<AbsolutePath>,
    /// Paths that everybody gets to all the same.
    #[serde(deserialize_with = "open_paths")]
    pub open: Vec<OpenPath>,
}

/// `visit.who`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Everybody.
    #[default]
    Anyone,
    /// Who knows a name and a password of the file.
    Password,
    /// Who is signed in at the front.
    People,
}

impl Visit {
    /// Rules over several keys; `key` is where the table is.
    pub(super) fn check(&self, key: &str) -> Result<(), Broken> {
        let broken = |of: &str, why: &'static str| Err(Broken::new(format!("{key}.{of}"), why));
        match (self.who, &self.passwords) {
            (Who::Password, None) => broken(
                "who",
                "who = \"password\" needs `passwords`, a file that htpasswd writes",
            ),
            (Who::Anyone | Who::People, Some(_)) => broken(
                "passwords",
                "passwords are asked for with who = \"password\" alone",
            ),
            (Who::Anyone, None) if !self.open.is_empty() => broken(
                "open",
                "everything is open with who = \"anyone\": leave one of them out",
            ),
            _ => Ok(()),
        }
    }

    /// What is wrong with its file of passwords, or how many it has; `None`: it names none.
    pub fn look(&self) -> Option<Result<String, Fault>> {
        let path = self.passwords.as_ref()?;
        Some(passwords(path).map(|count| {
            format!(
                "{} has {count} names, and apps cannot read it",
                path.display()
            )
        }))
    }
}

/// How many names the file has.
fn passwords(path: &Path) -> Result<usize, Fault> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened =
        sys::open(path, flags, Mode::empty()).map_err(|error| Fault::io("open", path, error))?;
    let stat = sys::fstat(&opened).map_err(|error| Fault::io("look at", path, error))?;
    let refuse = |why: String| Fault::io("use", path, why);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refuse("it is no ordinary file".into()));
    }
    if stat.st_mode & 0o027 != 0 {
        let shown = path.display();
        return Err(
            refuse("everybody on the machine can read it, or others change it".into()).hint(
                format!("chown root:www-data {shown}; chmod 640 {shown}: nginx's workers read it"),
            ),
        );
    }
    let mut text = String::new();
    File::from(opened)
        .take(MAX_PASSWORDS)
        .read_to_string(&mut text)
        .map_err(|error| Fault::io("read", path, error))?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let mut count = 0;
    for (index, line) in lines {
        // nginx also takes passwords as they are.
        let is_hashed = line.split_once(':').is_some_and(|(name, hash)| {
            !name.is_empty() && (hash.starts_with('$') || hash.starts_with("{SSHA}"))
        });
        if !is_hashed {
            return Err(refuse(format!("line {}: it is not NAME:HASH", index + 1))
                .hint("write it with htpasswd -B, of apache2-utils"));
        }
        count += 1;
    }
    match count {
        0 => {
            Err(refuse("nobody is in it".into())
                .hint("write it with htpasswd -B, of apache2-utils"))
        }
        count => Ok(count),
    }
}

/// A path such as `/healthz`, or with a slash at its end, such as `/hooks/`, all below it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OpenPath(String);

impl TryFrom<String> for OpenPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-/".contains(&b);
        let parts = text.trim_matches('/').split('/');
        let are_names = parts
            .clone()
            .all(|part| !part.is_empty() && part != "." && part != "..");
        let is_own = parts.clone().next() == Some(".cid");
        match text.starts_with('/')
            && text.len() <= 200
            && text.bytes().all(is_plain)
            && are_names
            && !is_own
        {
            true => Ok(Self(text)),
            false => Err(format!(
                "`{text}` is no path that can be left open: /NAME is one page, /NAME/ all below it; letters, digits and . _ ~ -"
            )),
        }
    }
}

impl OpenPath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn open_paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OpenPath>, D::Error> {
    let paths = Vec::<OpenPath>::deserialize(deserializer)?;
    match paths.len() > MAX_OPEN {
        true => Err(D::Error::custom(format!("at most {MAX_OPEN} paths"))),
        false => Ok(paths),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_kernel::fs;

    fn read(text: &str) -> Result<Visit, String> {
        let visit: Visit = toml::from_str(text).map_err(|error| error.to_string())?;
        visit
            .check("visit")
            .map_err(|broken| format!("{broken:?}"))?;
        Ok(visit)
    }

    #[test]
    fn tables_say_who_or_why_not() {
        for good in [
            "",
            "who = \"anyone\"",
            "who = \"people\"\nopen = [\"/healthz\", \"/hooks/\", \"/a/b.c/\"]",
            "who = \"password\"\npasswords = \"/etc/cid/shop.htpasswd\"",
        ] {
            assert!(read(good).is_ok(), "{good}: {:?}", read(good));
        }
        for bad in [
            "who = \"nobody\"",
            "who = \"password\"",
            "who = \"people\"\npasswords = \"/x\"",
            "open = [\"/x\"]",
            "who = \"people\"\nopen = [\"/\"]",
            "who = \"people\"\nopen = [\"x\"]",
            "who = \"people\"\nopen = [\"/a/../b\"]",
            "who = \"people\"\nopen = [\"/a//b\"]",
            "who = \"people\"\nopen = [\"/.cid/\"]",
            "who = \"people\"\nopen = [\"/a$\"]",
            "who = \"people\"\nopen = [\"/%2e\"]",
            "whom = \"people\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_of_passwords_is_hashed_and_not_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("htpasswd");
        let look = |text: &str, mode| {
            fs::write_atomic(&path, text.as_bytes(), mode).unwrap();
            passwords(&path)
        };
        let good = "# team\nanna:$2y$05$abc\nben:$apr1$x$y\n\n";
        assert_eq!(look(good, 0o640).unwrap(), 2);
        for (text, mode) in [
            (good, 0o644),
            (good, 0o660),
            ("anna:secret\n", 0o640),
            ("anna\n", 0o640),
            (":$2y$05$abc\n", 0o640),
            ("# none\n", 0o640),
        ] {
            let fault = look(text, mode).unwrap_err();
            assert!(
                !fault.message.contains("secret") && fault.hint.is_some(),
                "{fault:?}"
            );
        }
        assert!(passwords(&dir.path().join("none")).is_err());
    }
}
