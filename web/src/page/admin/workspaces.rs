//! `/admin`: all workspaces.

use super::{frame, part};
use crate::{
    error::{Answer, Refusal},
    i18n::Lang,
    page::{self, Frame},
    visitor::Visitor,
};
use askama::Template;
use axum::{extract::Query, http::StatusCode};
use cid_client::{Health, Workspace, WorkspaceState};
use serde::Deserialize;
use std::{cmp::Ordering, collections::BTreeSet};

/// The rows of a page.
pub const ROWS: usize = 50;

/// Which workspaces, in which order.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Wanted {
    /// What address, name or branch hold.
    #[serde(default)]
    q: String,
    /// One project's.
    #[serde(default)]
    project: String,
    /// In this state, or of this health.
    #[serde(default)]
    state: String,
    /// By which column; with a `-` before it the other way round.
    #[serde(default)]
    sort: String,
    /// Counted from 1; 0 is the first too.
    #[serde(default)]
    page: usize,
}

/// Shows all workspaces: those that are wanted, as they are wanted.
pub async fn show(visitor: Visitor, lang: Lang, Query(wanted): Query<Wanted>) -> Answer {
    let frame = frame(&visitor, lang).await?;
    let all = visitor.daemon.list_with_memory().await;
    let all = all.map_err(|err| Refusal(lang, err.into()))?;
    let page = of(lang, frame, all, wanted);
    Ok(page::html(lang, StatusCode::OK, &page))
}

fn of(t: Lang, frame: Frame, all: Vec<Workspace>, wanted: Wanted) -> Page {
    let projects: BTreeSet<String> = all.iter().map(|w| w.project.clone()).collect();
    let count = all.len();
    let mut found: Vec<Workspace> = all.into_iter().filter(|w| wanted.has(w)).collect();
    let memory = found.iter().filter_map(|w| w.memory).sum();
    let (column, is_reversed) = wanted.order();
    found.sort_by(|a, b| match is_reversed {
        true => by(column, b, a),
        false => by(column, a, b),
    });
    let found_count = found.len();
    let (rows, number, pages) = part(found, wanted.page, ROWS);
    Page {
        t,
        frame,
        projects: projects.into_iter().collect(),
        count,
        found: found_count,
        memory,
        rows,
        number,
        pages,
        wanted,
    }
}

/// The columns that can be sorted by.
const COLUMNS: [&str; 7] = [
    "email", "project", "state", "branch", "created", "used", "memory",
];

/// How a column is sorted at first.
fn first_order(column: &str) -> String {
    match column {
        "created" | "used" | "memory" => format!("-{column}"),
        _ => column.to_owned(),
    }
}

fn by(column: &str, a: &Workspace, b: &Workspace) -> Ordering {
    let first = match column {
        "project" => a.project.cmp(&b.project),
        "state" => rank(a).cmp(&rank(b)),
        "branch" => a.branch.cmp(&b.branch),
        "created" => a.created_at.cmp(&b.created_at),
        "used" => a.used_at.cmp(&b.used_at),
        "memory" => a.memory.cmp(&b.memory),
        _ => Ordering::Equal,
    };
    first
        .then_with(|| a.email.cmp(&b.email))
        .then_with(|| a.project.cmp(&b.project))
}

/// What needs a person comes first.
fn rank(workspace: &Workspace) -> u8 {
    match (workspace.state, workspace.health) {
        (WorkspaceState::Failed, _) => 0,
        (WorkspaceState::Ready, Health::Crashing) => 1,
        (WorkspaceState::Ready, Health::Down | Health::Failing) => 2,
        (WorkspaceState::Creating | WorkspaceState::Deleting, _) => 3,
        (WorkspaceState::Ready, Health::Starting) => 4,
        _ => 5,
    }
}

impl Wanted {
    /// The states and healths that can be asked for.
    const STATES: [&'static str; 10] = [
        "ready", "stopped", "asleep", "creating", "deleting", "failed", "up", "failing",
        "crashing", "down",
    ];

    fn has(&self, w: &Workspace) -> bool {
        let q = self.q.trim().to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&q);
        let is_found = q.is_empty() || holds(&w.email) || holds(&w.name) || holds(&w.branch);
        let is_healthy = w.state == WorkspaceState::Ready && w.health.to_string() == self.state;
        is_found
            && (self.project.is_empty() || w.project == self.project)
            && (self.state.is_empty() || w.state.to_string() == self.state || is_healthy)
    }

    /// The column, and whether the order is reversed.
    fn order(&self) -> (&str, bool) {
        match self.sort.strip_prefix('-') {
            Some(column) => (column, true),
            None => (&self.sort, false),
        }
    }

    /// The same rows on this page.
    fn at_page(&self, page: usize) -> String {
        self.query(&self.sort, page)
    }

    /// The same rows by this column; by the present one the other way round. Of sizes and times the largest come
    /// first.
    fn sorted_by(&self, column: &str) -> String {
        let sort = match (self.order(), first_order(column)) {
            ((present, false), _) if present == column => format!("-{column}"),
            ((present, true), _) if present == column => column.to_owned(),
            (_, order) => order,
        };
        self.query(&sort, 1)
    }

    fn query(&self, sort: &str, page: usize) -> String {
        let pairs = [
            ("q", self.q.as_str()),
            ("project", &self.project),
            ("state", &self.state),
            ("sort", sort),
        ];
        let mut query = String::from("?");
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            query.push_str(&format!("{name}={}&", page::segment(value)));
        }
        query + &format!("page={page}")
    }

    /// For `aria-sort`.
    fn sort_of(&self, column: &str) -> &'static str {
        match self.order() {
            (present, is_reversed) if present == column => match is_reversed {
                true => "descending",
                false => "ascending",
            },
            ("", _) if column == "email" => "ascending",
            _ => "none",
        }
    }
}

#[derive(Template)]
#[template(path = "admin/workspaces.html")]
struct Page {
    t: Lang,
    frame: Frame,
    wanted: Wanted,
    projects: Vec<String>,
    /// How many there are in all.
    count: usize,
    /// How many of them are wanted.
    found: usize,
    /// What these have in memory, in bytes.
    memory: u64,
    rows: Vec<Workspace>,
    number: usize,
    pages: usize,
}

impl Page {
    /// The orders that can be chosen where no heads are seen, each with its name.
    fn sorts(&self) -> Vec<(String, &'static str)> {
        COLUMNS
            .iter()
            .map(|column| (first_order(column), self.title_of(column)))
            .collect()
    }

    fn title_of(&self, column: &str) -> &'static str {
        match column {
            "project" => self.t.project(),
            "state" => self.t.column_state(),
            "branch" => self.t.branch(),
            "created" => self.t.created_at(),
            "used" => self.t.last_used(),
            "memory" => self.t.memory(),
            _ => self.t.column_email(),
        }
    }

    /// A state's or a health's name.
    fn state_name(&self, code: &str) -> &'static str {
        match code {
            "ready" => self.t.workspace_state(&WorkspaceState::Ready),
            "stopped" => self.t.workspace_state(&WorkspaceState::Stopped),
            "asleep" => self.t.workspace_state(&WorkspaceState::Asleep),
            "creating" => self.t.workspace_state(&WorkspaceState::Creating),
            "deleting" => self.t.workspace_state(&WorkspaceState::Deleting),
            "failed" => self.t.workspace_state(&WorkspaceState::Failed),
            "up" => self.t.health_state(&Health::Up),
            "failing" => self.t.health_state(&Health::Failing),
            "crashing" => self.t.health_state(&Health::Crashing),
            _ => self.t.health_state(&Health::Down),
        }
    }
}

impl Page {
    /// Which of the pages it is.
    fn at(&self) -> &'static str {
        super::PATH
    }

    fn page_link(&self, page: usize) -> String {
        self.wanted.at_page(page)
    }
}
