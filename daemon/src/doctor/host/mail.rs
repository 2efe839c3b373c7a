//! Whether links to sign in reach people.

use super::{Trouble, Troubles};
use crate::{cid::Cid, system::credential};

/// What keeps mail from being sent.
pub(super) async fn troubles(cid: Cid) -> Troubles {
    let Some(mail) = &cid.settings.mail else {
        return Ok(Vec::new());
    };
    let mut troubles = Vec::new();
    if let Some(file) = &mail.credential
        && let Err(fault) = credential::read(file.path())
    {
        troubles.push(Trouble::from_fault("", fault));
    }
    if cid.sign_in.front_url().is_none() {
        let why = "no link is sent: it is not known where people reach the front";
        troubles
            .push(Trouble::new("", why).mend("set url under [front] in cid.toml, and restart cid"));
    }
    let post = cid.sign_in.post();
    if let Some((at, why)) = post.failed {
        let waiting = match post.waiting {
            0 => String::new(),
            count => format!("; {count} wait"),
        };
        troubles.push(Trouble::new(
            "",
            format!("the last one, at {at:.0}, was not sent: {why}{waiting}"),
        ));
    }
    Ok(troubles)
}
