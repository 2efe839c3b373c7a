//! Whether people's browsers find workspaces.

use super::{Trouble, Troubles};
use crate::{
    cid::Cid,
    config::Project,
    system::helpers::{Identity, ask_once},
};
use cid_protocol::request::{Resolve, Resolved};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// A name server that does not answer within this time counts as absent.
const LIMIT: Duration = Duration::from_secs(15);

/// Domains that browsers resolve to their own machine, by themselves or by its hosts file. No name server
/// knows them (RFC 6761).
const RESERVED: [&str; 2] = ["localhost", "test"];

/// Projects whose domain has no wildcard.
pub(super) async fn wildcards(cid: Cid) -> Troubles {
    let shelf = cid.projects.all();
    let mut troubles = Vec::new();
    for project in shelf
        .values()
        .flatten()
        .filter(|project| !is_reserved(&project.domain))
    {
        troubles.extend(wildcard(&cid, project).await);
    }
    Ok(troubles)
}

fn is_reserved(domain: &str) -> bool {
    let top = domain.rsplit('.').next().unwrap_or_default();
    RESERVED.contains(&top)
}

/// Asks for two names that cannot have a record of their own. The daemon's own unit reaches no name
/// server, so the deploy user's unit asks.
async fn wildcard(cid: &Cid, project: &Arc<Project>) -> Option<Trouble> {
    let domain = &*project.domain;
    // The last digits of such a number are random.
    let names = [Uuid::now_v7(), Uuid::now_v7()]
        .map(|id| format!("cid-{}.{domain}", &id.simple().to_string()[20..]));
    let request = Resolve {
        names: names.to_vec(),
    };
    let about = format!("of {}", project.name);
    let identity = Identity::Git(project.name.clone());
    let cancel = cid.stopping.clone();
    let asked = ask_once(cid.sys.helpers.as_ref(), identity, LIMIT, cancel, request).await;
    let mend = format!("make a wildcard record *.{domain} that leads to this machine");
    match asked {
        Ok(resolved) => {
            judge(&names[0], &resolved).map(|message| Trouble::new(about, message).mend(mend))
        }
        Err(fault) => Some(Trouble::from_fault(about, fault)),
    }
}

fn judge(name: &str, resolved: &Resolved) -> Option<String> {
    match &resolved.answers[..] {
        [one, other] if !one.is_empty() && one == other => None,
        [one, other] if one.is_empty() || other.is_empty() => Some(format!(
            "no name server knows {name}, or any other name there"
        )),
        _ => Some(format!(
            "{name} and another name that nobody has made lead to different machines"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn both_names_must_lead_to_the_same_machine() {
        let told = |one: &[&str], other: &[&str]| {
            let set = |texts: &[&str]| texts.iter().map(|t| t.parse::<IpAddr>().unwrap()).collect();
            let answers = vec![set(one), set(other)];
            judge("x.example.org", &Resolved { answers })
        };
        assert_eq!(told(&["192.0.2.1"], &["192.0.2.1"]), None);
        assert!(told(&[], &[]).unwrap().contains("no name server"));
        assert!(
            told(&["192.0.2.1"], &[])
                .unwrap()
                .contains("no name server")
        );
        assert!(
            told(&["192.0.2.1"], &["192.0.2.2"])
                .unwrap()
                .contains("different")
        );
        assert!(
            is_reserved("pressa.localhost") && is_reserved("localhost") && is_reserved("a.test")
        );
        assert!(!is_reserved("test.example.org"));
    }
}
