//! A project's one site in nginx: it answers for all names below the project's domain that have no vhost of their
//! own, and leads to the workspaces whose apps listen on Unix sockets. Such a workspace comes and goes without a
//! change of nginx.

use super::vhost::{CatchAll, HostName, Media, Static, Upstream, Vhost};
use crate::{
    config::{Project, Projects},
    domain::{CertificateName, UnitName},
    system::System,
};
use cid_protocol::{
    fault::Fault,
    request::{STATIC, STATIC_FOLDER},
};
use std::path::PathBuf;

/// The file of the project's site. What nginx cannot serve is left out: the certificate where there is no good
/// one yet, and the workspaces where it reaches none of their sockets.
///
/// # Errors
/// A value cannot be written into nginx's configuration.
pub fn project_site(sys: &System, project: &Project) -> Result<String, Fault> {
    let unit = UnitName::catch_all(&project.name);
    let domain = HostName::parse(&project.domain)
        .ok_or_else(|| Fault::new(format!("cannot use {} as a host name", *project.domain)))?;
    let tls = project.tls.as_ref().and_then(|tls| {
        let copy = sys
            .certificates
            .copy(&CertificateName::of_project(&project.name))?;
        Some(sys.site.tls(copy, Some(tls)))
    });
    let listen = sys.site.listen.clone();
    if let Some(folder) = workspaces(sys, project) {
        let site = Vhost {
            unit,
            server_name: domain,
            listen,
            tls,
            plain_too: false,
            upstream: Upstream::Workspaces(folder),
            media: media(project),
            collected: collected(project),
            bounds: (&project.nginx).into(),
            visit: project.visit.clone(),
            front: sys.site.front.clone(),
            away: sys.layout.away_dir(),
        };
        return site.render();
    }
    let catch_all = CatchAll {
        unit,
        domain,
        listen,
        tls,
    };
    catch_all.render()
}

/// Where nginx sees the folders of a project's workspaces; `None`: it reaches none of their sockets, and each
/// needs a vhost of its own.
pub(crate) fn workspaces(sys: &System, project: &Project) -> Option<PathBuf> {
    let folder = Projects::work_dir(project, &sys.layout.work_root);
    let folder = match sys.accounts().is_some() {
        true => {
            let below = folder.strip_prefix(&sys.layout.work_root).ok()?;
            sys.layout.work_view().join(below)
        }
        false => folder,
    };
    Upstream::Workspaces(folder.clone())
        .is_good()
        .then_some(folder)
}

/// What nginx serves of a project's media.
pub(crate) fn media(project: &Project) -> Option<Media> {
    project.media.as_ref().map(|media| Media {
        url: media.url.as_str().to_owned(),
        path: media.path.to_path_buf(),
        scripts: media.scripts,
    })
}

/// The collected files, from a workspace's folder on.
pub(crate) fn collected(project: &Project) -> Option<Static> {
    project.nginx.collected.as_ref().map(|files| Static {
        url: files.url.as_str().to_owned(),
        path: PathBuf::from(STATIC).join(STATIC_FOLDER),
    })
}
