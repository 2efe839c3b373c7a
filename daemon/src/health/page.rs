//! What is wrong with a page that a workspace shows its visitors.

use crate::{config::Health, system::visit::Visited};
use cid_protocol::fault::Fault;
/// What is wrong with an answer, and what usually makes such a one.
pub(crate) fn wrong(health: &Health, visited: &Visited) -> Fault {
    let fault = Fault::new(format!("cannot call it healthy: {}", said(health, visited)));
    let hint = match visited {
        Visited::Astray { astray, .. } => Some(astray.hint().to_owned()),
        Visited::Page { status, .. } => usual_cause(*status).map(str::to_owned),
    };
    Fault { hint, ..fault }
}

/// An answer in words: `/ answers with status 500`.
pub(super) fn said(health: &Health, visited: &Visited) -> String {
    let (Visited::Page { path, .. } | Visited::Astray { path, .. }) = visited;
    let asked = health.path.as_str();
    let page = match asked.split('?').next() == Some(path) {
        true => asked.to_owned(),
        false => format!("{asked} leads to {path}, which"),
    };
    match visited {
        Visited::Astray { astray, .. } => format!("{page} {astray}"),
        Visited::Page { status, .. } => format!("{page} answers with status {status}"),
    }
}

fn usual_cause(status: u16) -> Option<&'static str> {
    match status {
        400 => Some(
            "mostly a host name that the app does not take. Django: ALLOWED_HOSTS must hold .DOMAIN, the \
             project's domain with a dot in front; elsewhere the list of hosts that it trusts",
        ),
        403 => Some(
            "mostly a host name that the app does not take (config.hosts of Rails, server.allowedHosts of \
             Vite), or a page that not everybody may see: then name another one as path of health under \
             [app], or the status as good, health.status = [403]",
        ),
        404 | 405 | 410 | 422 => Some(
            "the app runs and has no such page: name one that it has as path of health under [app] in the \
             project file, such as path = \"/admin/login/\"",
        ),
        _ => None,
    }
}
