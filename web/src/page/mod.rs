/// `POST /workspaces`: the form, submitted.
pub mod create;
/// `GET /jobs/{id}/events`: a job's progress as server-sent events.
pub mod events;
/// `GET /`: the form and the table.
pub mod home;
/// `GET /jobs/{id}`: a job and what has come of it.
pub mod job;
/// `/sign-in`, `/sign-in/{token}` and `/sign-out`.
pub mod sign_in;
/// `GET /workspaces/{project}/{who}`: one workspace.
pub mod workspace;

use crate::{error::Problem, i18n::Lang};
use askama::Template;
use axum::{
    http::{
        StatusCode,
        header::{CONTENT_LANGUAGE, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use cid_client::Workspace;
use std::fmt;

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
pub async fn missing(lang: Lang) -> Response {
    Problem::NoPage.page(lang)
}

/// Where a job's page is.
pub fn job_path(id: &str) -> String {
    format!("/jobs/{}", segment(id))
}

/// Where a workspace's page is.
pub fn workspace_path(workspace: &Workspace) -> String {
    format!(
        "/workspaces/{}/{}",
        segment(&workspace.project),
        segment(&workspace.name)
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
