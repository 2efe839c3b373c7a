//! The web front on a host: its site in nginx, and its service. The site's file is all that is kept of it.

use crate::{
    cid::Cid,
    config::SignIn,
    domain::UnitName,
    error::Error,
    system::{
        Effect, exec, included,
        nginx::{aside, vhost::HostName, worker::directives},
    },
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::sync::Mutex;

/// Begins the line of the site's file that says where people reach the front.
const URL_LINE: &str = "# The front's address: ";
/// The front's service.
const SERVICE: &str = "cid-web.service";
/// One at a time: the site and the address in links are of the same front.
static TURN: Mutex<()> = Mutex::const_new(());
/// How long systemd may take to start or stop it.
const LIMIT: Duration = Duration::from_secs(20);
/// The site that the package ships as an example, and what of it differs from host to host.
const EXAMPLE: &str = include_str!("../../../packaging/nginx/front.conf");
const EXAMPLE_HOST: &str = "cid.example.org";
const EXAMPLE_FOLDER: &str = "/etc/letsencrypt/live/cid.example.org";

/// What the front is to be.
#[derive(Clone, Debug, Default)]
pub struct WantedFront {
    /// Its host name.
    pub host: String,
    /// Certificate and key; both empty: none.
    pub tls: [String; 2],
    /// Without TLS here, because something in front of this machine ends it.
    pub is_behind_tls: bool,
}

/// A front that was switched on.
#[derive(Debug)]
pub struct EnabledFront {
    /// Where people reach it.
    pub url: String,
    /// What keeps people from using it.
    pub remarks: Vec<String>,
}

/// Switches the front on: writes its site, has nginx take it, and starts the service. What was there before stays
/// when one of these fails.
///
/// # Errors
/// It makes no sense, sessions could be read on their way, or nginx or systemd refuse.
pub async fn enable_front(cid: &Cid, wanted: &WantedFront) -> Result<EnabledFront, Error> {
    refuse_sandbox(cid)?;
    let _turn = TURN.lock().await;
    let (url, site) = site(wanted)?;
    if let Some(set) = cid.sign_in.set_url()
        && set != url
    {
        return Err(Error::Precondition {
            message: format!("cid.toml says that the front is at {set}, not at {url}"),
            hint: Some(
                "mend url under [front] in cid.toml or leave it out, and restart cid".into(),
            ),
        });
    }
    refuse_taken(cid, &wanted.host).await?;
    let unit = UnitName::front();
    let before = cid.sys.nginx.read(&unit)?;
    cid.sys.nginx.put(&unit, &site).await?;
    if let Err(fault) = systemctl("start").await {
        match before {
            Some(before) => cid.sys.nginx.put(&unit, &before).await?,
            None => drop(cid.sys.nginx.remove(&unit).await?),
        }
        return Err(fault.into());
    }
    cid.sign_in.answer_at(Some(url.clone()));
    let remarks = remarks(cid);
    Ok(EnabledFront { url, remarks })
}

/// Switches it off. Sessions stay good.
///
/// # Errors
/// The site cannot be removed, or the service not stopped.
pub async fn disable_front(cid: &Cid) -> Result<bool, Error> {
    refuse_sandbox(cid)?;
    let _turn = TURN.lock().await;
    let unit = UnitName::front();
    let was_enabled = cid.sys.nginx.read(&unit)?.is_some();
    let effect = cid.sys.nginx.remove(&unit).await?;
    systemctl("stop").await?;
    cid.sign_in.answer_at(None);
    match effect {
        Effect::Done => Ok(was_enabled),
        Effect::Owed(why) => Err(Error::Precondition {
            message: format!("the front has stopped, but nginx still answers for it: {why}"),
            hint: Some("mend that, then: cictl front disable".into()),
        }),
    }
}

/// At the daemon's start: a front that is switched on runs.
///
/// # Errors
/// Its site cannot be read, or its service not started.
pub async fn resume_front(cid: &Cid) -> Result<(), Fault> {
    let Some(site) = cid.sys.nginx.read(&UnitName::front())? else {
        return Ok(());
    };
    cid.sign_in.answer_at(url_of(&site).map(str::to_owned));
    systemctl("start").await
}

/// What is wrong with a front that is switched on; `None`: it is not.
///
/// # Errors
/// Its site cannot be read, or systemd not be asked.
pub async fn front_troubles(cid: &Cid) -> Result<Option<Vec<String>>, Fault> {
    let Some(site) = cid.sys.nginx.read(&UnitName::front())? else {
        return Ok(None);
    };
    let mut troubles = remarks(cid);
    if url_of(&site).is_none() {
        troubles.push("its site was set aside, because nginx did not take it".to_owned());
    }
    if systemctl("is-active").await.is_err() {
        troubles.push(format!("{SERVICE} does not run"));
    }
    Ok(Some(troubles))
}

/// Two sites of one name: nginx would take the first, and the front's links and cookies would go to an app.
async fn refuse_taken(cid: &Cid, host: &str) -> Result<(), Error> {
    let all = cid.projects.all();
    let of_stage = all.values().flatten().any(|project| {
        let own = project.stages.keys().map(|name| project.host_for(name));
        let more = project.stages.values().flat_map(|stage| stage.host.iter());
        own.chain(more.map(ToString::to_string))
            .any(|taken| taken == host)
    });
    let rows = cid.store.workspaces(None, 0, usize::MAX >> 1).await?;
    let of_workspace = rows.iter().any(|row| {
        let rest = row
            .url
            .split_once("://")
            .map_or(row.url.as_str(), |(_, rest)| rest);
        rest.split(['/', ':']).next() == Some(host)
    });
    match of_stage || of_workspace {
        false => Ok(()),
        true => Err(Error::Precondition {
            message: format!("{host} is the name of a stage or a workspace"),
            hint: Some("give the front a name of its own".into()),
        }),
    }
}

/// Keeps the site of a front that is switched on: puts it back once nginx takes it again, and has nginx read its
/// certificate when that has changed. `seen` is what its files held the last time.
///
/// # Errors
/// nginx does not take the site.
pub(super) async fn keep_front(cid: &Cid, seen: &mut Option<Vec<u8>>) -> Result<(), Fault> {
    let unit = UnitName::front();
    let Some(site) = cid.sys.nginx.read(&unit)? else {
        *seen = None;
        return Ok(());
    };
    if let Some(why) = aside::reason(&site) {
        let file = cid.layout.vhost_dir().join(format!("{unit}.conf"));
        let Some(site) = fs::read_optional(&included::aside(&file))? else {
            return Err(Fault::new(format!("the front's site is gone: {why}"))
                .hint("cictl front enable makes it again"));
        };
        cid.sys.nginx.put(&unit, &site).await?;
        cid.sign_in.answer_at(url_of(&site).map(str::to_owned));
        return Ok(());
    }
    let held = certificate_files(&site);
    let is_new = seen.replace(held.clone()).is_some_and(|seen| seen != held);
    // Half of a new pair would be set aside, while nginx goes on with the old one.
    if is_new && cid.sys.nginx.check().await.is_ok() {
        cid.sys.nginx.settle().await?;
    }
    Ok(())
}

/// What the files of its certificate hold. One that cannot be read is like an empty one.
fn certificate_files(site: &str) -> Vec<u8> {
    let of = |name| directives(site, name);
    let mut hash = Sha256::new();
    for path in of("ssl_certificate").chain(of("ssl_certificate_key")) {
        hash.update(std::fs::read(path).unwrap_or_default());
        hash.update([0]);
    }
    hash.finalize().to_vec()
}

fn refuse_sandbox(cid: &Cid) -> Result<(), Error> {
    match cid.sys.is_host() {
        true => Ok(()),
        false => Err(Error::Precondition {
            message: "a sandbox has its front, always".into(),
            hint: Some("its address is in: cictl version".into()),
        }),
    }
}

/// What keeps people from using it.
fn remarks(cid: &Cid) -> Vec<String> {
    let is_open = cid.sign_in.mode() == SignIn::Open;
    let people = &cid.settings.people;
    let nobody = people.domains.is_empty()
        && [
            &people.addresses,
            &people.administrators,
            &people.may_create_for_others,
        ]
        .iter()
        .all(|list| list.is_empty());
    if is_open {
        let open = "it asks nobody who they are (sign_in = \"open\"): let nobody through nginx but people you know";
        return vec![open.to_owned()];
    }
    match nobody {
        true => vec!["nobody may sign in: name domains or addresses under [people] in cid.toml, and restart cid".to_owned()],
        false => Vec::new(),
    }
}

/// Where people reach it, and its site.
fn site(wanted: &WantedFront) -> Result<(String, String), Error> {
    let WantedFront {
        host,
        tls: [certificate, key],
        is_behind_tls,
    } = wanted;
    let name = HostName::parse(host).ok_or_else(|| {
        Error::invalid(
            "host",
            format!("{host:?} is no host name; it is like ci.example.org"),
        )
    })?;
    let (host, has_tls) = (name.as_str(), !certificate.is_empty());
    let is_loopback = host == "localhost" || host.ends_with(".localhost");
    if has_tls == key.is_empty() {
        return Err(Error::invalid("key", "a certificate goes with its key"));
    }
    if !has_tls && !is_loopback && !is_behind_tls {
        return Err(Error::Precondition {
            message: format!("without TLS, sessions at {host} could be read on their way"),
            hint: Some(
                "give --tls CERTIFICATE KEY; or --behind-tls, where something in front of this machine ends TLS".into(),
            ),
        });
    }
    for path in [certificate, key] {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
        if has_tls && !(path.starts_with('/') && path.chars().all(is_plain)) {
            let what = format!(
                "{path:?} is no path that nginx takes: it begins with / and has only letters, digits and ._-+@"
            );
            return Err(Error::invalid("tls", what));
        }
    }
    let text = match has_tls {
        true => with_tls(certificate, key),
        false => without_tls(*is_behind_tls),
    };
    let text = text.replace(EXAMPLE_HOST, host);
    let scheme = if has_tls || *is_behind_tls {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{host}/");
    Ok((url.clone(), format!("{URL_LINE}{url}\n{text}")))
}

/// The example's servers, without its advice.
fn servers() -> &'static str {
    EXAMPLE
        .find("server {")
        .map_or(EXAMPLE, |at| &EXAMPLE[at..])
}

fn with_tls(certificate: &str, key: &str) -> String {
    servers()
        .replace(&format!("{EXAMPLE_FOLDER}/fullchain.pem"), certificate)
        .replace(&format!("{EXAMPLE_FOLDER}/privkey.pem"), key)
}

/// The first server, on port 80. Behind TLS its visitors' cookies are those of HTTPS, and so are links in mails.
fn without_tls(is_behind_tls: bool) -> String {
    let end = servers().find("\n}\n").map_or(servers().len(), |at| at + 3);
    let lines = servers()[..end].lines();
    let kept = lines.filter(|line| {
        let line = line.trim_start();
        !line.starts_with("ssl_")
            && !line.contains("Strict-Transport-Security")
            && !line.contains("come by HTTPS alone")
    });
    let mut text: String = kept.map(|line| format!("{line}\n")).collect();
    text = text.replace("443 ssl", "80");
    if is_behind_tls {
        text = text.replace("X-Forwarded-Proto $scheme", "X-Forwarded-Proto https");
    }
    text.replace("]:443 ssl", "]:80")
}

fn url_of(site: &str) -> Option<&str> {
    let url = site.lines().find_map(|line| line.strip_prefix(URL_LINE))?;
    (site.contains("server {")).then_some(url)
}

async fn systemctl(verb: &str) -> Result<(), Fault> {
    let args = ["--no-ask-password", verb, SERVICE];
    let output = exec::output("systemctl", args, LIMIT).await?;
    match output.status {
        Some(0) => Ok(()),
        _ => Err(
            Fault::new(format!("cannot {verb} {SERVICE}: {}", output.stderr.trim()))
                .hint(format!("systemctl status {SERVICE} tells more")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(host: &str, tls: [&str; 2], is_behind_tls: bool) -> WantedFront {
        WantedFront {
            host: host.into(),
            tls: tls.map(Into::into),
            is_behind_tls,
        }
    }

    const TLS: [&str; 2] = ["/etc/tls/ci.pem", "/etc/tls/ci.key"];

    #[test]
    fn a_site_names_its_host_and_its_certificate_and_nothing_of_the_example() {
        let (url, text) = site(&wanted("ci.test.net", TLS, false)).unwrap();
        assert_eq!(
            (url.as_str(), url_of(&text)),
            ("https://ci.test.net/", Some("https://ci.test.net/"))
        );
        assert!(!text.contains("example.org"), "{text}");
        for line in [
            "server_name ci.test.net;",
            "ssl_certificate     /etc/tls/ci.pem;",
            "ssl_certificate_key /etc/tls/ci.key;",
            "listen 443 ssl;",
            "return 301 https://$server_name$request_uri;",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let (url, text) = site(&wanted("ci.test.net", ["", ""], true)).unwrap();
        // What ends TLS in front of it is what people reach, and what links in mails begin with.
        assert_eq!(url, "https://ci.test.net/");
        assert_eq!(
            text.matches("X-Forwarded-Proto https;").count(),
            3,
            "{text}"
        );
        let (url, text) = site(&wanted("ci.localhost", ["", ""], false)).unwrap();
        assert_eq!(url, "http://ci.localhost/");
        assert_eq!(
            text.matches("X-Forwarded-Proto $scheme;").count(),
            3,
            "{text}"
        );
        assert!(
            !text.contains("ssl") && !text.contains("443") && !text.contains("301"),
            "{text}"
        );
        assert_eq!(text.matches("server {").count(), 1);
        assert!(
            text.contains("listen 80;") && text.contains("access_log off;"),
            "{text}"
        );
    }

    #[test]
    fn a_certificate_that_was_renewed_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let site = with_tls(&at("c"), &at("k"));
        let none = certificate_files(&site);
        std::fs::write(at("c"), "one").unwrap();
        std::fs::write(at("k"), "key").unwrap();
        let first = certificate_files(&site);
        assert!(first != none && first == certificate_files(&site));
        std::fs::write(at("k"), "another").unwrap();
        assert_ne!(certificate_files(&site), first);
    }

    #[test]
    fn what_nginx_or_people_would_suffer_from_is_refused() {
        for (host, tls, is_behind_tls) in [
            ("ci.test.net", ["", ""], false),
            ("", TLS, false),
            ("ci.test.net;", TLS, false),
            ("CI.test.net", TLS, false),
            ("ci.test.net/x", TLS, false),
            ("_", TLS, false),
            ("ci.test.net", ["/etc/x", ""], true),
            ("ci.test.net", ["", "/etc/x"], true),
            ("ci.test.net", ["etc/x", "/etc/y"], false),
            ("ci.test.net", ["/etc/x; }", "/etc/y"], false),
            ("ci.test.net", ["/etc/$x", "/etc/y"], false),
        ] {
            assert!(
                site(&wanted(host, tls, is_behind_tls)).is_err(),
                "{host} {tls:?}"
            );
        }
        assert!(site(&wanted("localhost", ["", ""], false)).is_ok());
        assert!(site(&wanted("ci.localhost", ["", ""], false)).is_ok());
    }
}
