//! Visits a page as a browser does: through redirects within the site, and not beyond it.

mod astray;

pub use astray::Astray;

use super::{
    Site,
    probe::{Page, PageAnswer, Probe},
};
use cid_protocol::fault::Fault;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use url::{Position, Url};

/// How many redirects are followed.
pub const REDIRECTS: usize = 5;
/// More cookies than browsers send are not kept.
const COOKIE_BYTES: usize = 4096;

/// A workspace's site, as visitors reach it.
#[derive(Clone, Copy, Debug)]
pub struct OwnSite<'a> {
    /// Its host name.
    pub host: &'a str,
    /// cid's copy of its certificate; `None`: it answers over HTTP alone.
    pub certificate: Option<&'a Path>,
    /// The ports in its URLs.
    pub ports: &'a Site,
}

/// Where a visit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visited {
    /// At a page that leads no further.
    Page {
        /// Its path, which is another one than asked for after a redirect.
        path: String,
        /// Its status code.
        status: u16,
    },
    /// On the way: a redirect leads where this site's visitors find nothing.
    Astray {
        /// The path of the page that leads there.
        path: String,
        /// What is wrong with it.
        astray: Astray,
    },
}

impl OwnSite<'_> {
    /// Asks for `path` and follows redirects, but none whose status `is_meant` to be the answer. Cookies are
    /// kept on the way, as some pages set one and lead back to themselves.
    ///
    /// # Errors
    /// Nobody answers, or not within `limit` in all.
    pub async fn visit(
        &self,
        probe: &dyn Probe,
        path: &str,
        is_meant: impl Fn(u16) -> bool,
        limit: Duration,
    ) -> Result<Visited, Fault> {
        let begin = Instant::now();
        let start = self.ports.url(self.host, self.certificate.is_some());
        let start = Url::parse(&start).and_then(|start| start.join(path));
        let mut url =
            start.map_err(|error| Fault::new(format!("cannot ask for {path}: {error}")))?;
        let mut cookies: Vec<String> = Vec::new();
        let mut seen: Vec<(Url, Vec<String>)> = Vec::new();
        loop {
            let left = limit.saturating_sub(begin.elapsed());
            let answer = self.ask(probe, &url, &cookies.join("; "), left).await?;
            let path = url[Position::BeforePath..Position::AfterPath].to_owned();
            let status = answer.status;
            if !(300..400).contains(&status) || is_meant(status) {
                return Ok(Visited::Page { path, status });
            }
            seen.push((url.clone(), cookies.clone()));
            keep(&mut cookies, answer.cookies);
            let next = match answer.location {
                Some(location) => self.target(&url, &location),
                None => Err(Astray::Nowhere { status }),
            };
            let astray = match next {
                Err(astray) => astray,
                Ok(next)
                    if seen
                        .iter()
                        .any(|(url, had)| *url == next && *had == cookies) =>
                {
                    Astray::Loop {
                        tls: self.certificate.is_some(),
                    }
                }
                Ok(_) if seen.len() > REDIRECTS => Astray::TooFar,
                Ok(next) => {
                    url = next;
                    continue;
                }
            };
            return Ok(Visited::Astray { path, astray });
        }
    }

    async fn ask(
        &self,
        probe: &dyn Probe,
        url: &Url,
        cookies: &str,
        limit: Duration,
    ) -> Result<PageAnswer, Fault> {
        let page = Page {
            host: self.host,
            path: &url[Position::BeforePath..Position::AfterQuery],
            certificate: self.certificate.filter(|_| url.scheme() == "https"),
        };
        probe.ask(page, cookies, limit).await
    }

    /// The URL that a redirect leads to, if it is this site's.
    fn target(&self, from: &Url, location: &str) -> Result<Url, Astray> {
        let Ok(mut url) = from.join(location) else {
            return Err(Astray::NoUrl(astray::shown(location)));
        };
        url.set_fragment(None);
        let shown = astray::shown(&url[..Position::AfterPath]);
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Astray::NoUrl(shown));
        }
        if host.trim_end_matches('.') != self.host {
            let www = host.strip_prefix("www.") == Some(self.host);
            return Err(match www {
                true => Astray::Www(shown),
                false => Astray::Elsewhere(shown),
            });
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let Site {
            http_port,
            https_port,
            ..
        } = *self.ports;
        match (url.scheme(), self.certificate) {
            ("https", None) => Err(Astray::NoTls(shown)),
            ("http", Some(_)) if port == https_port => Err(Astray::NoScheme(shown)),
            ("http", _) if port != http_port => Err(Astray::Port(shown)),
            ("https", _) if port != https_port => Err(Astray::Port(shown)),
            _ => Ok(url),
        }
    }
}

/// The newest of each name.
fn keep(cookies: &mut Vec<String>, new: Vec<String>) {
    let name = |cookie: &str| cookie.split('=').next().unwrap_or_default().to_owned();
    for cookie in new {
        cookies.retain(|old| name(old) != name(&cookie));
        let held: usize = cookies.iter().map(|old| old.len() + 2).sum();
        let is_text = cookie.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if is_text && held + cookie.len() <= COOKIE_BYTES {
            cookies.push(cookie);
        }
    }
}

#[cfg(test)]
mod tests;
