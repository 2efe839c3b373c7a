//! A commit status in the words of each forge's API.

use crate::{
    config::{Forge, ForgeStatus, Repository},
    domain::{CommitStatus, StatusState},
};
use cid_protocol::request::{Post, Secret};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Bitbucket takes no longer key.
const KEY: usize = 40;

/// The request that sets a status.
pub(super) fn request(
    target: &ForgeStatus,
    repository: &Repository,
    token: &Secret,
    status: &CommitStatus,
) -> Post {
    let (base, repository, commit) = (target.base(), repository.as_str(), &status.commit);
    let (path, headers, body) = match target.forge {
        Forge::GitHub => (
            format!("/repos/{repository}/statuses/{commit}"),
            vec![
                ("authorization", format!("Bearer {}", token.expose())),
                ("accept", "application/vnd.github+json".to_owned()),
                ("x-github-api-version", "2022-11-28".to_owned()),
            ],
            json!({
                "state": github(status.state), "context": status.context,
                "description": status.description, "target_url": given(&status.link),
            }),
        ),
        Forge::Gitea => (
            format!("/api/v1/repos/{repository}/statuses/{commit}"),
            vec![("authorization", format!("token {}", token.expose()))],
            json!({
                "state": github(status.state), "context": status.context,
                "description": status.description, "target_url": status.link,
            }),
        ),
        Forge::GitLab => (
            format!(
                "/api/v4/projects/{}/statuses/{commit}",
                repository.replace('/', "%2F")
            ),
            vec![("private-token", token.expose().to_owned())],
            json!({
                "state": gitlab(status.state), "name": status.context,
                "description": status.description, "target_url": given(&status.link),
            }),
        ),
        Forge::Bitbucket => (
            format!("/2.0/repositories/{repository}/commit/{commit}/statuses/build"),
            vec![("authorization", bitbucket_login(token))],
            json!({
                "state": bitbucket(status.state), "key": key(&status.context),
                "name": status.context, "description": status.description,
                // It takes none without.
                "url": given(&status.link).unwrap_or_else(|| {
                    json!(format!("https://bitbucket.org/{repository}/commits/{commit}"))
                }),
            }),
        ),
    };
    Post {
        url: format!("{base}{path}"),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Secret::new(value)))
            .collect(),
        body: body.to_string(),
    }
}

/// GitLab refuses a status that is the present one already.
pub(super) fn is_there_already(forge: Forge, status: u16, said: &str) -> bool {
    forge == Forge::GitLab && status == 400 && said.contains("Cannot transition status")
}

fn given(link: &str) -> Option<Value> {
    (!link.is_empty()).then(|| json!(link))
}

fn github(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "pending",
        StatusState::Success => "success",
        StatusState::Failure => "failure",
        StatusState::Error | StatusState::Cancelled => "error",
    }
}

fn gitlab(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "running",
        StatusState::Success => "success",
        StatusState::Failure | StatusState::Error => "failed",
        StatusState::Cancelled => "canceled",
    }
}

fn bitbucket(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "INPROGRESS",
        StatusState::Success => "SUCCESSFUL",
        StatusState::Failure | StatusState::Error => "FAILED",
        StatusState::Cancelled => "STOPPED",
    }
}

/// An access token, or `USER:PASSWORD` of an app password.
fn bitbucket_login(token: &Secret) -> String {
    let token = token.expose();
    match token.contains(':') {
        true => format!("Basic {}", data_encoding::BASE64.encode(token.as_bytes())),
        false => format!("Bearer {token}"),
    }
}

fn key(context: &str) -> String {
    match context.len() <= KEY {
        true => context.to_owned(),
        false => HEXLOWER.encode(&Sha256::digest(context))[..KEY].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Notify;

    fn asked(forge: &str, token: &str, state: StatusState, link: &str) -> (Post, Value) {
        let text = format!(
            "status = {{ forge = \"{forge}\", url = \"https://git.example.org\", token_file = \"/t\", repository = \"a/b\" }}"
        );
        let notify: Notify = toml::from_str(&text).unwrap();
        let target = notify.status.unwrap();
        let status = CommitStatus {
            commit: "c".repeat(40),
            reference: "main".into(),
            context: "cid/build".into(),
            state,
            description: "build 12: passed".into(),
            link: link.into(),
        };
        let repository = target.repository("").unwrap();
        let post = request(&target, &repository, &Secret::new(token), &status);
        let body = serde_json::from_str(&post.body).unwrap();
        (post, body)
    }

    #[test]
    fn each_forge_is_asked_in_its_own_words() {
        let sha = "c".repeat(40);
        for (forge, path, (name, value), state) in [
            (
                "github",
                "/repos/a/b/statuses/",
                ("authorization", "Bearer t0ken"),
                "failure",
            ),
            (
                "gitea",
                "/api/v1/repos/a/b/statuses/",
                ("authorization", "token t0ken"),
                "failure",
            ),
            (
                "gitlab",
                "/api/v4/projects/a%2Fb/statuses/",
                ("private-token", "t0ken"),
                "failed",
            ),
            (
                "bitbucket",
                "/2.0/repositories/a/b/commit/",
                ("authorization", "Bearer t0ken"),
                "FAILED",
            ),
        ] {
            let (post, body) = asked(
                forge,
                "t0ken",
                StatusState::Failure,
                "https://ci.example/jobs/1",
            );
            assert!(
                post.url
                    .starts_with(&format!("https://git.example.org{path}{sha}")),
                "{}",
                post.url
            );
            assert_eq!(
                (&*post.headers[0].0, post.headers[0].1.expose()),
                (name, value)
            );
            assert_eq!(body["state"], state, "{forge}");
            assert!(!post.body.contains("t0ken") && !format!("{post:?}").contains("t0ken"));
        }
        // Bitbucket wants a link, GitHub none that is empty.
        let (_, body) = asked("bitbucket", "me:pass", StatusState::Success, "");
        assert!(body["url"].as_str().unwrap().contains("/a/b/commits/"));
        let (post, body) = asked("github", "t", StatusState::Success, "");
        assert!(body["target_url"].is_null() && post.headers.len() == 3);
        let (post, _) = asked("bitbucket", "me:pass", StatusState::Success, "");
        assert_eq!(post.headers[0].1.expose(), "Basic bWU6cGFzcw==");
    }

    #[test]
    fn a_long_context_keeps_a_key_of_its_own() {
        assert_eq!(key("cid/production"), "cid/production");
        let (one, two) = (
            key(&format!("cid/{}", "a".repeat(60))),
            key(&format!("cid/{}b", "a".repeat(60))),
        );
        assert!(one.len() == KEY && two.len() == KEY && one != two);
    }
}
