//! A project's one site in nginx, by which visitors reach apps on Unix sockets.

use crate::stage::{ANNA, BERT, SOON, Stage};
use cid_testkit::{Tree, wait_until};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

#[test]
fn an_app_on_a_socket_has_no_file_of_its_own_in_nginx_while_its_address_is_its_projects() {
    let stage = Stage::of(&Tree::on_socket(), "");
    let vhosts = || {
        let names = fs::read_dir(stage.sandbox.dir().join("state/nginx/vhosts")).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let site = "hello.catch-all.conf";
    let log = || fs::read_to_string(stage.sandbox.dir().join("log/nginx-error.log")).unwrap();
    let anna = stage.create(ANNA);
    // While nginx takes no change at all, such workspaces come, are redeployed and go.
    let broken = stage.sandbox.dir().join("etc/nginx.d/theirs.conf");
    fs::write(&broken, "oops;\n").unwrap();
    stage.create(BERT);
    assert_eq!(vhosts(), [site]);
    stage.cictl_ends(0, &["restart", BERT]);
    stage.delete(BERT);
    fs::remove_file(&broken).unwrap();
    assert!(!log().contains("oops"), "nobody asked nginx to reload");
    stage.cictl_ends(0, &["doctor"]);

    // An app that does not answer is answered for.
    let ask = |method: &str, headers: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", stage.sandbox.http_port())).unwrap();
        let host = anna.host();
        let request = format!("{method} /x?y=z HTTP/1.0\r\nHost: {host}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let browser = "Accept: text/html\r\nAccept-Language: ru\r\nCookie: secret=1\r\n";
    fs::remove_file(anna.directory().join("run/web.sock")).unwrap();
    let page = ask("GET", browser);
    assert!(page.starts_with("HTTP/1.1 503"), "{page}");
    for part in [
        "Retry-After: 5",
        "<html lang=\"ru\">",
        "<script>",
        &format!("/at/{}\"", anna.host()),
    ] {
        assert!(
            page.to_lowercase().contains(&part.to_lowercase()),
            "{part}: {page}"
        );
    }
    assert!(!page.contains("secret") && !page.contains(ANNA), "{page}");
    let sent = ask("POST", &format!("{browser}Content-Length: 0\r\n"));
    assert!(
        sent.starts_with("HTTP/1.1 503") && !sent.contains("<script>"),
        "{sent}"
    );
    let plain = ask("GET", "Accept: application/json\r\n");
    assert!(
        plain.starts_with("HTTP/1.1 503") && !plain.contains('<'),
        "{plain}"
    );
    // And without the front in a line of nginx's.
    let front = stage.sandbox.dir().join("run/front.sock");
    let away = front.with_extension("away");
    fs::rename(&front, &away).unwrap();
    let plain = ask("GET", browser);
    assert!(
        plain.starts_with("HTTP/1.1 503") && plain.contains("Retry-After: 5"),
        "{plain}"
    );
    assert!(plain.contains("Nothing answers here"), "{plain}");
    assert_eq!(
        stage
            .sandbox
            .get("nobody--x.hello.localhost", "/")
            .unwrap()
            .status,
        404
    );
    fs::rename(&away, &front).unwrap();
    stage.cictl_ends(0, &["restart", ANNA]);
    stage.answers_soon(&anna);

    let status = |name: &str| {
        let host = format!("{name}.hello.localhost");
        stage.sandbox.get(&host, "/").unwrap().status
    };
    assert_eq!(status("nobody---example-com"), 404);
    assert_eq!(status("nobody"), 404);

    // Its address stays when the project's domain changes, and others get the new one.
    let toml = stage.sandbox.dir().join("etc/projects.d/hello.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let moved = text.replace("hello.localhost", "moved.localhost");
    fs::write(&toml, moved).unwrap();
    stage.cictl_ends(0, &["project", "check", "hello"]);
    stage.answers(&anna);
    assert_eq!(vhosts(), ["hello.anna---example-com.conf", site]);
    let bert = stage.create(BERT);
    assert!(bert.host().ends_with(".moved.localhost"), "{}", bert.host());
    stage.cictl_ends(0, &["doctor"]);
    stage.cictl_ends(0, &["restart", ANNA]);
    stage.answers_soon(&anna);
    stage.delete(BERT);
    fs::write(&toml, &text).unwrap();
    stage.cictl_ends(0, &["project", "check", "hello"]);
    assert_eq!(vhosts(), [site]);
    stage.answers(&anna);

    // So it does while the project has no file.
    fs::remove_file(&toml).unwrap();
    stage.sandbox.hup().unwrap();
    wait_until("the daemon to miss the file", SOON, || {
        let doctor = stage.cictl(&["doctor"]).text();
        doctor.contains("hello").then_some(())
    })
    .unwrap();
    stage.answers(&anna);
    assert_eq!(vhosts(), [site]);
    fs::write(&toml, &text).unwrap();
    stage.sandbox.hup().unwrap();
    wait_until("the daemon to have read it", SOON, || {
        (stage.cictl(&["doctor"]).status == 0).then_some(())
    })
    .unwrap();

    // A file in its name would go first: doctor knows that cid did not write it.
    let own = stage
        .sandbox
        .dir()
        .join("state/nginx/vhosts/hello.anna---example-com.conf");
    fs::write(&own, "# left\n").unwrap();
    let doctor = stage.cictl_ends(1, &["doctor"]).text();
    assert!(doctor.contains("cid did not write it"), "{doctor}");
    stage.cictl_ends(0, &["doctor", "--repair"]);
    assert!(!own.exists());
    stage.delete(ANNA);
    assert_eq!(status("anna---example-com"), 404);
}
