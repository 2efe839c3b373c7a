//! What a repository brings, on a host: packages in its own tree, commands that install, files that nginx serves.

use crate::{
    doctor::run,
    stage::{cid, soon},
};
use cid_testkit::host::Host;

const FILES: &[(&str, &str)] = &[
    ("requirements.txt", "-e ./lib\n"),
    ("Procfile", "web: python app.py\n"),
    (
        "app.py",
        "import http.server, os, said
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(said.WORD.encode())
http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
",
    ),
    (
        "lib/pyproject.toml",
        "[build-system]
requires = []
build-backend = 'backend'
backend-path = ['.']
[project]
name = 'lib'
version = '1'
",
    ),
    ("lib/code/said.py", "WORD = 'one'\n"),
    (
        "lib/backend.py",
        r#"import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name, info = "lib-1-py3-none-any.whl", "lib-1.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("lib.pth", os.path.join(os.getcwd(), "code") + "\n")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: lib\nVersion: 1\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    return name
build_editable = build_wheel
"#,
    ),
];
const SHOP: &str = r#"domain = "shop.test"
deploy_user = "deploy"

[git]
url = "/srv/git/shop.git"

[app]
release = [["sh", "-c", "mkdir collected && echo styled > collected/a.css && ln -s /etc/passwd collected/link.css"]]

[nginx]
static = { path = "collected", url = "/static/" }
"#;
/// Tells what commands that install are given, and that pip is there without an index; then it has done enough.
const TELLS: &str = r#"
install = [["sh", "-c", "pip --version && echo told $PIP_INDEX_URL,$UV_DEFAULT_INDEX,$https_proxy,$WORD; false"]]"#;

fn page(host: &Host, name: &str, path: &str) -> String {
    let script = format!(
        "curl --silent --max-time 5 --write-out ' %{{http_code}}' --header 'Host: {name}.shop.test' http://127.0.0.1{path}"
    );
    run(host, &script)
}

#[test]
fn packages_in_the_tree_are_live_collected_files_are_served_and_settings_reach_commands() {
    let Some(host) = cid() else { return };
    for (name, text) in FILES {
        let path = format!("/root/shop/{name}");
        run(&host, &format!("mkdir --parents $(dirname {path})"));
        host.write(&path, text, 0o644).unwrap();
    }
    run(
        &host,
        "cd /root/shop && git init --quiet --initial-branch=main && git add --all && \
         git -c user.name=t -c user.email=t@t commit --quiet --message=begin && \
         git clone --quiet --bare . /srv/git/shop.git && chown --recursive deploy:deploy /srv/git",
    );
    let project = "/etc/cid/projects.d/shop.toml";
    host.write(project, SHOP, 0o644).unwrap();
    run(
        &host,
        "cictl project check shop && cictl create anna@example.com --project shop",
    );
    let anna = "anna---example-com";
    assert_eq!(page(&host, anna, "/"), "one 200");
    assert_eq!(page(&host, anna, "/static/a.css"), "styled\n 200");
    assert!(page(&host, anna, "/static/link.css").ends_with(" 404"));
    // What is edited is what runs, and what is served, after a restart.
    let src = format!("/srv/cid/shop/{anna}/src");
    run(
        &host,
        &format!(
            "sed --in-place s/one/two/ {src}/lib/code/said.py && echo plain > {src}/collected/a.css && \
             cictl restart anna@example.com --project shop"
        ),
    );
    assert_eq!(page(&host, anna, "/"), "two 200");
    assert_eq!(page(&host, anna, "/static/a.css"), "plain\n 200");

    // Settings of the daemon's, and of the project's file, in a command that installs.
    let unit = "[Service]\nEnvironment=PIP_INDEX_URL=http://127.0.0.1:9/simple/ HTTPS_PROXY=http://127.0.0.1:9\n";
    run(&host, "mkdir /etc/systemd/system/cid.service.d");
    host.write("/etc/systemd/system/cid.service.d/net.conf", unit, 0o644)
        .unwrap();
    let app = SHOP.replace(
        "[app]",
        &format!("[env]\nWORD = \"of-ours\"\n\n[app]{TELLS}"),
    );
    host.write(project, app, 0o644).unwrap();
    run(&host, "systemctl daemon-reload && systemctl restart cid");
    soon("cid answers", || {
        host.run(&["cictl", "list"]).unwrap().status == 0
    });
    run(&host, "cictl project check shop");
    let said = host
        .run(&["cictl", "create", "bob@example.com", "--project", "shop"])
        .unwrap();
    let said = format!("{}{}", said.stdout, said.stderr);
    let index = "http://127.0.0.1:9/simple/";
    let told = format!("told {index},{index},http://127.0.0.1:9,of-ours");
    assert!(said.contains(&told), "{said}");
    // The processes of a workspace get none of it.
    run(&host, "cictl restart anna@example.com --project shop");
    let processes = "tr '\\0' '\\n' < /proc/$(pgrep --full 'python app.py' | head -1)/environ";
    let environment = run(&host, processes);
    assert!(environment.contains("CID_UNIT=shop."), "{environment}");
    assert!(!environment.contains("127.0.0.1:9"), "{environment}");
}
