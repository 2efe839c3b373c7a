//! Who gets to an app, as nginx is told.

use super::vhost::absolute;
use crate::config::{OpenPath, Visit, Who};
use cid_protocol::fault::Fault;

/// The cookie by which a visitor is known at one site. With this beginning no other site can set it.
const COOKIE: &str = "cid-visit";
const SECURE: &str = "__Host-cid-visit";

/// What stands before an app that is not for everybody.
pub(super) struct Guard {
    /// nginx asks for a name and a password of this file.
    pub(super) passwords: Option<String>,
    /// An expression for the addresses that are open all the same.
    pub(super) open: Option<String>,
    /// The visitor's cookie.
    pub(super) cookie: &'static str,
    /// The site answers over HTTPS alone.
    pub(super) scheme: &'static str,
}

impl Guard {
    /// `None`: everybody gets there.
    pub(super) fn of(visit: &Visit, is_https: bool) -> Result<Option<Self>, Fault> {
        let passwords = match (visit.who, &visit.passwords) {
            (Who::Anyone, _) => return Ok(None),
            (Who::Password, Some(file)) => Some(absolute(file)?),
            (Who::Password, None) => {
                return Err(Fault::new("cannot ask for passwords: no file is named"));
            }
            (Who::People, _) => None,
        };
        Ok(Some(Self {
            passwords,
            open: (!visit.open.is_empty()).then(|| expression(&visit.open)),
            cookie: if is_https { SECURE } else { COOKIE },
            scheme: if is_https { "https" } else { "http" },
        }))
    }
}

/// Of the address as the visitor wrote it, for the app gets it so: with nothing in it that nginx and an app may read
/// in different ways.
fn expression(paths: &[OpenPath]) -> String {
    let one = |path: &OpenPath| {
        let text = path.as_str().replace('.', "[.]");
        match text.ends_with('/') {
            true => format!("{text}[A-Za-z0-9._~/-]*"),
            false => text,
        }
    };
    let all: Vec<String> = paths.iter().map(one).collect();
    format!("^(?![^?]*[.][.])(?:{})(?:[?].*)?$", all.join("|"))
}
