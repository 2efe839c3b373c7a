//! A project with a certificate: its workspaces answer over HTTPS, and whatever becomes of the
//! certificate is nobody else's trouble.

use crate::stage::{ANNA, BERT, SOON, Stage, Workspace};
use cid_testkit::{Answer, Certificate, Tree, wait_until};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

pub const DOMAIN: &str = "shop.localhost";
pub const NEVER: i32 = 2090;
const LONG_AGO: i32 = 2020;

/// The project `shop` with a certificate beside the project `hello` without one.
pub struct Shop {
    pub stage: Stage,
    certificate: Certificate,
}

impl Shop {
    fn open(more: &str) -> Self {
        Self::of(&Tree::hello(), more)
    }

    pub fn of(tree: &Tree, more: &str) -> Self {
        let certificate = Certificate::wildcard(DOMAIN, NEVER).unwrap();
        let stage = Stage::prepared(tree, |stage| {
            let toml = stage.server.project_toml("hello", "");
            stage.sandbox.write_project("hello", &toml).unwrap();
            let dir = stage.sandbox.home().unwrap().join("tls");
            let (certificate, key) = certificate.write(&dir).unwrap();
            let tls = format!(
                "tls = {{ certificate = \"{}\", key = \"{}\"{more} }}\n",
                certificate.display(),
                key.display()
            );
            // One repository for two projects: their branches are called differently.
            let shop = stage.server.project_toml("shop", "");
            let shop = shop.replace(
                "\n[git]\n",
                &format!("{tls}\n[git]\nbranch = \"shop-{{name}}\"\n"),
            );
            stage.sandbox.write_project("shop", &shop).unwrap();
        });
        Self { stage, certificate }
    }

    /// The operator puts another pair in the place of the first; returns what `project check` says.
    fn replace(&mut self, certificate: Certificate) {
        let dir = self.stage.sandbox.home().unwrap().join("tls");
        certificate.write(&dir).unwrap();
        self.certificate = certificate;
    }

    fn create(&self, email: &str) -> Workspace {
        self.stage.cictl_ends(0, &["create", email, "-p", "shop"]);
        Workspace {
            json: self.stage.json(&["show", email, "-p", "shop"]),
        }
    }

    pub fn https(&self, host: &str, path: &str) -> anyhow::Result<Answer> {
        self.certificate
            .get(self.stage.sandbox.https_port(), host, path)
    }

    #[track_caller]
    fn answers(&self, workspace: &Workspace) {
        let answer = self.https(&host(workspace), "/").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains(&workspace.name()), "{}", answer.body);
    }

    /// The neighbour's project takes a workspace and loses it again.
    #[track_caller]
    fn neighbour_is_well(&self) {
        self.stage.cictl_ends(0, &["create", BERT, "-p", "hello"]);
        let bert = Workspace {
            json: self.stage.json(&["show", BERT, "-p", "hello"]),
        };
        self.stage.answers(&bert);
        let delete = ["delete", BERT, "-p", "hello", "--yes", "--with-branch"];
        self.stage.cictl_ends(0, &delete);
    }

    /// All places where a bad certificate shows say why, and nothing is made with it.
    #[track_caller]
    fn is_refused(&self, why: &str) {
        let stage = &self.stage;
        let before = stage.snapshot();
        for (status, args) in [
            (1, &["project", "check", "shop"][..]),
            (0, &["project", "list"]),
            (1, &["doctor"]),
            (5, &["create", BERT, "-p", "shop"]),
        ] {
            let output = stage.cictl(args);
            assert!(
                output.text().contains(why),
                "{args:?} without {why:?}: {output}"
            );
            assert_eq!(output.status, status, "{args:?}: {output}");
        }
        stage.assert_same(&before);
        stage.cictl_ends(0, &["project", "check", "hello"]);
        self.neighbour_is_well();
    }
}

fn host(workspace: &Workspace) -> String {
    format!("{}.{DOMAIN}", workspace.name())
}

#[test]
fn a_key_that_others_may_read_is_told() {
    let shop = Shop::open("");
    let key = shop.stage.sandbox.home().unwrap().join("tls/privkey.pem");
    let set = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    let told = |shop: &Shop| {
        let check = shop.stage.cictl_ends(0, &["project", "check", "shop"]);
        (check.text(), shop.stage.cictl_ends(0, &["doctor"]).text())
    };
    set(0o600);
    let (check, doctor) = told(&shop);
    assert!(
        !check.contains("[warning]") && !doctor.contains("tls of shop"),
        "{check}{doctor}"
    );
    set(0o640);
    let (check, doctor) = told(&shop);
    assert!(
        check.contains("[warning] shop: tls: others than its owner"),
        "{check}"
    );
    assert!(
        check.contains("chmod 600 ") && doctor.contains("tls of shop: others"),
        "{doctor}"
    );
}

#[test]
fn workspaces_answer_over_https_and_http_leads_there() {
    let shop = Shop::open(", hsts = 3600");
    let stage = &shop.stage;
    wait_until("cid's page for unknown names", SOON, || {
        shop.https("nobody.shop.localhost", "/").ok()
    })
    .unwrap();
    let before = stage.snapshot();
    let anna = shop.create(ANNA);
    let (name, port) = (anna.name(), stage.sandbox.https_port());
    assert_eq!(anna.text("url"), format!("https://{name}.{DOMAIN}:{port}/"));
    shop.answers(&anna);
    let answer = shop.https(&host(&anna), "/").unwrap();
    assert_eq!(
        answer.header("strict-transport-security"),
        Some("max-age=3600")
    );
    let moved = stage.sandbox.get(&host(&anna), "/a/b?c=d").unwrap();
    assert_eq!(moved.status, 308);
    assert_eq!(
        moved.header("location"),
        Some(format!("https://{name}.{DOMAIN}:{port}/a/b?c=d").as_str())
    );
    let env = fs::read_to_string(anna.tree().join(".env")).unwrap();
    assert!(
        env.contains(&format!("https://{name}.{DOMAIN}:{port}/")),
        "{env}"
    );

    // Unknown names get cid's page over HTTP and HTTPS, also when Anna's site is nginx's first.
    let unknown = shop.https("nobody.shop.localhost", "/").unwrap();
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.body.contains("No such workspace"),
        "{}",
        unknown.body
    );
    let unknown = stage.sandbox.get("nobody.shop.localhost", "/").unwrap();
    assert_eq!(unknown.status, 404);
    // The copy is nobody else's to read.
    let copy = stage.sandbox.dir().join("state/tls/shop.pem");
    let mode = copy.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    stage.cictl_ends(0, &["restart", ANNA, "-p", "shop"]);
    stage.cictl_ends(0, &["project", "check"]);
    stage.cictl_ends(0, &["doctor"]);
    shop.neighbour_is_well();
    stage.cictl_ends(0, &["delete", ANNA, "-p", "shop", "--yes", "--with-branch"]);
    stage.assert_same(&before);
}

#[test]
fn health_is_asked_over_https_and_not_of_what_leads_there() {
    let shop = Shop::open("");
    let toml = shop.stage.sandbox.dir().join("etc/projects.d/shop.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let health = "\n[app.health]\npath = \"/\"\nstatus = [418]\n";
    fs::write(&toml, format!("{text}{health}")).unwrap();
    shop.stage.cictl_ends(0, &["project", "check", "shop"]);
    let said = shop
        .stage
        .cictl_ends(1, &["create", ANNA, "-p", "shop"])
        .text();
    assert!(said.contains("answers with status 200"), "{said}");
}

#[test]
fn a_renewed_certificate_is_taken_at_a_reload_and_at_the_next_workspace() {
    let mut shop = Shop::open("");
    let anna = shop.create(ANNA);
    shop.answers(&anna);
    shop.replace(Certificate::wildcard(DOMAIN, NEVER).unwrap());
    assert!(
        shop.https(&host(&anna), "/").is_err(),
        "nginx has the first one"
    );
    shop.stage.sandbox.hup().unwrap();
    wait_until("the second certificate", SOON, || {
        shop.https(&host(&anna), "/").ok()
    })
    .unwrap();

    shop.replace(Certificate::wildcard(DOMAIN, NEVER).unwrap());
    let doctor = shop.stage.cictl_ends(1, &["doctor"]).text();
    assert!(
        doctor.contains("does not have this certificate yet"),
        "{doctor}"
    );
    let bert = shop.create(BERT);
    shop.answers(&bert);
    shop.answers(&anna);
    shop.stage.cictl_ends(0, &["doctor"]);
}

#[test]
fn a_bad_certificate_is_one_projects_trouble() {
    let mut shop = Shop::open("");
    let good = shop.certificate.clone();
    let dir = shop.stage.sandbox.home().unwrap().join("tls");
    let anna = shop.create(ANNA);

    Certificate::wildcard(DOMAIN, LONG_AGO)
        .unwrap()
        .write(&dir)
        .unwrap();
    shop.stage.sandbox.hup().unwrap();
    shop.is_refused("it expired at 2020-01-01");
    shop.answers(&anna);

    let other = Certificate::wildcard(DOMAIN, NEVER).unwrap();
    good.write(&dir).unwrap();
    fs::write(dir.join("privkey.pem"), &other.key).unwrap();
    shop.is_refused("does not belong to the certificate");
    Certificate::wildcard("elsewhere.localhost", NEVER)
        .unwrap()
        .write(&dir)
        .unwrap();
    shop.is_refused("not for *.shop.localhost");
    fs::remove_file(dir.join("privkey.pem")).unwrap();
    fs::create_dir(dir.join("privkey.pem")).unwrap();
    shop.is_refused("privkey.pem: it is not a file");
    // A reader that opened it would wait, or read, for ever.
    let key = dir.join("privkey.pem");
    fs::remove_dir(&key).unwrap();
    let made = Command::new("mkfifo").arg(&key).status().unwrap();
    assert!(made.success());
    shop.is_refused("privkey.pem: it is not a file");
    fs::remove_file(&key).unwrap();
    symlink("/dev/zero", &key).unwrap();
    shop.is_refused("privkey.pem: it is not a file");
    fs::remove_dir_all(&dir).unwrap();
    shop.is_refused("fullchain.pem: No such file");
    shop.answers(&anna);

    // cid's own copy gone as well: another vhost stands in, and nginx stays whole for the others.
    fs::remove_dir_all(shop.stage.sandbox.dir().join("state/tls")).unwrap();
    shop.stage.sandbox.hup().unwrap();
    let vhost = shop
        .stage
        .sandbox
        .dir()
        .join(format!("state/nginx/vhosts/shop.{}.conf", anna.name()));
    wait_until("the vhost to be set aside", SOON, || {
        let text = fs::read_to_string(&vhost).unwrap_or_default();
        (text.contains("set aside by cid") && text.contains("return 503")).then_some(())
    })
    .unwrap();
    let doctor = shop.stage.cictl_ends(1, &["doctor"]).text();
    assert!(
        doctor.contains("set aside, and its names answer with an error"),
        "{doctor}"
    );
    shop.neighbour_is_well();

    shop.replace(Certificate::wildcard(DOMAIN, NEVER).unwrap());
    shop.stage.cictl_ends(0, &["doctor", "--repair"]);
    shop.answers(&anna);
    shop.stage.cictl_ends(0, &["doctor"]);
}

#[test]
fn what_a_project_had_goes_with_its_certificate() {
    let shop = Shop::open("");
    let state = shop.stage.sandbox.dir().join("state");
    let toml = shop.stage.sandbox.dir().join("etc/projects.d/shop.toml");
    let catch_all = state.join("nginx/vhosts/shop.catch-all.conf");
    wait_until("cid's page for unknown names", SOON, || {
        catch_all.exists().then_some(())
    })
    .unwrap();
    fs::remove_file(&catch_all).unwrap();
    let doctor = shop.stage.cictl_ends(1, &["doctor"]).text();
    assert!(doctor.contains("vhost shop.catch-all"), "{doctor}");
    shop.stage.cictl_ends(0, &["doctor", "--repair"]);
    assert!(catch_all.exists());

    let text = fs::read_to_string(&toml).unwrap();
    fs::remove_file(&toml).unwrap();
    shop.stage.sandbox.hup().unwrap();
    let left = || {
        let copy = state.join("tls/shop.pem");
        catch_all.exists() || copy.exists()
    };
    wait_until("nothing of it to be left", SOON, || (!left()).then_some(())).unwrap();
    let doctor = shop.stage.cictl_ends(1, &["doctor"]).text();
    assert!(
        doctor.contains("cictl project remove shop") && !doctor.contains("vhost"),
        "{doctor}"
    );
    // Put there by hand: cid knows nothing of it.
    fs::write(&catch_all, "# nothing\n").unwrap();
    let doctor = shop.stage.cictl_ends(1, &["doctor"]).text();
    assert!(doctor.contains("no project has it"), "{doctor}");
    // What else there is of the project is left to its removal.
    shop.stage.cictl_ends(1, &["doctor", "--repair"]);
    assert!(!catch_all.exists());

    fs::write(&toml, text).unwrap();
    shop.stage.sandbox.hup().unwrap();
    wait_until("all of it to be back", SOON, || left().then_some(())).unwrap();
}

#[test]
fn settings_of_nginx_and_a_certificate_reach_workspaces_of_before() {
    let shop = Shop::open("");
    let stage = &shop.stage;
    let toml = stage.sandbox.dir().join("etc/projects.d/shop.toml");
    let with = fs::read_to_string(&toml).unwrap();
    let tls = with.lines().find(|line| line.starts_with("tls")).unwrap();
    fs::write(&toml, with.replace(tls, "")).unwrap();
    stage.cictl_ends(0, &["project", "check", "shop"]);
    let anna = shop.create(ANNA);
    assert!(anna.text("url").starts_with("http://"));
    stage.answers(&anna);
    let upload = || {
        let port = stage.sandbox.http_port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 2000000\r\n\r\n",
            host(&anna)
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(&[b'x'; 2_000_000]).ok();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        String::from_utf8_lossy(&status[9..]).into_owned()
    };
    assert_ne!(upload(), "413");

    fs::write(&toml, format!("{with}\n[nginx]\nmax_body = \"1M\"\n")).unwrap();
    stage.sandbox.hup().unwrap();
    wait_until("HTTPS for the first workspace", SOON, || {
        let answer = shop.https(&host(&anna), "/").ok()?;
        answer.body.contains(&anna.name()).then_some(())
    })
    .unwrap();
    stage.answers(&anna);
    // nginx's old workers go on for a moment.
    wait_until("the new bound", SOON, || (upload() == "413").then_some(())).unwrap();
    stage.cictl_ends(0, &["restart", ANNA, "-p", "shop"]);
    stage.cictl_ends(0, &["doctor"]);

    // Without the certificate it is as it was.
    fs::write(&toml, with.replace(tls, "")).unwrap();
    stage.cictl_ends(0, &["project", "check", "shop"]);
    stage.answers(&anna);
    assert_ne!(upload(), "413");
    stage.cictl_ends(0, &["doctor"]);
    stage.cictl_ends(0, &["delete", ANNA, "-p", "shop", "--yes", "--with-branch"]);
}
