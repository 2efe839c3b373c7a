//! Whether a workspace is what its visitors get: by the states of its processes, which supervisord tells, and by
//! what its page answers. Pages are asked for only while somebody looks.

mod judge;
pub mod page;
mod pages;

pub use judge::{Condition, Health, is_crashing};

use crate::{
    config::{self, Projects},
    domain::{Workspace, WorkspaceState},
    system::{System, supervisor::Process},
};
use cid_protocol::run_file::WEB;
use pages::{Ask, Pages};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// What is known of workspaces' health.
pub struct Looker {
    sys: System,
    projects: Arc<Projects>,
    pages: Arc<Pages>,
}

/// A workspace's health, and the processes that it was judged by.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The judgement.
    pub health: Health,
    /// Its processes; none where supervisord does not tell.
    pub processes: Vec<Process>,
}

impl Looker {
    /// Knows nothing yet.
    pub fn new(sys: System, projects: Arc<Projects>) -> Self {
        Self {
            pages: Arc::new(Pages::new(sys.clone())),
            sys,
            projects,
        }
    }

    /// The health of these workspaces, in their order. Pages that were not asked for lately are, side by side;
    /// after `limit` what is known by then counts.
    pub async fn look(&self, workspaces: &[&Workspace], limit: Duration) -> Vec<Seen> {
        self.look_at(workspaces, limit, false).await
    }

    /// The same of one by what its page answers now, for what is decided by it. One that does not answer in time is
    /// as it was before.
    pub async fn look_newly(&self, workspace: &Workspace, limit: Duration) -> Option<Seen> {
        self.look_at(&[workspace], limit, true).await.pop()
    }

    async fn look_at(&self, workspaces: &[&Workspace], limit: Duration, newly: bool) -> Vec<Seen> {
        let groups = self.groups(workspaces).await;
        let processes: Vec<Option<&[Process]>> = workspaces
            .iter()
            .map(|workspace| {
                let group = groups.as_ref()?.get(workspace.instance().as_str());
                Some(group.map_or(&[][..], Vec::as_slice))
            })
            .collect();
        let now = jiff::Timestamp::now();
        let asks = workspaces.iter().zip(&processes);
        let asks =
            asks.filter_map(|(workspace, processes)| self.ask(workspace, (*processes)?, now));
        self.pages.ask(asks.collect(), limit, newly).await;
        let judged = workspaces.iter().zip(processes);
        judged
            .map(|(workspace, processes)| {
                let health = match workspace.state {
                    WorkspaceState::Ready => {
                        let web = processes.and_then(web_pid);
                        let page = self.pages.answer(workspace.id, web);
                        let patience = *self.health_of(workspace).timeout;
                        judge::judge(processes, page.as_ref(), patience, now)
                    }
                    // Health is a question only for what should be running.
                    _ => Health::default(),
                };
                Seen {
                    health,
                    processes: processes.unwrap_or_default().to_vec(),
                }
            })
            .collect()
    }

    async fn groups(&self, workspaces: &[&Workspace]) -> Option<HashMap<String, Vec<Process>>> {
        match workspaces {
            [] => None,
            [one] => {
                let unit = one.instance();
                let processes = self.sys.supervisor.processes(&unit).await.ok()?;
                Some(HashMap::from([(unit.as_str().to_owned(), processes)]))
            }
            _ => Some(
                self.sys
                    .supervisor
                    .groups()
                    .await
                    .ok()?
                    .into_iter()
                    .collect(),
            ),
        }
    }

    /// What to ask of a workspace; nothing where its processes say enough.
    fn ask(
        &self,
        workspace: &Workspace,
        processes: &[Process],
        now: jiff::Timestamp,
    ) -> Option<Ask> {
        let is_calm = !processes.iter().any(|process| is_crashing(process, now));
        let is_ready = workspace.state == WorkspaceState::Ready;
        Some(Ask {
            workspace: workspace.id,
            unit: workspace.instance(),
            web: web_pid(processes).filter(|_| is_calm && is_ready)?,
            host: workspace.host()?.to_owned(),
            certificate: workspace.is_https().then(|| {
                let project = self.projects.get(workspace.project.as_str()).ok();
                let certificates = &self.sys.certificates;
                certificates.path_of(&workspace.project, project.as_deref(), &workspace.name)
            }),
            health: self.health_of(workspace),
            is_guarded: self.is_guarded(workspace),
        })
    }

    fn is_guarded(&self, workspace: &Workspace) -> bool {
        let project = self.projects.get(workspace.project.as_str()).ok();
        project.is_some_and(|project| {
            project.visit_of(workspace.name.as_str()).who != config::Who::Anyone
        })
    }

    fn health_of(&self, workspace: &Workspace) -> config::Health {
        let project = self.projects.get(workspace.project.as_str());
        project.map_or_else(
            |_| config::Health::default(),
            |project| project.app.health.clone(),
        )
    }
}

fn web_pid(processes: &[Process]) -> Option<u32> {
    let web = processes.iter().find(|process| process.name == WEB)?;
    web.pid.filter(|_| web.is_up())
}
