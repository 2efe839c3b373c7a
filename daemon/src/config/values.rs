//! Values of the operator's files that hold no bad value: reading them is checking them, so that
//! an error points at the line.

use crate::domain::is_plain;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{
    fmt,
    ops::Deref,
    path::{Component, Path, PathBuf},
    time::Duration,
};

/// nginx's `server_names_hash_bucket_size 128` takes names of 110 bytes; a workspace's has at most 40
/// and a dot.
const MAX_DOMAIN_LEN: usize = 69;

macro_rules! checked {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name($inner);

        impl Deref for $name {
            type Target = $inner;
            fn deref(&self) -> &$inner {
                &self.0
            }
        }
    };
}

checked! {
    /// A path from the root, without `..` and control characters.
    AbsolutePath(PathBuf)
}
checked! {
    /// An [`AbsolutePath`] that nginx's configuration takes, which has no way to quote.
    PlainPath(PathBuf)
}
checked! {
    /// Where workspaces live: a [`PlainPath`] without a colon, which `/etc/passwd` has no way to quote, and not
    /// the root.
    WorkDir(PathBuf)
}
checked! {
    /// An [`AbsolutePath`] without a colon, which would end it in PATH.
    SearchPath(PathBuf)
}
checked! {
    /// A path inside the repository: relative, without `..`, not into `.git`.
    RelativePath(PathBuf)
}
checked! {
    /// A domain below which workspaces answer: LDH labels, lower case.
    Domain(String)
}
checked! {
    /// Where a repository is: https, ssh, `user@host:path`, `file://` or an absolute path.
    GitUrl(String)
}
checked! {
    /// A branch name that git takes.
    RefName(String)
}
checked! {
    /// What workspaces' branches are called: a branch name with `{name}` in it, so that each has its own.
    BranchPattern(String)
}
checked! {
    /// A time like `60s` or `10m`: more than nothing, at most a day.
    Seconds(Duration)
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

impl TryFrom<String> for AbsolutePath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let path = PathBuf::from(&text);
        if !path.is_absolute() {
            return Err(format!(
                "`{text}` is not an absolute path (it must begin with /)"
            ));
        }
        if has_control(&text) || path.components().any(|c| c == Component::ParentDir) {
            return Err(format!(
                "`{text}` must hold no .. and no control characters"
            ));
        }
        Ok(Self(path))
    }
}

impl TryFrom<String> for PlainPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.chars().all(is_plain) {
            return AbsolutePath::try_from(text).map(|path| Self(path.0));
        }
        Err(format!(
            "`{text}` must hold no white space and none of {{}};\"'\\$#%`, which mean something in nginx's files"
        ))
    }
}

impl TryFrom<String> for WorkDir {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.contains(':') {
            return Err(format!(
                "`{text}` must hold no colon: below it are the homes of accounts"
            ));
        }
        let path = PlainPath::try_from(text)?.0;
        match path.parent() {
            Some(_) => Ok(Self(path)),
            None => Err("`/` is no folder for workspaces alone".into()),
        }
    }
}

impl TryFrom<String> for SearchPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.contains(':') {
            true => Err(format!(
                "`{text}` must hold no colon: its bin is put into PATH"
            )),
            false => AbsolutePath::try_from(text).map(|path| Self(path.0)),
        }
    }
}

/// The name of an account or a group of this machine. Whether there is one is seen later; what could be
/// none, or an option, or two, is refused here.
pub(super) fn account_name(text: String) -> Result<String, String> {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || ":,/".contains(c);
    match text.is_empty() || text.starts_with('-') || text.contains(is_bad) {
        true => Err(format!("`{text}` is not the name of an account or a group")),
        false => Ok(text),
    }
}

/// For a key whose value is an [`account_name`].
pub(super) fn account<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    account_name(text).map(Some).map_err(D::Error::custom)
}

/// A text for an environment variable, which cannot hold NUL. The error does not show it.
pub(super) fn variable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.contains('\0') {
        true => Err(D::Error::custom("a variable cannot hold NUL")),
        false => Ok(text),
    }
}

impl TryFrom<String> for RelativePath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let path = PathBuf::from(&text);
        let inside = path
            .components()
            .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if text.is_empty() || !inside || has_control(&text) {
            return Err(format!(
                "`{text}` must be a path inside the repository: relative and without .."
            ));
        }
        if path
            .components()
            .any(|c| c == Component::Normal(".git".as_ref()))
        {
            return Err(format!("`{text}` must not lead into .git"));
        }
        Ok(Self(path))
    }
}

impl TryFrom<String> for Domain {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if text.len() > MAX_DOMAIN_LEN {
            return Err(format!(
                "`{text}` is too long: with a workspace's name nginx takes no more than {MAX_DOMAIN_LEN} characters of domain"
            ));
        }
        if text.split('.').all(label) {
            Ok(Self(text))
        } else {
            Err(format!(
                "`{text}` is not a domain like pressa.example.org (lower case, no dot at the end)"
            ))
        }
    }
}

impl TryFrom<String> for GitUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('-') || has_control(&text) || text.contains(' ') || text.contains("::")
        {
            return Err(format!("`{text}` is no git URL that cid takes"));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let authority = rest.split('/').next().unwrap_or_default();
            let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            if !["https", "ssh", "file"].contains(&scheme) {
                return Err(format!(
                    "`{scheme}://` is not taken: use https, ssh, file or an absolute path"
                ));
            }
            if user.contains(':') || (scheme == "https" && !user.is_empty()) {
                return Err(
                    "credentials do not belong into the URL: they would show in logs and answers"
                        .into(),
                );
            }
            if user.starts_with('-')
                || host.starts_with('-')
                || (scheme != "file" && host.is_empty())
            {
                return Err(format!("`{text}` names no host"));
            }
            return Ok(Self(text));
        }
        let scp = |t: &str| {
            t.split_once(':').is_some_and(|(host, path)| {
                !host.is_empty() && !path.is_empty() && !host.contains('/') && !host.contains("@-")
            })
        };
        if text.starts_with('/') || scp(&text) {
            Ok(Self(text))
        } else {
            Err(format!(
                "`{text}` is no git URL: use https://, ssh://, user@host:path, file:// or an absolute path"
            ))
        }
    }
}

impl TryFrom<String> for BranchPattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        // `{name}` stands for a workspace's name, which is always fine in a branch name.
        if !text.contains("{name}") {
            return Err(format!(
                "`{text}` must hold {{name}}: each workspace has a branch of its own"
            ));
        }
        RefName::try_from(text.replace("{name}", "n"))?;
        Ok(Self(text))
    }
}

impl TryFrom<String> for RefName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if !text.starts_with('-') && git2::Reference::is_valid_name(&format!("refs/heads/{text}")) {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` is not a branch name"))
        }
    }
}

impl TryFrom<String> for Seconds {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let duration = text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .filter(|duration| {
                (Duration::from_millis(1)..=Duration::from_hours(24)).contains(duration)
            });
        duration
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a time like 30s or 10m (at most a day)"))
    }
}

/// How often a remote is asked what has changed: a time of at least 5 s, or `off`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Poll(Option<Duration>);

/// A server is not to be asked more often.
const SHORTEST_POLL: Duration = Duration::from_secs(5);

impl TryFrom<String> for Poll {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let every = Seconds::try_from(text.clone()).ok();
        match every.filter(|every| **every >= SHORTEST_POLL) {
            Some(every) => Ok(Self(Some(*every))),
            None => Err(format!(
                "`{text}` is neither \"off\" nor a time of at least {} s, like 60s or 5m",
                SHORTEST_POLL.as_secs()
            )),
        }
    }
}

impl Poll {
    /// The pause between two questions; `None`: nobody asks.
    pub fn every(&self) -> Option<Duration> {
        self.0
    }
}

impl Seconds {
    /// That many seconds.
    pub(super) const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<Path> for AbsolutePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for PlainPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for RelativePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_would_run_something_are_refused() {
        let bad = [
            "ext::sh -c id",
            "--upload-pack=x",
            "ssh://-oProxyCommand=id/x",
            "http://example.org/x",
            "git://x/y",
            "https://user:secret@example.org/x",
            "relative/path",
            "a b",
            "https://x\n/y",
            "ssh://u@-x/y",
            "https://token@example.org/x",
            "",
            "https:///x",
            "-oProxyCommand=x:y",
            "fd::17",
            "file::x",
        ];
        for url in bad {
            assert!(GitUrl::try_from(url.to_owned()).is_err(), "{url}");
        }
        for url in [
            "https://example.org/x.git",
            "ssh://git@example.org:2222/x",
            "git@example.org:team/x.git",
            "/srv/x.git",
            "file:///srv/x.git",
        ] {
            assert!(GitUrl::try_from(url.to_owned()).is_ok(), "{url}");
        }
    }

    #[test]
    fn paths_stay_where_they_belong() {
        for path in [
            "../x",
            "/etc/passwd",
            "",
            "a/../b",
            ".git/config",
            "a/.git/hooks/x",
        ] {
            assert!(RelativePath::try_from(path.to_owned()).is_err(), "{path}");
        }
        for path in ["x", "/a/../b", "/a\n"] {
            assert!(AbsolutePath::try_from(path.to_owned()).is_err(), "{path}");
        }
        assert!(RelativePath::try_from(".".to_owned()).is_ok());
    }

    #[test]
    fn paths_hold_nothing_that_means_more_where_they_are_written() {
        for path in ["/a b", "/a%b", "/a$b", "/a;b", "/a\"b", "/a/../b", "a"] {
            assert!(PlainPath::try_from(path.to_owned()).is_err(), "{path}");
            assert!(WorkDir::try_from(path.to_owned()).is_err(), "{path}");
        }
        assert!(PlainPath::try_from("/srv/a:b-c_d.e".to_owned()).is_ok());
        for path in ["/a:b", "/", "//"] {
            assert!(WorkDir::try_from(path.to_owned()).is_err(), "{path}");
        }
        assert!(WorkDir::try_from("/srv/cid/a".to_owned()).is_ok());
        assert!(SearchPath::try_from("/a:b".to_owned()).is_err());
        assert!(SearchPath::try_from("/a b".to_owned()).is_ok());
        for name in ["", "-x", "a b", "a:b", "a\n", "a/b"] {
            assert!(account_name(name.to_owned()).is_err(), "{name}");
        }
        assert!(account_name("anna@example.com".to_owned()).is_ok());
    }

    #[test]
    fn times_and_refs() {
        assert_eq!(
            *Seconds::try_from("10m".to_owned()).unwrap(),
            Duration::from_secs(600)
        );
        let poll = |text: &str| Poll::try_from(text.to_owned()).map(|poll| poll.every());
        assert_eq!(poll("off"), Ok(None));
        assert_eq!(poll("60s"), Ok(Some(Duration::from_secs(60))));
        for text in ["on", "", "4s", "25h", "-60s"] {
            assert!(poll(text).is_err(), "{text}");
        }
        for text in ["0s", "-1s", "2 days", "x", "25h"] {
            assert!(Seconds::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(BranchPattern::try_from("devel-{name}".to_owned()).is_ok());
        for text in ["main", "{name}..", "-{name}"] {
            assert!(BranchPattern::try_from(text.to_owned()).is_err(), "{text}");
        }
        for text in ["-x", "a..b", "a b", "", "x.lock"] {
            assert!(RefName::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
