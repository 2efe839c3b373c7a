//! What is wrong with projects' certificates, and with their sites in nginx.

use super::Finding;
use crate::{
    cid::Cid,
    config::GivenCertificate,
    domain::UnitName,
    system::{
        nginx::{aside, project_site::project_site},
        tls::Certificates,
    },
};
use cid_protocol::fault::Fault;

/// Reports what is wrong with projects' certificates and sites.
///
/// # Errors
/// A vhost cannot be read.
pub(super) async fn sites(
    cid: &Cid,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Fault> {
    let shelf = cid.projects.all();
    for project in shelf.values().flatten() {
        for given in project.certificates() {
            let Some(finding) = certificate(cid, &given).await? else {
                continue;
            };
            findings.push(match repair {
                true => finding.repaired_if(cid.sys.certificates.refresh(&given).await),
                false => finding,
            });
        }
        let unit = UnitName::catch_all(&project.name);
        let found = cid.sys.nginx.read(&unit)?;
        let wanted = project_site(&cid.sys, project)?;
        if found.as_ref() == Some(&wanted) {
            continue;
        }
        let what = match found {
            None => {
                "its file is gone: workspaces on sockets do not answer, and nginx answers unknown names as it likes"
            }
            Some(_) => "its file says something else than cid would write",
        };
        let finding = otherwise(&unit, found.as_deref(), what);
        findings.push(match repair {
            true => finding.repaired_if(cid.sys.nginx.put(&unit, &wanted).await),
            false => finding,
        });
    }
    Ok(())
}

/// The message about a wrong vhost.
pub(super) fn otherwise(unit: &UnitName, found: Option<&str>, what: &str) -> Finding {
    let subject = format!("vhost {unit}");
    match found.and_then(aside::reason) {
        Some(reason) => Finding::drift(
            subject,
            format!("it was set aside, and its names answer with an error: nginx says: {reason}"),
            "mend that (a certificate of a project's: what doctor says of its tls), then: systemctl reload cid \
             (in a sandbox: cictl doctor --repair)",
        ),
        None => Finding::drift(subject, what, "cictl doctor --repair writes it again"),
    }
}

async fn certificate(cid: &Cid, given: &GivenCertificate) -> Result<Option<Finding>, Fault> {
    let name = &given.name;
    let subject = format!("project {}: {}", name.project(), name.key());
    match Certificates::read(given).await {
        Err(fault) => Ok(Some(Finding::drift(
            subject,
            fault.message,
            fault.hint.unwrap_or_default(),
        ))),
        Ok(pair) if cid.sys.certificates.differs(name, &pair)? => Ok(Some(Finding::drift(
            subject,
            "nginx does not have this certificate yet",
            "reload cid, or cictl doctor --repair",
        ))),
        Ok(_) => Ok(None),
    }
}
