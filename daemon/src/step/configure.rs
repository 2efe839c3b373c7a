//! Writes the workspace's configuration: `.env`, the operator's files, shared links, and the run file that
//! starts its processes.

use super::{
    Inspect, InstallDependencies,
    inspect::{Inspected, is_unchanged},
    installed::Installed,
    make_account::made,
    make_directory::{HOME, TMP, TREE, own_socket, purge},
    make_stage_folder::APP_FOLDERS,
    variables::{filled_in, own_variables, values},
};
use crate::{
    config::{Limits, LinkMode, Project, dotenv},
    domain::{Packages, UnitName},
    engine::{Cx, Step},
    layout::BACKUPS,
    recipe::Over,
};
use cid_kernel::fs;
use cid_protocol::{
    budget::TEMPLATE,
    environment::network,
    fault::{Fault, FaultContext},
    request::{self, FileSource, TreeFile, TreeLink},
    run_file::{MadeFrom, RunAs, RunFile},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Variables of processes that are not written to files.
const NOT_IN_FILES: [&str; 6] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "PYTHONUNBUFFERED",
    "VIRTUAL_ENV",
];
/// Only root, and callers who ask the daemon, read what apps print.
pub(crate) const APP_LOG_DIR_MODE: u32 = 0o750;

/// Writes the workspace's configuration.
#[derive(Clone, Serialize, Deserialize)]
pub struct Configure {
    /// Which instance's run file is written.
    pub instance: UnitName,
    /// For a deployment: the instance that serves, whose configuration comes back when the job is taken back.
    #[serde(default)]
    pub follows: Option<UnitName>,
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// For a stage: the build that it runs from; there is no tree to write into.
    #[serde(default)]
    pub build: Option<FromBuild>,
}

/// A build that a stage runs from.
#[derive(Clone, Serialize, Deserialize)]
pub struct FromBuild {
    /// The folder of its files.
    pub directory: PathBuf,
    /// Its packages.
    pub packages: Packages,
    /// Its release commands are to run.
    pub releases: bool,
}

impl Step for Configure {
    const KIND: &'static str = "configure.v2";
    const FILLS_DISK: bool = true;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "write the configuration".into()
    }

    /// For a rollback it is a file of some kilobytes, and the way out where a disk is full.
    fn may_fill(&self) -> bool {
        self.build.as_ref().is_none_or(|build| build.releases)
    }

    /// Large shared things may be copied.
    fn limit(&self, limits: &Limits) -> Duration {
        *limits.purge
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let project = cx.project()?;
        let Inspected {
            recipe,
            made_from,
            commit,
            unchanged,
            ..
        } = cx.output::<Inspect>()?;
        if unchanged {
            cx.idle();
            return Ok(());
        }
        let values = values(Some(&self.instance), cx).await?;
        let runs = self.follows.as_ref().unwrap_or(&self.instance);
        let earlier = RunFile::read(&cx.sys().layout.run_file(runs)).ok();
        let own = own_variables(&project, &values, &recipe, earlier.as_ref())?;
        let facts = Facts {
            installed: match &self.build {
                Some(build) => build.packages.clone(),
                None => cx.output::<InstallDependencies>()?,
            },
            port: values.port,
            run_dir: cx.sys().layout.run_dir.clone(),
        };
        if self.build.is_none() {
            self.write_into_tree(&project, &own, (&facts, recipe.over.as_ref()), cx)
                .await?;
        }
        let layout = &cx.sys().layout;
        let run_file = RunFile {
            unit: self.instance.to_string(),
            dir: project.app.inside(&self.tree()),
            env: self.environment(&facts, own.clone()),
            network: network(),
            processes: recipe
                .processes
                .into_iter()
                .map(|(name, command)| (name, filled_in(command, &values)))
                .collect(),
            web_socket: recipe
                .web_on_socket
                .then(|| own_socket(&self.directory, &self.instance)),
            pid_dir: layout.app_pid_dir(),
            made_from: MadeFrom {
                snapshot: made_from.snapshot.or(Some(commit)),
                ..made_from
            },
            run_as: self.run_as(&project, &facts, cx),
        };
        let text = serde_json::to_vec_pretty(&run_file).cannot("write the run file")?;
        // On a host root reads it; in a sandbox all are one user.
        fs::write_atomic(&layout.run_file(&self.instance), &text, 0o600)?;
        fs::make_dir(&layout.app_log_dir(cx.unit()), APP_LOG_DIR_MODE)
    }

    /// The tree goes with its folder; files outside it are removed here.
    async fn undo(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let layout = &cx.sys().layout;
        let was_written = fs::remove_file(&layout.run_file(&self.instance))?;
        match &self.follows {
            None => purge(&layout.app_log_dir(cx.unit()), cx).await,
            // A stage's first deployment follows nothing.
            Some(present) if self.build.is_some() && !fs::exists(&layout.run_file(present)) => {
                purge(&layout.app_log_dir(cx.unit()), cx).await
            }
            Some(present) if !is_unchanged(cx) => {
                let releases = self.build.as_ref().is_none_or(|build| build.releases);
                let recipe = cx.output::<Inspect>()?.recipe;
                if was_written && releases && !recipe.release.is_empty() {
                    cx.kept("what release commands changed in a database is not taken back");
                }
                match self.build {
                    Some(_) => Ok(()),
                    None => self.configure_again(present, cx).await,
                }
            }
            Some(_) => Ok(()),
        }
    }
}

/// What earlier steps found out.
struct Facts {
    installed: Installed,
    port: Option<u16>,
    run_dir: PathBuf,
}

impl Configure {
    /// The files that the app runs from.
    fn tree(&self) -> PathBuf {
        let build = self.build.as_ref().map(|build| &build.directory);
        build.unwrap_or(&self.directory).join(TREE)
    }

    async fn write_into_tree(
        &self,
        project: &Project,
        own: &BTreeMap<String, String>,
        (facts, over): (&Facts, Option<&Over>),
        cx: &Cx,
    ) -> Result<(), Fault> {
        let mut files = self.files(project, own)?;
        files.extend(over.map(|over| {
            TreeFile {
                target: project
                    .app
                    .inside(Path::new(""))
                    .join(format!("{}.py", Over::MODULE)),
                source: FileSource::Text(over.text()),
                replace: false,
                yields: true,
            }
        }));
        let request = request::Configure {
            tree: self.tree(),
            files,
            links: links(project, facts.installed.path.as_deref())?,
            variables: own.clone(),
        };
        let configured = cx.ask(cx.user(), request).await?;
        for kept in configured.kept {
            cx.note(format!(
                "the repository has its own {}, which stays as it is",
                kept.display()
            ));
        }
        for (target, aside) in configured.edited {
            cx.note(format!(
                "{} had been changed by hand: it is written anew, and what it held is in {}",
                target.display(),
                aside.display()
            ));
        }
        for target in configured.removed {
            let target = target.display();
            cx.note(format!(
                "{target} is removed, for the project file does not name it any more"
            ));
        }
        for target in configured.left {
            let target = target.display();
            cx.note(format!(
                "{target} stays, though the project file does not name it any more: remove it by hand"
            ));
        }
        Ok(())
    }

    /// Writes the files once more that name the values of the instance that serves. What the project file says by
    /// now counts; a template that cannot be read any more stays as it was rendered last.
    async fn configure_again(&self, present: &UnitName, cx: &Cx) -> Result<(), Fault> {
        let run_file = cx.sys().layout.run_file(present);
        let (Ok(run_file), Ok(project)) = (RunFile::read(&run_file), cx.project()) else {
            return Ok(());
        };
        let environment = run_file.env.get("VIRTUAL_ENV").map(PathBuf::from);
        let is_own = |name: &str| {
            let of_cid = ["CID_WORKSPACE", "CID_URL"].contains(&name);
            let of_operator = project.env.keys().any(|key| key.as_str() == name);
            of_cid || of_operator || !(NOT_IN_FILES.contains(&name) || name.starts_with("CID_"))
        };
        let variables = run_file.env.into_iter().filter(|(name, _)| is_own(name));
        let own: BTreeMap<String, String> = variables.collect();
        let again = || -> Result<request::Configure, Fault> {
            Ok(request::Configure {
                tree: self.directory.join(TREE),
                files: self.files(&project, &own)?,
                links: links(&project, environment.as_deref())?,
                variables: own.clone(),
            })
        };
        let written = match again() {
            Ok(request) => cx.ask(cx.user(), request).await.map(drop),
            Err(fault) => Err(fault),
        };
        match written {
            Err(fault) if fault.cancelled => Err(fault),
            Err(fault) => {
                cx.note(format!("the configuration in the tree stays new: {fault}"));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The user that runs the processes, and what they may reach; `None` in a sandbox.
    fn run_as(&self, project: &Project, facts: &Facts, cx: &Cx) -> Option<RunAs> {
        let made = made(cx)?;
        let layout = &cx.sys().layout;
        let mut writable = project.shared_folders();
        match self.build {
            // Not the copies of its database: an app that is taken over must not remove them.
            Some(_) => writable.extend(APP_FOLDERS.map(|name| self.directory.join(name))),
            None => writable.push(self.directory.clone()),
        }
        let linked = project.links.iter().map(|link| link.source.to_path_buf());
        let mut readable: Vec<PathBuf> = linked.collect();
        // The clone borrows objects from it.
        readable.push(layout.mirror_dir(cx.project_name()));
        if let Some(build) = &self.build {
            readable.push(build.directory.join(TREE));
            // For who puts a copy back by `cictl run`.
            readable.push(self.directory.join(BACKUPS));
        }
        readable.extend(facts.installed.path.clone());
        readable.extend(facts.installed.shared.clone());
        readable.extend(facts.installed.packages.clone());
        let node = facts.installed.node.as_ref().and_then(|bin| bin.parent());
        readable.extend(node.map(Path::to_owned));
        Some(RunAs {
            uid: made.account.uid,
            gid: made.account.uid,
            user: made.account.name,
            groups: vec![made.group],
            writable,
            readable,
            ports: facts.port.into_iter().collect(),
            limits: project.limits.app.of_app(),
        })
    }

    /// The whole environment of commands and processes.
    fn environment(
        &self,
        facts: &Facts,
        own: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let installed = &facts.installed;
        let mut all = BTreeMap::from([
            ("PATH".to_owned(), installed.search_path(&self.tree())),
            ("HOME".to_owned(), text(&self.directory.join(HOME))),
            ("TMPDIR".to_owned(), text(&self.directory.join(TMP))),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            // Lines of an app appear in its log as they are written, not a block at a time.
            ("PYTHONUNBUFFERED".to_owned(), "1".to_owned()),
            // These marks identify the processes that an app left running, and their workspace.
            ("CID_RUN_DIR".to_owned(), text(&facts.run_dir)),
            ("CID_UNIT".to_owned(), self.instance.to_string()),
        ]);
        if let Some(environment) = &installed.path {
            all.insert("VIRTUAL_ENV".to_owned(), text(environment));
        }
        all.extend(installed.variables.clone());
        if self.build.is_some() {
            // The files are sealed.
            all.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
        }
        all.extend(own);
        all
    }

    fn files(
        &self,
        project: &Project,
        own: &BTreeMap<String, String>,
    ) -> Result<Vec<TreeFile>, Fault> {
        let mut files = vec![TreeFile {
            target: project.app.inside(Path::new("")).join(".env"),
            source: FileSource::Text(dotenv(own)?),
            replace: false,
            yields: true,
        }];
        for entry in &project.files {
            let source = match (&entry.text, &entry.template) {
                (Some(text), _) => FileSource::Template(text.clone()),
                (None, Some(template)) => template_of(template)?,
                (None, None) => continue,
            };
            files.push(TreeFile {
                target: entry.target.to_path_buf(),
                source,
                replace: entry.replace,
                yields: false,
            });
        }
        Ok(files)
    }
}

fn template_of(template: &Path) -> Result<FileSource, Fault> {
    if !template.is_absolute() {
        return Ok(FileSource::TreeTemplate(template.to_owned()));
    }
    let text = fs::read_optional(template)?;
    let text = text.ok_or_else(|| {
        Fault::new(format!(
            "cannot read the template {}: there is no such file",
            template.display()
        ))
    })?;
    TEMPLATE.check(text.len(), template.display())?;
    Ok(FileSource::Template(text))
}

fn links(project: &Project, environment: Option<&Path>) -> Result<Vec<TreeLink>, Fault> {
    let mut links = Vec::new();
    if let Some(environment) = environment {
        let target = project.app.inside(Path::new("")).join(".venv");
        links.push(TreeLink {
            source: environment.to_owned(),
            target,
            copy: false,
            replace: false,
            yields: true,
        });
    }
    if let Some(media) = &project.media {
        links.push(TreeLink {
            source: media.path.to_path_buf(),
            target: media.link.to_path_buf(),
            copy: false,
            replace: media.replace,
            yields: false,
        });
    }
    links.extend(project.links.iter().map(|entry| TreeLink {
        source: entry.source.to_path_buf(),
        target: entry.target.to_path_buf(),
        copy: entry.mode == LinkMode::Copy,
        replace: entry.replace,
        yields: false,
    }));
    match links.iter().find(|link| fs::is_missing(&link.source)) {
        None => Ok(links),
        Some(link) => Err(Fault::new(format!(
            "cannot link {}: it does not exist",
            link.source.display()
        ))
        .hint("make it, or mend the project file")),
    }
}

/// `.env` in the forms that all its readers understand.
fn dotenv(variables: &BTreeMap<String, String>) -> Result<String, Fault> {
    let mut text = String::from(
        "# Written by cid at creation; for people and tools. Processes get their own copy.\n",
    );
    for (name, value) in variables {
        let line =
            dotenv::assignment(name, value).cannot(format_args!("write {name} into .env"))?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}
