//! Where in the repository the app lives, from the prototype's path to it.

use super::values::quoted;
use std::path::{Component, Path};

/// What the project file says below `[app]`. A plain relative path begins with the clone's folder. In any
/// other that folder can only be guessed, by the name that a clone of `repository` has; so it is quoted, and
/// left to the operator.
pub(super) fn lines(path: &str, repository: &str) -> String {
    let begin = Path::new(path);
    let Some(names) = names(begin) else {
        return unclear(path, AT_ROOT);
    };
    if !begin.has_root() {
        return match names.get(1..).filter(|rest| !rest.is_empty()) {
            Some(rest) => format!(
                "# PROJECT_PATH: the clone is always <work_dir>/<name>/src; this is the app's folder in it.\n\
                 dir = {}\n",
                quoted(&rest.join("/"))
            ),
            None => format!(
                "# PROJECT_PATH is not needed any more: the clone is always <work_dir>/<name>/src, and the app\n\
                 # is taken to be at its root. {OTHERWISE}"
            ),
        };
    }
    let clone = names.iter().position(|name| *name == repository);
    let rest = clone.and_then(|clone| names.get(clone + 1..));
    match rest {
        Some([]) => unclear(
            path,
            &format!(
                "{} is taken for the clone, and the app to be\n# at its root. {OTHERWISE}",
                quoted(repository)
            ),
        ),
        Some(rest) => unclear(
            path,
            &format!(
                "What follows {} is taken for the\n# app's folder in it.\ndir = {}\n",
                quoted(repository),
                quoted(&rest.join("/"))
            ),
        ),
        None => unclear(path, AT_ROOT),
    }
}

const OTHERWISE: &str = "Otherwise: dir = \"path/in/the/repository\"\n";
const AT_ROOT: &str =
    "The app is taken to be at its\n# root. Otherwise: dir = \"path/in/the/repository\"\n";

fn unclear(path: &str, taken: &str) -> String {
    format!(
        "# CHANGE: PROJECT_PATH was {}. The clone is always\n# <work_dir>/<name>/src. {taken}",
        quoted(path)
    )
}

/// The names in a path; `None` if it goes upwards, or to where no app can be.
fn names(path: &Path) -> Option<Vec<&str>> {
    let parts = path
        .components()
        .filter(|part| !matches!(part, Component::CurDir | Component::RootDir));
    parts
        .map(|part| match part {
            Component::Normal(name) => name.to_str().filter(|name| *name != ".git"),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_begins_with_the_clone() {
        assert!(lines("pressa/backend/app", "x").ends_with("\ndir = \"backend/app\"\n"));
        let root = lines("./pressa/", "x");
        assert!(root.contains("not needed any more") && !root.contains("\ndir ="));
    }

    #[test]
    fn in_a_path_from_the_root_the_repositorys_name_is_looked_for() {
        for (path, dir) in [
            ("/pressa/app", "app"),
            ("/srv/x/pressa/app/sub/", "app/sub"),
            ("/pressa/pressa", "pressa"),
        ] {
            let said = lines(path, "pressa");
            assert!(said.starts_with("# CHANGE: "), "{said}");
            assert!(said.contains(&format!("{path:?}")), "{said}");
            assert!(said.ends_with(&format!("\ndir = {dir:?}\n")), "{said}");
        }
    }

    #[test]
    fn what_is_not_clear_is_quoted_and_marked() {
        for path in [
            "/srv/other/app",
            "/srv/pressa",
            "/",
            "../pressa/app",
            "a/.git/b",
        ] {
            let said = lines(path, "pressa");
            assert!(said.starts_with("# CHANGE: "), "{said}");
            assert!(said.contains(&format!("{path:?}")), "{said}");
            assert!(said.lines().all(|line| line.starts_with('#')), "{said}");
        }
    }
}
