//! A stage at names that its project's certificate is not for, with a certificate of its own.

use crate::{
    stage::SOON,
    tls::{DOMAIN, NEVER, Shop},
};
use cid_testkit::{Certificate, Tree, wait_until};
use std::fs;

#[test]
fn a_stages_own_certificate_serves_it_and_a_bad_one_harms_it_alone() {
    const WWW: [&str; 2] = ["www.example.localhost", "example.localhost"];
    let shop = Shop::of(&Tree::on_socket(), "");
    let stage = &shop.stage;
    let toml = stage.sandbox.dir().join("etc/projects.d/shop.toml");
    let own = stage.sandbox.home().unwrap().join("own");
    let path = |name: &str| own.join(name).display().to_string();
    let without = format!(
        "{}\n[stages.test]\n[stages.live]\nhost = [\"{}\", \"{}\"]\n",
        fs::read_to_string(&toml).unwrap(),
        WWW[0],
        WWW[1],
    );
    let with = format!(
        "{without}tls = {{ certificate = \"{}\", key = \"{}\" }}\n",
        path("fullchain.pem"),
        path("privkey.pem")
    );
    let check = |status| {
        let check = stage.cictl_ends(status, &["project", "check", "shop"]);
        check.text()
    };
    let answers = |certificate: &Certificate| {
        for host in WWW {
            let answer = certificate.get(stage.sandbox.https_port(), host, "/");
            let answer = answer.unwrap();
            assert_eq!(answer.status, 200, "{host}: {}", answer.body);
            assert!(answer.body.contains("live"), "{}", answer.body);
        }
    };
    let others_are_well = || {
        let answer = shop.https(&format!("test.{DOMAIN}"), "/").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    fs::write(&toml, &without).unwrap();
    let told = check(0);
    assert!(
        told.contains("stages.live.tls: the stage answers over HTTP alone"),
        "{told}"
    );
    stage.cictl_ends(0, &["build", "-p", "shop"]);
    stage.cictl_ends(0, &["promote", "test", "-p", "shop"]);

    // None yet: nothing is deployed there, and the others go on.
    fs::write(&toml, &with).unwrap();
    let told = check(1);
    assert!(
        told.contains("stages.live.tls: cannot read the certificate"),
        "{told}"
    );
    let promote = ["promote", "live", "-p", "shop"];
    let told = stage.cictl_ends(1, &promote).text();
    assert!(told.contains("cannot read the certificate"), "{told}");
    others_are_well();

    // For one of its two names alone; then for both.
    Certificate::of(&WWW[..1], NEVER)
        .unwrap()
        .write(&own)
        .unwrap();
    let told = check(1);
    assert!(told.contains("and not for example.localhost"), "{told}");
    let first = Certificate::of(&WWW, NEVER).unwrap();
    first.write(&own).unwrap();
    let told = check(0);
    assert!(
        told.contains("the certificate is for www.example.localhost, example.localhost"),
        "{told}"
    );
    stage.cictl_ends(0, &promote);
    let url = format!("https://{}:{}/", WWW[0], stage.sandbox.https_port());
    let shown = stage.json(&["show", "live", "-p", "shop"]);
    assert_eq!(
        (&shown["url"], &shown["health"]),
        (&url.as_str().into(), &"up".into())
    );
    let run = [
        "run",
        "live",
        "-p",
        "shop",
        "--",
        "sh",
        "-c",
        "echo $CID_URL",
    ];
    assert_eq!(stage.cictl_ends(0, &run).stdout.trim(), url);
    answers(&first);
    others_are_well();
    stage.cictl_ends(0, &["restart", "live", "-p", "shop"]);
    stage.cictl_ends(0, &["doctor"]);

    // A bad one leaves the last good copy in use, also in a deployment; a renewed one comes by itself.
    let second = Certificate::of(&WWW, NEVER).unwrap();
    fs::write(own.join("privkey.pem"), &second.key).unwrap();
    assert!(check(1).contains("does not belong to the certificate"));
    let doctor = stage.cictl_ends(1, &["doctor"]).text();
    assert!(doctor.contains("project shop: stages.live.tls"), "{doctor}");
    stage.cictl_ends(0, &["promote", "live", "1", "-p", "shop"]);
    answers(&first);
    second.write(&own).unwrap();
    stage.sandbox.hup().unwrap();
    wait_until("the renewed certificate", SOON, || {
        let answer = second.get(stage.sandbox.https_port(), WWW[1], "/").ok()?;
        (answer.status == 200).then_some(())
    })
    .unwrap();

    // The copy gone as well: the stage alone is set aside, until there is a good one.
    let copy = stage.sandbox.dir().join("state/tls/shop.live.pem");
    fs::remove_file(&copy).unwrap();
    fs::remove_dir_all(&own).unwrap();
    stage.sandbox.hup().unwrap();
    let vhost = stage
        .sandbox
        .dir()
        .join("state/nginx/vhosts/shop.live.conf");
    wait_until("the stage to be set aside", SOON, || {
        let text = fs::read_to_string(&vhost).unwrap_or_default();
        text.contains("set aside by cid").then_some(())
    })
    .unwrap();
    others_are_well();
    second.write(&own).unwrap();
    stage.cictl_ends(0, &["doctor", "--repair"]);
    answers(&second);

    // Without its table's key the next deployment answers over HTTP, and the copy goes.
    fs::write(&toml, &without).unwrap();
    check(0);
    answers(&second);
    stage.cictl_ends(0, &["promote", "live", "1", "-p", "shop"]);
    let answer = stage.sandbox.get(WWW[0], "/").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    check(0);
    assert!(!copy.exists());
    stage.cictl_ends(0, &["doctor"]);
}
