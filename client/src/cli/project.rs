//! `cictl project`

use super::{Cx, Outcome};
use crate::ui::table;
use cid_client::{Error, Exit, Kind, Severity};
use clap::{Args, Subcommand};
use serde_json::json;

/// Show projects, check them, begin a new one
#[derive(Debug, Args)]
pub(super) struct Project {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show all projects
    List,
    /// Show one project
    Show {
        /// The project
        name: String,
    },
    /// Have the daemon read project files again and say what is wrong with them
    Check {
        /// The project; all when left out
        name: Option<String>,
    },
    Init(Init),
}

/// Print a project file to begin with
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cictl project init pressa --url git@git.example.org:team/pressa.git \\
      --domain pressa.example.org | sudo tee /etc/cid/projects.d/pressa.toml")]
struct Init {
    /// What the project is called: a-z, 0-9 and -, beginning with a letter
    name: String,
    /// The repository: https, ssh, or an absolute path
    #[arg(long)]
    url: String,
    /// Workspaces answer below this domain
    #[arg(long)]
    domain: String,
    /// The branch new branches start from
    #[arg(long, default_value = "main")]
    base: String,
}

impl Project {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        match self.verb {
            Verb::List => {
                let projects = cx.connect().await?.projects().await?;
                cx.print(&projects, || table::projects(&projects))?;
            }
            Verb::Show { name } => {
                let project = cx.connect().await?.project(&name).await?;
                cx.print(&project, || table::project(&project))?;
            }
            Verb::Check { name } => {
                let items = cx.connect().await?.check(name.as_deref()).await?;
                cx.print(&items, || table::checks(&items))?;
                let is_bad = |severity| matches!(severity, Severity::Error | Severity::Unknown);
                if items.iter().any(|item| is_bad(item.severity)) {
                    return Ok(Exit::Failed);
                }
            }
            Verb::Init(init) => {
                let content = init.file_content()?;
                let file = format!("/etc/cid/projects.d/{}.toml", init.name);
                cx.print(&json!({ "file": file, "content": content }), || {
                    content.trim_end().to_owned()
                })?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Init {
    fn file_content(&self) -> Result<String, Error> {
        let name = &self.name;
        let is_name = name.len() <= 31
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !is_name {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "cannot call a project {name:?}: its name is made of at most 31 of a-z, 0-9 and -, and begins with a letter"
                ),
            ));
        }
        Ok(TEMPLATE
            .replace("@NAME@", name)
            .replace("@URL@", &quoted(&self.url))
            .replace("@DOMAIN@", &quoted(&self.domain))
            .replace("@BASE@", &quoted(&self.base)))
    }
}

/// A string in TOML: its basic strings know every escape that JSON's have.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

const TEMPLATE: &str = r#"# The project @NAME@: put this at /etc/cid/projects.d/@NAME@.toml (in a sandbox:
# DIR/etc/projects.d/@NAME@.toml), then run `cictl project check @NAME@`.

domain = @DOMAIN@    # workspaces answer at <name>.<domain>
# deploy_user = "deploy"    # who speaks to the git server, with that user's own keys
# work_dir = "/srv/cid/@NAME@"    # workspaces live here

[git]
url = @URL@
base = @BASE@    # new branches start here
# branch = "{name}"    # what a workspace's branch is called, e.g. "devel-{name}"
# identity_file = "/etc/cid/keys/@NAME@"    # default: the deploy user's own keys
# known_hosts = "/etc/cid/keys/known_hosts"
# credential_file = "/etc/cid/keys/@NAME@.token"    # for https: USER:TOKEN, mode 0600

# What is left out here is found in the repository: a Procfile, pyproject.toml,
# requirements.txt, manage.py.
[app]
# dir = "."    # where in the repository the app lives
# env = "/srv/@NAME@/venv"    # a ready environment instead of installing one
# install = [["uv", "sync", "--frozen"]]
# release = [["python", "manage.py", "migrate", "--noinput"]]
# run.web = ["gunicorn", "-b", "127.0.0.1:{port}", "@NAME@.wsgi"]    # or unix:{socket}
# run.worker = ["celery", "-A", "@NAME@", "worker"]
# health = { path = "/", timeout = "60s", status = [200] }

# Given to every command and process, and written to the workspace's .env.
[env]
# DJANGO_DEBUG = "1"

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

# Who may reach the files.
# [access]
# group = "devs"    # a Unix group with read-write access to every workspace
# [access.people]    # e-mail -> Unix account with access to that workspace
# "anna@example.com" = "anna"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn init(name: &str) -> Init {
        Init {
            name: name.into(),
            url: "/srv/git/a \"b\".git".into(),
            domain: "pressa.example.org".into(),
            base: "main".into(),
        }
    }

    #[test]
    fn the_starter_file_is_filled_in_and_quoted() {
        let content = init("pressa").file_content().unwrap();
        assert!(!content.contains("@NAME@") && !content.contains("@URL@"));
        assert!(content.contains("\nurl = \"/srv/git/a \\\"b\\\".git\"\n"));
        assert!(content.contains("\ndomain = \"pressa.example.org\" "));
        assert!(content.contains("\nbase = \"main\" "));
    }

    #[test]
    fn a_name_that_is_no_file_name_is_refused() {
        for name in ["", "../etc", "Pressa", "a b", "-a", "a-", "9a"] {
            assert_eq!(init(name).file_content().unwrap_err().kind, Kind::Invalid);
        }
    }
}
