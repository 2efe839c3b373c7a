//! Compares the ledger with the machine, both ways: what should be there and is not, what is there
//! and should not be.

mod debts;

pub use debts::{settle_debts, settle_forever};

use crate::{
    config::Projects,
    domain::{UnitName, Workspace, WorkspaceState},
    error::Error,
    rpc::Api,
    store::StoreError,
    system::{
        Fault, fs,
        supervisor::{Process, ProcessState},
    },
};
use cid_proto::v1;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One thing that was found.
#[derive(Clone, Debug)]
pub struct Finding {
    kind: v1::FindingKind,
    subject: String,
    message: String,
    repair: String,
    repaired: bool,
}

impl Finding {
    fn drift(
        subject: impl Into<String>,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            kind: v1::FindingKind::Drift,
            subject: subject.into(),
            message: message.into(),
            repair: repair.into(),
            repaired: false,
        }
    }

    fn note(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: v1::FindingKind::Note,
            ..Self::drift(subject, message, "")
        }
    }

    fn repaired_if(mut self, result: Result<(), Fault>) -> Self {
        match result {
            Ok(()) => self.repaired = true,
            Err(fault) => self.message = format!("{}; {fault}", self.message),
        }
        self
    }
}

impl From<Finding> for v1::Finding {
    fn from(finding: Finding) -> Self {
        Self {
            kind: finding.kind.into(),
            subject: finding.subject,
            message: finding.message,
            repair: finding.repair,
            repaired: finding.repaired,
        }
    }
}

/// Looks at everything, and with `repair` mends what can be mended without losing anything.
///
/// # Errors
/// The ledger cannot be read.
pub async fn examine(api: &Api, repair: bool) -> Result<Vec<Finding>, Error> {
    let mut findings = debts(api, repair).await?;
    let workspaces = api.store.workspaces(None, 0, usize::MAX >> 1).await?;
    // What a running job is about is in motion and is judged when the job has ended.
    let busy: BTreeSet<UnitName> = api
        .store
        .live_jobs()
        .await?
        .iter()
        .map(|job| UnitName::new(&job.project, &job.name))
        .collect();
    let units: BTreeMap<UnitName, &Workspace> = workspaces.iter().map(|w| (w.unit(), w)).collect();
    let groups: Option<HashMap<String, Vec<Process>>> = match api.sys.supervisor.groups().await {
        Ok(groups) => Some(groups.into_iter().collect()),
        Err(fault) => {
            findings.push(Finding::drift(
                "supervisord",
                fault.message,
                fault.hint.unwrap_or_default(),
            ));
            None
        }
    };
    if let Err(fault) = api.sys.nginx.check().await {
        findings.push(Finding::drift(
            "nginx",
            fault.message,
            fault.hint.unwrap_or_default(),
        ));
    }
    for (unit, workspace) in units
        .iter()
        .filter(|(unit, w)| w.state == WorkspaceState::Ready && !busy.contains(*unit))
    {
        let processes = groups
            .as_ref()
            .map(|groups| groups.get(unit.as_str()).map_or(&[][..], Vec::as_slice));
        missing(api, unit, workspace, processes, repair, &mut findings).await?;
    }
    surplus(api, &units, &busy, groups.as_ref(), repair, &mut findings).await?;
    for job in api.store.stuck_jobs().await? {
        let repair = format!(
            "look at it (cictl jobs show {0}), mend what is in the way, then: cictl jobs retry {0}",
            job.id
        );
        findings.push(Finding::drift(
            format!("job {}", job.id),
            format!("the {:?} job of {} is stuck", job.kind, job.email).to_lowercase(),
            repair,
        ));
    }
    for (name, entry) in api.projects.all().iter() {
        if let Err(error) = entry {
            findings.push(Finding::drift(
                format!("project {name}"),
                error.to_string(),
                "mend the file, then reload cid (SIGHUP)",
            ));
        }
    }
    Ok(findings)
}

async fn debts(api: &Api, repair: bool) -> Result<Vec<Finding>, StoreError> {
    if repair {
        settle_debts(api).await?;
    }
    let owed = api.store.owed().await?;
    Ok(owed
        .into_iter()
        .map(|owed| Finding {
            kind: v1::FindingKind::Owed,
            subject: owed.unit.to_string(),
            message: format!("still to do: {} ({})", owed.debt, owed.reason),
            repair: "cid tries again by itself; at once: cictl doctor --repair".into(),
            repaired: false,
        })
        .collect())
}

/// What a ready workspace should have and has not.
async fn missing(
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

/// What is there and belongs to no workspace.
async fn surplus(
    api: &Api,
    units: &BTreeMap<UnitName, &Workspace>,
    busy: &BTreeSet<UnitName>,
    groups: Option<&HashMap<String, Vec<Process>>>,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let is_known = |unit: &UnitName| units.contains_key(unit) || busy.contains(unit);
    for unit in api.sys.nginx.list()?.iter().filter(|unit| !is_known(unit)) {
        let finding = Finding::drift(
            format!("vhost {unit}"),
            "no workspace has it",
            "cictl doctor --repair removes it",
        );
        findings.push(if repair {
            finding.repaired_if(api.sys.nginx.remove(unit).await.map(drop))
        } else {
            finding
        });
    }
    for unit in api
        .sys
        .supervisor
        .list()?
        .iter()
        .filter(|unit| !is_known(unit))
    {
        let finding = Finding::drift(
            format!("program {unit}"),
            "no workspace has it",
            "cictl doctor --repair stops and removes it",
        );
        findings.push(if repair {
            finding.repaired_if(api.sys.supervisor.remove(unit).await.map(drop))
        } else {
            finding
        });
    }
    let on_disk = api.sys.supervisor.list()?;
    let running = groups
        .into_iter()
        .flat_map(HashMap::keys)
        .filter_map(|group| UnitName::parse(group));
    for unit in running.filter(|unit| !is_known(unit) && !on_disk.contains(unit)) {
        let finding = Finding::drift(
            format!("program {unit}"),
            "supervisord runs it, but there is no file of it",
            "cictl doctor --repair stops it",
        );
        findings.push(if repair {
            finding.repaired_if(api.sys.supervisor.settle().await)
        } else {
            finding
        });
    }
    files(api, &is_known, repair, findings)?;
    directories(api, units, busy, findings).await?;
    let owed: BTreeSet<UnitName> = api
        .store
        .owed()
        .await?
        .into_iter()
        .map(|owed| owed.unit)
        .collect();
    for (port, unit) in api
        .store
        .ports()
        .await?
        .into_iter()
        .filter(|(_, unit)| !is_known(unit) && !owed.contains(unit))
    {
        findings.push(Finding::drift(
            format!("port {port}"),
            format!("it is still reserved for {unit}"),
            "restart cid; it frees such ports",
        ));
    }
    Ok(())
}

/// Run files and log folders of nobody.
fn files(
    api: &Api,
    is_known: &dyn Fn(&UnitName) -> bool,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    for name in fs::names(&api.layout.run_file_dir())? {
        let unit = name.strip_suffix(".json").and_then(UnitName::parse);
        let Some(unit) = unit.filter(|unit| !is_known(unit)) else {
            continue;
        };
        let finding = Finding::drift(
            format!("run file of {unit}"),
            "no workspace has it",
            "cictl doctor --repair removes it",
        );
        let remove = || fs::remove_file(&api.layout.run_file(&unit)).map(drop);
        findings.push(if repair {
            finding.repaired_if(remove())
        } else {
            finding
        });
    }
    for name in fs::names(&api.layout.app_logs_dir())? {
        let Some(unit) = UnitName::parse(&name).filter(|unit| !is_known(unit)) else {
            continue;
        };
        let path = api.layout.app_log_dir(&unit);
        findings.push(Finding::drift(
            format!("logs {}", path.display()),
            "no workspace has them",
            "remove the folder",
        ));
    }
    Ok(())
}

/// Folders of nobody where workspaces live, and trash of jobs that are over.
async fn directories(
    api: &Api,
    units: &BTreeMap<UnitName, &Workspace>,
    busy: &BTreeSet<UnitName>,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let known: BTreeSet<_> = units
        .values()
        .map(|workspace| workspace.directory.clone())
        .collect();
    let live: BTreeSet<String> = api
        .store
        .live_jobs()
        .await?
        .iter()
        .chain(&api.store.stuck_jobs().await?)
        .map(|job| job.id.to_string())
        .collect();
    let mut trash = vec![api.layout.trash_dir()];
    for project in api.projects.all().values().flatten() {
        let work_dir = Projects::work_dir(project, &api.layout.work_root);
        for name in fs::names(&work_dir)?
            .iter()
            .filter(|name| *name != ".trash")
        {
            let path = work_dir.join(name);
            let is_busy = busy
                .iter()
                .any(|unit| unit.as_str() == format!("{}.{name}", project.name));
            if !known.contains(&path) && !is_busy {
                findings.push(Finding::drift(
                    format!("directory {}", path.display()),
                    "no workspace has it",
                    "look what it is, then remove it or move it away",
                ));
            }
        }
        trash.push(work_dir.join(".trash"));
        let mirror = api.layout.mirror(&project.name);
        let environments = fs::names(&api.layout.environments(&project.name))?.len();
        if mirror.exists() || environments > 0 {
            findings.push(Finding::note(
                format!("project {}", project.name),
                format!("kept for the next workspace: a mirror and {environments} environment(s)"),
            ));
        }
    }
    for dir in trash {
        for name in fs::names(&dir)?.iter().filter(|name| !live.contains(*name)) {
            findings.push(Finding::drift(
                format!("trash {}", dir.join(name).display()),
                "its job is over",
                "remove the folder",
            ));
        }
    }
    Ok(())
}
