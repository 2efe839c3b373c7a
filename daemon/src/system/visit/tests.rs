use super::*;
use crate::{layout::Layout, system::fake::Fake};
use std::sync::Arc;

const HOST: &str = "anna.shop.localhost";

/// Where a visit of `path` ends on a site on which `answer` gives status, Location and cookie of a URL.
async fn visited(
    tls: bool,
    path: &str,
    answer: impl Fn(&str, &str) -> (u16, &'static str, &'static str) + Send + 'static,
) -> Visited {
    let fake = Fake::new(Arc::new(Layout::sandbox(Path::new("/nowhere"))));
    fake.show(move |page, cookies| {
        let scheme = page.certificate.map_or("http", |_| "https");
        let (status, location, cookie) = answer(&format!("{scheme}:{}", page.path), cookies);
        Some(PageAnswer {
            status,
            body: String::new(),
            location: (!location.is_empty()).then(|| location.to_owned()),
            cookies: (!cookie.is_empty())
                .then(|| cookie.to_owned())
                .into_iter()
                .collect(),
        })
    });
    let system = fake.system();
    let site = OwnSite {
        host: HOST,
        certificate: tls.then_some(Path::new("/nowhere/copy.pem")),
        ports: &system.site,
    };
    let is_meant = |status| status == 303;
    let limit = Duration::from_secs(5);
    site.visit(&fake, path, is_meant, limit).await.unwrap()
}

fn page(path: &str, status: u16) -> Visited {
    let path = path.to_owned();
    Visited::Page { path, status }
}

#[tokio::test]
async fn redirects_within_the_site_are_followed() {
    for location in [
        "/de/?a=b#top",
        "de/?a=b",
        "//anna.shop.localhost:8080/de/?a=b",
        "http://anna.shop.localhost:8080/de/?a=b",
        "HTTP://ANNA.shop.localhost:8080/x/../de/?a=b",
    ] {
        let end = visited(false, "/", move |url, _| match url {
            "http:/" => (302, location, ""),
            "http:/de/?a=b" => (200, "", ""),
            _ => (500, "", ""),
        });
        assert_eq!(end.await, page("/de/", 200), "{location}");
    }
    // As far as five redirects lead, and with the status at their end.
    let chain = |last| {
        move |url: &str, _: &str| match url {
            "http:/" => (301, "/1", ""),
            "http:/1" => (302, "/2", ""),
            "http:/2" => (307, "/3", ""),
            "http:/3" => (308, "/4", ""),
            "http:/4" => (302, "/5", ""),
            _ => (last, "/6", ""),
        }
    };
    assert_eq!(visited(false, "/", chain(403)).await, page("/5", 403));
    let (path, astray) = ("/5".to_owned(), Astray::TooFar);
    assert_eq!(
        visited(false, "/", chain(302)).await,
        Visited::Astray { path, astray }
    );
    // A status that the operator names is the answer.
    assert_eq!(visited(false, "/", chain(303)).await, page("/5", 303));
}

#[tokio::test]
async fn the_scheme_is_the_one_that_answers() {
    // By way of HTTP, which nginx leads back.
    let end = visited(true, "/", |url, _| match url {
        "https:/" => (302, "http://anna.shop.localhost:8080/login", ""),
        "http:/login" => (308, "https://anna.shop.localhost:8443/login", ""),
        "https:/login" => (200, "", ""),
        _ => (500, "", ""),
    });
    assert_eq!(end.await, page("/login", 200));
}

#[tokio::test]
async fn a_page_may_set_a_cookie_and_lead_to_itself() {
    let end = visited(false, "/", |_, cookies| match cookies {
        "seen=1" => (200, "", ""),
        "" => (302, "/", "seen=1"),
        _ => (500, "", ""),
    });
    assert_eq!(end.await, page("/", 200));
}

#[tokio::test]
async fn what_leads_astray_is_not_followed_and_says_what_makes_it() {
    for (tls, status, location, said, hint) in [
        (
            false,
            301,
            "https://anna.shop.localhost/",
            "HTTP alone",
            "SECURE_SSL_REDIRECT",
        ),
        (
            false,
            301,
            "https://anna.shop.localhost:8080/",
            "HTTP alone",
            "tls in the project",
        ),
        (true, 302, "/", "back to itself", "SECURE_PROXY_SSL_HEADER"),
        (
            true,
            301,
            "https://anna.shop.localhost:8443/",
            "back to itself",
            "X-Forwarded-Proto",
        ),
        (
            true,
            302,
            "http://anna.shop.localhost:8443/a",
            "HTTP on the port",
            "SECURE_PROXY_SSL_HEADER",
        ),
        (false, 302, "", "status 302 and no Location", "health"),
        (false, 304, "", "status 304 and no Location", "health"),
        (false, 302, "#top", "back to itself", "APPEND_SLASH"),
        (
            false,
            302,
            "http://shop.example.org/a?token=x",
            "to http://shop.example.org/a",
            "SECURE_SSL_HOST",
        ),
        (
            false,
            302,
            "http://127.0.0.1:20000/",
            "away from the workspace",
            "CID_URL",
        ),
        (
            false,
            302,
            "//www.anna.shop.localhost:8080/",
            "to http://www.anna",
            "PREPEND_WWW",
        ),
        (
            false,
            302,
            "http://anna.shop.localhost/",
            "not the workspace's port",
            "Host",
        ),
        (
            true,
            302,
            "https://anna.shop.localhost/",
            "not the workspace's port",
            "Host",
        ),
        (
            false,
            302,
            "mailto:anna@example.com",
            "no address of a page",
            "health",
        ),
        (false, 302, "http://[", "no address of a page", "health"),
    ] {
        let end = visited(tls, "/", move |_, _| (status, location, "")).await;
        let Visited::Astray { astray, .. } = &end else {
            panic!("{location}: {end:?}");
        };
        assert!(astray.to_string().contains(said), "{location}: {astray}");
        assert!(
            astray.hint().contains(hint),
            "{location}: {}",
            astray.hint()
        );
        assert!(!astray.to_string().contains("token"), "{astray}");
    }
}

#[test]
fn cookies_are_kept_by_name_and_within_bounds() {
    let mut cookies = vec!["a=1".to_owned()];
    let long = format!("c={}", "x".repeat(COOKIE_BYTES));
    let new = ["b=2", "a=3", "bad=\n", &long].map(str::to_owned);
    keep(&mut cookies, new.into());
    assert_eq!(cookies, ["b=2", "a=3"]);
}
