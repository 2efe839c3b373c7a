//! What should be there and is not.

use super::Finding;
use crate::{
    domain::{UnitName, Workspace},
    error::Error,
    helper::run_file::RunFile,
    recipe::WEB,
    rpc::Api,
    system::{
        fs,
        supervisor::{Process, ProcessState},
    },
};

/// What a ready workspace should have and has not.
pub(super) async fn missing(
    api: &Api,
    unit: &UnitName,
    workspace: &Workspace,
    processes: Option<&[Process]>,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let anew = format!(
        "delete and create it again: cictl delete {0} -p {1}, cictl create {0} -p {1}",
        workspace.email, workspace.project
    );
    if !workspace.directory.is_dir() {
        findings.push(Finding::drift(
            format!("directory {}", workspace.directory.display()),
            "it is gone",
            &anew,
        ));
    }
    if !fs::exists(&api.layout.run_file(unit)) {
        findings.push(Finding::drift(
            format!("run file of {unit}"),
            "it is gone",
            &anew,
        ));
    }
    if api.sys.nginx.read(unit)?.is_none() && !workspace.url.is_empty() {
        findings.push(Finding::drift(format!("vhost {unit}"), "it is gone", &anew));
    }
    if api.sys.supervisor.read(unit)?.is_none() {
        findings.push(Finding::drift(
            format!("program {unit}"),
            "its file is gone",
            &anew,
        ));
        return Ok(());
    }
    let Some(processes) = processes else {
        return Ok(());
    };
    if processes.is_empty() {
        let finding = Finding::drift(
            format!("program {unit}"),
            "supervisord does not run it",
            "cictl doctor --repair makes supervisord read its file",
        );
        findings.push(if repair {
            finding.repaired_if(api.sys.supervisor.settle().await)
        } else {
            finding
        });
    }
    let run_file = RunFile::read(&api.layout.run_file(unit)).ok();
    if let Some(finding) = run_file.and_then(|run_file| silent(api, unit, &run_file, processes)) {
        findings.push(finding);
    }
    for process in processes
        .iter()
        .filter(|p| !matches!(p.state, ProcessState::Running | ProcessState::Starting))
    {
        let repair = format!(
            "look why (cictl logs {}), then: cictl restart {}",
            workspace.email, workspace.email
        );
        findings.push(Finding::drift(
            format!("process {unit}:{}", process.name),
            format!("it does not run: {}", process.description),
            repair,
        ));
    }
    Ok(())
}

/// The web process runs, but its address is nobody's or somebody else's.
fn silent(
    api: &Api,
    unit: &UnitName,
    run_file: &RunFile,
    processes: &[Process],
) -> Option<Finding> {
    let web = processes
        .iter()
        .find(|p| p.name == WEB && p.state == ProcessState::Running)?;
    let port: u16 = run_file.env.get("PORT")?.parse().ok()?;
    let pids: Vec<u32> = web.pid.into_iter().collect();
    let listens = match &run_file.web_socket {
        Some(socket) => socket.exists(),
        None => api
            .sys
            .probe
            .listeners(&pids)
            .iter()
            .any(|address| address.port() == port),
    };
    let place = run_file
        .web_socket
        .as_ref()
        .map_or(format!("port {port}"), |socket| {
            socket.display().to_string()
        });
    (!listens).then(|| {
        Finding::drift(
            format!("{place} of {unit}"),
            "its web process runs and does not listen there",
            "look why (cictl logs), then: cictl restart",
        )
    })
}
