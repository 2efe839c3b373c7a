//! Finds what should exist and does not.

use super::{Finding, sites, way_out};
use crate::{
    cid::Cid,
    domain::{UnitName, Workspace},
    error::Error,
    health::is_crashing,
    step::{APP_LOG_DIR_MODE, TREE},
    store::Artifact,
    system::{
        inside::{AppSocket, Inside},
        listeners, probe,
        supervisor::{Process, ProcessState},
        view,
    },
};
use cid_kernel::fs;
use cid_protocol::run_file::{RunFile, WEB};
use std::path::{Path, PathBuf};

/// The current state of a workspace's app.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    /// `None` if supervisord does not say.
    pub(super) processes: Option<&'a [Process]>,
    /// It was started a moment ago, e.g. after a boot: not listening yet is no finding.
    pub(super) is_starting: bool,
}

/// What a ready workspace should have and lacks.
pub(super) async fn missing(
    cid: &Cid,
    unit: &UnitName,
    workspace: &Workspace,
    Now {
        processes,
        is_starting,
    }: Now<'_>,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let instance = &workspace.instance();
    // Its removal may have begun since the list was read.
    let now = cid.store.workspace(workspace.id).await?;
    let is_busy = cid.store.live_job(workspace.id).await?.is_some();
    if is_busy || now.is_none_or(|now| now.state != workspace.state) {
        return Ok(());
    }
    let (owner, project) = (&workspace.owner, &workspace.project);
    let anew = match workspace.is_stage() {
        true => format!("deploy its build again: cictl promote {owner} NUMBER -p {project}"),
        false => format!(
            "delete and create it again: cictl delete {owner} -p {project}, cictl create {owner} -p {project}"
        ),
    };
    for inner in [
        PathBuf::from("."),
        TREE.into(),
        Path::new(TREE).join(".git"),
    ] {
        // A link in its place does not count. On a host the tree belongs to its user, and cid cannot look inside.
        if workspace.is_stage() && inner != Path::new(".") {
            continue;
        }
        let folder = Inside::new(&workspace.directory, inner);
        if !folder.may_be_folder() {
            let subject = format!("directory {}", folder.display());
            findings.push(Finding::drift(
                subject,
                "it is gone, or something else is in its place",
                &anew,
            ));
            break;
        }
    }
    if let Err(fault) = RunFile::read(&cid.layout.run_file(instance)) {
        findings.push(Finding::drift(
            format!("run file of {instance}"),
            fault.message,
            match workspace.is_stage() {
                true => anew.clone(),
                false => format!("cictl deploy {owner} -p {project} writes it again"),
            },
        ));
    }
    let logs = cid.layout.app_log_dir(unit);
    if !logs.is_dir() {
        let finding = Finding::drift(
            format!("log folder {}", logs.display()),
            "it is gone, and supervisord takes no new workspace without it",
            "cictl doctor --repair makes it",
        );
        findings.push(if repair {
            finding.repaired_if(fs::make_dir(&logs, APP_LOG_DIR_MODE))
        } else {
            finding
        });
    }
    let wanted = cid.store.artifact(workspace.id, Artifact::Vhost).await?;
    let found = cid.sys.nginx.read(unit)?;
    if wanted.is_none() && found.is_some() {
        let finding = Finding::drift(
            format!("vhost {unit}"),
            "cid did not write it, and its name goes before the project's site",
            "cictl doctor --repair removes it",
        );
        findings.push(if repair {
            finding.repaired_if(cid.sys.nginx.remove(unit).await.map(drop))
        } else {
            finding
        });
    }
    if let Some((wanted, what)) = differs(wanted, found.as_deref()) {
        let finding = sites::otherwise(unit, found.as_deref(), what);
        findings.push(if repair {
            finding.repaired_if(cid.sys.nginx.put(unit, &wanted).await)
        } else {
            finding
        });
    }
    let wanted = cid.store.artifact(workspace.id, Artifact::Program).await?;
    if let Some((wanted, what)) = differs(wanted, cid.sys.supervisor.read(instance)?.as_deref()) {
        let finding = Finding::drift(
            format!("program {instance}"),
            what,
            "cictl doctor --repair writes it again and restarts the processes",
        );
        findings.push(if repair {
            finding.repaired_if(cid.sys.supervisor.put(instance, &wanted).await)
        } else {
            finding
        });
        return Ok(());
    }
    let Some(processes) = processes else {
        return Ok(());
    };
    if processes.is_empty() {
        let finding = Finding::drift(
            format!("program {instance}"),
            "supervisord does not run it",
            "cictl doctor --repair makes supervisord read its file",
        );
        findings.push(if repair {
            finding.repaired_if(cid.sys.supervisor.settle().await)
        } else {
            finding
        });
    }
    let run_file = RunFile::read(&cid.layout.run_file(instance)).ok();
    if let Some(run_file) = &run_file {
        findings.extend(unseen(cid, unit, run_file));
        if !is_starting {
            findings.extend(silent(cid, workspace, run_file, processes));
        }
    }
    let now = jiff::Timestamp::now();
    for process in processes
        .iter()
        .filter(|process| is_crashing(process, now) || !process.is_up())
    {
        let what = match is_crashing(process, now) {
            true => "it is crashing",
            false => "it does not run",
        };
        let (owner, project) = (&workspace.owner, &workspace.project);
        let other = match &run_file {
            Some(run_file) => other_listener(cid, process, run_file).await,
            None => None,
        };
        let (why, mend) = match other {
            Some(other) => (
                format!("; {other}, and visitors get that"),
                format!(
                    "end that program (ss -ltnp shows it), or have the app listen on another port: cictl deploy {owner} -p {project}"
                ),
            ),
            None => (String::new(), way_out(workspace, &process.name)),
        };
        findings.push(Finding::drift(
            format!("process {instance}:{}", process.name),
            format!("{what}: it {}{why}", process.told()),
            mend,
        ));
    }
    Ok(())
}

/// Who else listens on the port of a web process that does not run.
async fn other_listener(cid: &Cid, process: &Process, run_file: &RunFile) -> Option<String> {
    let is_on_port = process.name == WEB && run_file.web_socket.is_none();
    let port: u16 = run_file
        .env
        .get("PORT")
        .filter(|_| is_on_port)?
        .parse()
        .ok()?;
    let pids: Vec<u32> = process.pid.into_iter().collect();
    let probe = cid.sys.probe.as_ref();
    let is_other = probe.is_open(port).await && !probe::is_served(probe, run_file, &pids, port);
    is_other.then(|| format!("{} listens on its port {port}", listeners::in_words(port)))
}

/// What a file should contain, and how it differs.
fn differs(wanted: Option<String>, found: Option<&str>) -> Option<(String, &'static str)> {
    match (wanted?, found) {
        (wanted, None) => Some((wanted, "its file is gone")),
        (wanted, Some(found)) if wanted != found => {
            Some((wanted, "its file says something else than cid wrote"))
        }
        _ => None,
    }
}

/// nginx cannot reach the app's socket, or would follow a link in its place.
fn unseen(cid: &Cid, unit: &UnitName, run_file: &RunFile) -> Option<Finding> {
    let folder = run_file.web_socket.as_ref()?.parent()?;
    cid.sys.host.as_ref()?;
    let fault = view::of(&cid.layout, folder).err()?;
    let subject = format!("socket of {unit}");
    Some(Finding::drift(
        subject,
        fault.message,
        fault.hint.unwrap_or_default(),
    ))
}

/// The web process runs, but nothing, or another process, listens on its address.
fn silent(
    cid: &Cid,
    workspace: &Workspace,
    run_file: &RunFile,
    processes: &[Process],
) -> Option<Finding> {
    let web = processes
        .iter()
        .find(|p| p.name == WEB && p.state == ProcessState::Running)?;
    let port: u16 = run_file.env.get("PORT")?.parse().ok()?;
    let pids: Vec<u32> = web.pid.into_iter().collect();
    let probe = cid.sys.probe.as_ref();
    let listens = match &run_file.web_socket {
        Some(_) => AppSocket::of(run_file).is_some_and(|socket| socket.is_there()),
        None => probe::is_served(probe, run_file, &pids, port),
    };
    let place = run_file
        .web_socket
        .as_ref()
        .map_or(format!("port {port}"), |socket| {
            socket.display().to_string()
        });
    (!listens).then(|| {
        let elsewhere: Vec<String> = probe::of_workspace(probe, run_file, &pids)
            .iter()
            .map(ToString::to_string)
            .collect();
        let instead = match elsewhere.is_empty() {
            true => String::new(),
            false => format!(", but on {}", elsewhere.join(", ")),
        };
        let (email, project) = (&workspace.owner, &workspace.project);
        Finding::drift(
            format!("{place} of {}", workspace.unit()),
            format!("its web process runs and does not listen there{instead}"),
            format!(
                "look why (cictl logs {email} -p {project}), then: cictl restart {email} -p {project}"
            ),
        )
    })
}
