//! What to install, release and run: the operator's word, and where it is silent, what the
//! repository says. A pure function.

use crate::{
    config::{Command, DatabaseKind, EnvName, NodeRange, Project, PythonVersion},
    domain::ProcessType,
};
use cid_protocol::{
    budget::PROCESS_TYPES,
    fault::Fault,
    request::{Dependencies, Given, Inspection, InstallCommands, WantedNode},
    run_file::ProcessCommand,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::PathBuf};

mod near;
mod own;
mod template;

pub use cid_protocol::run_file::WEB;
pub use near::{Near, near_misses};
pub use own::{Over, OwnValue};
pub use template::{Templated, templated};

/// Names Django's settings to it.
pub const SETTINGS: &str = "DJANGO_SETTINGS_MODULE";

/// What to install, release and run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Where dependencies come from.
    pub environment: Environment,
    /// Commands that build what the app serves or runs, in its folder.
    #[serde(default)]
    pub build: Vec<Vec<String>>,
    /// Commands before every start, in order.
    pub release: Vec<ProcessCommand>,
    /// Process type -> what to execute; never empty.
    pub processes: BTreeMap<String, ProcessCommand>,
    /// The web process listens on its Unix socket instead of its port.
    pub web_on_socket: bool,
    /// Variables that cid sets by itself.
    #[serde(default)]
    pub own: BTreeMap<String, OwnValue>,
    /// Django's settings over the repository's own.
    #[serde(default)]
    pub over: Option<Over>,
    /// Which Node it wants; `None`: it has nothing to do with Node.
    #[serde(default)]
    pub node: Option<WantedNode>,
}

/// Where a workspace's dependencies come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// It has none.
    None,
    /// The operator's own, ready.
    Ready(PathBuf),
    /// One for all workspaces with the same declared dependencies.
    Shared {
        /// Names it.
        key: String,
        /// How they are declared.
        dependencies: Vec<Dependencies>,
        /// Packages of the repository itself are among them, which each workspace has in its own tree.
        local: bool,
        /// The operator's commands, instead of `dependencies`.
        #[serde(default)]
        install: Vec<Vec<String>>,
    },
    /// The workspace's own, because its branch declares others than base or they cannot be keyed.
    Own {
        /// Names a shared one with the same, which base once declared; `None`: there can be none.
        #[serde(default)]
        key: Option<String>,
        /// How they are declared; none: by `install`.
        dependencies: Vec<Dependencies>,
        /// As in [`Self::Shared`].
        local: bool,
        /// The operator's commands.
        install: Vec<Vec<String>>,
    },
}

impl Environment {
    /// Whether something is installed in the workspace's folder.
    pub fn is_in_workspace(&self) -> bool {
        match self {
            Self::None | Self::Ready(_) => false,
            Self::Shared { local, .. } => *local,
            Self::Own { .. } => true,
        }
    }
}

impl Recipe {
    /// Merges the operator's word and the repository's.
    ///
    /// # Errors
    /// There is nothing to run.
    pub fn new(project: &Project, inspection: &Inspection) -> Result<Self, Fault> {
        let app = &project.app;
        let missing = inspection.missing.as_ref();
        if let (Some((message, hint)), None, None) = (missing, &app.env, &app.install) {
            return Err(Fault::new(message).hint(hint));
        }
        let processes = processes(project, inspection);
        if processes.is_empty() {
            return Err(match inspection.processes.as_slice() {
                [] => nothing_to_run(inspection),
                skipped => all_skipped(skipped),
            });
        }
        PROCESS_TYPES.check(processes.len(), "this workspace")?;
        if let Some(name) = processes
            .keys()
            .find(|name| ProcessType::parse(name).is_none())
        {
            return Err(Fault::new(format!("cannot start {name:?}: it is no process type"))
                .hint("process types are of letters, digits, _ and -, do not begin with -, and have at most 31"));
        }
        Ok(Self {
            environment: environment(project, inspection),
            build: build(project, inspection),
            release: release(project, inspection),
            web_on_socket: processes.get(WEB).is_some_and(wants_socket),
            processes,
            own: own::own(project, inspection),
            over: own::over(project, inspection),
            node: inspection.node.clone(),
        })
    }

    /// The same where nginx reaches no sockets: a web process of cid's own choice listens on its port.
    #[must_use]
    pub fn on_port(mut self, project: &Project, inspection: &Inspection) -> Self {
        let is_chosen = project.app.run.is_empty() && inspection.processes.is_empty();
        if let Some(ProcessCommand::Arguments(words)) = self.processes.get_mut(WEB)
            && is_chosen
        {
            let on_port = |word: &String| {
                match word.as_str() {
                    "unix:{socket}" => vec!["127.0.0.1:{port}"],
                    "--uds" => vec!["--host", "127.0.0.1", "--port"],
                    "{socket}" => vec!["{port}"],
                    word => vec![word],
                }
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
            };
            *words = words.iter().flat_map(on_port).collect();
            self.web_on_socket = false;
        }
        self
    }

    /// Whether nginx has something to pass requests to.
    pub fn has_web(&self) -> bool {
        self.processes.contains_key(WEB)
    }
}

fn all_skipped(processes: &[(String, String)]) -> Fault {
    let names: Vec<&str> = processes.iter().map(|(name, _)| name.as_str()).collect();
    let message = format!(
        "cannot tell what to run: `skip` in [app] leaves out all processes of the Procfile: {}",
        names.join(", ")
    );
    Fault::new(message).hint("take one out of `skip`, or set run.web in [app] of the project file")
}

fn nothing_to_run(inspection: &Inspection) -> Fault {
    let message = "cannot tell what to run: in `dir` of [app] there is no Procfile with a process, no manage.py, \
         no folder with a wsgi.py beside gunicorn among the dependencies, and no file that starts an app of another kind";
    let add = "add a Procfile with a line like `web: gunicorn -b 127.0.0.1:$PORT app.wsgi`, or set run.web in [app] of \
         the project file";
    let fault = Fault::new(message);
    if inspection.nearby.is_empty() {
        return fault.hint(add);
    }
    fault.hint(format!(
        "{add}; the repository has\n  {}",
        inspection.nearby.join("\n  ")
    ))
}

/// A hash over the declared dependencies, where they alone decide what is installed; `None`: the tree or commands
/// of the operator's decide too.
pub fn packages(project: &Project, inspection: &Inspection) -> Option<String> {
    let declares_all = !inspection.local && project.app.install.is_none();
    let key = inspection.dependencies_key.as_ref();
    key.filter(|_| declares_all)
        .map(|key| keyed(key, project, inspection))
}

/// How a project file says to install, with what decides what comes of it.
pub fn install(project: &Project) -> Option<InstallCommands> {
    let app = &project.app;
    let commands = app.install.as_ref()?.iter();
    let inputs = app.install_inputs.iter();
    Some(InstallCommands {
        commands: commands.map(|command| command.words().to_vec()).collect(),
        inputs: inputs.map(|path| path.to_path_buf()).collect(),
    })
}

/// Django's settings that a project file chooses.
pub fn settings(project: &Project) -> Option<String> {
    let chosen = |(name, _): &(&EnvName, &String)| name.as_str() == SETTINGS;
    let (_, module) = project.env.iter().find(chosen)?;
    Some(module.clone())
}

/// What a project file says itself.
pub fn given(project: &Project) -> Given {
    Given {
        run: !project.app.run.is_empty(),
        release: project.app.release.is_some(),
        install: project.app.install.is_some(),
        env: project.app.env.is_some(),
    }
}

fn processes(project: &Project, inspection: &Inspection) -> BTreeMap<String, ProcessCommand> {
    if !project.app.run.is_empty() {
        let named = |(name, command): (&ProcessType, &Command)| {
            (
                name.as_str().to_owned(),
                ProcessCommand::Arguments(command.words().to_vec()),
            )
        };
        return project.app.run.iter().map(named).collect();
    }
    if !inspection.processes.is_empty() {
        let is_skipped = |name: &str| {
            project
                .app
                .skip
                .iter()
                .any(|skipped| skipped.as_str() == name)
        };
        let started = inspection
            .processes
            .iter()
            .filter(|(name, _)| !is_skipped(name));
        return started
            .map(|(name, line)| (name.clone(), ProcessCommand::Shell(line.clone())))
            .collect();
    }
    django(inspection)
        .or_else(|| inspection.start.clone())
        .map(|command| (WEB.to_owned(), ProcessCommand::Arguments(command)))
        .into_iter()
        .collect()
}

fn django(inspection: &Inspection) -> Option<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    match (&inspection.wsgi_module, inspection.gunicorn) {
        (Some(module), true) => Some(words(&["gunicorn", "--bind", "unix:{socket}", module])),
        _ if inspection.django => Some(words(&[
            "python",
            "manage.py",
            "runserver",
            "--noreload",
            "127.0.0.1:{port}",
        ])),
        _ => None,
    }
}

/// What the operator says, or else what the repository does where the operator leaves its packages to cid.
fn build(project: &Project, inspection: &Inspection) -> Vec<Vec<String>> {
    let app = &project.app;
    match &app.build {
        Some(commands) => commands
            .iter()
            .map(|command| command.words().to_vec())
            .collect(),
        None if app.env.is_some() || app.install.is_some() => Vec::new(),
        None => {
            let mut commands = inspection.build.clone();
            let collects = ["python", "manage.py", "collectstatic", "--noinput"];
            if wants_collected(inspection) {
                commands.push(collects.map(str::to_owned).to_vec());
            }
            commands
        }
    }
}

/// Whether pages look static files up in a manifest that only collecting them writes, and no line of a Procfile
/// does.
fn wants_collected(inspection: &Inspection) -> bool {
    let lines = inspection.processes.iter().map(|(_, line)| line);
    let mut lines = lines.chain(&inspection.release);
    let settings = inspection.settings.as_ref();
    let wants = settings.is_some_and(|settings| {
        settings.needs_manifest && settings.has_static_root && !settings.is_debug
    });
    wants && inspection.django && !lines.any(|line| line.contains("collectstatic"))
}

fn release(project: &Project, inspection: &Inspection) -> Vec<ProcessCommand> {
    if let Some(commands) = &project.app.release {
        return commands
            .iter()
            .map(|command| ProcessCommand::Arguments(command.words().to_vec()))
            .collect();
    }
    // On a database that all share, only what the operator lists runs.
    let is_shared = project
        .database
        .as_ref()
        .is_some_and(|database| database.kind == DatabaseKind::Shared);
    if is_shared {
        return Vec::new();
    }
    if let Some(line) = &inspection.release {
        return vec![ProcessCommand::Shell(line.clone())];
    }
    inspection.django.then(migrate).into_iter().collect()
}

/// What cid runs by itself before a start of Django's.
fn migrate() -> ProcessCommand {
    let words = ["python", "manage.py", "migrate", "--noinput"].map(str::to_owned);
    ProcessCommand::Arguments(words.to_vec())
}

fn environment(project: &Project, inspection: &Inspection) -> Environment {
    if let Some(ready) = &project.app.env {
        return Environment::Ready(ready.to_path_buf());
    }
    if let Some(commands) = &project.app.install {
        let install = commands
            .iter()
            .map(|command| command.words().to_vec())
            .collect();
        let dependencies = Vec::new();
        return match (&inspection.dependencies_key, &inspection.base_key) {
            (Some(key), Some(base)) if key == base => Environment::Shared {
                key: keyed(key, project, inspection),
                dependencies,
                local: false,
                install,
            },
            (key, _) => Environment::Own {
                key: key.as_ref().map(|key| keyed(key, project, inspection)),
                dependencies,
                local: false,
                install,
            },
        };
    }
    let dependencies = inspection.dependencies.clone();
    if dependencies.is_empty() {
        return Environment::None;
    }
    let local = inspection.local;
    match (&inspection.dependencies_key, &inspection.base_key) {
        (Some(key), Some(base)) if key == base => Environment::Shared {
            key: keyed(key, project, inspection),
            dependencies,
            local,
            install: Vec::new(),
        },
        (key, _) => Environment::Own {
            key: key.as_ref().map(|key| keyed(key, project, inspection)),
            dependencies,
            local,
            install: Vec::new(),
        },
    }
}

/// The key of what is installed where all of `[env]` can be seen that is the same in every workspace: any of it
/// may decide what that is, and so may the Python and the Node that are asked for, wherever in the repository.
fn keyed(key: &str, project: &Project, inspection: &Inspection) -> String {
    let env = project.env_of_all();
    let python = project.app.python.as_ref().map(PythonVersion::text);
    let asked = inspection.node.as_ref().and_then(|node| node.range.clone());
    let node = project.app.node.as_ref().map(NodeRange::text).or(asked);
    if env.is_empty() && python.is_none() && node.is_none() {
        return key.to_owned();
    }
    let mut hash = Sha256::new();
    let env = env.iter();
    let texts = env.flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let versions = [python.as_deref(), node.as_deref()].map(Option::unwrap_or_default);
    for text in [key].into_iter().chain(versions).chain(texts) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

/// A command that names its socket listens on it, unless it names its port as well.
fn wants_socket(command: &ProcessCommand) -> bool {
    let (text, socket, port): (_, &[&str], &[&str]) = match command {
        ProcessCommand::Arguments(words) => (words.join(" "), &["{socket}"], &["{port}"]),
        ProcessCommand::Shell(line) => {
            (line.clone(), &["$SOCKET", "${SOCKET"], &["$PORT", "${PORT"])
        }
    };
    let names = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    names(socket) && !names(port)
}

#[cfg(test)]
mod tests;
