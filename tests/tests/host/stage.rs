//! A booted host, or a plain word that there is none.

use cid_testkit::{
    Output, examples_dir,
    host::{Debian, Host, HostImage, available},
    skip,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The image, where hosts can be booted; says so where they cannot.
pub fn image() -> Option<HostImage> {
    match available() {
        Ok(()) => Some(HostImage::of(Debian::asked().unwrap()).unwrap()),
        Err(why) => {
            skip(&format!(
                "this needs a machine that can boot a host ({why})"
            ));
            None
        }
    }
}

/// A freshly booted plain Debian.
pub fn host() -> Option<Host> {
    image().map(|image| Host::boot(&image).unwrap())
}

/// A freshly booted Debian with cid installed from its package, and with a project: the guestbook, in
/// a repository of the user `deploy`. The people: `anna` and `bob` in the group cid, of whom Anna has an
/// address of her own; `carl`, an administrator; `eve`, who is nobody.
pub fn cid() -> Option<Host> {
    let host = Host::boot(&prepared()?).unwrap();
    wait_for_cid(&host);
    Some(host)
}

/// The same, whose systemd can limit units as a whole.
pub fn cid_with_controllers() -> Option<Host> {
    let Some(host) = Host::boot_with_controllers(&prepared()?).unwrap() else {
        skip("this needs a machine with controllers of memory and processes to lend");
        return None;
    };
    wait_for_cid(&host);
    Some(host)
}

fn prepared() -> Option<HostImage> {
    let deb = package();
    let image = image()?.with_deb(&deb).unwrap();
    let key = format!("guestbook 4 {PROJECT} {}", deb.display());
    Some(image.with_layer(&key, set_up).unwrap())
}

/// Templates are jobs that nobody here waits for.
const PROJECT: &str = r#"domain = "guestbook.test"
deploy_user = "deploy"

[git]
url = "/srv/git/guestbook.git"

[app]
template = false
health = { path = "/health/" }

[media]
path = "/srv/guestbook/media"

[access.people]
"anna@example.com" = "anna"
"#;

/// Gives the project other words: `top` before all tables, `app` in `[app]`, `end` at the end. The check
/// reads the file at once, whatever else it finds; its words are what is given.
pub fn rewrite_project(host: &Host, top: &str, app: &str, end: &str) -> Output {
    let text = match app.contains("template") {
        true => PROJECT.replace("template = false\n", ""),
        false => PROJECT.to_owned(),
    };
    let text = text.replace("[app]\n", &format!("[app]\n{app}\n"));
    let path = "/etc/cid/projects.d/guestbook.toml";
    host.write(path, format!("{top}\n{text}\n{end}\n"), 0o644)
        .unwrap();
    host.run(&["cictl", "project", "check", "guestbook"])
        .unwrap()
}

fn set_up(host: &Host) -> anyhow::Result<()> {
    let run = |args: &[&str]| host.run(args)?.ok();
    run(&["useradd", "--create-home", "deploy"])?;
    for (user, groups) in [
        ("anna", "cid"),
        ("bob", "cid"),
        ("carl", "sudo"),
        ("eve", ""),
    ] {
        run(&["useradd", "--create-home", "--groups", groups, user])?;
    }
    run(&[
        "mkdir",
        "-p",
        "/srv/git",
        "/srv/guestbook/media",
        "/root/guestbook",
    ])?;
    for file in tree(&examples_dir().join("guestbook")) {
        let name = file.strip_prefix(examples_dir().join("guestbook"))?;
        let to = format!("/root/guestbook/{}", name.display());
        run(&[
            "mkdir",
            "-p",
            &Path::new(&to)
                .parent()
                .unwrap_or(Path::new("/"))
                .to_string_lossy(),
        ])?;
        host.write(&to, fs::read(&file)?, 0o644)?;
    }
    let git = [
        "git",
        "-C",
        "/root/guestbook",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
    ];
    for words in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &["commit", "--quiet", "--message=begin"],
        &["clone", "--quiet", "--bare", ".", "/srv/git/guestbook.git"],
    ] {
        run(&[&git[..], words].concat())?;
    }
    run(&["chown", "--recursive", "deploy:deploy", "/srv/git"])?;
    // What the operator does once.
    let names = "server_names_hash_bucket_size 128;\n";
    host.write("/etc/nginx/conf.d/names.conf", names, 0o644)?;
    host.write("/etc/cid/projects.d/guestbook.toml", PROJECT, 0o644)?;
    wait_for_cid(host);
    run(&["systemctl", "reload", "cid"])?;
    soon("the project is there", || {
        let shown = host.run(&["cictl", "project", "list"]);
        shown.is_ok_and(|shown| shown.stdout.contains("guestbook"))
    });
    run(&["chgrp", "cid-guestbook", "/srv/guestbook/media"])?;
    run(&["chmod", "2775", "/srv/guestbook/media"])?;
    // The first workspace installs the environment, which all others share.
    let created = host.run_within(
        Duration::from_secs(180),
        &["cictl", "create", "first@example.com"],
    )?;
    created.ok()?;
    run(&[
        "cictl",
        "delete",
        "--yes",
        "--with-branch",
        "first@example.com",
    ])?;
    Ok(())
}

fn tree(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !path.ends_with("__pycache__"))
        .flat_map(|path| {
            if path.is_dir() {
                tree(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The package under test: `CID_DEB`, which `cargo xtask test` sets, or the newest that was built.
pub fn package() -> PathBuf {
    if let Some(deb) = env::var_os("CID_DEB") {
        return deb.into();
    }
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/dist");
    let debs = fs::read_dir(&dist).into_iter().flatten();
    debs.map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap())
        .ok_or("there is no package: cargo xtask dist --dev")
        .unwrap()
}

fn wait_for_cid(host: &Host) {
    soon("cid answers", || {
        host.run(&["cictl", "list"]).unwrap().ok().is_ok()
    });
    for file in ["supervisord.pid", "supervisor.sock"] {
        let path = format!("/run/cid/supervisor/{file}");
        soon("supervisord is up", || host.exists(&path).unwrap());
    }
}

/// Waits for something that takes a moment.
pub fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "not in time: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The status of a workspace's page, through nginx by its host name; empty when nobody answers.
pub fn status_of(host: &Host, name: &str) -> String {
    let header = format!("Host: {name}.guestbook.test");
    let args = [
        "curl",
        "--silent",
        "--output",
        "/dev/null",
        "--max-time",
        "5",
        "--write-out",
        "%{http_code}",
        "--header",
        &header,
        // Of nobody else: nginx itself answers unknown names with a page at /.
        "http://127.0.0.1/health/",
    ];
    host.run(&args).unwrap().stdout
}

/// Makes a workspace of the guestbook and waits for it.
pub fn create(host: &Host, email: &str) {
    let create = ["cictl", "create", "--project", "guestbook", email];
    host.run(&create).unwrap().ok().unwrap();
}

/// The account of a workspace of the guestbook.
pub fn user_of(host: &Host, name: &str) -> String {
    owner_of(host, "%U", &format!("/srv/cid/guestbook/{name}/src"))
}

/// Whether the kernel is at least of this version.
pub fn has_linux(host: &Host, wanted: (u32, u32)) -> bool {
    let release = host.read("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map_while(|part| part.parse().ok());
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    version >= wanted
}

/// Who owns a file: the name with `%U`, the number with `%u`.
pub fn owner_of(host: &Host, what: &str, path: &str) -> String {
    let format = format!("--format={what}");
    let owner = host.run(&["stat", &format, path]).unwrap();
    owner.ok().unwrap().stdout.trim().to_owned()
}

/// The process id of a unit's main process; `0` when it has none.
pub fn main_pid(host: &Host, unit: &str) -> String {
    let args = ["systemctl", "show", "--property=MainPID", "--value", unit];
    host.run(&args).unwrap().ok().unwrap().stdout
}

/// A program's last words, for a message.
pub fn words(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}
