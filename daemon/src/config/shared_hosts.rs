//! No two projects' stages answer under one name.

use super::{
    Project, Shelf,
    projects::{before, by_right},
};
use crate::domain::ProjectName;
use std::collections::BTreeMap;

/// Refuses projects with a stage whose name is another project's: a stage's, or one that a workspace could get.
pub(super) fn refuse(shelf: &mut Shelf, last: &Shelf) {
    let hosts = |project: &Project| {
        let names = project.stages.keys();
        let pairs = names.flat_map(|name| {
            let hosts = project.hosts_of(name).into_iter();
            hosts.map(|host| (host, format!("stages.{}.host", name.as_str())))
        });
        pairs.collect::<Vec<_>>()
    };
    let had_them = |project: &Project| {
        before(last, project).is_some_and(|before| hosts(before) == hosts(project))
    };
    let mut owners: BTreeMap<String, ProjectName> = BTreeMap::new();
    let projects = by_right(shelf, had_them);
    for project in &projects {
        for (host, key) in hosts(project) {
            let others = projects.iter().filter(|other| other.name != project.name);
            let workspaces = others.clone().find(|other| {
                let label = host.strip_suffix(other.domain.as_str());
                label
                    .and_then(|label| label.strip_suffix('.'))
                    .is_some_and(|label| label.contains("--") && !label.contains('.'))
            });
            let message = match (owners.get(&host), workspaces) {
                (Some(owner), _) => format!("{host} is a stage's of the project {owner} already"),
                (None, Some(other)) => format!(
                    "{host} is a name that a workspace of the project {} could get",
                    other.name
                ),
                (None, None) => continue,
            };
            let error = project.error_at(key, message);
            shelf.insert(project.name.to_string(), Err(error));
        }
        if shelf.get(project.name.as_str()).is_some_and(Result::is_ok) {
            let own = hosts(project).into_iter();
            owners.extend(own.map(|(host, _)| (host, project.name.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{config::Projects, layout::Layout};

    #[test]
    fn the_project_that_came_second_is_told_by_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::sandbox(dir.path());
        let folder = layout.projects_dir();
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, host: &str| {
            let text = format!(
                "domain = \"{name}.org\"\n[git]\nurl = \"/x\"\n[stages.live]\nhost = \"{host}\"\n"
            );
            std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
        };
        write("one", "www.shop.org");
        let projects = Projects::load(&layout).unwrap();
        for (host, rule) in [
            ("www.shop.org", "of the project one already"),
            ("a---b-c.one.org", "workspace of the project one"),
        ] {
            write("two", host);
            projects.reload().unwrap();
            assert!(projects.get("one").is_ok());
            let told = projects.get("two").unwrap_err().to_string();
            assert!(told.contains(rule) && told.contains("line 5"), "{told}");
        }
        write("two", "www.two.org");
        projects.reload().unwrap();
        assert!(projects.get("two").is_ok());
    }
}
