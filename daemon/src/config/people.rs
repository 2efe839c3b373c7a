//! `[people]` and `[front]` of `cid.toml`: who may sign in at the front, and where that is.

use crate::domain::{Email, MailDomain};
use serde::Deserialize;
use std::{collections::BTreeSet, net::IpAddr};
use url::{Host, Url};

/// Who may sign in. An address in any of these lists may.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct People {
    /// Every address of these domains. Their sub-domains are domains of their own.
    pub domains: BTreeSet<MailDomain>,
    /// These addresses.
    pub addresses: BTreeSet<Email>,
    /// Those who may do everything that the front offers, with every workspace.
    pub administrators: BTreeSet<Email>,
    /// Those who may make workspaces for other addresses.
    pub may_create_for_others: BTreeSet<Email>,
}

impl People {
    /// Whether this address may sign in.
    pub fn may_sign_in(&self, email: &Email) -> bool {
        self.domains.iter().any(|domain| domain.has(email))
            || self.addresses.contains(email)
            || self.administrators.contains(email)
            || self.may_create_for_others.contains(email)
    }

    /// Whether this address is an administrator's.
    pub fn is_administrator(&self, email: &Email) -> bool {
        self.administrators.contains(email)
    }

    /// Whether this address may make workspaces for others.
    pub fn may_create_for_others(&self, email: &Email) -> bool {
        self.is_administrator(email) || self.may_create_for_others.contains(email)
    }
}

/// The web front.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Front {
    /// Where people reach it. Links to sign in begin with it.
    pub url: Option<FrontUrl>,
    /// Whether visitors must sign in; `None`: on a server they must, in a sandbox they need not.
    pub sign_in: Option<SignIn>,
}

/// Whether visitors of the front must sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignIn {
    /// Nobody is asked who they are: visitors see all workspaces, and make one for any address.
    Open,
    /// A visitor must prove an address first.
    Verified,
}

/// An address such as `https://ci.example.org/`: a host and perhaps a port, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FrontUrl(Url);

impl FrontUrl {
    /// As text, with `/` at its end.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether only this machine reaches it.
    fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
            Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
            None => false,
        }
    }
}

impl TryFrom<String> for FrontUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "`{text}` {why}; it is like https://ci.example.org, with :PORT where it needs one"
            )
        };
        let url = Url::parse(&text).map_err(|error| wrong(&format!("is no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("begins with neither https:// nor http://"));
        }
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !is_bare || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("has more in it than a host and a port"));
        }
        let url = Self(url);
        if url.0.scheme() == "http" && !url.is_loopback() {
            return Err(wrong("needs https: a session could be read on its way"));
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(People, Front), String> {
        #[derive(Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[derive(Default)]
        struct Both {
            people: People,
            front: Front,
        }
        let both: Result<Both, _> = toml::from_str(text);
        both.map(|both| (both.people, both.front))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn who_is_named_may_sign_in_and_nobody_else() {
        let (people, front) = read(
            "[people]\ndomains = [\"Example.com\"]\naddresses = [\"guest@partner.org\"]\n\
             administrators = [\"root@elsewhere.net\"]\nmay_create_for_others = [\"lead@agency.org\"]\n\
             [front]\nurl = \"https://ci.example.org\"\nsign_in = \"verified\"\n",
        )
        .unwrap();
        let email = |text: &str| Email::parse(text).unwrap();
        for may in [
            "anna@example.com",
            "ANNA@EXAMPLE.COM",
            "guest@partner.org",
            "root@elsewhere.net",
            "lead@agency.org",
        ] {
            assert!(people.may_sign_in(&email(may)), "{may}");
        }
        for may_not in [
            "anna@sub.example.com",
            "anna@notexample.com",
            "anna@example.com.evil.org",
            "other@partner.org",
            "guest@elsewhere.net",
        ] {
            assert!(!people.may_sign_in(&email(may_not)), "{may_not}");
        }
        assert!(people.is_administrator(&email("root@elsewhere.net")));
        assert!(!people.is_administrator(&email("anna@example.com")));
        assert!(people.may_create_for_others(&email("root@elsewhere.net")));
        assert!(people.may_create_for_others(&email("lead@agency.org")));
        assert!(!people.may_create_for_others(&email("guest@partner.org")));
        assert_eq!(front.url.unwrap().as_str(), "https://ci.example.org/");
        assert_eq!(front.sign_in, Some(SignIn::Verified));
        assert!(!People::default().may_sign_in(&email("anna@example.com")));
    }

    #[test]
    fn a_bad_value_is_told_with_its_line() {
        for (line, word) in [
            ("domains = [\"example\"]", "domain"),
            ("domains = [\"@example.com\"]", "domain"),
            ("domains = [\"*.example.com\"]", "label"),
            ("domains = [\"ex\u{e4}mple.com\"]", "ASCII"),
            ("addresses = [\"example.com\"]", "exactly one @"),
            ("administrators = [\"anna\"]", "exactly one @"),
            ("administrators = \"anna@example.com\"", "sequence"),
            ("may_create_for_others = true", "sequence"),
            ("admins = []", "unknown field"),
        ] {
            let said = read(&format!("[people]\n{line}\n")).unwrap_err();
            assert!(said.contains("line 2") && said.contains(word), "{said}");
        }
        for (line, word) in [
            ("url = \"ci.example.org\"", "no address"),
            ("url = \"ftp://ci.example.org\"", "neither"),
            ("url = \"https://ci.example.org/x\"", "more in it"),
            ("url = \"https://ci.example.org/?a\"", "more in it"),
            ("url = \"https://me@ci.example.org\"", "more in it"),
            ("url = \"http://ci.example.org\"", "https"),
            ("url = \"http://localhost.example.org\"", "https"),
            ("sign_in = \"maybe\"", "open"),
        ] {
            let said = read(&format!("[front]\n{line}\n")).unwrap_err();
            assert!(said.contains("line 2") && said.contains(word), "{said}");
        }
        for url in [
            "http://localhost:8080",
            "http://127.0.0.1:80/",
            "http://[::1]",
        ] {
            assert!(
                read(&format!("[front]\nurl = \"{url}\"\n")).is_ok(),
                "{url}"
            );
        }
    }
}
