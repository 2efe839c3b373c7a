//! Whether what the commands before a start make at a commit is made once, and copied into new workspaces.

use super::Recipe;
use crate::config::Project;
use cid_protocol::run_file::ProcessCommand;

/// Why a template is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Templated {
    /// Nothing but Django's migrations runs: what they make is looked at with care.
    ByItself,
    /// The operator says so.
    Asked,
}

/// Whether there are templates of a project that is made so; `None`: each workspace runs the commands itself.
pub fn templated(project: &Project, recipe: &Recipe) -> Option<Templated> {
    let app = &project.app;
    if recipe.build.is_empty() && recipe.release.is_empty() && app.seed.is_empty() {
        return None;
    }
    match app.template {
        Some(true) => Some(Templated::Asked),
        Some(false) => None,
        None => only_migrates(project, recipe).then_some(Templated::ByItself),
    }
}

fn only_migrates(project: &Project, recipe: &Recipe) -> bool {
    let is_bare =
        project.database.is_none() && project.files.is_empty() && project.links.is_empty();
    let mut env = project.env.iter();
    is_bare
        && !recipe.release.is_empty()
        && recipe.release.iter().all(migrates)
        && !env.any(|(name, value)| names_server(name.as_str(), value))
}

/// cid's own choice, or a Procfile's line that says the same.
fn migrates(command: &ProcessCommand) -> bool {
    let words: Vec<&str> = match command {
        ProcessCommand::Arguments(words) => words.iter().map(String::as_str).collect(),
        ProcessCommand::Shell(line) => line.split_whitespace().collect(),
    };
    let [
        "python" | "python3",
        "manage.py" | "./manage.py",
        "migrate",
        flags @ ..,
    ] = &words[..]
    else {
        return false;
    };
    flags
        .iter()
        .all(|flag| ["--noinput", "--no-input"].contains(flag))
}

/// Whether a variable says where a database is that is no file of the workspace's.
fn names_server(name: &str, value: &str) -> bool {
    const NAMES: &[&str] = &["DATABASE", "POSTGRES", "MYSQL", "MARIADB"];
    const BEGINS: &[&str] = &["DB_", "PG"];
    let name = name.to_ascii_uppercase();
    let is_named = NAMES.iter().any(|part| name.contains(part))
        || BEGINS.iter().any(|begin| name.starts_with(begin));
    let value = value.to_ascii_lowercase();
    let is_server = ["postgres", "mysql", "mariadb"]
        .iter()
        .any(|kind| value.contains(kind));
    is_server || (is_named && !value.contains("sqlite"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::request::Inspection;

    fn of(more: &str, release: Option<&str>, django: bool) -> Option<Templated> {
        let text = format!("domain = \"x.localhost\"\n[git]\nurl = \"/x.git\"\n{more}");
        let project: Project = toml::from_str(&text).unwrap();
        let inspection = Inspection {
            django,
            processes: vec![("web".into(), "serve".into())],
            release: release.map(str::to_owned),
            ..Inspection::default()
        };
        let recipe = Recipe::new(&project, &inspection).unwrap();
        templated(&project, &recipe)
    }

    #[test]
    fn a_template_is_made_by_itself_where_nothing_but_migrations_run() {
        use Templated::{Asked, ByItself};
        assert_eq!(of("", None, true), Some(ByItself));
        assert_eq!(of("[app]\ntemplate = false", None, true), None);
        assert_eq!(of("", Some("./release.sh"), true), None);
        let line = "python manage.py migrate --noinput";
        assert_eq!(of("", Some(line), true), Some(ByItself));
        for more in [
            "python manage.py migrate && ./fill.sh",
            "python manage.py migrate --noinput; rm x",
            "python manage.py migrate shop",
            "FOO=1 python manage.py migrate",
            "python manage.py loaddata x",
        ] {
            assert_eq!(of("", Some(more), true), None, "{more}");
        }
        let asked = "[app]\ntemplate = true";
        assert_eq!(of(asked, Some("./release.sh"), true), Some(Asked));
        assert_eq!(of(asked, None, false), None, "nothing runs");
        let seed = "[app]\ntemplate = true\nseed = [[\"fill\"]]";
        assert_eq!(of(seed, None, false), Some(Asked));
        assert_eq!(of("[app]\nrelease = [[\"up\"]]", None, true), None);
    }

    #[test]
    fn what_may_lie_elsewhere_is_for_each_workspace() {
        for more in [
            "[database]\nkind = \"shared\"\nurl = \"postgresql://x/y\"\n[app]\nrelease = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]]",
            "[[files]]\ntarget = \"x.py\"\ntext = \"x\"",
            "[[links]]\ntarget = \"x\"\nsource = \"/srv/x\"",
            "[env]\nDATABASE_URL = \"postgres://x/y\"",
            "[env]\nSHOP_DSN = \"postgresql://x/y\"",
            "[env]\nDB_HOST = \"db\"",
            "[env]\nPGHOST = \"db\"",
        ] {
            assert_eq!(of(more, None, true), None, "{more}");
        }
        let file = "[env]\nDATABASE_URL = \"sqlite:///{directory}/home/x.sqlite3\"\nA = \"1\"";
        assert_eq!(of(file, None, true), Some(Templated::ByItself));
    }
}
