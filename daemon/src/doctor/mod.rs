//! Compares the ledger with the machine, both ways: what should exist and does not, what exists and
//! should not. On a host it also checks what cid needs from the host.

mod access;
mod accounts;
mod away;
pub(crate) mod builds;
pub(crate) mod gone;
mod host;
mod kept;
mod left;
mod missing;
mod outsiders;
mod packages;
pub(crate) mod shared;
mod sites;
mod surplus;
pub(crate) mod worries;

pub use accounts::mend_accounts;
pub use away::mend_away;

use crate::{
    cid::Cid,
    domain::{Channel, UnitName, Workspace, WorkspaceState},
    error::Error,
    health::{Condition, Health},
    keeper,
    store::{NoticeTrouble, StoreError},
    system::supervisor::Process,
};
use cid_proto::v1;
use cid_protocol::fault::Fault;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// How long pages may take to answer.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);

/// One finding.
#[derive(Clone, Debug)]
pub struct Finding {
    kind: v1::FindingKind,
    subject: String,
    message: String,
    repair: String,
    repaired: bool,
    /// The workspace, stage or build it is about.
    unit: Option<UnitName>,
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
            unit: None,
        }
    }

    fn broken(
        subject: impl Into<String>,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            kind: v1::FindingKind::Broken,
            ..Self::drift(subject, message, repair)
        }
    }

    fn note(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: v1::FindingKind::Note,
            ..Self::drift(subject, message, "")
        }
    }

    fn of(self, unit: &UnitName) -> Self {
        Self {
            unit: Some(unit.workspace()),
            ..self
        }
    }

    /// The whole of it, where it is about a workspace.
    #[cfg(test)]
    pub(crate) fn of_unit(&self) -> Option<String> {
        let unit = self.unit.as_ref()?;
        Some(format!("{unit}: {}: {}", self.subject, self.message))
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

/// Checks everything, and with `repair` mends what can be mended without losing anything. No job begins while
/// it mends what is of workspaces. What a job changed during the look is not judged.
///
/// # Errors
/// The ledger cannot be read.
pub async fn examine(cid: &Cid, repair: bool) -> Result<Vec<Finding>, Error> {
    let begun = jiff::Timestamp::now();
    // What is owed may take long, and is of workspaces that are gone.
    let mut findings = debts(cid, repair).await?;
    look(cid, repair, &mut findings).await?;
    let changed = cid.store.jobs_since(begun).await?;
    let changed: BTreeSet<UnitName> = changed
        .iter()
        .map(|job| job.about.unit(&job.project).workspace())
        .collect();
    findings.retain(|finding| {
        let is_changed = |unit: &UnitName| changed.contains(unit);
        finding.repaired || !finding.unit.as_ref().is_some_and(is_changed)
    });
    Ok(findings)
}

async fn look(cid: &Cid, repair: bool, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let held = match repair {
        true => Some(cid.engine.hold_jobs().await),
        false => None,
    };
    let workspaces = cid.store.workspaces(None, 0, usize::MAX >> 1).await?;
    // The subject of a running job is changing; it is judged when the job has ended.
    let busy: BTreeSet<UnitName> = cid
        .store
        .live_jobs()
        .await?
        .iter()
        .map(|job| job.about.unit(&job.project))
        .collect();
    let units: BTreeMap<UnitName, &Workspace> = workspaces.iter().map(|w| (w.unit(), w)).collect();
    let groups: Option<HashMap<String, Vec<Process>>> = match cid.sys.supervisor.groups().await {
        Ok(groups) => Some(groups.into_iter().collect()),
        // On a host a separate check reports it.
        Err(_) if cid.sys.is_host() => None,
        Err(fault) => {
            findings.push(Finding::drift(
                "supervisord",
                fault.message,
                fault.hint.unwrap_or_default(),
            ));
            None
        }
    };
    if let Ok(false) = cid.sys.supervisor.tells().await {
        findings.push(of_an_earlier_version(cid));
    }
    // First, because vhosts need what is repaired here.
    sites::sites(cid, repair, findings).await?;
    if let Err(fault) = cid.sys.nginx.check().await {
        findings.push(Finding::drift(
            "nginx",
            fault.message,
            fault.hint.unwrap_or_default(),
        ));
    }
    let at_rest: Vec<_> = units
        .iter()
        .filter(|(unit, w)| w.state == WorkspaceState::Ready && !busy.contains(*unit))
        .collect();
    let trees: Vec<&Workspace> = at_rest.iter().map(|(_, workspace)| **workspace).collect();
    let looked = cid.health.look(&trees, HEALTH_LIMIT).await;
    // Without it no page answers, and that counts as one finding.
    let has_nginx = cid.sys.probe.is_open(cid.sys.site.http_port).await;
    if !has_nginx && !cid.sys.is_host() {
        let port = cid.sys.site.http_port;
        findings.push(Finding::drift(
            "nginx",
            format!("nobody listens on port {port}: no site answers"),
            "it is started again by itself as soon as its configuration is good",
        ));
    }
    away::away(cid, &units, &busy, repair, findings).await?;
    for ((unit, workspace), looked) in at_rest.iter().zip(looked) {
        let processes = groups.as_ref().map(|groups| {
            groups
                .get(workspace.instance().as_str())
                .map_or(&[][..], Vec::as_slice)
        });
        let before = findings.len();
        let is_starting = looked.health.condition == Condition::Starting;
        let now = missing::Now {
            processes,
            is_starting,
        };
        missing::missing(cid, unit, workspace, now, repair, findings).await?;
        for finding in &mut findings[before..] {
            finding.unit = Some((*unit).clone());
        }
        // If something is missing, that explains the failure.
        let is_whole = has_nginx && findings.len() == before;
        if is_whole && looked.health.condition == Condition::Failing {
            findings.push(failing(unit, workspace, &looked.health).of(unit));
        }
    }
    surplus::surplus(cid, &units, &busy, groups.as_ref(), repair, findings).await?;
    accounts::accounts(cid, repair, findings).await?;
    // What follows takes long, and takes nothing away that a job makes.
    drop(held);
    access::closed(cid, &trees, findings).await;
    left::left(cid, findings).await?;
    packages::changed(cid, repair, findings).await?;
    builds::builds(cid, repair, findings).await?;
    builds::changed(cid, findings).await?;
    for job in cid.store.stuck_jobs().await? {
        let repair = format!(
            "look at it (cictl jobs show {0}), mend what is in the way, then: cictl jobs retry {0}",
            job.id
        );
        findings.push(Finding::drift(
            format!("job {}", job.id),
            format!("the {:?} job of {} is stuck", job.kind, job.about).to_lowercase(),
            repair,
        ));
    }
    host::check(cid, findings).await;
    findings.extend(host::unused_supervisord(cid).await);
    for project in cid.projects.all().values().flatten() {
        for worry in worries::worries(project).await {
            let message = format!("{}; {}", worry.message, worry.mend);
            let subject = format!("{} of {}", worry.key, project.name);
            findings.push(Finding::note(subject, message));
        }
        for (key, looked) in project.check_secrets() {
            let Err(fault) = looked else { continue };
            let mend = "mend it or put it back: until then nothing can be deployed to the stage, not even by a rollback";
            let subject = format!("{key} of {}", project.name);
            let mend = fault.hint.unwrap_or_else(|| mend.to_owned());
            findings.push(Finding::drift(subject, fault.message, mend));
        }
    }
    for (name, entry) in cid.projects.all().iter() {
        if let Err(error) = entry {
            findings.push(Finding::drift(
                format!("project {name}"),
                error.to_string(),
                "mend the file, then: systemctl reload cid (in a sandbox: cictl project check)",
            ));
        }
    }
    silent(cid, findings).await?;
    untold(cid, findings).await?;
    gone::find(cid, findings).await?;
    gone::failed(cid, findings).await?;
    Ok(())
}

/// Remotes that did not answer when cid looked what is new there. Nothing is built or deployed meanwhile.
async fn silent(cid: &Cid, findings: &mut Vec<Finding>) -> Result<(), Error> {
    for silent in cid.store.silent_remotes().await? {
        findings.push(Finding::note(
            format!("remote of {}", silent.project),
            format!(
                "it {silent}; no push is followed meanwhile; cictl project fetch {} asks it again",
                silent.project
            ),
        ));
    }
    Ok(())
}

/// Where notices of builds and deployments do not arrive.
async fn untold(cid: &Cid, findings: &mut Vec<Finding>) -> Result<(), Error> {
    for trouble in cid.store.notice_troubles().await? {
        if !is_told(cid, &trouble).await? {
            continue;
        }
        let since = trouble.since.strftime("%F %T UTC");
        let lost = match trouble.lost {
            0 => String::new(),
            lost => format!("; {lost} were given up"),
        };
        findings.push(Finding::note(
            format!("notify.{} of {}", trouble.channel, trouble.project),
            format!(
                "nothing has arrived since {since}: {}{lost}",
                trouble.reason
            ),
        ));
    }
    Ok(())
}

/// Whether anything goes to this place still: what the project's file names, and owners of workspaces.
async fn is_told(cid: &Cid, trouble: &NoticeTrouble) -> Result<bool, Error> {
    let Ok(project) = cid.projects.standing(trouble.project.as_str()) else {
        return Ok(false);
    };
    let notify = &project.notify;
    Ok(match &trouble.channel {
        Channel::Status => notify.status.is_some(),
        Channel::Webhook => notify.webhook.is_some(),
        Channel::Mail(to) if notify.mail.contains(to) => true,
        Channel::Mail(to) => {
            let of = Some(trouble.project.clone());
            let all = cid.store.workspaces_of_people(of, 0, usize::MAX >> 1);
            all.await?
                .iter()
                .any(|workspace| workspace.owner.person() == Some(to))
        }
    })
}

fn failing(unit: &UnitName, workspace: &Workspace, health: &Health) -> Finding {
    let since = health
        .since
        .map(|since| since.strftime("%F %T UTC").to_string());
    let since = since.map_or(String::new(), |since| format!("since {since} "));
    Finding::drift(
        format!("page of {unit}"),
        format!("it is failing: {since}{}", health.message),
        way_out(workspace, ""),
    )
}

/// What to do about an app that does not work; `process`: whose log to read.
fn way_out(workspace: &Workspace, process: &str) -> String {
    let (email, project) = (&workspace.owner, &workspace.project);
    let logs = format!("cictl logs {email} -p {project} {process}");
    let logs = logs.trim_end();
    match workspace.is_stage() {
        // Its files are a build's.
        true => format!(
            "look why ({logs}); cictl rollback {email} -p {project} runs the build before, cictl restart {email} -p {project} starts this one again"
        ),
        false => format!("look why ({logs}), mend it, then: cictl restart {email} -p {project}"),
    }
}

/// cid itself never restarts supervisord: every app would go down, at a moment that nobody chose.
fn of_an_earlier_version(cid: &Cid) -> Finding {
    let restart = match cid.sys.is_host() {
        true => "systemctl restart cid-supervisor",
        false => "stop the sandbox and start it again",
    };
    Finding::drift(
        "supervisord",
        "it runs since before cid was upgraded: workspaces run on and can be deleted, and none can be created or restarted",
        format!("{restart}; all apps restart with it, which takes some seconds"),
    )
}

async fn debts(cid: &Cid, repair: bool) -> Result<Vec<Finding>, StoreError> {
    if repair {
        keeper::settle_debts(cid).await?;
    }
    let owed = cid.store.owed().await?;
    Ok(owed
        .into_iter()
        .map(|owed| Finding {
            kind: v1::FindingKind::Owed,
            subject: owed.unit.to_string(),
            message: format!("still to do: {} ({})", owed.debt, owed.reason),
            repair: "cid tries again by itself; at once: cictl doctor --repair".into(),
            repaired: false,
            unit: None,
        })
        .collect())
}
