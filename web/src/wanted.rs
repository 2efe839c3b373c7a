//! What a browser keeps while its visitor signs in: the page they asked for, and the address that a link was sent to.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};
use data_encoding::BASE64URL_NOPAD;

/// The page that was asked for.
const PAGE: &str = "cid-wanted";
/// The address that a link was sent to.
const ADDRESS: &str = "cid-asked";
/// Longer ones are not kept.
const LONGEST: usize = 1024;
/// A link is good for as long, and then some.
const SECONDS: u32 = 30 * 60;

/// Keeps the page that a visitor asked for; `None`: it is none to come back to.
pub fn keep(page: &str) -> Option<HeaderValue> {
    (page != "/" && is_own(page)).then(|| set(PAGE, page, SECONDS))?
}

/// The page to lead to, which is always one of the front's own.
pub fn page(headers: &HeaderMap) -> Option<String> {
    read(headers, PAGE).filter(|page| is_own(page))
}

/// Forgets it.
pub fn forget() -> Option<HeaderValue> {
    set(PAGE, "", 0)
}

/// Keeps the address that a link was sent to.
pub fn keep_address(email: &str) -> Option<HeaderValue> {
    set(ADDRESS, email, SECONDS)
}

/// The address that a link was sent to.
pub fn address(headers: &HeaderMap) -> Option<String> {
    read(headers, ADDRESS)
}

/// Whether a browser that is led there stays on this site, and gets a page.
pub fn is_own(page: &str) -> bool {
    let mut bytes = page.bytes();
    bytes.next() == Some(b'/')
        && !bytes.next().is_some_and(|b| b == b'/' || b == b'\\')
        && page.len() <= LONGEST
        && page.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        && !["/sign-in", "/sign-out", "/ask-for-link"]
            .iter()
            .any(|path| page.starts_with(path))
}

fn set(name: &str, text: &str, seconds: u32) -> Option<HeaderValue> {
    let text = BASE64URL_NOPAD.encode(text.as_bytes());
    let cookie = format!("{name}={text}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(cookie).ok()
}

fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    let texts = headers.get_all(COOKIE).into_iter();
    let mut pairs = texts
        .filter_map(|text| text.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, text) = pairs.find(|(key, value)| *key == name && !value.is_empty())?;
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(cookie: &HeaderValue) -> Option<String> {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::try_from(pair).unwrap());
        page(&headers)
    }

    #[test]
    fn a_page_of_the_fronts_is_kept_and_nothing_else() {
        let good = "/workspaces/shop/anna@example.com?process=web;x";
        assert_eq!(read_back(&keep(good).unwrap()).as_deref(), Some(good));
        for bad in [
            "",
            "/",
            "//evil.example/",
            "/\\evil.example/",
            "/a\\b",
            "https://evil.example/",
            "evil",
            "/\r\nx: y",
            "/\u{fc}",
            "/sign-out",
            "/sign-in/token",
        ] {
            assert_eq!(keep(bad), None, "{bad:?}");
            // Whatever a neighbour has put there.
            let set = set(PAGE, bad, 1).unwrap();
            assert!(bad == "/" || read_back(&set).is_none(), "{bad:?}");
        }
        assert_eq!(keep(&format!("/{}", "a".repeat(LONGEST))), None);
    }
}
