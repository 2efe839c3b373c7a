use crate::{
    error::{Answer, Problem, Refusal},
    i18n::Lang,
    page,
    visitor::Visitor,
};
use askama::Template;
use axum::{extract::Path, http::StatusCode};
use cid_client::{Client, Workspace, WorkspaceState};

/// Shows one workspace, by its address or by its name.
pub async fn show(
    visitor: Visitor,
    lang: Lang,
    Path((project, who)): Path<(String, String)>,
) -> Answer {
    let refuse = |problem| Refusal(lang, problem);
    let workspace = find(&visitor.daemon, &project, &who)
        .await
        .map_err(refuse)?;
    let clone_command = clone_command(&visitor.daemon, &workspace).await;
    let shown = WorkspacePage {
        t: lang,
        w: &workspace,
        clone_command,
    };
    Ok(page::html(lang, StatusCode::OK, &shown))
}

async fn find(daemon: &Client, project: &str, who: &str) -> Result<Workspace, Problem> {
    let missing = |err| Problem::or_missing(err, Problem::NoWorkspace);
    if who.contains('@') {
        return daemon.get(who, Some(project)).await.map_err(missing);
    }
    let workspaces = daemon.list(Some(project)).await.map_err(missing)?;
    let mut workspaces = workspaces.into_iter();
    workspaces
        .find(|w| w.name == who && w.project == project)
        .ok_or(Problem::NoWorkspace)
}

/// How to get the workspace's branch onto another machine; `None` when the project does not say.
pub async fn clone_command(daemon: &Client, workspace: &Workspace) -> Option<String> {
    let project = daemon.project(&workspace.project).await.ok()?;
    let (url, branch) = (quoted(&project.git_url)?, quoted(&workspace.branch)?);
    Some(format!("git clone --branch {branch} {url}"))
}

/// Text as one word of a shell; nothing when there is nothing.
fn quoted(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+,=".contains(c);
    match text {
        "" => None,
        text if text.chars().all(plain) => Some(text.to_owned()),
        text => Some(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

#[derive(Template)]
#[template(path = "workspace.html")]
struct WorkspacePage<'a> {
    t: Lang,
    w: &'a Workspace,
    clone_command: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        let url = "git@git.example.org:team/pressa.git";
        assert_eq!(quoted(url).as_deref(), Some(url));
        assert_eq!(quoted("/srv/my repo").as_deref(), Some("'/srv/my repo'"));
        assert_eq!(quoted("a';b").as_deref(), Some(r"'a'\'';b'"));
        assert_eq!(quoted(""), None);
    }
}
