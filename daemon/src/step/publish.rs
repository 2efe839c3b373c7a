//! Has nginx lead the workspace's sub-domain to its app. An app on a Unix socket is reached by its project's site; any
//! other has a vhost of its own.

use super::{
    Inspect,
    make_directory::{RUN, STATIC, web_socket},
    reserve_port,
};
use crate::{
    config::{Project, Projects},
    domain::{Name, UnitName},
    engine::{Cx, Step},
    store::{Artifact, Debt},
    system::{
        System,
        nginx::{
            project_site::{collected, media, project_site, workspaces},
            vhost::{HostName, Static, Upstream, Vhost, VhostTls},
        },
        view,
    },
};
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::STATIC_FOLDER,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Has nginx lead the workspace's sub-domain to its app.
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

    async fn apply(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        let recipe = cx.output::<Inspect>()?.recipe;
        if !recipe.has_web() {
            cx.note("there is no web process, so nothing is published");
            cx.store().set_url(cx.workspace(), String::new()).await?;
            return Ok(());
        }
        let vhost = self.vhost(cx).await?;
        show(before, vhost.as_deref(), cx).await
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        restore(before, cx).await
    }
}

impl Publish {
    /// The vhost by which visitors get the instance; `None`: the project's site leads there.
    pub(super) async fn vhost(&self, cx: &Cx) -> Result<Option<String>, Fault> {
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
        published.vhost(cx.sys(), &*cx.project_file()?)
    }
}

/// Has nginx lead to a workspace by this vhost, or by its project's site alone. `before` is the vhost that was there.
pub(super) async fn show(
    before: &Option<String>,
    vhost: Option<&str>,
    cx: &Cx,
) -> Result<(), Fault> {
    let nginx = &cx.sys().nginx;
    if let Some(vhost) = vhost {
        // First: what may be in nginx stands in the ledger.
        cx.record(Artifact::Vhost, Some(vhost)).await?;
        return nginx.put(cx.unit(), vhost).await.map_err(hinted);
    }
    // The daemon puts it there when it reads the project; nginx may have been down then.
    let project = cx.project_file()?;
    let site = project_site(cx.sys(), &project)?;
    let unit = UnitName::catch_all(&project.name);
    if nginx.read(&unit)?.as_ref() != Some(&site) {
        nginx.put(&unit, &site).await.map_err(hinted)?;
    }
    hide(before, cx).await
}

/// Removes the workspace's own vhost, where nginx may have one.
pub(super) async fn hide(before: &Option<String>, cx: &Cx) -> Result<(), Fault> {
    if before.is_some() || may_have_vhost(cx).await? {
        let effect = cx.sys().nginx.remove(cx.unit()).await?;
        cx.owe_effect(effect, Debt::NginxReload).await?;
    }
    cx.record(Artifact::Vhost, None).await
}

/// Whether nginx may have a vhost of the workspace's own: its file, or what it has loaded of one that is gone.
async fn may_have_vhost(cx: &Cx) -> Result<bool, Fault> {
    let wanted = cx.store().artifact(cx.workspace(), Artifact::Vhost).await;
    Ok(wanted.cannot("read the ledger")?.is_some() || cx.sys().nginx.read(cx.unit())?.is_some())
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
    /// The vhost file; `None`: the project's site leads to the app.
    ///
    /// # Errors
    /// The host is no host name, nginx cannot reach the socket, or a value cannot be written down.
    pub fn vhost(&self, sys: &System, project: &Project) -> Result<Option<String>, Fault> {
        if self.is_of_project_site(sys, project) {
            return self.socket(sys).map(|_| None);
        }
        // A stage may have several names; each is a site of its own, which tells its app its own name.
        let others = project.hosts_of_unit(self.unit);
        let names = std::iter::once(self.host.to_owned());
        let names = names.chain(others.into_iter().filter(|name| name != self.host));
        let sites = names.map(|name| self.site(&name, sys, project));
        Ok(Some(sites.collect::<Result<Vec<_>, _>>()?.join("\n")))
    }

    /// Whether its address and its place are what its project's file gives now. A stage has names, and later settings,
    /// of its own.
    fn is_of_project_site(&self, sys: &System, project: &Project) -> bool {
        let name = self.unit.name();
        let folder = Projects::work_dir(project, &sys.layout.work_root);
        self.port.is_none()
            && Name::of_stage(name).is_none()
            && self.host == format!("{name}.{}", *project.domain)
            && self.tls.is_some() == project.tls.is_some()
            && !self.plain_too
            && self.directory == folder.join(name)
            && workspaces(sys, project).is_some()
    }

    fn site(&self, host: &str, sys: &System, project: &Project) -> Result<String, Fault> {
        let server_name = HostName::parse(host)
            .ok_or_else(|| Fault::new(format!("cannot publish {host}: it is not a host name")))?;
        let collected = collected(project).map(|files| {
            let path = self.seen(sys, STATIC)?.join(STATIC_FOLDER);
            Ok::<_, Fault>(Static { path, ..files })
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
            media: media(project),
            collected: collected.transpose()?,
            bounds: (&project.nginx).into(),
            visit: project.visit_of(self.unit.name()).clone(),
            front: sys.site.front.clone(),
            away: sys.layout.away_dir(),
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

/// The certificate of the workspace or stage as nginx will read it. A bad new one does not fail the step while the
/// last one is good: the project's own check reports it.
async fn certificate(cx: &Cx) -> Result<VhostTls, Fault> {
    let (sys, project, name) = (cx.sys(), cx.project_file()?, cx.name()?);
    let refreshed = match project.certificate_of(&name) {
        Some(given) => sys.certificates.refresh(&given).await,
        None => Ok(()),
    };
    match (sys.certificates.serving(&project, &name), refreshed) {
        (Some((copy, tls)), refreshed) => {
            if let Err(fault) = refreshed {
                cx.note(format!("the certificate stays as it was: {fault}"));
            }
            Ok(sys.site.tls(copy, tls.as_ref()))
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
        Some(vhost) => {
            let effect = cx.sys().nginx.put_back(cx.unit(), vhost).await?;
            cx.owe_effect(effect, Debt::NginxReload).await
        }
        None if may_have_vhost(cx).await? => {
            let effect = cx.sys().nginx.remove(cx.unit()).await?;
            cx.owe_effect(effect, Debt::NginxReload).await
        }
        // An app on a socket: nginx is asked for nothing.
        None => Ok(()),
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
