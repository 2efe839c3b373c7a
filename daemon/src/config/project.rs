//! `projects.d/NAME.toml`: one project, the operator's recipe. `docs/project-file.md` explains
//! every key.

use super::{
    Access, ConfigError, Database, Domain, EnvName, FileEntry, Git, LinkEntry, Media,
    NginxSettings, Notify, OnBranchDeleted, ProjectLimits, Sleep, Stages, TestGate, Tls, Visit,
    WorkDir,
    app::{App, Command},
    dotenv, numbers, parse,
    place::Broken,
    placeholders,
    placeholders::Values,
    read, stages, values,
};
use crate::domain::{Name, ProjectName, Rights};
use cid_protocol::{environment::credentials, request::Remote};
use serde::{Deserialize, Deserializer, de::Error as _};
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
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
    /// A hash over the file, which changes with it; not in the file.
    #[serde(skip)]
    pub digest: String,
    /// A hash for each key that decides what is installed and run in a workspace, such as `[app] run`; not in the
    /// file.
    #[serde(skip)]
    pub keys: BTreeMap<String, String>,
    /// Workspaces answer at `NAME.DOMAIN`.
    pub domain: Domain,
    /// Identity for git over the network; in the sandbox always the user who runs it.
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
    /// Who may visit its workspaces, and its stages that say nothing else.
    #[serde(default)]
    pub visit: Visit,
    /// Its environments that belong to no person.
    #[serde(default)]
    pub stages: Stages,
    /// When its workspaces sleep.
    #[serde(default)]
    pub sleep: Sleep,
    /// Who is told of its builds and deployments.
    #[serde(default)]
    pub notify: Notify,
    /// Values that are secrets by where they come from; not in the file.
    #[serde(skip)]
    pub(super) hidden: Vec<String>,
}

/// How often a remote is asked whose project does not say.
const POLL: Duration = Duration::from_mins(5);

fn unnamed() -> ProjectName {
    #[expect(
        clippy::expect_used,
        reason = "a constant; replaced right after reading"
    )]
    ProjectName::parse("unnamed").expect("a valid name")
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

/// Refuses every value: whose account a workspace has is no choice.
fn own_account<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom(
        "each workspace has a Unix account of its own, and there is no other way any more: remove this line. \
         [access] opens a workspace's files to people, and `cictl shell EMAIL` is a terminal in it",
    ))
}

fn hash(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text))
}

/// The keys of `[app]` that a workspace is made from, `[[files]]` and `[[links]]`. Health is asked by the present
/// file; tests and templates are no part of it.
fn keys(text: &str) -> BTreeMap<String, String> {
    let mut file: toml::Table = toml::from_str(text).unwrap_or_default();
    let app = match file.remove("app") {
        Some(toml::Value::Table(app)) => app,
        _ => toml::Table::new(),
    };
    let app = app
        .into_iter()
        .filter(|(key, _)| !["health", "test", "template", "seed"].contains(&key.as_str()))
        .map(|(key, value)| (format!("[app] {key}"), value));
    let lists = ["files", "links"].map(|name| {
        let list = file.remove(name)?;
        Some((format!("[[{name}]]"), list))
    });
    app.chain(lists.into_iter().flatten())
        .map(|(key, value)| (key, hash(&value.to_string())))
        .collect()
}

impl Project {
    /// Reads a file and checks what its values say together.
    ///
    /// # Errors
    /// It cannot be read, breaks a rule, or its stem is no project name.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::read_copy(path, path)
    }

    /// Reads a copy of the file `path`.
    pub(super) fn read_copy(copy: &Path, path: &Path) -> Result<Self, ConfigError> {
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let fail = |message: String| ConfigError::Parse(path.to_owned(), message);
        let name = ProjectName::parse(stem).ok_or_else(|| {
            fail(format!("`{stem}` is not a project name (a-z, 0-9 and -, beginning with a letter, at most 31)"))
        })?;
        let text = read(copy)?;
        let mut project: Self = parse(path, &text)?;
        project.name = name;
        path.clone_into(&mut project.file);
        project.digest = hash(&text);
        project.keys = keys(&text);
        project.check().map_err(|broken| fail(broken.told(&text)))?;
        Ok(project)
    }

    /// Whether it was read from this text.
    pub(super) fn is_of(&self, text: &str) -> bool {
        self.digest == hash(text)
    }

    /// What it says of people's rights.
    pub fn rights(&self) -> Rights {
        Rights {
            people: self.access.people.clone(),
            deploy_user: self.deploy_user.clone(),
        }
    }

    /// An error about one of its keys, with the key's line.
    pub(super) fn error_at(
        &self,
        key: impl Into<Cow<'static, str>>,
        message: String,
    ) -> ConfigError {
        let text = read(&self.file).unwrap_or_default();
        ConfigError::Parse(self.file.clone(), Broken::new(key, message).told(&text))
    }

    /// Rules over more than one value; those over one are in its type.
    fn check(&self) -> Result<(), Broken> {
        let is_one = |file: &FileEntry| file.template.is_some() != file.text.is_some();
        if let Some(file) = self.files.iter().find(|file| !is_one(file)) {
            return Err(Broken::new(
                "files",
                format!(
                    "{} needs either template, a file, or text, what it says",
                    file.target.display()
                ),
            ));
        }
        if self.app.env.is_some() && self.app.install.is_some() {
            return Err(Broken::new(
                "app.install",
                "app.env and app.install exclude each other: a ready environment is not installed",
            ));
        }
        if !self.app.install_inputs.is_empty() && self.app.install.is_none() {
            return Err(Broken::new(
                "app.install_inputs",
                "app.install_inputs names what the commands of app.install read, and there is no app.install",
            ));
        }
        if !self.app.skip.is_empty() && !self.app.run.is_empty() {
            return Err(Broken::new(
                "app.skip",
                "app.skip leaves out processes of the Procfile, which app.run replaces",
            ));
        }
        let lies_elsewhere = [
            ("[database]", self.database.is_some()),
            ("[[files]]", !self.files.is_empty()),
            ("[[links]]", !self.links.is_empty()),
        ];
        if self.app.template == Some(true)
            && let Some((table, _)) = lies_elsewhere.iter().find(|(_, is_there)| *is_there)
        {
            return Err(Broken::new(
                "app.template",
                format!(
                    "a template is made without {table}, which the release commands may need: leave one of them out"
                ),
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
        self.check_hosts()?;
        self.visit.check("visit")?;
        stages::check(self)?;
        self.notify.check(&self.git.url)?;
        self.check_variables()
    }

    /// Every value that goes into a workspace's `.env` must read alike in all that read such files.
    fn check_variables(&self) -> Result<(), Broken> {
        let mut env = Vec::new();
        for (name, value) in &self.env {
            let key = format!("env.{}", name.as_str());
            match placeholders::sample(value) {
                Ok(filled) => env.push((key, filled)),
                Err(why) => return Err(Broken::new(key, why)),
            }
        }
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
        for (key, value) in env.into_iter().chain(database).chain(media) {
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

    /// A process that listens on the workspace's host name would be reached by nobody, or by everybody.
    fn check_hosts(&self) -> Result<(), Broken> {
        let named = self.app.run.iter().find(|(_, command)| {
            let mut words = command.words().iter();
            words.any(|word| word.contains("{host}"))
        });
        match named {
            None => Ok(()),
            Some((kind, _)) => Err(Broken::new(
                format!("app.run.{}", kind.as_str()),
                "{host} is the host name in the workspace's address, and no process listens there: write 127.0.0.1; \
                 for the name itself take a variable of [env]",
            )),
        }
    }

    /// `[env]` of a workspace. Without its number, variables that need it are left out.
    pub fn env_of(&self, values: &Values) -> BTreeMap<String, String> {
        let filled = |(name, value): (&EnvName, &String)| {
            Some((name.as_str().to_owned(), values.text(value)?))
        };
        self.env.iter().filter_map(filled).collect()
    }

    /// The variables of `[env]` that are the same in every workspace.
    pub fn env_of_all(&self) -> BTreeMap<String, String> {
        let same = |(name, value): (&EnvName, &String)| {
            let value = placeholders::same_everywhere(value)?;
            Some((name.as_str().to_owned(), value))
        };
        self.env.iter().filter_map(same).collect()
    }

    /// Whether its workspaces need a number of their own on this machine.
    pub fn wants_numbers(&self) -> bool {
        let commands = self
            .app
            .run
            .values()
            .chain(self.app.release.iter().flatten())
            .chain(&self.app.personal);
        let words = commands.flat_map(Command::words);
        self.env
            .values()
            .chain(words)
            .any(|text| placeholders::names_number(text))
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

    /// Whether pushes to its base branch are built: without commands and stages there is nothing to see of a build.
    pub fn builds_pushes(&self) -> bool {
        self.app.build.is_some() || self.app.test.is_some() || !self.stages.is_empty()
    }

    /// How often its remote is asked what has changed; `None`: nobody asks by themselves. Where nothing follows
    /// from a change, only if the file says so.
    pub fn poll_every(&self) -> Option<Duration> {
        let git = &self.git;
        let deletes = git.on_branch_deleted == OnBranchDeleted::Delete;
        match &git.poll {
            Some(poll) => poll.every(),
            None => (self.builds_pushes() || git.deploy_workspaces || deletes).then_some(POLL),
        }
    }

    /// The branch of a workspace of this name.
    pub fn branch_for(&self, name: &Name) -> String {
        self.git.branch.replace("{name}", name.as_str())
    }

    /// The host name in the address of a workspace or a stage.
    pub fn host_for(&self, name: &Name) -> String {
        let stage = self.stages.get(name);
        let host = stage.and_then(|stage| stage.host.first());
        host.map_or_else(|| format!("{name}.{}", self.domain), ToString::to_string)
    }

    /// What a workspace with these values would have as `MEDIA_ROOT` and `MEDIA_URL`.
    pub fn media_env(&self, values: &Values) -> [Option<String>; 2] {
        if let Some(media) = &self.media {
            let path = media.path.to_string_lossy().into_owned();
            return [Some(path), Some(media.url.as_str().to_owned())];
        }
        let mut env = self.env_of(values);
        ["MEDIA_ROOT", "MEDIA_URL"].map(|wanted| env.remove(wanted))
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

    /// Values that must not show in logs and answers: the workspace's, and where its values are not known what is
    /// the same in all.
    pub fn secrets(&self, values: Option<&Values>) -> Vec<String> {
        let database = self.database.iter().map(|database| database.url.clone());
        let mut env = self.env_of_all();
        env.extend(values.map(|values| self.env_of(values)).unwrap_or_default());
        let parts = self
            .env
            .iter()
            .filter(|(name, _)| is_secret(name.as_str()) && !env.contains_key(name.as_str()))
            .flat_map(|(_, value)| placeholders::literals(value))
            .collect::<Vec<_>>();
        let in_urls = credentials(&env);
        let whole = env.into_iter().filter(|(name, _)| is_secret(name));
        database
            .chain(whole.map(|(_, value)| value))
            .chain(in_urls)
            .chain(parts)
            .chain(self.hidden.iter().cloned())
            .filter(|value| value.len() >= 6)
            .collect()
    }
}

/// What may follow it, such as `?timeout=20`, is for the app.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:///")?.split('?').next()?;
    Some(PathBuf::from(path)).filter(|path| path.is_absolute() && path.file_name().is_some())
}

/// By the usual words; hiding too much does no harm, hiding too little does.
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
