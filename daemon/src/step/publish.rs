//! Puts the workspace's sub-domain into nginx.

use super::{
    Inspect,
    make_directory::{RUN, STATIC, web_socket},
    reserve_port,
};
use crate::{
    config::Project,
    domain::UnitName,
    engine::{Cx, Step},
    store::{Artifact, Debt},
    system::{
        System,
        nginx::vhost::{HostName, Media, Static, Upstream, Vhost, VhostTls},
        view,
    },
};
use cid_protocol::{fault::Fault, request::STATIC_FOLDER};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Puts the workspace's sub-domain into nginx.
#[derive(Clone, Serialize, Deserialize)]
pub struct Publish {
    /// The instance that visitors get.
    pub instance: UnitName,
    /// `NAME.DOMAIN`.
    pub host: String,
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// Over HTTPS, as its address says.
    #[serde(default)]
    pub tls: bool,
}

impl Step for Publish {
    const KIND: &'static str = "publish.v2";
    /// The vhost that was there.
    type Before = Option<String>;
    type Output = ();

    fn label(&self) -> String {
        format!("publish {}", self.host)
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        cx.sys().nginx.read(cx.unit())
    }

    async fn apply(&self, _: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        let recipe = cx.output::<Inspect>()?.recipe;
        if !recipe.has_web() {
            cx.note("there is no web process, so nothing is published");
            cx.store().set_url(cx.workspace(), String::new()).await?;
            return Ok(());
        }
        let vhost = self.vhost(cx).await?;
        let (recorded, put) = tokio::join!(
            cx.record(Artifact::Vhost, Some(&vhost)),
            cx.sys().nginx.put(cx.unit(), &vhost),
        );
        recorded.and(put.map_err(hinted))
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        restore(before, cx).await
    }
}

impl Publish {
    /// The vhost by which visitors get the instance.
    pub(super) async fn vhost(&self, cx: &Cx) -> Result<String, Fault> {
        let port = match cx.output::<Inspect>()?.recipe.web_on_socket {
            true => None,
            false => Some(reserve_port::port(&self.instance, cx).await?),
        };
        let published = Published {
            unit: cx.unit(),
            host: &self.host,
            directory: &self.directory,
            port,
            tls: match self.tls {
                true => Some(certificate(cx).await?),
                false => None,
            },
            plain_too: false,
        };
        published.vhost(cx.sys(), &*cx.project()?)
    }
}

/// What a workspace's vhost is made from, besides its project's file.
pub(crate) struct Published<'a> {
    /// Whose the vhost is.
    pub unit: &'a UnitName,
    /// `NAME.DOMAIN`.
    pub host: &'a str,
    /// `WORK_DIR/NAME`.
    pub directory: &'a Path,
    /// Where the app listens; `None`: on its socket.
    pub port: Option<u16>,
    /// The certificate, where it answers over HTTPS.
    pub tls: Option<VhostTls>,
    /// It answers over HTTP as well.
    pub plain_too: bool,
}

impl Published<'_> {
    /// The vhost file.
    ///
    /// # Errors
    /// The host is no host name, nginx cannot reach the socket, or a value cannot be written down.
    pub fn vhost(&self, sys: &System, project: &Project) -> Result<String, Fault> {
        // A stage may have several names; each is a site of its own, which tells its app its own name.
        let others = project.hosts_of_unit(self.unit);
        let names = std::iter::once(self.host.to_owned());
        let names = names.chain(others.into_iter().filter(|name| name != self.host));
        let sites = names.map(|name| self.site(&name, sys, project));
        Ok(sites.collect::<Result<Vec<_>, _>>()?.join("\n"))
    }

    fn site(&self, host: &str, sys: &System, project: &Project) -> Result<String, Fault> {
        let server_name = HostName::parse(host)
            .ok_or_else(|| Fault::new(format!("cannot publish {host}: it is not a host name")))?;
        let media = project.media.as_ref().map(|media| Media {
            url: media.url.as_str().to_owned(),
            path: media.path.to_path_buf(),
            scripts: media.scripts,
        });
        let collected = project.nginx.collected.as_ref();
        let collected = collected.map(|files| {
            Ok::<_, Fault>(Static {
                url: files.url.as_str().to_owned(),
                path: self.seen(sys, STATIC)?.join(STATIC_FOLDER),
            })
        });
        let vhost = Vhost {
            unit: self.unit.clone(),
            server_name,
            listen: sys.site.listen.clone(),
            tls: self.tls.clone(),
            plain_too: self.plain_too,
            upstream: match self.port {
                Some(port) => Upstream::Port(port),
                None => Upstream::Unix(self.socket(sys)?),
            },
            media,
            collected: collected.transpose()?,
            bounds: (&project.nginx).into(),
            access_log: None,
        };
        vhost.render()
    }

    /// The path by which nginx reaches the app's socket.
    fn socket(&self, sys: &System) -> Result<PathBuf, Fault> {
        let socket = web_socket(self.directory);
        let name = socket.file_name().unwrap_or_default();
        Ok(self.seen(sys, RUN)?.join(name))
    }

    /// Where nginx sees a folder of the workspace's. In a sandbox all are one user.
    fn seen(&self, sys: &System, folder: &str) -> Result<PathBuf, Fault> {
        let folder = self.directory.join(folder);
        match sys.is_host() {
            true => view::of(&sys.layout, &folder),
            false => Ok(folder),
        }
    }
}

/// What to do when nginx refuses a host name for its length.
pub(crate) const LONGER_NAMES: &str = "echo 'server_names_hash_bucket_size 128;' > /etc/nginx/conf.d/names.conf, or raise the one that is there, then: systemctl reload nginx";

/// nginx's message names the setting, but not where to put it.
pub(super) fn hinted(fault: Fault) -> Fault {
    match fault.message.contains("server_names_hash_bucket_size") {
        true => fault.hint(LONGER_NAMES),
        false => fault,
    }
}

/// The project's certificate as nginx will read it. A bad new certificate does not fail the step while the
/// last one is good: the project's own check reports it.
async fn certificate(cx: &Cx) -> Result<VhostTls, Fault> {
    let (sys, project) = (cx.sys(), cx.project()?);
    let refreshed = sys.certificates.refresh(&project).await;
    let copy = sys.certificates.copy(&project.name);
    match (copy, refreshed) {
        (Some(copy), refreshed) => {
            if let Err(fault) = refreshed {
                cx.note(format!("the certificate stays as it was: {fault}"));
            }
            Ok(sys.site.tls(copy, project.tls.as_ref()))
        }
        (None, Err(fault)) => Err(fault),
        (None, Ok(())) => Err(Fault::new(format!(
            "cannot publish by HTTPS: the project {} has no certificate any more",
            project.name
        ))
        .hint("create the workspace again")),
    }
}

/// Restores the previous vhost.
pub(super) async fn restore(before: &Option<String>, cx: &Cx) -> Result<(), Fault> {
    match before {
        Some(vhost) => cx.sys().nginx.put(cx.unit(), vhost).await,
        None => {
            let effect = cx.sys().nginx.remove(cx.unit()).await?;
            cx.owe_effect(effect, Debt::NginxReload).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_says_where_to_allow_it() {
        let words = "cannot put the vhost of a.b in place: nginx says: could not build server_names_hash, \
            you should increase server_names_hash_bucket_size: 64";
        let hint = hinted(Fault::new(words)).hint.unwrap();
        assert!(hint.contains("> /etc/nginx/conf.d/names.conf"), "{hint}");
        let other = Fault::new("cannot reload nginx").hint("start it");
        assert_eq!(hinted(other.clone()), other);
    }
}
