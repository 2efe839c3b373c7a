//! Removes a project: everything that cid keeps for it. Its workspaces must be gone by then.
//!
//! Every step may run twice: an interrupted removal continues when it is requested again.

use crate::{
    authz::{Action, Claim},
    cid::Cid,
    domain::{JobKind, ProjectName, Workspace, project_accounts, project_group},
    error::Error,
    keeper,
    layout::{kept_dir, trash_dir},
    operation::cancel_job,
    store::{Debt, JobRow, OwedRow, WorkDir},
    system::helpers::{Identity, ask_once},
};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, request::Purge};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// At most this many set-aside files of one project are kept.
const MOST_ASIDE: u32 = 100;
/// A template that is being made has so long to be taken back.
const TEMPLATE_ENDS: Duration = Duration::from_secs(20);
/// At most this many workspaces are named.
const NAMED: usize = 20;

/// What was removed.
#[derive(Debug, Default)]
pub struct Removed {
    /// Where the project's file is now; `None` if there was none.
    pub file: Option<PathBuf>,
    /// Folders, accounts and the like, for people.
    pub removed: Vec<String>,
    /// What stays, and why.
    pub kept: Vec<String>,
}

/// Removes a project that has no workspaces. Its file is set aside first, so that no workspace can be
/// created from then on.
///
/// # Errors
/// The project has workspaces, or nothing of it exists; then nothing changes. Or something cannot be
/// removed; a second call continues from there.
pub async fn remove(cid: &Cid, project: &ProjectName) -> Result<Removed, Error> {
    let _turn = cid.turns.removing.lock().await;
    let mut removed = Removed {
        file: close(cid, project).await?,
        ..Removed::default()
    };
    // A look at its remote that is under way would make the mirror again.
    let look = cid.looks.turn(project);
    let _look = look.lock().await;
    tracing::info!(PROJECT = project.as_str(), "the project is taken away");
    for part in left(cid, project).await? {
        tracing::info!(PROJECT = project.as_str(), "taking away: {}", part.shown());
        part.remove(cid, project).await?;
        match part.kept() {
            Some(kept) => removed.kept.push(kept),
            None => removed.removed.push(part.shown()),
        }
    }
    cid.deliveries.forget(project);
    cid.store.forget_project(project.clone()).await?;
    cid.keep_rights(&cid.projects.all()).await?;
    cid.projects.forget_unless(|name| name != project.as_str());
    Ok(removed)
}

/// Whether anything but workspaces keeps a project: said before the first of them is deleted.
///
/// # Errors
/// It has stages, folders in which somebody worked, or builds that are being made.
pub async fn check_removal(cid: &Cid, project: &ProjectName) -> Result<(), Error> {
    refuse_stages(cid, project).await?;
    refuse_kept(cid, project).await?;
    refuse_live_builds(cid, project).await
}

/// Ensures that the project has no workspaces and can get none. Returns where its file is now.
async fn close(cid: &Cid, project: &ProjectName) -> Result<Option<PathBuf>, Error> {
    let _turn = cid.turns.creating.write().await;
    check_removal(cid, project).await?;
    refuse_workspaces(cid, project).await?;
    let file = cid.projects.file_of(project);
    let aside = match fs::exists(&file) {
        true => Some(set_aside(&file)?),
        false => None,
    };
    if cid.projects.all().contains_key(project.as_str()) {
        cid.read_projects().await?;
    } else if aside.is_none() && left(cid, project).await?.is_empty() {
        // The error names the projects that exist.
        cid.projects.get(project.as_str())?;
    }
    Ok(aside)
}

async fn refuse_stages(cid: &Cid, project: &ProjectName) -> Result<(), Error> {
    let mut stages = rows(cid, project).await?;
    stages.retain(Workspace::is_stage);
    let Some(stage) = stages.first() else {
        return Ok(());
    };
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    Err(Error::Precondition {
        message: format!("the project {project} has stages: {}", names.join(", ")),
        hint: Some(format!(
            "take their tables out of its file, reload, then delete each with its data: cictl delete {} -p {project} --yes --discard",
            stage.name
        )),
    })
}

async fn rows(cid: &Cid, project: &ProjectName) -> Result<Vec<Workspace>, Error> {
    let of = Some(project.clone());
    Ok(cid.store.workspaces(of, 0, usize::MAX >> 1).await?)
}

async fn refuse_workspaces(cid: &Cid, project: &ProjectName) -> Result<(), Error> {
    let found = rows(cid, project).await?;
    if found.is_empty() {
        return Ok(());
    }
    let owners: Vec<&str> = found.iter().map(|w| w.owner.as_str()).collect();
    let (shown, more) = owners.split_at(owners.len().min(NAMED));
    let and_more = match more.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Err(Error::Precondition {
        message: format!(
            "the project {project} has workspaces: {}{and_more}",
            shown.join(", ")
        ),
        hint: Some("delete them, or take them away as well: --with-workspaces".into()),
    })
}

/// Their jobs need the project's file, and its folders.
async fn refuse_live_builds(cid: &Cid, project: &ProjectName) -> Result<(), Error> {
    let jobs = cid.store.live_jobs().await?;
    let is_template = |job: &&JobRow| job.kind == JobKind::Template && job.project == *project;
    for job in jobs.iter().filter(is_template) {
        end_template(cid, job).await;
    }
    let is_build = |job: &&JobRow| job.kind == JobKind::Build && job.project == *project;
    match jobs.iter().find(is_build) {
        None => Ok(()),
        Some(job) => Err(Error::Precondition {
            message: format!("a commit of the project {project} is being built"),
            hint: Some(format!(
                "wait for it, or end it: cictl jobs cancel {}",
                job.id
            )),
        }),
    }
}

/// Nobody waits for it. One that does not end keeps its folder until the next look for what is forgotten.
async fn end_template(cid: &Cid, job: &JobRow) {
    let claim = Claim::of_trigger(job.project.clone(), Action::ManageJobs);
    if let Err(error) = cancel_job(cid, claim, job.id).await {
        tracing::debug!("{error}");
    }
    if let Some(mut journal) = cid.engine.follow(job.id) {
        // Its sender goes when the job has ended.
        let ended = async { while journal.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(TEMPLATE_ENDS, ended).await;
    }
}

/// The mirror goes with the project, and clones need it.
async fn refuse_kept(cid: &Cid, project: &ProjectName) -> Result<(), Error> {
    let mut kept = Vec::new();
    for dir in cid.store.work_dirs(project.clone()).await? {
        let folder = kept_dir(&dir.path);
        let names = fs::names(&folder)?;
        kept.extend(
            names
                .iter()
                .map(|name| folder.join(name).display().to_string()),
        );
    }
    if kept.is_empty() {
        return Ok(());
    }
    let kept = kept.join(" ");
    Err(Error::Precondition {
        message: format!(
            "the project {project} has folders in which somebody worked while their workspace was made: {kept}"
        ),
        hint: Some(format!(
            "take out what is needed, then: rm -r {kept} (clones there lose their history without the project)"
        )),
    })
}

/// The operator may want it again, or see what it said.
fn set_aside(file: &Path) -> Result<PathBuf, Error> {
    let name = |count: u32| match count {
        0 => file.with_extension("toml.removed"),
        _ => file.with_extension(format!("toml.removed-{count}")),
    };
    let mut free = (0..MOST_ASIDE).map(name).filter(|path| !fs::exists(path));
    let aside = free.next().unwrap_or_else(|| name(MOST_ASIDE));
    match fs::rename_new(file, &aside) {
        Ok(_) => Ok(aside),
        Err(fault) => Err(fault
            .hint(format!(
                "move it away yourself (mv {} {}), then say the same again",
                file.display(),
                aside.display()
            ))
            .into()),
    }
}

/// Something that cid keeps for a project.
enum Part {
    /// Standing helpers, and running builds.
    Helpers,
    /// The vhost for unknown names, and the copy of the certificate.
    Site,
    /// A folder of caches, with its contents.
    Folder(PathBuf),
    /// Where its workspaces lived.
    WorkDir(WorkDir),
    /// Its own accounts and its group.
    Accounts,
    /// Branches that are still to be deleted once their server answers.
    Debts(Vec<OwedRow>),
}

impl Part {
    /// Its name for people.
    fn shown(&self) -> String {
        match self {
            Self::Helpers => "its helpers".into(),
            Self::Site => "its certificate and the answer for unknown names".into(),
            Self::Folder(path) => path.display().to_string(),
            Self::WorkDir(dir) => dir.path.display().to_string(),
            Self::Accounts => "its accounts".into(),
            Self::Debts(owed) => {
                let owed: Vec<_> = owed.iter().map(|row| row.debt.to_string()).collect();
                format!("what was still to do: {}", owed.join(", "))
            }
        }
    }

    /// What of it remains, and why.
    fn kept(&self) -> Option<String> {
        match self {
            Self::WorkDir(dir) if fs::exists(&dir.path) => {
                let why = match dir.made {
                    true => "it holds what is no workspace's",
                    false => "it was there before the project",
                };
                Some(format!("{} ({why})", dir.path.display()))
            }
            _ => None,
        }
    }
}

/// What exists of a project, in the order of removal.
///
/// # Errors
/// The machine or the ledger cannot be read.
async fn left(cid: &Cid, project: &ProjectName) -> Result<Vec<Part>, Error> {
    let layout = &cid.layout;
    let mut parts = Vec::new();
    if keeper::has_site(cid, project)? {
        parts.push(Part::Site);
    }
    let folders = [
        layout.mirror_dir(project),
        layout.packages(project),
        layout.builds(project),
        layout.templates(project),
        layout.package_marks(project),
    ];
    let folders = folders.into_iter().filter(|path| fs::exists(path));
    parts.extend(folders.map(Part::Folder));
    let dirs = cid.store.work_dirs(project.clone()).await?;
    parts.extend(dirs.into_iter().map(Part::WorkDir));
    if let Some(accounts) = cid.sys.accounts()
        && accounts.has_project(&project_group(project), &project_accounts(project))?
    {
        parts.push(Part::Accounts);
    }
    let mut owed = cid.store.owed().await?;
    owed.retain(|row| matches!(&row.debt, Debt::DeleteBranch { project: of, .. } if of == project));
    if !owed.is_empty() {
        parts.push(Part::Debts(owed));
    }
    if !parts.is_empty() {
        parts.insert(0, Part::Helpers);
    }
    Ok(parts)
}

impl Part {
    async fn remove(&self, cid: &Cid, project: &ProjectName) -> Result<(), Error> {
        match self {
            Self::Helpers => end_helpers(cid, project).await?,
            Self::Site => keeper::remove_site(cid, project).await?,
            Self::Folder(path) => purge(cid, path).await?,
            Self::WorkDir(dir) => remove_work_dir(dir)?,
            Self::Accounts => {
                if let Some(accounts) = cid.sys.accounts() {
                    let (group, own) = (project_group(project), project_accounts(project));
                    accounts.remove_project(&group, &own).await?;
                }
            }
            Self::Debts(owed) => {
                let ids = owed.iter().map(|row| row.id).collect();
                cid.store.settle(ids).await?;
            }
        }
        Ok(())
    }
}

async fn end_helpers(cid: &Cid, project: &ProjectName) -> Result<(), Fault> {
    cid.sys.helpers.look_over(&cid.projects.usable()).await;
    cid.sys.helpers.end_builds(project).await
}

/// The folders are others', and what is in them too.
async fn purge(cid: &Cid, path: &Path) -> Result<(), Fault> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let request = Purge {
        path: path.to_owned(),
    };
    let (identity, limit) = (
        Identity::Purge(parent.to_owned()),
        *cid.settings.limits.purge,
    );
    let helpers = cid.sys.helpers.as_ref();
    ask_once(helpers, identity, limit, cid.stopping.clone(), request)
        .await
        .map(drop)
}

/// Removes the folder only if it is empty: cid does not know the owner of anything else in it. A folder
/// that existed before cid belongs to the operator.
fn remove_work_dir(dir: &WorkDir) -> Result<(), Fault> {
    let trash = trash_dir(&dir.path.join("any"));
    fs::remove_empty_dir(&trash)?;
    fs::remove_empty_dir(&kept_dir(&dir.path))?;
    if dir.made {
        fs::remove_empty_dir(&dir.path)?;
    }
    Ok(())
}
