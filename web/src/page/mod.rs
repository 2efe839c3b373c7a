/// Restart, delete, cancel and retry.
pub mod act;
pub mod admin;
/// What visitors get in the place of an app that does not answer.
pub mod away;
/// `/projects/{project}/builds/{number}`: a build.
pub mod build;
/// `/projects/{project}/stages/{stage}/promote` and `rollback`: what would change, and the change.
pub mod change;
/// `POST /workspaces`: the form, submitted.
pub mod create;
/// `/workspaces/{project}/{who}/delete`: what would be lost, and the delete.
pub mod delete;
/// `/projects/{project}`: stages and builds.
pub mod delivery;
/// `GET /jobs/{id}/events`: a job's progress as server-sent events.
pub mod events;
/// `GET /`: the form and the table.
pub mod home;
pub mod hook;
/// `GET /jobs/{id}`: a job and what has come of it.
pub mod job;
/// `/workspaces/{project}/{who}/logs/{process}`: what a process wrote.
pub mod logs;
/// `/sign-in`, `/sign-in/{token}` and `/sign-out`.
pub mod sign_in;
pub mod test;
pub mod visit;
/// `GET /workspaces/{project}/{who}`: one workspace.
pub mod workspace;

use crate::{
    error::{Problem, Refusal},
    i18n::Lang,
    visitor::Visitor,
};
use askama::Template;
use axum::{
    http::{
        StatusCode,
        header::{CONTENT_LANGUAGE, CONTENT_TYPE},
    },
    response::{IntoResponse, Redirect, Response},
};
use cid_client::{Person, Workspace};
use std::fmt;

/// What the frame around a page shows.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Who is signed in.
    pub person: Option<Person>,
    /// What the page's forms carry; see [`Visitor::form_token`].
    pub form: String,
}

impl Frame {
    /// For a page of this visitor's.
    ///
    /// # Errors
    /// Their session has ended, or the daemon cannot be asked.
    pub async fn of(visitor: &Visitor, lang: Lang) -> Result<Self, Refusal> {
        let person = visitor.person().await;
        Ok(Self {
            person: person.map_err(|err| Refusal(lang, err.into()))?,
            form: visitor.form_token(),
        })
    }

    /// Whether an administrator is signed in.
    pub fn is_administrator(&self) -> bool {
        self.person
            .as_ref()
            .is_some_and(|person| person.is_administrator)
    }

    /// Whether who is signed in may act on what belongs to this address.
    pub fn may_act_for(&self, email: &str) -> bool {
        let person = self.person.as_ref();
        person.is_some_and(|person| person.is_administrator || person.email == email)
    }
}

/// The answer that carries a rendered template.
pub fn html(lang: Lang, status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => {
            let headers = [
                (CONTENT_TYPE, "text/html; charset=utf-8"),
                (CONTENT_LANGUAGE, lang.code()),
            ];
            (status, headers, page).into_response()
        }
        Err(err) => {
            tracing::error!("cannot render a page: {err}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The answer for paths without a route.
pub async fn missing() -> Problem {
    Problem::NoPage
}

/// Leads to another page of the front.
pub fn to(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Where a job's page is.
pub fn job_path(id: &str) -> String {
    format!("/jobs/{}", segment(id))
}

/// A size on disk.
pub fn size(bytes: &u64) -> String {
    match *bytes {
        bytes if bytes < 1 << 10 => format!("{bytes} B"),
        bytes if bytes < 1 << 20 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        bytes => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

/// Where a workspace's page is.
pub fn workspace_path(workspace: &Workspace) -> String {
    format!(
        "/workspaces/{}/{}",
        segment(&workspace.project),
        segment(&workspace.email)
    )
}

/// The address to link to, if any: only a web address becomes a link.
pub fn link(url: &Option<String>) -> Option<&str> {
    url.as_deref().filter(|url| is_web_address(url))
}

/// Whether it begins as addresses in the web do, and not as `javascript:` does.
pub fn is_web_address(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// An address as people say it.
pub fn short(url: &str) -> &str {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    host.strip_suffix('/').unwrap_or(host)
}

/// The host of an address in the web, where nothing in it needs quoting.
pub fn host_of(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("https://")
        .or(url.strip_prefix("http://"))?;
    let host = rest.split(['/', ':', '?', '#']).next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    (!host.is_empty() && !host.starts_with('-') && host.chars().all(is_plain)).then_some(host)
}

/// The beginning of a commit's name, as git abbreviates it.
pub fn short_commit(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// A moment to the minute. The server does not know the reader's time zone.
pub fn utc(at: impl fmt::Display) -> String {
    let at = at.to_string();
    let minute = at.get(..16).unwrap_or(&at).replace('T', " ");
    format!("{minute} UTC")
}

/// The day of a moment.
pub fn day(at: impl fmt::Display) -> String {
    at.to_string().chars().take(10).collect()
}

/// A size in memory.
pub fn mebibytes(bytes: &u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Text as one segment of a path.
fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_links() {
        let url = |text: &str| Some(text.to_owned());
        assert_eq!(link(&url("http://a/")), Some("http://a/"));
        assert_eq!(link(&url("javascript:alert(1)")), None);
        assert_eq!(link(&None), None);
    }

    #[test]
    fn paths_hold_one_segment() {
        assert_eq!(job_path("0190-ab"), "/jobs/0190-ab");
        assert_eq!(job_path("../x?y"), "/jobs/..%2Fx%3Fy");
    }
}
