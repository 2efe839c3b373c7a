//! `cictl project init`

use super::{
    super::{Cx, Failure},
    from_env,
    values::{RULE, branch, domain, invalid, is_name, quoted, repository},
};
use cid_client::Error;
use clap::Args;
use serde_json::json;
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Print a project file to begin with
///
/// With `--from-env` it is made from the `.env` of the prototype that cid replaces: each key there becomes
/// a setting, or a comment that says why it is not needed any more.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cictl project init pressa --url git@git.example.org:team/pressa.git \\
      --domain pressa.example.org | sudo tee /etc/cid/projects.d/pressa.toml
  sudo cictl project init --from-env /srv/prototype/.env \\
      --write /etc/cid/projects.d/pressa.toml")]
pub(super) struct Init {
    /// What the project is called: a-z, 0-9 and -, beginning with a letter; may be left out with
    /// --from-env where the end of its `GIT_URL` (or --url) is such a name
    #[arg(required_unless_present = "from_env")]
    name: Option<String>,
    /// The repository: https, ssh, or an absolute path
    #[arg(long, required_unless_present = "from_env")]
    url: Option<String>,
    /// Workspaces answer below this domain
    #[arg(long, required_unless_present = "from_env")]
    domain: Option<String>,
    /// The branch new branches start from
    #[arg(long, default_value = "main")]
    base: String,
    /// The prototype's `.env`; --url and --domain win over what it says
    #[arg(long, value_name = "FILE")]
    from_env: Option<PathBuf>,
    /// Write it to this file instead, which must not exist
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Also over a file that exists
    #[arg(long, requires = "write")]
    force: bool,
}

impl Init {
    pub(super) fn run(&self, cx: &Cx) -> Result<(), Failure> {
        let (name, content) = self.file()?;
        match &self.write {
            Some(path) => {
                write(path, &content, self.force)?;
                cx.print(&json!({ "file": path }), || {
                    format!(
                        "written: {0}\nnext: systemctl reload cid (not in a sandbox), then: cictl project check {1}",
                        path.display(),
                        name
                    )
                })?;
            }
            None => {
                let file = format!("/etc/cid/projects.d/{name}.toml");
                cx.print(&json!({ "file": file, "content": content }), || {
                    content.trim_end().to_owned()
                })?;
            }
        }
        Ok(())
    }

    /// The project's name and its file.
    fn file(&self) -> Result<(String, String), Error> {
        if let Some(name) = self.name.as_deref().filter(|name| !is_name(name)) {
            return Err(invalid(format!(
                "cannot call a project {name:?}: its name {RULE}"
            )));
        }
        branch(&self.base)?;
        if let Some(file) = &self.from_env {
            let given = from_env::Given {
                name: self.name.as_deref(),
                url: self.url.as_deref(),
                domain: self.domain.as_deref(),
                base: &self.base,
            };
            return from_env::project_file(file, &given);
        }
        let url = repository(self.url.as_deref().unwrap_or_default())?;
        let domain = domain(self.domain.as_deref().unwrap_or_default())?;
        let name = self.name.as_deref().unwrap_or_default();
        let content = TEMPLATE
            .replace("@NAME@", name)
            .replace("@URL@", &quoted(&url))
            .replace("@DOMAIN@", &quoted(&domain))
            .replace("@BASE@", &quoted(&self.base));
        Ok((name.to_owned(), content))
    }
}

/// Writes a new file; over an old one only with `force`.
fn write(path: &Path, content: &str, force: bool) -> Result<(), Error> {
    let cannot = |why: String| invalid(format!("cannot write {}: {why}", path.display()));
    let temporary = path.with_file_name(format!(
        ".{}.{}.tmp",
        path.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            // It may hold secrets one day.
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        match force {
            true => std::fs::rename(&temporary, path),
            // Unlike a rename this fails where there is something.
            false => std::fs::hard_link(&temporary, path),
        }
    };
    let written = write();
    let _ = std::fs::remove_file(&temporary);
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            cannot("there is such a file".into()).with_hint("with --force it is replaced")
        }
        _ => cannot(error.to_string()),
    })
}

const TEMPLATE: &str = r#"# The project @NAME@: put this at /etc/cid/projects.d/@NAME@.toml (in a sandbox:
# DIR/etc/projects.d/@NAME@.toml), then run `systemctl reload cid` (not in a sandbox) and
# `cictl project check @NAME@`. All keys are in cid-project(5).

domain = @DOMAIN@    # workspaces answer at <name>.<domain>
# CHANGE: the account that speaks to the git server, with keys of its own. It runs nothing of the
# repository's.
deploy_user = "deploy"
# work_dir = "/srv/cid/@NAME@"    # workspaces live here
# A certificate for *.<domain>: workspaces then answer over HTTPS.
# tls = { certificate = "/etc/letsencrypt/live/@NAME@/fullchain.pem", key = "/etc/letsencrypt/live/@NAME@/privkey.pem" }

[git]
url = @URL@
base = @BASE@    # new branches start here
# branch = "{name}"    # what a workspace's branch is called, e.g. "devel-{name}"
# identity_file = "/etc/cid/keys/@NAME@"    # default: the deploy user's own keys
# known_hosts = "/etc/cid/keys/known_hosts"
# credential_file = "/etc/cid/keys/@NAME@.token"    # for https: USER:TOKEN, mode 0600

# What is left out here is found in the repository: its packages (of Python, Node, Ruby, PHP, Go or Rust, by their
# locks), what runs (a Procfile, manage.py, app.py, the start script of package.json, public/index.php, index.html ...)
# and what it is built with. `cictl project check @NAME@` says what was found.
[app]
# dir = "."    # where in the repository the app lives
# env = "/srv/@NAME@/venv"    # a ready environment instead of installing one
# install = [["uv", "sync", "--frozen"]]
# release = [["python", "manage.py", "migrate", "--noinput"]]
# run.web = ["gunicorn", "-b", "127.0.0.1:{port}", "@NAME@.wsgi"]    # or unix:{socket}
# run.worker = ["celery", "-A", "@NAME@", "worker"]
# health = { path = "/", timeout = "60s", status = [200] }

# Given to every command and process, and written to the workspace's .env. Filled in: {url}, {origin}, {host}, {name},
# {email}, {port}, {socket}, {directory} and {number}, which no other workspace on this machine has; a brace is {{ or }}.
[env]
# DJANGO_DEBUG = "1"
# CELERY_BROKER_URL = "redis://127.0.0.1:6379/{number}"

# One database for all workspaces; without it the app's own default is used.
# [database]
# kind = "shared"
# url = "sqlite:////srv/@NAME@/db.sqlite3"

# One big folder for all workspaces: linked into the tree, served by nginx.
# [media]
# path = "/srv/@NAME@/media"
# link = "media"
# url = "/media/"

# Templates rendered into each tree.
# [[files]]
# template = "/etc/cid/templates/local.py.j2"
# target = "app/local.py"

# Other big shared things: linked, or copied when a workspace may change them.
# [[links]]
# source = "/srv/@NAME@/build"
# target = "static/build"
# mode = "link"

# How much of the machine a job's commands and one workspace's app may take, and for how long.
# [limits]
# release = "20m"
# commands = { memory = "4G" }
# app = { memory = "1G", processes = 200 }

# Who may reach the files.
# [access]
# group = "devs"    # a Unix group with read-write access to every workspace
# [access.people]    # e-mail -> Unix account with access to that workspace
# "anna@example.com" = "anna"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use cid_client::Kind;

    fn init(name: &str) -> Init {
        Init {
            name: Some(name.into()),
            url: Some("/srv/git/a-\"b\".git".into()),
            domain: Some("pressa.example.org".into()),
            base: "main".into(),
            from_env: None,
            write: None,
            force: false,
        }
    }

    #[test]
    fn the_starter_file_is_filled_in_and_quoted() {
        let content = init("pressa").file().unwrap().1;
        assert!(!content.contains("@NAME@") && !content.contains("@URL@"));
        assert!(content.contains("\nurl = \"/srv/git/a-\\\"b\\\".git\"\n"));
        assert!(content.contains("\ndomain = \"pressa.example.org\" "));
        assert!(content.contains("\nbase = \"main\" "));
    }

    #[test]
    fn what_a_server_must_have_is_in_it() {
        let content = init("pressa").file().unwrap().1;
        assert!(content.contains("\ndeploy_user = \"deploy\"\n"));
        assert!(content.contains("[limits]"));
    }

    #[test]
    fn what_the_daemon_would_refuse_is_not_written() {
        let refused = |change: &dyn Fn(&mut Init)| {
            let mut init = init("pressa");
            change(&mut init);
            init.file().unwrap_err()
        };
        let url = refused(&|init| init.url = Some("http://x".into()));
        assert!(url.message.contains("http"), "{url}");
        let domain = refused(&|init| init.domain = Some("http://y".into()));
        assert!(domain.message.contains("domain"), "{domain}");
        let base = refused(&|init| init.base = "a b".into());
        assert!(base.message.contains("branch"), "{base}");
    }

    #[test]
    fn a_name_that_is_no_file_name_is_refused() {
        for name in ["", "../etc", "Pressa", "a b", "-a", "a-", "9a"] {
            assert_eq!(init(name).file().unwrap_err().kind, Kind::Invalid);
        }
    }

    #[test]
    fn a_file_that_is_there_stays_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pressa.toml");
        write(&path, "one", false).unwrap();
        let error = write(&path, "two", false).unwrap_err();
        assert!(error.hint.unwrap().contains("--force"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        write(&path, "two", true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
