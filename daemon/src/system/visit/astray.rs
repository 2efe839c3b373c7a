//! Describes redirects that lead visitors nowhere, and their usual causes.

use std::fmt;

/// A redirect that is not followed. Texts are URLs without their query, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Astray {
    /// To HTTPS, of a site that has no certificate.
    NoTls(String),
    /// To `www.` and the site's name.
    Www(String),
    /// To another host.
    Elsewhere(String),
    /// To another port of the same host.
    Port(String),
    /// To HTTP on the port of HTTPS.
    NoScheme(String),
    /// To a page that has been asked for already.
    Loop {
        /// Of a site with a certificate.
        tls: bool,
    },
    /// More often than [`super::REDIRECTS`] times.
    TooFar,
    /// Without saying where.
    Nowhere {
        /// The status code.
        status: u16,
    },
    /// To something that is no URL of a page.
    NoUrl(String),
}

impl fmt::Display for Astray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTls(to) => write!(
                f,
                "leads to {to}, and the workspace answers over HTTP alone"
            ),
            Self::Www(to) | Self::Elsewhere(to) => {
                write!(f, "leads away from the workspace, to {to}")
            }
            Self::Port(to) => write!(f, "leads to {to}, and that is not the workspace's port"),
            Self::NoScheme(to) => write!(f, "leads to {to}, which is HTTP on the port of HTTPS"),
            Self::Loop { .. } => f.write_str("leads back to itself without end"),
            Self::TooFar => write!(f, "leads on and on, more than {} times", super::REDIRECTS),
            Self::Nowhere { status } => write!(f, "answers with status {status} and no Location"),
            Self::NoUrl(to) => write!(f, "leads to {to:?}, which is no address of a page"),
        }
    }
}

const TRUSTS_NO_PROXY: &str = "the app does not know that its visitors came by HTTPS. Django: \
    SECURE_PROXY_SSL_HEADER = (\"HTTP_X_FORWARDED_PROTO\", \"https\"); elsewhere have it trust the \
    X-Forwarded-Proto that nginx sends";

impl Astray {
    /// The usual cause of such a redirect.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoTls(_) => {
                "the app insists on HTTPS. Django: SECURE_SSL_REDIRECT = False here, for example by a \
                 variable in [env]; elsewhere such as force_ssl of Rails. Or give the project a \
                 certificate (tls in the project file)"
            }
            Self::Www(_) => {
                "the app puts www in front of every name. Django: PREPEND_WWW = False here, for example \
                 by a variable in [env]"
            }
            Self::Elsewhere(_) => {
                "the app has a host name in its settings (Django: SECURE_SSL_HOST or a redirect of its own; \
                 elsewhere often BASE_URL or SITE_URL): give it CID_URL. Where that is meant, such as a \
                 login elsewhere: name another page as path of health under [app], or its status as good \
                 (status of health)"
            }
            Self::Port(_) => {
                "the app makes addresses with a port of its own: have it take host and port from the Host \
                 header that nginx sends, or from CID_URL"
            }
            Self::Loop { tls: true } | Self::NoScheme(_) => TRUSTS_NO_PROXY,
            Self::Loop { tls: false } | Self::TooFar => {
                "two rules of the app work against each other, such as Django's APPEND_SLASH and one that \
                 takes the slash away, or a page that leads to HTTPS by X-Forwarded-Proto; curl -IL shows \
                 the way"
            }
            Self::Nowhere { .. } | Self::NoUrl(_) => {
                "name another page as path of health under [app] in the project file, or its status as good \
                 (status of health)"
            }
        }
    }
}

/// A bounded text that is safe to show.
pub(super) fn shown(text: &str) -> String {
    const CHARS: usize = 200;
    let visible = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut shown: String = visible.take(CHARS).collect();
    if text.chars().count() > CHARS {
        shown.push_str("...");
    }
    shown
}
