use crate::{app::App, wanted};
use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderValue,
        header::{COOKIE, InvalidHeaderValue},
        request::Parts,
    },
};
use cid_client::{Client, Person};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{convert::Infallible, fmt};

/// As long as a session that is not used.
const MAX_AGE: u32 = 30 * 24 * 60 * 60;
/// nginx says with it by which scheme the visitor came.
const SCHEME: &str = "x-forwarded-proto";
/// nginx says with it from where.
const CLIENT: &str = "x-forwarded-for";

/// Who makes a request: the daemon, asked on behalf of the session that the browser's cookie names.
pub struct Visitor {
    /// The daemon. It checks the session with every call.
    pub daemon: Client,
    /// The daemon, asked on behalf of nobody.
    pub public: Client,
    /// The session's token, as the browser sent it.
    pub session: Option<String>,
    /// How to set the cookie.
    pub cookie: Cookie,
    /// The visitor's address in the network; empty where nginx does not say.
    pub client: String,
    /// The page that they asked for before they were sent to sign in.
    pub wanted: Option<String>,
}

impl Visitor {
    /// What every form of this session's pages carries. It tells nothing of the session's token, and no other
    /// session's forms carry the same; empty where nobody is signed in.
    pub fn form_token(&self) -> String {
        let Some(session) = &self.session else {
            return String::new();
        };
        let mut hash = Sha256::new();
        hash.update(b"cid: a form of this session\0");
        hash.update(session.as_bytes());
        HEXLOWER.encode(&hash.finalize())
    }

    /// Who is signed in, by the daemon's word.
    ///
    /// # Errors
    /// The session has ended, or the daemon cannot be asked.
    pub async fn person(&self) -> Result<Option<Person>, cid_client::Error> {
        match self.session {
            Some(_) => Ok(self.daemon.who_am_i().await?.person),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("has_session", &self.session.is_some())
            .finish_non_exhaustive()
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let cookie = Cookie::of(&parts.headers);
        let session = cookie.read(&parts.headers);
        let daemon = match &session {
            Some(token) => app.daemon.for_session(token),
            None => app.daemon.clone(),
        };
        Ok(Self {
            daemon,
            public: app.daemon.clone(),
            session,
            cookie,
            client: client_of(&parts.headers),
            wanted: wanted::page(&parts.headers),
        })
    }
}

/// The cookie that holds the session's token. With TLS no other host can set it, nor read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    is_secure: bool,
}

impl Cookie {
    fn of(headers: &HeaderMap) -> Self {
        let is_secure = headers.get(SCHEME).is_some_and(|scheme| scheme == "https");
        Self { is_secure }
    }

    /// Takes a session's cookie away, whatever it is called.
    pub fn cleared() -> [HeaderValue; 2] {
        [
            HeaderValue::from_static("cid=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
            HeaderValue::from_static(
                "__Host-cid=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
            ),
        ]
    }

    fn name(self) -> &'static str {
        match self.is_secure {
            true => "__Host-cid",
            false => "cid",
        }
    }

    /// The token in a request's cookies. Two of the same name count as no token: one may be a neighbour's.
    fn read(self, headers: &HeaderMap) -> Option<String> {
        let texts = headers.get_all(COOKIE).into_iter();
        let pairs = texts
            .filter_map(|text| text.to_str().ok())
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.name());
        match (values.next(), values.next()) {
            (Some((_, value)), None) if !value.is_empty() => Some(value.to_owned()),
            _ => None,
        }
    }

    /// Sets the cookie to this token.
    ///
    /// # Errors
    /// The token cannot stand in a header.
    pub fn keep(self, token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
        self.set(token, MAX_AGE)
    }

    /// Takes the cookie away.
    ///
    /// # Errors
    /// None in practice.
    pub fn clear(self) -> Result<HeaderValue, InvalidHeaderValue> {
        self.set("", 0)
    }

    fn set(self, token: &str, max_age: u32) -> Result<HeaderValue, InvalidHeaderValue> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let name = self.name();
        HeaderValue::try_from(format!(
            "{name}={token}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}"
        ))
    }
}

/// The session's token that came with a request.
pub fn session_of(headers: &HeaderMap) -> Option<String> {
    Cookie::of(headers).read(headers)
}

/// The address that the nearest proxy saw: what others wrote before it is theirs to forge.
pub fn client_of(headers: &HeaderMap) -> String {
    let texts = headers.get_all(CLIENT).into_iter().next_back();
    let text = texts
        .and_then(|text| text.to_str().ok())
        .unwrap_or_default();
    let last = text.rsplit(',').next().unwrap_or_default().trim();
    last.chars().take(45).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn read(pairs: &[(&'static str, &'static str)]) -> Option<String> {
        let headers = headers(pairs);
        Cookie::of(&headers).read(&headers)
    }

    #[test]
    fn with_tls_only_the_cookie_that_no_neighbour_can_set_counts() {
        let https = ("x-forwarded-proto", "https");
        let token = |text: &str| Some(text.to_owned());
        assert_eq!(read(&[("cookie", "a=b; cid=t")]), token("t"));
        assert_eq!(read(&[https, ("cookie", "cid=t")]), None);
        assert_eq!(
            read(&[https, ("cookie", "cid=t; __Host-cid=u")]),
            token("u")
        );
        assert_eq!(read(&[("cookie", "cid=t; cid=u")]), None);
        assert_eq!(read(&[("cookie", "cid=t"), ("cookie", "cid=u")]), None);
        assert_eq!(read(&[("cookie", "cid=")]), None);
        assert_eq!(read(&[("cookie", "xcid=t")]), None);
        let set = Cookie::of(&headers(&[https])).keep("t").unwrap();
        assert_eq!(
            set,
            "__Host-cid=t; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"
        );
        let set = Cookie::of(&headers(&[])).clear().unwrap();
        assert_eq!(set, "cid=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        assert!(Cookie { is_secure: true }.keep("a\r\nb: c").is_err());
    }

    #[test]
    fn the_nearest_proxy_says_who_the_client_is() {
        let of = |text| client_of(&headers(&[("x-forwarded-for", text)]));
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("1.2.3.4, 192.0.2.1"), "192.0.2.1");
        assert_eq!(client_of(&headers(&[])), "");
        let two = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        assert_eq!(client_of(&headers(&two)), "192.0.2.1");
    }
}
