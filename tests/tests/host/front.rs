//! The web front on a host: switched on by one command, used by HTTP, and switched off again.

use crate::stage::{cid, soon, status_of, words};
use cid_testkit::{Certificate, host::Host};

const NAME: &str = "ci.front.test";
const FOLDER: &str = "/etc/tls-front";
const ANNA: &str = "anna@example.com";
const JAR: &str = "/root/jar";
const SITE: &str = "/var/lib/cid/nginx/vhosts/front.conf";

/// A request by the front's certificate, with the cookies that were set before: the answer, and its status.
fn ask(host: &Host, path: &str, more: &[&str]) -> String {
    let (resolve, authority) = (format!("{NAME}:443:127.0.0.1"), format!("{FOLDER}/ci.pem"));
    let url = format!("https://{NAME}{path}");
    let mut args = vec![
        "curl",
        "--silent",
        "--show-error",
        "--include",
        "--max-time",
        "60",
    ];
    args.extend([
        "--resolve",
        &resolve,
        "--cacert",
        &authority,
        "--cookie-jar",
        JAR,
        "--cookie",
        JAR,
    ]);
    args.extend(["--write-out", "\nSTATUS %{http_code}"]);
    args.extend_from_slice(more);
    args.push(&url);
    words(&host.run(&args).unwrap())
}

/// What the page puts into its forms.
fn token(page: &str) -> String {
    let rest = page
        .split("name=\"form\" value=\"")
        .nth(1)
        .unwrap_or_default();
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// Submits a form of the page at `from` to `to`.
fn submit(host: &Host, from: &str, to: &str, fields: &[&str]) -> String {
    let form = format!("form={}", token(&ask(host, from, &[])));
    let origin = format!("Origin: https://{NAME}");
    let mut more = vec!["--header", &origin, "--data-urlencode", &form];
    for field in fields {
        more.extend(["--data-urlencode", field]);
    }
    ask(host, to, &more)
}

fn cictl(host: &Host, args: &[&str]) -> (bool, String) {
    let args: Vec<&str> = ["cictl"].iter().chain(args).copied().collect();
    let output = host.run(&args).unwrap();
    (output.status == 0, words(&output))
}

#[test]
fn one_command_opens_the_front_and_another_closes_it() {
    let Some(mut host) = cid() else { return };
    let certificate = Certificate::wildcard("front.test", 2100).unwrap();
    host.run(&["mkdir", "-p", FOLDER]).unwrap().ok().unwrap();
    for (name, text) in [
        ("ci.pem", &certificate.certificate),
        ("ci.key", &certificate.key),
    ] {
        host.write(&format!("{FOLDER}/{name}"), text.as_bytes(), 0o600)
            .unwrap();
    }
    let people = "[people]\ndomains = [\"example.com\"]\n";
    host.write("/etc/cid/cid.toml", people.as_bytes(), 0o644)
        .unwrap();
    host.run(&["systemctl", "restart", "cid"])
        .unwrap()
        .ok()
        .unwrap();

    // Not without TLS, not with a certificate that nginx does not take: nothing is left of either.
    let (done, said) = cictl(&host, &["front", "enable", "--host", NAME]);
    assert!(!done && said.contains("--tls"), "{said}");
    let wrong = [FOLDER, "/none.pem"].concat();
    let (pem, key) = (format!("{FOLDER}/ci.pem"), format!("{FOLDER}/ci.key"));
    let (done, said) = cictl(
        &host,
        &["front", "enable", "--host", NAME, "--tls", &wrong, &key],
    );
    assert!(!done, "{said}");
    assert!(!host.exists(SITE).unwrap());
    host.run(&["nginx", "-t"]).unwrap().ok().unwrap();
    let denied = host
        .run_as(
            "nobody",
            &["cictl", "front", "enable", "--host", NAME, "--behind-tls"],
        )
        .unwrap();
    assert!(denied.status != 0, "{}", words(&denied));

    let (done, said) = cictl(
        &host,
        &["front", "enable", "--host", NAME, "--tls", &pem, &key],
    );
    assert!(done && said.contains("https://ci.front.test/"), "{said}");
    soon("the sign-in page", || {
        ask(&host, "/sign-in", &[]).contains("STATUS 200")
    });

    // A day's work.
    let (done, link) = cictl(&host, &["people", "link", ANNA]);
    assert!(done, "{link}");
    let link = link
        .split_whitespace()
        .find(|word| word.starts_with("https://ci.front.test/sign-in/"));
    let link = link.unwrap().trim_start_matches("https://ci.front.test");
    let secret = format!("token={}", link.trim_start_matches("/sign-in/"));
    let signed = submit(&host, link, "/sign-in", &[&secret]);
    assert!(
        signed.contains("STATUS 303") && signed.contains("__Host-cid="),
        "{signed}"
    );
    let created = submit(&host, "/", "/workspaces", &[&format!("email={ANNA}")]);
    assert!(created.contains("STATUS 303"), "{created}");
    let page = format!("/workspaces/guestbook/{ANNA}");
    soon("the workspace", || {
        ask(&host, &page, &[]).contains("id=\"restart\"")
    });
    let shown = ask(&host, &page, &[]);
    assert!(
        shown.contains("workspace-uncommitted") && shown.contains("id=\"log\""),
        "{shown}"
    );
    // Without the token of the page nothing is done, and another site does nothing with it.
    let bare = ask(&host, &format!("{page}/restart"), &["--data", "x=y"]);
    assert!(bare.contains("STATUS 403"), "{bare}");
    let form = format!("form={}", token(&shown));
    let evil = ["--header", "Origin: https://evil.example", "--data", &form];
    let foreign = ask(&host, &format!("{page}/restart"), &evil);
    assert!(foreign.contains("STATUS 403"), "{foreign}");

    // Its certificate's key is gone when nginx starts: others' sites answer all the same, and it is back by itself.
    let sh = |script: &str| host.run(&["sh", "-c", script]).unwrap().ok().unwrap();
    sh(&format!("mv {key} {key}.away && systemctl restart nginx"));
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    assert!(!ask(&host, "/", &[]).contains("STATUS 200"));
    let (_, found) = cictl(&host, &["doctor"]);
    assert!(found.contains("its site was set aside"), "{found}");
    sh(&format!("mv {key}.away {key}; systemctl restart cid"));
    soon("the front with its key", || {
        ask(&host, "/", &[]).contains(ANNA)
    });

    // It is on again after the machine was.
    host.reboot().unwrap();
    soon("the front after a reboot", || {
        ask(&host, "/", &[]).contains(ANNA)
    });
    let (_, found) = cictl(&host, &["doctor"]);
    assert!(
        !found.contains("front:") && !found.contains("cid-web"),
        "{found}"
    );

    let deleted = submit(&host, &page, &format!("{page}/delete"), &["looked="]);
    assert!(deleted.contains("STATUS 303"), "{deleted}");
    soon("the end of the workspace", || {
        ask(&host, &page, &[]).contains("STATUS 404") || !cictl(&host, &["list"]).1.contains(ANNA)
    });
    let left = submit(&host, "/", "/sign-out", &[]);
    assert!(left.contains("STATUS 303"), "{left}");
    assert!(ask(&host, "/", &[]).contains("/sign-in"));

    let (done, said) = cictl(&host, &["front", "disable"]);
    assert!(done, "{said}");
    assert!(!host.exists(SITE).unwrap());
    let active = host.run(&["systemctl", "is-active", "cid-web"]).unwrap();
    assert!(active.status != 0);
}
