//! Requests about what a repository declares and what is installed.

use super::Given;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// See [`super::Request::Inspect`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inspect {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// What will be checked out.
    pub commit: String,
    /// The base branch's commit.
    pub base: String,
    /// For a build: the base branch in the mirror. What installers make of a commit that it does not have is for that
    /// commit alone, where they see more of it than what is keyed: it may run.
    #[serde(default)]
    pub trunk: Option<String>,
    /// Where in the repository the app lives; `.` for its root.
    pub app_dir: PathBuf,
    /// What the project file itself gives; it overrides the repository.
    pub given: Given,
    /// The operator's own way to install.
    #[serde(default)]
    pub install: Option<InstallCommands>,
    /// The operator's own choice of a Python, such as `3.12`.
    #[serde(default)]
    pub python: Option<String>,
    /// The operator's own choice of Django's settings, as a module.
    #[serde(default)]
    pub settings: Option<String>,
    /// The operator's own choice of a Node, such as `22`.
    #[serde(default)]
    pub node: Option<String>,
}

/// The operator's own way to install.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallCommands {
    /// Run one after the other in the app's folder.
    pub commands: Vec<Vec<String>>,
    /// Files and folders in the app's folder that decide what comes of it; none: as the commands tell.
    pub inputs: Vec<PathBuf>,
}

/// Reply to [`Inspect`]: facts by file name and content, nothing of the repository was run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// What a person may not expect, e.g. files that cid does not read.
    pub notes: Vec<String>,
    /// Folders that are commits of other repositories, by path.
    #[serde(default)]
    pub submodules: Vec<String>,
    /// Process types of the Procfile in its order, without `release`, each a shell line.
    pub processes: Vec<(String, String)>,
    /// The Procfile's `release` line.
    pub release: Option<String>,
    /// How dependencies are declared: the app's own, then those of its assets; empty: not at all.
    pub dependencies: Vec<Dependencies>,
    /// SHA-256 over what `dependencies` names at the commit: file names and contents, `-r` and
    /// `-c` followed. `None` where that cannot be told (something outside the repository).
    pub dependencies_key: Option<String>,
    /// Packages of the repository itself are among them.
    pub local: bool,
    /// The same key for the base branch's commit.
    pub base_key: Option<String>,
    /// `manage.py` exists.
    pub django: bool,
    /// Dotted module of the only `*/wsgi.py`, e.g. `pressa.wsgi`.
    pub wsgi_module: Option<String>,
    /// The declared dependencies name gunicorn.
    pub gunicorn: bool,
    /// Another web process that the files name, where neither Django's nor a Procfile's is there.
    #[serde(default)]
    pub start: Option<Vec<String>>,
    /// Commands that build what the app serves, in its folder.
    #[serde(default)]
    pub build: Vec<Vec<String>>,
    /// Names of the files in the app's folder that the decision rests on.
    pub found: Vec<String>,
    /// Where there is nothing to run: a line for each file that says how the app may start, and what it needs.
    #[serde(default)]
    pub nearby: Vec<String>,
    /// Which Python it asks for.
    #[serde(default)]
    pub python: WantedPython,
    /// The files that decide what is installed, with what installs it.
    #[serde(default)]
    pub declared_in: Vec<String>,
    /// Why a tool is missing that the machine must have, and what to do.
    #[serde(default)]
    pub missing: Option<(String, String)>,
    /// A sample of the app's variables, and their names.
    #[serde(default)]
    pub sample: Option<(String, Vec<String>)>,
    /// What Django's settings say.
    #[serde(default)]
    pub settings: Option<DjangoSettings>,
    /// Variables that the app's settings read.
    #[serde(default)]
    pub reads: Vec<ReadVariable>,
    /// Which Node it asks for; `None`: it has nothing to do with Node.
    #[serde(default)]
    pub node: Option<WantedNode>,
}

/// How what is said of submodules begins: a module that is missing may be in one, and in no package.
pub const SUBMODULES: &str = "cid does not fetch submodules: ";

/// Which Node is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedNode {
    /// A range as npm reads it; `None`: any.
    pub range: Option<String>,
    /// What asks for it, by path in the repository.
    pub place: String,
    /// It is the operator's word: no other will do.
    pub is_given: bool,
}

/// See [`super::Request::FindNode`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindNode {
    /// What is asked for.
    pub wanted: WantedNode,
    /// As in [`BuildPackages`].
    pub tools_dir: PathBuf,
    /// What installers are told beside what is cid's own.
    pub env: BTreeMap<String, String>,
}

/// Reply to [`FindNode`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NodeFound {
    /// The folder of its programs; `None`: it is found without.
    pub bin: Option<PathBuf>,
    /// This line of versions is to be brought in first, see [`super::Request::BringNode`].
    pub bring: Option<u32>,
    /// Such as `Node 22.11.0, /usr/bin/node: .nvmrc asks for 22`.
    pub told: String,
    /// What is asked for cannot be had, and another is taken.
    #[serde(default)]
    pub is_other: bool,
}

/// See [`super::Request::BringNode`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BringNode {
    /// The first number of its version.
    pub line: u32,
    /// Folder for tools that cid brings in.
    pub tools_dir: PathBuf,
    /// What installers are told beside what is cid's own.
    pub env: BTreeMap<String, String>,
}

/// A variable that an app's settings read, by their text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadVariable {
    /// Its name.
    pub name: String,
    /// The file that reads it, in the app's folder.
    pub path: PathBuf,
    /// What becomes of it where nothing sets it.
    pub unset: Unset,
    /// The line that reads it.
    pub line: String,
}

/// What an app does without a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unset {
    /// It does not start.
    Fails,
    /// It has nothing in its place.
    Nothing,
    /// It has a default of its own.
    Default,
}

/// What the text of Django's settings says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DjangoSettings {
    /// The file, in the app's folder.
    pub path: PathBuf,
    /// Its name as Python imports it.
    #[serde(default)]
    pub module: String,
    /// A server loads other settings than `manage.py`.
    #[serde(default)]
    pub has_others: bool,
    /// `ALLOWED_HOSTS`; `None`: it is computed.
    pub allowed_hosts: Option<Vec<String>>,
    /// `DEBUG` is on.
    pub is_debug: bool,
    /// `SECURE_SSL_REDIRECT` is on.
    pub redirects_to_https: bool,
    /// Static files are looked up in a manifest, which collecting them writes.
    pub needs_manifest: bool,
    /// They name the folder that static files are collected in.
    #[serde(default)]
    pub has_static_root: bool,
}

/// Which Python a repository asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedPython {
    /// The first that the machine has counts; none: any.
    pub choices: Vec<WantedVersion>,
    /// The file that these are from, by path in the repository.
    pub place: PathBuf,
    /// `requires-python` of `pyproject.toml`.
    pub requires: Option<String>,
}

/// A version asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedVersion {
    /// As it is written.
    pub text: String,
    /// Its numbers; `None`: the machine's own, whichever it is.
    pub version: Option<Vec<u32>>,
}

/// See [`super::Request::FindPython`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindPython {
    /// What the repository asks for.
    pub wanted: WantedPython,
    /// Whether one may be fetched, see [`super::Request::BringPython`].
    pub may_bring: bool,
    /// As in [`BuildPackages`].
    pub tools_dir: PathBuf,
    /// What installers are told beside what is cid's own.
    pub env: BTreeMap<String, String>,
}

/// Reply to [`FindPython`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PythonFound {
    /// The minor version that is to be brought in first, such as 14; `None`: one is there.
    pub bring: Option<u32>,
    /// Such as `Python 3.11.2, /usr/bin/python3: pyproject.toml requires >=3.10`.
    pub told: String,
}

/// See [`super::Request::BringPython`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BringPython {
    /// The minor version of Python 3.
    pub minor: u32,
    /// Folder for tools that cid brings in.
    pub tools_dir: PathBuf,
    /// What installers are told beside what is cid's own.
    pub env: BTreeMap<String, String>,
}

/// How an app declares its dependencies: a row of the helper's table of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependencies {
    /// `uv.lock` beside `pyproject.toml`.
    UvLock,
    /// `poetry.lock`.
    Poetry,
    /// `pdm.lock`.
    Pdm,
    /// `Pipfile.lock`.
    Pipenv,
    /// `requirements.txt`.
    Requirements,
    /// `pyproject.toml` alone.
    Pyproject,
    /// `Gemfile.lock`.
    Bundler,
    /// `composer.lock`.
    Composer,
    /// `go.mod`.
    Go,
    /// `Cargo.toml`.
    Cargo,
    /// `pnpm-lock.yaml`.
    Pnpm,
    /// `yarn.lock` of Yarn 2 or newer.
    YarnModern,
    /// `yarn.lock` of Yarn 1.
    Yarn,
    /// `bun.lock`.
    Bun,
    /// `package-lock.json`.
    Npm,
    /// `package.json` alone.
    PackageJson,
}

impl Dependencies {
    /// They go into an environment of Python's.
    pub fn is_python(self) -> bool {
        use Dependencies::{Pdm, Pipenv, Poetry, Pyproject, Requirements, UvLock};
        matches!(
            self,
            UvLock | Poetry | Pdm | Pipenv | Requirements | Pyproject
        )
    }

    /// Folders of [`PACKAGES`], and by which variable programs find them there.
    pub const BESIDE: [(&'static str, &'static str); 3] = [
        ("bundle", "BUNDLE_PATH"),
        ("go", "GOMODCACHE"),
        ("cargo", "CARGO_HOME"),
    ];

    /// The one of [`Self::BESIDE`] that is for these, where they need not lie in the tree.
    pub fn beside(self) -> Option<(&'static str, &'static str)> {
        let [bundler, go, cargo] = Self::BESIDE;
        match self {
            Self::Bundler => Some(bundler),
            Self::Go => Some(go),
            Self::Cargo => Some(cargo),
            _ => None,
        }
    }

    /// The folder of programs that they bring into the app's folder.
    pub fn programs(self) -> Option<&'static str> {
        match self {
            Self::Composer => Some("vendor/bin"),
            Self::Pnpm
            | Self::YarnModern
            | Self::Yarn
            | Self::Bun
            | Self::Npm
            | Self::PackageJson => Some("node_modules/.bin"),
            _ => None,
        }
    }
}

/// In an environment's folder: packages that are no Python's and need not lie in the tree.
pub const PACKAGES: &str = "packages";
/// In an environment's folder: which packages of the repository it is without, a list in JSON.
pub const LOCAL_LIST: &str = ".cid-local.json";
/// In an environment's folder: what belongs into the tree.
pub const FOR_TREE: &str = "tree";

/// See [`super::Request::BuildPackages`]. Installs without the repository's own packages, which
/// [`super::Request::InstallLocal`] adds, and compiles to bytecode. Begins with an empty folder: what an earlier build
/// left there is removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildPackages {
    /// The bare mirror, from which the declaring files are taken.
    pub mirror: PathBuf,
    /// At this commit.
    pub commit: String,
    /// Where in the repository the app lives.
    pub app_dir: PathBuf,
    /// How dependencies are declared; none: an empty environment, for the operator's commands.
    pub dependencies: Vec<Dependencies>,
    /// As in [`Inspect`].
    #[serde(default)]
    pub python: Option<String>,
    /// The operator's commands, run over the whole commit.
    #[serde(default)]
    pub install: Vec<Vec<String>>,
    /// The folder of Node's programs, where it is not the system's.
    #[serde(default)]
    pub node: Option<PathBuf>,
    /// The environment's folder, its final place (environments cannot be moved).
    pub target: PathBuf,
    /// Folder for tools that cid brings in, e.g. uv.
    pub tools_dir: PathBuf,
    /// Use pip where there is no uv; otherwise the reply says that there is none.
    pub or_pip: bool,
    /// Whether a Python may be fetched, see [`super::Request::BringPython`].
    #[serde(default)]
    pub may_bring_python: bool,
    /// Whether installers get a HOME of this build's own. The helper's may hold a person's settings,
    /// which are wanted in a sandbox.
    pub own_home: bool,
    /// What installers are told beside what is cid's own: the network's settings, the project's variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// Reply to [`BuildPackages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Built {
    /// The environment is complete.
    Complete,
    /// Nothing was installed: there is no uv.
    WantsUv,
    /// Nothing is left: the packages want this minor version of Python, which is to be brought in.
    WantsPython(u32),
    /// Nothing is left: the operator's commands made something in the tree that works nowhere else.
    NotShared,
}

/// See [`super::Request::PlacePackages`]. Folders are made, files are linked to those of the environment, which
/// nobody writes, and copied where the file system cannot link. What an earlier environment brought is replaced, what
/// somebody else put there stays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlacePackages {
    /// The environment's folder.
    pub environment: PathBuf,
    /// The clone.
    pub tree: PathBuf,
    /// The environment is the workspace's own: its files are moved.
    pub moves: bool,
    /// As [`RunCommand::alone`](super::RunCommand::alone).
    pub alone: bool,
}

/// Reply to [`PlacePackages`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Files that are links to the environment's.
    pub linked: u64,
    /// Files that had to be copied.
    pub copied: u64,
    /// What is not cid's and stays, by path in the tree.
    pub left: Vec<PathBuf>,
}

/// See [`super::Request::SealPackages`]. Takes write bits away, and writes down what the environment looks like.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealPackages {
    /// The environment's folder.
    pub target: PathBuf,
}

/// See [`super::Request::CheckPackages`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckPackages {
    /// The environment's folder.
    pub target: PathBuf,
    /// Also whether a file's content may have changed; takes several times as long.
    pub closely: bool,
}

/// Reply to [`CheckPackages`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What is not as it was sealed, the first thing found, e.g. `lib is gone`.
    pub damage: Option<String>,
}

/// See [`super::Request::InstallLocal`]. Which packages these are the environment's build has written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstallLocal {
    /// Where they go: an environment of the workspace's own.
    pub environment: PathBuf,
    /// The shared environment that it lies over, and is made afresh for; `None`: it has all packages itself.
    pub shared: Option<PathBuf>,
    /// The clone.
    pub tree: PathBuf,
    /// Where in the repository the app lives.
    pub app_dir: PathBuf,
    /// As in [`BuildPackages`].
    pub tools_dir: PathBuf,
    /// As in [`BuildPackages`].
    pub own_home: bool,
    /// What installers are told beside what is cid's own: the network's settings, the project's variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// Reply to [`InstallLocal`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalInstalled {
    /// What a person may not expect.
    pub notes: Vec<String>,
}

/// See [`super::Request::DiscardPackages`]. Empties at least its folder, whose parent may be somebody else's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiscardPackages {
    /// The environment's folder.
    pub target: PathBuf,
}

/// See [`super::Request::BringUv`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BringUv {
    /// Folder for tools that cid brings in.
    pub tools_dir: PathBuf,
    /// What installers are told beside what is cid's own: the network's settings, the project's variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}
