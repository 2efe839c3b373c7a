//! `projects.d/NAME.toml`: one project, the operator's recipe. `docs/project-file.md` explains
//! every key.

use super::{
    AbsolutePath, BranchPattern, ConfigError, Domain, GitUrl, NginxSettings, PlainPath,
    ProjectLimits, RefName, RelativePath, TestGate, Tls, WorkDir, app::App, dotenv, numbers, parse,
    place::Broken, read, values,
};
use crate::domain::{Email, Name, ProjectName, Rights};
use cid_protocol::{environment::credentials, request::Remote};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A project as its file says; see `docs/project-file.md` for what each key means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// The file's stem; not in the file.
    #[serde(skip, default = "unnamed")]
    pub name: ProjectName,
    /// The file it was read from; not in the file.
    #[serde(skip)]
    pub file: PathBuf,
    /// Workspaces answer at `NAME.DOMAIN`.
    pub domain: Domain,
    /// Identity for git over the network; in the sandbox always whoever runs it.
    #[serde(default, deserialize_with = "values::account")]
    pub deploy_user: Option<String>,
    /// No longer a key: a file that still has it gets an error that names the alternatives.
    #[serde(rename = "isolation", default, deserialize_with = "own_account")]
    _isolation: (),
    #[serde(rename = "run_user", default, deserialize_with = "own_account")]
    _run_user: (),
    /// Workspaces live here; in the sandbox `DIR/work/PROJECT` when absent.
    pub work_dir: Option<WorkDir>,
    /// The certificate with which workspaces answer over HTTPS.
    pub tls: Option<Tls>,
    /// The repository.
    pub git: Git,
    /// What the repository does not say or says wrongly.
    #[serde(default)]
    pub app: App,
    /// The surroundings of its tests.
    #[serde(default)]
    pub test: TestGate,
    /// Given to every command and process.
    #[serde(default, deserialize_with = "variables")]
    pub env: BTreeMap<EnvName, String>,
    /// The database, when it is not the app's own default.
    pub database: Option<Database>,
    /// The shared media folder.
    pub media: Option<Media>,
    /// Operator's templates rendered into the tree.
    #[serde(default)]
    pub files: Vec<FileEntry>,
    /// Other shared things linked into the tree.
    #[serde(default)]
    pub links: Vec<LinkEntry>,
    /// Who else may read and write a workspace's files.
    #[serde(default)]
    pub access: Access,
    /// How long things may take and how much of the machine they may use.
    #[serde(default)]
    pub limits: ProjectLimits,
    /// How its sites are served.
    #[serde(default)]
    pub nginx: NginxSettings,
}

fn unnamed() -> ProjectName {
    #[expect(
        clippy::expect_used,
        reason = "a constant; replaced right after reading"
    )]
    ProjectName::parse("unnamed").expect("a valid name")
}

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
    #[serde(deserialize_with = "template")]
    pub template: PathBuf,
    /// Where in the tree the rendered file goes.
    pub target: RelativePath,
    /// Also over a file that the repository tracks.
    #[serde(default)]
    pub replace: bool,
}

fn template<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(deserializer)?;
    let path = match text.starts_with('/') {
        true => AbsolutePath::try_from(text).map(|path| path.to_path_buf()),
        false => RelativePath::try_from(text).map(|path| path.to_path_buf()),
    };
    path.map_err(D::Error::custom)
}

/// Texts that can be in an environment; where one cannot, no value is shown.
pub(super) fn variables<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<EnvName, String>, D::Error> {
    #[derive(Deserialize)]
    struct Value(#[serde(deserialize_with = "values::variable")] String);
    let all = BTreeMap::<EnvName, Value>::deserialize(deserializer)?;
    Ok(all
        .into_iter()
        .map(|(name, value)| (name, value.0))
        .collect())
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
    /// E-mail -> Unix account with read-write access to that workspace.
    #[serde(deserialize_with = "people")]
    pub people: BTreeMap<Email, String>,
}

/// Refuses every value: whose account a workspace has is no choice.
fn own_account<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom(
        "each workspace has a Unix account of its own, and there is no other way any more: remove this line. \
         [access] opens a workspace's files to people, and `cictl shell EMAIL` is a terminal in it",
    ))
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

impl Project {
    /// Reads a file and checks what its values say together.
    ///
    /// # Errors
    /// It cannot be read, breaks a rule, or its stem is no project name.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let fail = |message: String| ConfigError::Parse(path.to_owned(), message);
        let name = ProjectName::parse(stem).ok_or_else(|| {
            fail(format!("`{stem}` is not a project name (a-z, 0-9 and -, beginning with a letter, at most 31)"))
        })?;
        let text = read(path)?;
        let mut project: Self = parse(path, &text)?;
        project.name = name;
        path.clone_into(&mut project.file);
        project.check().map_err(|broken| fail(broken.told(&text)))?;
        Ok(project)
    }

    /// What it says of people's rights.
    pub fn rights(&self) -> Rights {
        Rights {
            people: self.access.people.clone(),
            deploy_user: self.deploy_user.clone(),
        }
    }

    /// An error about one of its keys, with the key's line.
    pub(super) fn error_at(&self, key: &'static str, message: String) -> ConfigError {
        let text = read(&self.file).unwrap_or_default();
        ConfigError::Parse(self.file.clone(), Broken::new(key, message).told(&text))
    }

    /// Rules over more than one value; those over one are in its type.
    fn check(&self) -> Result<(), Broken> {
        if self.app.env.is_some() && self.app.install.is_some() {
            return Err(Broken::new(
                "app.install",
                "app.env and app.install exclude each other: a ready environment is not installed",
            ));
        }
        let (base, pattern) = (self.git.base.as_str(), self.git.branch.as_str());
        if pattern.starts_with(&format!("{base}/")) || base.starts_with(&format!("{pattern}/")) {
            return Err(Broken::new(
                "git.branch",
                format!("git cannot have the branches {base} and {pattern} side by side"),
            ));
        }
        if self.git.credential_file.is_some() && !self.git.url.starts_with("https://") {
            return Err(Broken::new(
                "git.credential_file",
                "only a repository over https takes one",
            ));
        }
        self.nginx
            .check(self.media.as_ref().map(|media| &media.url))?;
        numbers::check(self)?;
        self.check_variables()
    }

    /// Every value that goes into a workspace's `.env` must read alike in all that read such files.
    fn check_variables(&self) -> Result<(), Broken> {
        let env = self
            .env
            .iter()
            .map(|(name, value)| (format!("env.{}", name.as_str()), value.clone()));
        let database = self
            .database
            .iter()
            .map(|database| ("database.url".into(), database.url.clone()));
        let media = self.media.iter().map(|media| {
            (
                "media.path".into(),
                media.path.to_string_lossy().into_owned(),
            )
        });
        for (key, value) in env.chain(database).chain(media) {
            if let Err(why) = dotenv::assignment("", &value) {
                return Err(Broken::new(
                    key,
                    format!(
                        "cannot be written into .env: {why}; write the value into a file and name the file here"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// How the repository is reached.
    pub fn remote(&self) -> Remote {
        Remote {
            url: self.git.url.to_string(),
            identity_file: self
                .git
                .identity_file
                .as_ref()
                .map(|path| path.to_path_buf()),
            known_hosts: self.git.known_hosts.as_ref().map(|path| path.to_path_buf()),
            credential_file: self
                .git
                .credential_file
                .as_ref()
                .map(|path| path.to_path_buf()),
        }
    }

    /// The branch of a workspace of this name.
    pub fn branch_for(&self, name: &Name) -> String {
        self.git.branch.replace("{name}", name.as_str())
    }

    /// Below which host name a workspace answers.
    pub fn host_for(&self, name: &Name) -> String {
        format!("{name}.{}", self.domain)
    }

    /// What a new workspace would have as `MEDIA_ROOT` and `MEDIA_URL`.
    pub fn media_env(&self) -> [Option<String>; 2] {
        if let Some(media) = &self.media {
            let path = media.path.to_string_lossy().into_owned();
            return [Some(path), Some(media.url.as_str().to_owned())];
        }
        ["MEDIA_ROOT", "MEDIA_URL"].map(|wanted| {
            let mut env = self.env.iter();
            let found = env.find(|(name, _)| name.as_str() == wanted);
            found.map(|(_, value)| value.clone())
        })
    }

    /// Folders outside of its tree that every workspace writes: media, and a shared database's.
    pub fn shared_folders(&self) -> Vec<PathBuf> {
        let media = self.media.as_ref().map(|media| media.path.to_path_buf());
        let database = self.database_file();
        let folder = database.and_then(|file| file.parent().map(Path::to_owned));
        media.into_iter().chain(folder).collect()
    }

    /// The file of a shared SQLite database.
    pub fn database_file(&self) -> Option<PathBuf> {
        sqlite_file(&self.database.as_ref()?.url)
    }

    /// Values that must not show in logs and answers.
    pub fn secrets(&self) -> Vec<String> {
        let database = self.database.iter().map(|database| database.url.clone());
        let env = self
            .env
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.clone()));
        let env: BTreeMap<String, String> = env.collect();
        let in_urls = credentials(&env);
        let whole = env.into_iter().filter(|(name, _)| is_secret(name));
        database
            .chain(whole.map(|(_, value)| value))
            .chain(in_urls)
            .filter(|value| value.len() >= 6)
            .collect()
    }
}

/// What may follow it, such as `?timeout=20`, is for the app.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:///")?.split('?').next()?;
    Some(PathBuf::from(path)).filter(|path| path.is_absolute() && path.file_name().is_some())
}

/// By the usual words; what is no secret may well be hidden, the other way round not.
fn is_secret(name: &str) -> bool {
    [
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "TOKEN",
        "KEY",
        "CREDENTIAL",
        "DSN",
    ]
    .iter()
    .any(|word| name.to_ascii_uppercase().contains(word))
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod tests;
