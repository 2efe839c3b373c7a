//! The tables of a project file. `docs/project-file.md` explains every key.

use super::{
    AbsolutePath, BranchPattern, GitUrl, PlainPath, Poll, RefName, RelativePath, Seconds, values,
};
use crate::domain::Email;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{collections::BTreeMap, path::PathBuf};

/// The name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`, not cid's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct EnvName(String);

impl TryFrom<String> for EnvName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let good = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match good {
            false => Err(format!("`{text}` is not a name of an environment variable")),
            true if text.starts_with("CID_") => {
                Err(format!("`{text}`: names beginning with CID_ are cid's own"))
            }
            true => Ok(Self(text)),
        }
    }
}

impl EnvName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `[git]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// Where the repository is.
    pub url: GitUrl,
    /// New branches start here.
    #[serde(default = "main_branch")]
    pub base: RefName,
    /// What a workspace's branch is called; `{name}` stands for the workspace's name.
    #[serde(default = "branch_pattern")]
    pub branch: BranchPattern,
    /// Private key for SSH instead of the deploy user's own.
    pub identity_file: Option<AbsolutePath>,
    /// known_hosts for SSH instead of the deploy user's own.
    pub known_hosts: Option<AbsolutePath>,
    /// File with `USER:TOKEN` for https, for cid's own user alone.
    pub credential_file: Option<AbsolutePath>,
    /// File with the secret of its webhooks, for cid's own user alone.
    pub webhook_secret_file: Option<AbsolutePath>,
    /// How often the remote is asked what has changed; `None`: as `Project::poll_every` says.
    pub poll: Option<Poll>,
    /// A push to a workspace's branch deploys that workspace.
    #[serde(default)]
    pub deploy_workspaces: bool,
    /// What becomes of a workspace whose branch is gone from the remote.
    #[serde(default)]
    pub on_branch_deleted: OnBranchDeleted,
    /// How long after that.
    #[serde(default = "a_day")]
    pub grace: Seconds,
}

/// `git.on_branch_deleted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBranchDeleted {
    /// It stays, and is marked.
    #[default]
    Keep,
    /// It is deleted after [`Git::grace`], unless it holds work.
    Delete,
}

fn a_day() -> Seconds {
    Seconds::new(24 * 60 * 60)
}

#[expect(clippy::expect_used, reason = "a constant")]
fn main_branch() -> RefName {
    RefName::try_from("main".to_owned()).expect("a branch name")
}

#[expect(clippy::expect_used, reason = "a constant")]
fn branch_pattern() -> BranchPattern {
    BranchPattern::try_from("{name}".to_owned()).expect("a branch name")
}

/// `[database]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// How workspaces come by theirs.
    pub kind: DatabaseKind,
    /// Given to the app as DATABASE_URL.
    #[serde(deserialize_with = "values::variable")]
    pub url: String,
}

/// `database.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// One for all, as given.
    Shared,
}

/// `[media]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// The folder all workspaces share.
    pub path: PlainPath,
    /// Where in the tree it is linked.
    #[serde(default = "media_link")]
    pub link: RelativePath,
    /// Below which URL nginx serves it.
    #[serde(default = "media_url")]
    pub url: UrlPrefix,
    /// Pages and scripts in it run as each workspace's own.
    #[serde(default)]
    pub scripts: bool,
    /// Put the link in place of something that the repository tracks.
    #[serde(default)]
    pub replace: bool,
}

#[expect(clippy::expect_used, reason = "a constant")]
fn media_link() -> RelativePath {
    RelativePath::try_from("media".to_owned()).expect("a relative path")
}

fn media_url() -> UrlPrefix {
    UrlPrefix("/media/".into())
}

/// A prefix of URLs: `/media/`, of letters, digits, `-`, `_`, with a slash at both ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UrlPrefix(String);

impl TryFrom<String> for UrlPrefix {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let good = text.len() > 2
            && text.starts_with('/')
            && text.ends_with('/')
            && !text.contains("//")
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/-_".contains(&b));
        if good {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` is not a URL prefix like /media/"))
        }
    }
}

impl UrlPrefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One of `[[files]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// An absolute path, or one inside the repository.
    #[serde(default, deserialize_with = "template")]
    pub template: Option<PathBuf>,
    /// The template itself, instead of a file.
    #[serde(default)]
    pub text: Option<String>,
    /// Where in the tree the rendered file goes.
    pub target: RelativePath,
    /// Also over a file that the repository tracks.
    #[serde(default)]
    pub replace: bool,
}

fn template<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let path = match text.starts_with('/') {
        true => AbsolutePath::try_from(text).map(|path| path.to_path_buf()),
        false => RelativePath::try_from(text).map(|path| path.to_path_buf()),
    };
    path.map(Some).map_err(D::Error::custom)
}

/// One of `[[links]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkEntry {
    /// The shared thing.
    pub source: AbsolutePath,
    /// Where in the tree.
    pub target: RelativePath,
    /// Linked, or copied when the workspace may change it.
    #[serde(default)]
    pub mode: LinkMode,
    /// Also over something that the repository tracks.
    #[serde(default)]
    pub replace: bool,
}

/// `links.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkMode {
    /// A symbolic link.
    #[default]
    Link,
    /// A copy.
    Copy,
}

/// `[access]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Unix group with read-write access to every workspace's files.
    #[serde(deserialize_with = "values::account")]
    pub group: Option<String>,
    /// Unix group whose members deploy to stages.
    #[serde(deserialize_with = "values::account")]
    pub deployers: Option<String>,
    /// E-mail -> Unix account with read-write access to that workspace.
    #[serde(deserialize_with = "people")]
    pub people: BTreeMap<Email, String>,
}

/// Says of a key that is no address what it should have been: it may be meant for another table.
fn people<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Email, String>, D::Error> {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    struct Key(Email);
    impl<'de> Deserialize<'de> for Key {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            Email::parse(&text).map(Self).map_err(|why| {
                let advice = match text.as_str() {
                    "group" | "people" => "it belongs under [access], which comes before [access.people]",
                    _ => "a line here is \"ADDRESS\" = \"ACCOUNT\", like \"anna@example.com\" = \"anna\"",
                };
                D::Error::custom(format!("`{text}` under [access.people] is no address: {why}; {advice}"))
            })
        }
    }
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Account(String);
    impl TryFrom<String> for Account {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            values::account_name(text).map(Self)
        }
    }
    let people = BTreeMap::<Key, Account>::deserialize(deserializer)?;
    Ok(people
        .into_iter()
        .map(|(key, account)| (key.0, account.0))
        .collect())
}
