//! `[notify]` of a project file: who is told of builds and deployments.

use super::{AbsolutePath, place::Broken};
use crate::domain::Email;
use serde::Deserialize;
use std::net::IpAddr;
use url::{Host, Url};

/// `[notify]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// The forge that shows a status beside each commit.
    pub status: Option<ForgeStatus>,
    /// Where each end of a build or deployment is posted to.
    pub webhook: Option<Webhook>,
    /// Who gets mail of failures, and of the first success after one.
    pub mail: Vec<Email>,
}

/// `notify.status`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgeStatus {
    /// Which API it has.
    pub forge: Forge,
    /// Where the forge is; `None`: the public one.
    pub url: Option<WebUrl>,
    /// File with a token for it, for cid's own user alone.
    pub token_file: AbsolutePath,
    /// The repository there, such as `team/shop`; `None`: as in `git.url`.
    pub repository: Option<Repository>,
}

/// `notify.webhook`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to.
    pub url: WebUrl,
    /// File with the secret that signs, for cid's own user alone.
    pub secret_file: AbsolutePath,
}

/// `notify.status.forge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    /// github.com, or a GitHub Enterprise Server.
    GitHub,
    /// Gitea and Forgejo.
    #[serde(alias = "forgejo")]
    Gitea,
    /// gitlab.com, or a GitLab of your own.
    GitLab,
    /// Bitbucket Cloud.
    Bitbucket,
}

impl Forge {
    /// The address of the public service; `None` for a forge that everybody hosts for themselves.
    fn public(self) -> Option<&'static str> {
        match self {
            Self::GitHub => Some("https://api.github.com"),
            Self::Gitea => None,
            Self::GitLab => Some("https://gitlab.com"),
            Self::Bitbucket => Some("https://api.bitbucket.org"),
        }
    }
}

/// Where another server is: https, or http on this machine. It ends without a slash.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct WebUrl(String);

impl WebUrl {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // What does not parse may hold a password: it is not shown.
        let url = Url::parse(&text).map_err(|why| format!("this is no URL: {why}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "credentials do not belong into the URL: they would show in logs and answers"
                    .into(),
            );
        }
        if url.fragment().is_some() {
            return Err(format!("`{text}`: what follows # reaches no server"));
        }
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
            None => false,
        };
        match url.scheme() {
            "https" if url.has_host() => {}
            "http" if is_here => {}
            "http" => {
                return Err(format!(
                    "`{text}`: http:// is for a server on this machine; on its way to another one a secret could be read"
                ));
            }
            _ => return Err(format!("`{text}` is no https:// URL")),
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// A repository's path at its forge, such as `team/shop`: names with slashes between.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Repository(String);

impl Repository {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Repository {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
        };
        let names: Vec<&str> = text.split('/').collect();
        match names.len() >= 2 && names.iter().all(|name| is_name(name)) {
            true => Ok(Self(text)),
            false => Err(format!("`{text}` is no repository's path like team/shop")),
        }
    }
}

impl ForgeStatus {
    /// Where the forge is.
    pub fn base(&self) -> &str {
        let own = self.url.as_ref().map(WebUrl::as_str);
        own.or_else(|| self.forge.public()).unwrap_or_default()
    }

    /// The repository: as the file says or, by the URL that git uses.
    pub fn repository(&self, git_url: &str) -> Option<Repository> {
        self.repository
            .clone()
            .or_else(|| of_git_url(self.forge, git_url))
    }
}

/// The path at the end of a git URL. All forges but GitLab have an owner and a name.
fn of_git_url(forge: Forge, url: &str) -> Option<Repository> {
    let path = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?.1,
        None if url.starts_with('/') => return None,
        None => url.split_once(':')?.1,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let names: Vec<&str> = path.split('/').collect();
    let names = match forge {
        Forge::GitLab => &names[..],
        _ => &names[names.len().saturating_sub(2)..],
    };
    Repository::try_from(names.join("/")).ok()
}

impl Notify {
    /// Whether anybody is told of builds and deployments.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.webhook.is_none() && self.mail.is_empty()
    }

    /// Rules over more than one value.
    pub(super) fn check(&self, git_url: &str) -> Result<(), Broken> {
        let Some(status) = &self.status else {
            return Ok(());
        };
        if status.url.is_none() && status.forge.public().is_none() {
            return Err(Broken::new(
                "notify.status",
                "the forge needs a `url`, such as https://git.example.org",
            ));
        }
        let Some(repository) = status.repository(git_url) else {
            return Err(Broken::new(
                "notify.status",
                format!(
                    "which repository it is cannot be told from {git_url}: say repository = \"team/shop\""
                ),
            ));
        };
        if status.forge != Forge::GitLab && repository.as_str().split('/').count() != 2 {
            return Err(Broken::new(
                "notify.status",
                format!(
                    "`{}` is no repository of this forge: it is an owner and a name",
                    repository.as_str()
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Notify, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.to_string())
    }

    #[test]
    fn a_repository_is_known_by_its_url() {
        for (forge, url, wanted) in [
            (
                Forge::GitHub,
                "git@github.com:team/shop.git",
                Some("team/shop"),
            ),
            (
                Forge::Gitea,
                "ssh://git@git.example.org:2222/team/shop.git",
                Some("team/shop"),
            ),
            (
                Forge::Gitea,
                "https://example.org/gitea/team/shop",
                Some("team/shop"),
            ),
            (
                Forge::GitLab,
                "https://gitlab.com/a/b/shop.git",
                Some("a/b/shop"),
            ),
            (
                Forge::Bitbucket,
                "git@bitbucket.org:team/my.shop.git",
                Some("team/my.shop"),
            ),
            (Forge::GitHub, "/srv/git/shop.git", None),
            (Forge::GitHub, "file:///srv/git/shop.git", None),
            (Forge::GitHub, "git@github.com:shop.git", None),
            (Forge::GitLab, "https://gitlab.com/a/../shop.git", None),
            (Forge::GitHub, "https://github.com/team/sh%6fp", None),
        ] {
            let found = of_git_url(forge, url);
            assert_eq!(found.as_ref().map(Repository::as_str), wanted, "{url}");
        }
    }

    #[test]
    fn keys_that_would_tell_a_secret_or_go_nowhere_are_refused() {
        let status = |more: &str| {
            read(&format!(
                "[status]\ntoken_file = \"/etc/cid/secrets/token\"\n{more}\n"
            ))
        };
        for (more, word) in [
            ("forge = \"svn\"", "github"),
            (
                "forge = \"github\"\nurl = \"http://git.example.org\"",
                "on this machine",
            ),
            (
                "forge = \"github\"\nurl = \"https://me:s3cret@git.example.org\"",
                "credentials",
            ),
            ("forge = \"github\"\nurl = \"git.example.org\"", "no URL"),
            (
                "forge = \"github\"\nurl = \"ftp://git.example.org\"",
                "https://",
            ),
            ("forge = \"github\"\nurl = \"https://x.example/#a\"", "#"),
            ("forge = \"github\"\nrepository = \"shop\"", "team/shop"),
            (
                "forge = \"github\"\nrepository = \"team/../shop\"",
                "team/shop",
            ),
            (
                "forge = \"github\"\ntoken = \"s3cret-token\"",
                "unknown field",
            ),
        ] {
            let said = status(more).unwrap_err();
            assert!(said.contains(word), "{more}: {said}");
        }
        for url in [
            "http://localhost:3000/",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
        ] {
            let good = status(&format!("forge = \"forgejo\"\nurl = \"{url}\"")).unwrap();
            let status = good.status.unwrap();
            assert_eq!(status.base(), url.trim_end_matches('/'));
            assert_eq!(status.forge, Forge::Gitea);
        }
        assert!(read("mail = [\"nobody\"]").is_err());
        assert!(
            read("webhook = { url = \"https://x.example/h\" }")
                .unwrap_err()
                .contains("secret_file")
        );
    }

    #[test]
    fn what_cannot_be_told_is_wanted() {
        let check = |more: &str, url: &str| {
            let text = format!("[status]\ntoken_file = \"/t\"\n{more}\n");
            read(&text)
                .unwrap()
                .check(url)
                .map_err(|broken| broken.message)
        };
        let ssh = "git@git.example.org:team/shop.git";
        assert!(
            check("forge = \"gitea\"", ssh)
                .unwrap_err()
                .contains("`url`")
        );
        assert!(
            check("forge = \"github\"", "/srv/shop.git")
                .unwrap_err()
                .contains("repository =")
        );
        assert!(
            check("forge = \"github\"\nrepository = \"a/b/c\"", ssh)
                .unwrap_err()
                .contains("owner")
        );
        assert_eq!(
            check("forge = \"gitlab\"\nrepository = \"a/b/c\"", ssh),
            Ok(())
        );
        assert_eq!(check("forge = \"github\"", ssh), Ok(()));
    }
}
