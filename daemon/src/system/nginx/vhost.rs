//! What a vhost says: that of a workspace or a stage, or that of all workspaces of a project whose apps listen on
//! sockets. Only values that cannot be anything else get in, and the template refuses the rest.

use super::guard::Guard;
use crate::{
    config::{NginxSettings, Visit},
    domain::{UnitName, name},
    layout::{RUN, web_socket},
    system::strict,
};
use askama::Template;
use cid_protocol::{fault::Fault, run_file::WEB_SOCKET};
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// A host name as browsers send it: lower-case labels of letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Reads a host name; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        (text.len() <= 253 && text.split('.').all(label)).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the app listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// On this port of 127.0.0.1.
    Port(u16),
    /// On this Unix socket.
    Unix(PathBuf),
    /// Each workspace's on the socket in its folder, and these are the folders' folder.
    Workspaces(PathBuf),
}

/// nginx's variable with the name of the workspace that a request is for.
const NAME: &str = "$cid_name";
/// The longest path of a socket that the kernel takes.
const SOCKET_PATH: usize = 107;

/// A folder that nginx serves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Below which path of the site, e.g. `/media/`.
    pub url: String,
    /// The folder.
    pub path: PathBuf,
    /// Pages and scripts in it run as the site's own.
    pub scripts: bool,
}

/// Collected files that nginx serves itself; the workspace's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Static {
    /// Below which path of the site, e.g. `/static/`.
    pub url: String,
    /// The folder; with [`Upstream::Workspaces`] from the workspace's folder on.
    pub path: PathBuf,
}

/// How a site answers over HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VhostTls {
    /// One file with the certificate, its chain and its key.
    pub certificate: PathBuf,
    /// The addresses nginx listens on for HTTPS; the same for all vhosts of one nginx.
    pub listen: Vec<SocketAddr>,
    /// The port in URLs; 443 is left out.
    pub port: u16,
    /// For how many seconds browsers are told to come by HTTPS alone.
    pub hsts: Option<u32>,
}

impl VhostTls {
    fn file(&self) -> Result<TlsFile<'_>, Fault> {
        Ok(TlsFile {
            certificate: absolute(&self.certificate)?,
            listen: &self.listen,
            port: match self.port {
                443 => String::new(),
                port => format!(":{port}"),
            },
            hsts: self.hsts,
        })
    }
}

/// What answers for all names below a project's domain where nginx reaches no workspace's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchAll {
    /// What its file is called.
    pub unit: UnitName,
    /// The project's domain.
    pub domain: HostName,
    /// The addresses nginx listens on.
    pub listen: Vec<SocketAddr>,
    /// The same for HTTPS, if the project has a certificate.
    pub tls: Option<VhostTls>,
}

impl CatchAll {
    /// The vhost file.
    ///
    /// # Errors
    /// A value cannot be written into nginx's configuration.
    pub fn render(&self) -> Result<String, Fault> {
        let template = CatchAllFile {
            unit: self.unit.as_str(),
            domain: self.domain.as_str(),
            listen: &self.listen,
            tls: self.tls.as_ref().map(VhostTls::file).transpose()?,
        };
        strict::render(&template, format_args!("the vhost {}", self.unit))
    }
}

/// A vhost that leads to apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vhost {
    /// Whose it is.
    pub unit: UnitName,
    /// The site's name; with [`Upstream::Workspaces`] the domain that all its names are below.
    pub server_name: HostName,
    /// The addresses nginx listens on; the same for all vhosts of one nginx.
    pub listen: Vec<SocketAddr>,
    /// The certificate, if the site answers over HTTPS.
    pub tls: Option<VhostTls>,
    /// Over HTTP it answers too, instead of leading to HTTPS.
    pub plain_too: bool,
    /// Where requests go.
    pub upstream: Upstream,
    /// What nginx serves itself.
    pub media: Option<Media>,
    /// Collected files that nginx serves itself.
    pub collected: Option<Static>,
    /// Sizes and times.
    pub bounds: Bounds,
    /// Who gets to the app.
    pub visit: Visit,
    /// The front's socket: it answers for an app that does not.
    pub front: PathBuf,
    /// The folder with a file for each workspace whose visitors are led to the front.
    pub away: PathBuf,
}

/// What a site's requests and answers may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The largest request body, in bytes.
    pub max_body: u64,
    /// Answers are taken from the app as fast as it gives them.
    pub buffering: bool,
    /// How long the headers of an answer, and one of a request, may be, in bytes.
    pub header_buffer: u64,
    /// For how long the app may send nothing, in milliseconds.
    pub read_timeout_ms: u128,
    /// Names beginning with a dot that are served all the same.
    pub dot_files: Vec<String>,
}

impl Bounds {
    /// What an expression of nginx's goes on with after `/[.]` so that it does not match a name that is served.
    fn but_served(&self) -> String {
        if self.dot_files.is_empty() {
            return String::new();
        }
        let names = self.dot_files.iter();
        let names: Vec<String> = names
            .map(|name| name.trim_start_matches('.').replace('.', "[.]"))
            .collect();
        format!("(?!(?:{})(?![^/]))", names.join("|"))
    }
}

impl From<&NginxSettings> for Bounds {
    fn from(nginx: &NginxSettings) -> Self {
        Self {
            max_body: *nginx.max_body,
            buffering: nginx.buffering,
            header_buffer: *nginx.header_buffer,
            read_timeout_ms: nginx.read_timeout.as_millis(),
            dot_files: nginx
                .dot_files
                .iter()
                .map(|name| name.as_str().to_owned())
                .collect(),
        }
    }
}

impl Vhost {
    /// The vhost file.
    ///
    /// # Errors
    /// A value cannot be written into nginx's configuration.
    pub fn render(&self) -> Result<String, Fault> {
        let name = self.server_name.as_str();
        let workspaces = match &self.upstream {
            Upstream::Workspaces(folder) => Some(WorkspacesFile {
                folder: absolute(folder)?,
                domain: name.replace('.', "[.]"),
            }),
            _ => None,
        };
        let collected = match (&self.collected, &workspaces) {
            (None, _) => None,
            (Some(files), None) => Some(Folder::new(&files.url, &absolute(&files.path)?)?),
            (Some(files), Some(WorkspacesFile { folder, .. })) => {
                let inner = absolute(&PathBuf::from("/").join(&files.path))?;
                Some(Folder::new(&files.url, &format!("{folder}/{NAME}{inner}"))?)
            }
        };
        let member = match workspaces {
            None => self.unit.to_string(),
            Some(_) => format!("{}.{NAME}", self.unit.project()),
        };
        let template = VhostFile {
            away: format!("{}/{member}", absolute(&self.away)?),
            member,
            unit: self.unit.as_str(),
            names: match workspaces {
                None => name.to_owned(),
                Some(_) => format!("*.{name}"),
            },
            name: match workspaces {
                None => name.to_owned(),
                Some(_) => format!("{NAME}.{name}"),
            },
            listen: &self.listen,
            tls: self.tls.as_ref().map(VhostTls::file).transpose()?,
            upstream: self.upstream.address()?,
            workspaces,
            media: self.media.as_ref().map(Media::file).transpose()?,
            collected,
            plain_too: self.plain_too,
            bounds: &self.bounds,
            guard: Guard::of(&self.visit, self.is_https_alone())?,
            but_served: self.bounds.but_served(),
            front: socket(&self.front)?,
        };
        strict::render(&template, format_args!("the vhost of {}", self.unit))
    }
}

impl Vhost {
    fn is_https_alone(&self) -> bool {
        self.tls.is_some() && !self.plain_too
    }
}

impl Upstream {
    /// Whether nginx can be told of it.
    pub fn is_good(&self) -> bool {
        self.address().is_ok()
    }

    /// For `proxy_pass`.
    fn address(&self) -> Result<String, Fault> {
        match self {
            Self::Port(port) => Ok(format!("http://127.0.0.1:{port}")),
            Self::Unix(path) => Ok(format!("http://unix:{}", socket(path)?)),
            Self::Workspaces(folder) => {
                let longest = "n".repeat(name::MAX_LEN);
                socket(&web_socket(&folder.join(longest)))?;
                let folder = absolute(folder)?;
                Ok(format!("http://unix:{folder}/{NAME}/{RUN}/{WEB_SOCKET}"))
            }
        }
    }
}

fn socket(path: &Path) -> Result<String, Fault> {
    let path = absolute(path)?;
    // After a colon nginx expects a URI.
    if path.contains(':') || path.len() > SOCKET_PATH {
        return Err(Fault::new(format!(
            "cannot use the socket {path}: its path holds a colon or is longer than {SOCKET_PATH} bytes"
        )));
    }
    Ok(path)
}

impl Media {
    fn file(&self) -> Result<MediaFile, Fault> {
        Ok(MediaFile {
            folder: Folder::new(&self.url, &absolute(&self.path)?)?,
            scripts: self.scripts,
        })
    }
}

impl Folder {
    /// Location and alias, both with a slash at the end: with only one of them
    /// `/media../secret` would lead out of the folder.
    fn new(url: &str, path: &str) -> Result<Self, Fault> {
        let inner = url.trim_matches('/');
        let good = url.starts_with('/')
            && inner.split('/').all(|part| {
                !part.is_empty()
                    && part != "."
                    && part != ".."
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            });
        if !good {
            return Err(Fault::new(format!(
                "cannot serve files at `{url}`: not a path like /media/"
            )));
        }
        Ok(Self {
            url: format!("/{inner}/"),
            path: format!("{}/", path.trim_end_matches('/')),
        })
    }
}

/// A path as it stands in nginx's files: some of them are beside a variable there, where the template looks no more.
pub(super) fn absolute(path: &Path) -> Result<String, Fault> {
    let text = path.to_str().filter(|_| path.is_absolute());
    let text = text.ok_or_else(|| {
        Fault::new(format!(
            "cannot use {} in nginx: not an absolute path in UTF-8",
            path.display()
        ))
    })?;
    strict::check(text, format_args!("{text} for nginx"))?;
    Ok(text.to_owned())
}

#[derive(Template)]
#[template(path = "vhost.conf")]
struct VhostFile<'a> {
    unit: &'a str,
    /// For `server_name`.
    names: String,
    /// The name that a request is for.
    name: String,
    listen: &'a [SocketAddr],
    tls: Option<TlsFile<'a>>,
    upstream: String,
    workspaces: Option<WorkspacesFile>,
    media: Option<MediaFile>,
    collected: Option<Folder>,
    plain_too: bool,
    bounds: &'a Bounds,
    guard: Option<Guard>,
    but_served: String,
    front: String,
    /// The unit that a request is for.
    member: String,
    /// While this file is there, its app is not asked.
    away: String,
}

struct WorkspacesFile {
    folder: String,
    /// As an expression.
    domain: String,
}

#[derive(Template)]
#[template(path = "catch_all.conf")]
struct CatchAllFile<'a> {
    unit: &'a str,
    domain: &'a str,
    listen: &'a [SocketAddr],
    tls: Option<TlsFile<'a>>,
}

struct Folder {
    url: String,
    path: String,
}

struct MediaFile {
    folder: Folder,
    scripts: bool,
}

struct TlsFile<'a> {
    certificate: String,
    listen: &'a [SocketAddr],
    /// `:PORT`, or nothing.
    port: String,
    hsts: Option<u32>,
}

#[cfg(test)]
#[path = "vhost_tests.rs"]
mod tests;
