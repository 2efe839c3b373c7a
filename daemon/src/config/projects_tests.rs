use super::*;
use std::time::{Duration, SystemTime};

const ANNA: &str = "anna@example.com";

fn name(text: &str) -> ProjectName {
    ProjectName::parse(text).unwrap()
}

fn projects(dir: &Path, is_member: fn(&str) -> bool) -> (Layout, Projects) {
    let layout = Layout::sandbox(dir);
    fs::make_dir(&layout.projects_dir(), 0o755).unwrap();
    let projects = Projects::load_beside(&layout, is_member).unwrap();
    (layout, projects)
}

/// Writes a project file that names a deploy user and Anna's account.
fn write_people(layout: &Layout, name: &str, deploy_user: &str, account: &str) {
    let text = format!(
        "domain = \"{name}.localhost\"\ndeploy_user = \"{deploy_user}\"\n\
         [git]\nurl = \"/x.git\"\n[access.people]\n\"{ANNA}\" = \"{account}\"\n"
    );
    std::fs::write(layout.projects_dir().join(format!("{name}.toml")), text).unwrap();
}

#[test]
fn rights_outlive_a_good_file_and_not_a_project() {
    let dir = tempfile::tempdir().unwrap();
    let (layout, projects) = projects(dir.path(), |_| false);
    let anna = Email::parse(ANNA).unwrap();
    let shop = name("shop");
    let path = projects.file_of(&shop);
    write_people(&layout, "shop", "deploy", "anna");
    projects.reload().unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let is_as_it_was = || {
        projects.account_of(&shop, &anna).as_deref() == Some("anna")
            && projects.deploys("deploy") == Some(shop.clone())
    };
    assert!(is_as_it_was());
    for bad in ["bracnh = 1\n".to_owned() + &good, String::new()] {
        std::fs::write(&path, bad).unwrap();
        projects.reload().unwrap();
        assert!(is_as_it_was());
    }
    std::fs::remove_file(&path).unwrap();
    projects.reload().unwrap();
    assert!(is_as_it_was());
    let told = [projects.get("shop"), projects.only()].map(|none| none.unwrap_err());
    for error in told {
        assert!(
            matches!(&error, Error::Precondition { message, .. }
            if message == "the project shop has no file any more"),
            "{error}"
        );
    }
    // What the next good file says counts, and a project without file and workspaces is forgotten.
    write_people(&layout, "shop", "git", "ann");
    projects.reload().unwrap();
    assert_eq!(projects.account_of(&shop, &anna).as_deref(), Some("ann"));
    assert_eq!(projects.deploys("deploy"), None);
    std::fs::remove_file(&path).unwrap();
    let rights = projects.rights_with(&projects.read().unwrap(), |_| false);
    assert!(rights.is_empty(), "{rights:?}");
}

#[test]
fn accounts_of_the_machine_and_of_cid_are_no_deploy_users() {
    let dir = tempfile::tempdir().unwrap();
    let (layout, projects) = projects(dir.path(), |_| false);
    for user in ["root", "cid-tools", "cid-web", "cidw-1", "cidb-shop"] {
        write_people(&layout, "shop", user, "anna");
        projects.reload().unwrap();
        let told = projects.get("shop").unwrap_err().to_string();
        assert!(
            told.contains("line 2, deploy_user: ") && told.contains(user),
            "{told}"
        );
    }
    write_people(&layout, "shop", "deploy", "anna");
    projects.reload().unwrap();
    assert!(projects.get("shop").is_ok());
}

#[test]
fn no_person_who_uses_cid_is_a_deploy_user() {
    let dir = tempfile::tempdir().unwrap();
    let (layout, projects) = projects(dir.path(), |account| account == "bert");
    let wrong = |projects: &Projects| refused(projects).join(" | ");
    write_people(&layout, "shop", "deploy", "anna");
    projects.reload().unwrap();
    assert_eq!(wrong(&projects), "");
    for (deploy_user, why) in [
        ("bert", "bert is in the group cid"),
        ("anna", "anna is in [access.people] of the project shop"),
    ] {
        write_people(&layout, "blog", deploy_user, "carl");
        projects.reload().unwrap();
        let told = wrong(&projects);
        assert!(
            told.contains("blog.toml: line 2, deploy_user: ") && told.contains(why),
            "{told}"
        );
        // Nobody is locked out by a file that is not used.
        assert_eq!(projects.deploys(deploy_user), None);
    }
    // In its own file, too; the last good one stays in force.
    write_people(&layout, "shop", "anna", "anna");
    projects.reload().unwrap();
    assert!(wrong(&projects).contains("shop.toml: line 2, deploy_user: "));
    assert_eq!(projects.deploys("deploy"), Some(name("shop")));
    // A deploy user of old is not spoilt by another project's file.
    write_people(&layout, "shop", "deploy", "anna");
    write_people(&layout, "blog", "git", "deploy");
    projects.reload().unwrap();
    let told = wrong(&projects);
    assert!(
        told.contains(
            "blog.toml: line 5, access.people: deploy is the deploy user of the project shop"
        ),
        "{told}"
    );
    assert!(!told.contains("shop.toml"), "{told}");
}

/// Writes a project file that is so many minutes old.
fn write(layout: &Layout, name: &str, work_dir: Option<&str>, minutes: u64) {
    let path = layout.projects_dir().join(format!("{name}.toml"));
    let work_dir = work_dir.map_or_else(String::new, |dir| format!("work_dir = \"{dir}\"\n"));
    let text = format!("domain = \"{name}.localhost\"\n{work_dir}[git]\nurl = \"/x.git\"\n");
    std::fs::write(&path, text).unwrap();
    let age = SystemTime::now() - Duration::from_mins(minutes);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(age).unwrap();
}

fn refused(projects: &Projects) -> Vec<String> {
    let shelf = projects.all();
    let errors = shelf.values().filter_map(|entry| entry.as_ref().err());
    errors.map(ToString::to_string).collect()
}

#[test]
fn a_file_that_came_later_is_to_be_read_first() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::sandbox(dir.path());
    fs::make_dir(&layout.projects_dir(), 0o755).unwrap();
    let projects = Projects::load(&layout).unwrap();
    write(&layout, "shop", None, 1);
    let hint = |name: &str| match projects.get(name).unwrap_err() {
        Error::NotFound { hint, .. } => hint.unwrap(),
        other => panic!("{other}"),
    };
    assert!(hint("shop").ends_with("yet: cictl project check shop"));
    assert!(!hint("blog").contains("has not read"));
    assert!(!hint("../shop").contains("has not read"));
}

#[test]
fn work_dirs_lie_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::sandbox(dir.path());
    fs::make_dir(&layout.projects_dir(), 0o755).unwrap();
    let root = layout.work_root.clone();
    fs::make_dir(&root, 0o755).unwrap();
    write(&layout, "shop", None, 10);
    let projects = Projects::load(&layout).unwrap();
    assert_eq!(refused(&projects), [""; 0]);
    std::os::unix::fs::symlink(&root, dir.path().join("link")).unwrap();
    let inner = root.join("shop/inner").display().to_string();
    let same = root.join("shop").display().to_string();
    let outer = root.display().to_string();
    let link = dir.path().join("link/shop").display().to_string();
    for (work_dir, how) in [
        (&outer, "lies around"),
        (&inner, "lies in"),
        (&same, "is"),
        (&link, "is"),
    ] {
        // The older file, but who has live workspaces there comes first.
        write(&layout, "blog", Some(work_dir), 20);
        projects.reload().unwrap();
        let told = refused(&projects);
        let [told] = &told[..] else {
            panic!("{work_dir}: {told:?}")
        };
        assert!(
            told.contains("blog.toml: line 2, work_dir: ")
                && told.contains(&format!(" {how} "))
                && told.contains("of the project shop"),
            "{told}"
        );
    }
    // From the beginning the older file counts.
    let anew = Projects::load(&layout).unwrap();
    assert!(
        refused(&anew)[0].contains("shop.toml"),
        "{:?}",
        refused(&anew)
    );
    let beside = root.join("shop-2").display().to_string();
    write(&layout, "blog", Some(&beside), 20);
    projects.reload().unwrap();
    assert_eq!(refused(&projects), [""; 0]);
}

#[test]
fn a_file_whose_opening_would_wait_is_bad_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let (layout, projects) = projects(dir.path(), |_| false);
    write_people(&layout, "shop", "deploy", "anna");
    let odd = layout.projects_dir().join("odd.toml");
    nix::unistd::mkfifo(&odd, nix::sys::stat::Mode::S_IRWXU).unwrap();
    projects.reload().unwrap();
    assert!(projects.get("shop").is_ok());
    let error = projects.get("odd").unwrap_err().to_string();
    assert!(error.contains("it is no ordinary file"), "{error}");
}
