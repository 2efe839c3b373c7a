//! Finds what exists and should not.

use super::{Finding, kept};
use crate::{
    cid::Cid,
    config::Projects,
    domain::{ProjectName, UnitName, Workspace},
    error::Error,
    keeper,
    layout::kept_dir,
    system::supervisor::Process,
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

/// What exists and belongs to no workspace.
pub(super) async fn surplus(
    cid: &Cid,
    units: &BTreeMap<UnitName, &Workspace>,
    busy: &BTreeSet<UnitName>,
    groups: Option<&HashMap<String, Vec<Process>>>,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let is_known = |unit: &UnitName| {
        let workspace = unit.workspace();
        units.contains_key(&workspace) || busy.contains(&workspace)
    };
    let stuck = cid.store.stuck_jobs().await?;
    let stuck = stuck.iter().map(|job| job.about.unit(&job.project));
    let stuck: BTreeSet<UnitName> = stuck.collect();
    // A job may be about two instances of its workspace, and so may one that is to be continued.
    let is_current = |unit: &UnitName| {
        let workspace = unit.workspace();
        let of_workspace = units.get(&workspace);
        of_workspace.is_some_and(|one| one.instance() == *unit)
            || busy.contains(&workspace)
            || stuck.contains(&workspace)
    };
    let shelf = cid.projects.all();
    let used = units.values().map(|workspace| workspace.project.clone());
    let used = used.collect();
    let is_known_vhost = |unit: &UnitName| is_known(unit) || keeper::is_wanted(&shelf, &used, unit);
    for unit in cid
        .sys
        .nginx
        .list()?
        .iter()
        .filter(|unit| !is_known_vhost(unit))
    {
        let finding = Finding::drift(
            format!("vhost {unit}"),
            match unit.is_catch_all() {
                true => "no project has it",
                false => "no workspace has it",
            },
            "cictl doctor --repair removes it",
        )
        .of(unit);
        findings.push(if repair {
            finding.repaired_if(cid.sys.nginx.remove(unit).await.map(drop))
        } else {
            finding
        });
    }
    for unit in cid
        .sys
        .supervisor
        .list()?
        .iter()
        .filter(|unit| !is_current(unit))
    {
        let finding = Finding::drift(
            format!("program {unit}"),
            "no workspace has it",
            "cictl doctor --repair stops and removes it",
        )
        .of(unit);
        findings.push(if repair {
            finding.repaired_if(cid.sys.supervisor.remove(unit).await.map(drop))
        } else {
            finding
        });
    }
    let on_disk = cid.sys.supervisor.list()?;
    let running = groups
        .into_iter()
        .flat_map(HashMap::keys)
        .filter_map(|group| UnitName::parse(group));
    for unit in running.filter(|unit| !is_current(unit) && !on_disk.contains(unit)) {
        let finding = Finding::drift(
            format!("program {unit}"),
            "supervisord runs it, but there is no file of it",
            "cictl doctor --repair stops it",
        )
        .of(&unit);
        findings.push(if repair {
            finding.repaired_if(cid.sys.supervisor.settle().await)
        } else {
            finding
        });
    }
    for (pid, unit) in cid.sys.probe.workspace_processes(&cid.layout) {
        if is_known(&unit) {
            continue;
        }
        let finding = Finding::drift(
            format!("process {pid} of {unit}"),
            "its workspace is gone",
            "cictl doctor --repair ends it",
        )
        .of(&unit);
        findings.push(if repair {
            finding.repaired_if(cid.sys.supervisor.remove(&unit).await.map(drop))
        } else {
            finding
        });
    }
    files(cid, &is_known, &is_current, repair, findings)?;
    directories(cid, units, busy, findings).await?;
    let owed: BTreeSet<UnitName> = cid
        .store
        .owed()
        .await?
        .into_iter()
        .map(|owed| owed.unit)
        .collect();
    for (port, unit) in cid
        .store
        .ports()
        .await?
        .into_iter()
        .filter(|(_, unit)| !is_known(unit) && !owed.contains(unit))
    {
        let finding = Finding::drift(
            format!("port {port}"),
            format!("it is still reserved for {unit}"),
            "restart cid; it frees such ports",
        );
        findings.push(finding.of(&unit));
    }
    Ok(())
}

/// Run files and log folders that belong to no workspace.
fn files(
    cid: &Cid,
    is_known: &dyn Fn(&UnitName) -> bool,
    is_current: &dyn Fn(&UnitName) -> bool,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    for name in fs::names(&cid.layout.run_file_dir())? {
        let unit = name.strip_suffix(".json").and_then(UnitName::parse);
        let Some(unit) = unit.filter(|unit| !is_current(unit)) else {
            continue;
        };
        let finding = Finding::drift(
            format!("run file of {unit}"),
            "no workspace has it",
            "cictl doctor --repair removes it",
        )
        .of(&unit);
        let remove = || fs::remove_file(&cid.layout.run_file(&unit)).map(drop);
        findings.push(if repair {
            finding.repaired_if(remove())
        } else {
            finding
        });
    }
    for name in fs::names(&cid.layout.app_logs_dir())? {
        let Some(unit) = UnitName::parse(&name).filter(|unit| !is_known(unit)) else {
            continue;
        };
        let path = cid.layout.app_log_dir(&unit);
        let finding = Finding::drift(
            format!("logs {}", path.display()),
            "no workspace has them",
            format!("when nobody needs them: rm -r {}", path.display()),
        );
        findings.push(finding.of(&unit));
    }
    Ok(())
}

/// Folders that belong to no workspace, where workspaces live, and trash of finished jobs.
async fn directories(
    cid: &Cid,
    units: &BTreeMap<UnitName, &Workspace>,
    busy: &BTreeSet<UnitName>,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let kept = kept::folders(cid, units.values().copied());
    let mut trash = vec![cid.layout.trash_dir(), cid.layout.log_trash_dir()];
    let run_files = run_files(cid)?;
    for (work_dir, project) in work_dirs(cid, units.values().copied()) {
        for name in fs::names(&work_dir)?
            .iter()
            .filter(|name| ![".trash", ".kept"].contains(&name.as_str()))
        {
            let path = work_dir.join(name);
            let unit = UnitName::parse(&format!("{project}.{name}"));
            let is_busy = unit.as_ref().is_some_and(|unit| busy.contains(unit));
            if !is_busy && !kept::holds_any(&path, &kept) {
                let mut finding = Finding::drift(
                    format!("directory {}", path.display()),
                    "no workspace has it",
                    "look what it is, then remove it or move it away",
                );
                finding.unit = unit;
                findings.push(finding);
            }
        }
        trash.push(work_dir.join(".trash"));
        let kept = kept_dir(&work_dir);
        for name in fs::names(&kept)? {
            let path = kept.join(name).display().to_string();
            let message = format!(
                "somebody worked there while the workspace was made, which was taken back; when nobody needs it: \
                 rm -r {path}"
            );
            findings.push(Finding::note(format!("kept {path}"), message));
        }
    }
    for project in cid.projects.all().values().flatten() {
        let mirror = cid.layout.mirror(&project.name);
        let mut packages = fs::names(&cid.layout.package_marks(&project.name))?;
        // The others say of one that there can be none.
        packages.retain(|key| !key.contains('.'));
        let is_gone = fs::is_missing(&mirror);
        if is_gone && units.values().any(|w| w.project == project.name) {
            findings.push(Finding::drift(
                format!("mirror {}", mirror.display()),
                "it is gone, and the workspaces' clones share its objects",
                format!("cictl project check {} fetches it again", project.name),
            ));
        }
        if !is_gone || !packages.is_empty() {
            let folder = cid.layout.packages(&project.name);
            let unused = unused(&packages, &folder, &run_files);
            let mut message = format!(
                "kept for the next workspace: a mirror and {} set(s) of packages",
                packages.len()
            );
            if !unused.is_empty() {
                message.push_str(&format!(
                    ", of which no workspace uses {}",
                    unused.join(", ")
                ));
            }
            findings.push(Finding::note(format!("project {}", project.name), message));
        }
    }
    left_trash(cid, &trash, findings).await
}

/// Trash of finished jobs. It is listed before the ledger is asked for live jobs, and looked at once more after it:
/// a job that begins or ends meanwhile leaves none.
async fn left_trash(cid: &Cid, dirs: &[PathBuf], findings: &mut Vec<Finding>) -> Result<(), Error> {
    let mut found = Vec::new();
    for dir in dirs {
        found.extend(fs::names(dir)?.into_iter().map(|name| (dir, name)));
    }
    if found.is_empty() {
        return Ok(());
    }
    let live: BTreeSet<String> = cid
        .store
        .live_jobs()
        .await?
        .iter()
        .chain(&cid.store.stuck_jobs().await?)
        .map(|job| job.id.to_string())
        .collect();
    for (dir, name) in found {
        let job = name.split('.').next().unwrap_or_default();
        let path = dir.join(&name);
        if !live.contains(job) && fs::exists(&path) {
            findings.push(Finding::drift(
                format!("trash {}", path.display()),
                "its job is over",
                "remove the folder",
            ));
        }
    }
    Ok(())
}

/// The folders where workspaces live, with their project: those that project files name now, and those
/// that still hold workspaces from before a file was changed or removed.
pub(super) fn work_dirs<'a>(
    cid: &Cid,
    workspaces: impl Iterator<Item = &'a Workspace>,
) -> BTreeMap<PathBuf, ProjectName> {
    let of_workspace = |workspace: &Workspace| {
        let parent = workspace.directory.parent()?;
        Some((parent.to_owned(), workspace.project.clone()))
    };
    let mut dirs: BTreeMap<_, _> = workspaces.filter_map(of_workspace).collect();
    let shelf = cid.projects.all();
    dirs.extend(shelf.values().flatten().map(|project| {
        let work_dir = Projects::work_dir(project, &cid.layout.work_root);
        (work_dir, project.name.clone())
    }));
    dirs
}

/// The run files of all workspaces, as text.
fn run_files(cid: &Cid) -> Result<Vec<String>, Fault> {
    let dir = cid.layout.run_file_dir();
    let texts = fs::names(&dir)?
        .into_iter()
        .map(|name| fs::read_optional(&dir.join(name)));
    Ok(texts
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// The packages in `folder` that no run file names in any setting.
fn unused<'a>(packages: &'a [String], folder: &Path, run_files: &[String]) -> Vec<&'a str> {
    let is_used = |name: &&str| {
        let path = folder.join(name).display().to_string();
        run_files.iter().any(|text| text.contains(&path))
    };
    let names = packages.iter().map(String::as_str);
    names.filter(|name| !is_used(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_used_when_a_run_file_names_it() {
        let packages = ["aa".to_owned(), "bb".to_owned()];
        let run_files = [r#"{"env": {"PATH": "/e/p/bb/bin:/usr/bin"}}"#.to_owned()];
        let folder = Path::new("/e/p");
        assert_eq!(unused(&packages, folder, &run_files), ["aa"]);
        assert_eq!(unused(&packages, folder, &[]), ["aa", "bb"]);
    }
}
