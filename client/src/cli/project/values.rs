//! What a new project file is made from, checked as the daemon checks it: a file that it would refuse is not
//! written.

use cid_client::{Error, Kind};
use serde_json::json;

/// With a workspace's name nginx takes no more.
const MAX_DOMAIN_LEN: usize = 69;

/// What a project's name must be.
pub(super) const RULE: &str = "is made of at most 31 of a-z, 0-9 and -, and begins with a letter";

/// Whether the daemon would take a file of that name.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 31
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A request that cannot be right.
pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, message)
}

/// A string in TOML: its basic strings know every escape that JSON's have.
pub(super) fn quoted(text: &str) -> String {
    json!(text).to_string()
}

/// The repository, if the daemon takes it and it holds no credentials, which are in no message either.
///
/// # Errors
/// It is no such URL.
pub(super) fn repository(url: &str) -> Result<String, Error> {
    let advice = "give the deploy user an SSH key of its own, and the URL without credentials: --url git@HOST:PATH";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = match scheme {
        "" => rest.rsplit_once('@').map_or("", |(user, _)| user),
        _ => rest.split('/').next().unwrap_or_default(),
    };
    let (user, host) = match scheme {
        "" => (authority, rest),
        _ => authority.rsplit_once('@').unwrap_or(("", authority)),
    };
    let is_web = matches!(scheme, "http" | "https");
    if user.contains(':') || (is_web && !user.is_empty()) || (is_web && url.contains(['?', '#'])) {
        return Err(invalid(
            "the repository's URL holds credentials, which do not belong into a project file",
        )
        .with_hint(advice));
    }
    let kinds = "use https, ssh, user@host:path or an absolute path: --url URL";
    if !matches!(scheme, "" | "https" | "ssh" | "file") {
        return Err(invalid(format!(
            "the repository is reached by {scheme}, which cid does not take"
        ))
        .with_hint(kinds));
    }
    let is_place = match scheme {
        "" => url.starts_with('/') || is_scp(url),
        "file" => !host.starts_with('-'),
        _ => !host.is_empty() && !host.starts_with('-') && !user.starts_with('-'),
    };
    let is_odd = |c: char| c.is_control() || c == ' ';
    if !is_place || url.starts_with('-') || url.contains("::") || url.contains(is_odd) {
        return Err(
            invalid(format!("{} is no git URL that cid takes", quoted(url))).with_hint(kinds),
        );
    }
    Ok(url.to_owned())
}

fn is_scp(url: &str) -> bool {
    url.split_once(':').is_some_and(|(host, path)| {
        !host.is_empty() && !path.is_empty() && !host.contains('/') && !host.contains("@-")
    })
}

/// `*.Example.org.` is `example.org`.
///
/// # Errors
/// It is no domain, or one that is too long.
pub(super) fn domain(text: &str) -> Result<String, Error> {
    let text = text
        .trim_start_matches('*')
        .trim_matches('.')
        .to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !text.split('.').all(is_label) {
        return Err(invalid(format!(
            "the domain {} is none: a name alone, without scheme, port and path",
            quoted(&text)
        ))
        .with_hint("say it with --domain"));
    }
    if text.len() > MAX_DOMAIN_LEN {
        return Err(invalid(format!(
            "the domain {text} is too long: with a workspace's name nginx takes no more than {MAX_DOMAIN_LEN} characters of it"
        ))
        .with_hint("say a shorter one with --domain"));
    }
    Ok(text)
}

/// A branch, by git's rules.
///
/// # Errors
/// git takes no branch of that name.
pub(super) fn branch(name: &str) -> Result<(), Error> {
    let is_odd = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let is_part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.to_ascii_lowercase().ends_with(".lock")
    };
    let is_branch = name.split('/').all(is_part)
        && !name.contains(is_odd)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.starts_with('-')
        && !name.ends_with('.')
        && name != "@";
    match is_branch {
        true => Ok(()),
        false => Err(invalid(format!("{} is not a branch name", quoted(name)))
            .with_hint("say it with --base")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_takes_is_taken() {
        for url in [
            "https://git.example.org/team/a.git",
            "ssh://git@git.example.org:2222/a.git",
            "git@git.example.org:team/a.git",
            "git.example.org:a.git",
            "file:///srv/git/a.git",
            "/srv/git/a \"b\".git".replace(' ', "_").as_str(),
        ] {
            assert_eq!(repository(url).unwrap(), url);
        }
        assert_eq!(
            domain("*.Pressa.example.org.").unwrap(),
            "pressa.example.org"
        );
    }

    #[test]
    fn what_the_daemon_refuses_is_refused() {
        for url in [
            "http://git.example.org/a.git",
            "git://git.example.org/a.git",
            "https://u:p@git.example.org/a.git",
            "https:///a.git",
            "ssh://-oProxyCommand=x/a.git",
            "git@-oProxyCommand=x:a.git",
            "-x:a.git",
            "ext::sh -c x",
            "relative/a.git",
            "/srv/git/a b.git",
            "",
        ] {
            let error = repository(url).unwrap_err();
            assert_eq!(error.kind, Kind::Invalid, "{url}");
            assert!(error.hint.unwrap().contains("--url"), "{url}");
        }
        for name in [
            "", "a b", "-a", "a..b", "a/", "/a", "a.lock", "@", "a@{b", "a.",
        ] {
            assert!(branch(name).is_err(), "{name}");
        }
        for name in ["main", "release/1.0", "a@b", "devel-x"] {
            branch(name).unwrap();
        }
        let long = format!("{}.org", "a.".repeat(40));
        for text in [
            "http://y", "a_b.org", "-a.org", "a..org", "", "a.org:80", &long,
        ] {
            let error = domain(text).unwrap_err();
            assert!(error.hint.unwrap().contains("--domain"), "{text}");
        }
    }
}
