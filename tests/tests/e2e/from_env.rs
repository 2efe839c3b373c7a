//! The prototype's `.env` becomes a project file that the daemon takes and that makes a workspace.

use crate::stage::{ANNA, Stage, Workspace};
use std::fs;

#[test]
fn the_prototypes_settings_become_a_project() {
    let stage = Stage::hello();
    let home = stage.sandbox.home().unwrap();
    for folder in ["venv/bin", "media", "frontend"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    let at = |name: &str| home.join(name).display().to_string();
    let env = format!(
        "# the prototype's\nexport WORK_DIR={}\nGIT_URL=\"{}\"\nDOMAIN='*.Shop.localhost'\n\
         NGINX_PATH=/etc/nginx/sites-enabled\nMEDIA_PATH={}/\nPROJECT_PATH=clone\nDB_PATH={}\n\
         ENV_PATH={} # ready\nFRONTEND_PATH={}\nSECRET_KEY=hunter2\n",
        at("workspaces"),
        stage.server.url,
        at("media"),
        at("db.sqlite3"),
        at("venv"),
        at("frontend"),
    );
    let file = home.join("prototype.env");
    fs::write(&file, &env).unwrap();
    let toml = stage.sandbox.dir().join("etc/projects.d/shop.toml");
    let (file, path) = (file.to_str().unwrap(), toml.to_str().unwrap());
    let init = ["project", "init", "shop", "--from-env", file];
    let printed = stage.cictl_ends(0, &init);
    let written = [&init[..], &["--write", path]].concat();
    stage.cictl_ends(0, &written);
    let text = fs::read_to_string(&toml).unwrap();
    assert_eq!(text.trim_end(), printed.stdout.trim_end());
    assert!(text.contains("SECRET_KEY") && !text.contains("hunter2"));
    // The name is the repository's, where nobody gives one.
    let unnamed = stage.cictl_ends(0, &["project", "init", "--from-env", file, "-o", "json"]);
    let place = unnamed.json().unwrap()["file"].clone();
    let end = stage.server.url.trim_end_matches(".git").rsplit('/').next();
    let name = end.unwrap();
    assert_eq!(place, format!("/etc/cid/projects.d/{name}.toml"));
    stage.cictl_ends(2, &["project", "init"]);
    // A file that is there stays.
    fs::write(&toml, "mine").unwrap();
    stage.cictl_ends(2, &written);
    assert_eq!(fs::read_to_string(&toml).unwrap(), "mine");
    stage.cictl_ends(0, &[&written[..], &["--force"]].concat());

    let checked = stage.cictl_ends(0, &["project", "check", "shop"]).text();
    assert!(
        checked.contains("shop: file") && checked.contains("shop: media"),
        "{checked}"
    );
    stage.cictl_ends(0, &["create", ANNA, "-p", "shop"]);
    let anna = Workspace {
        json: stage.json(&["show", ANNA, "-p", "shop"]),
    };
    stage.answers(&anna);
    assert!(anna.directory().starts_with(home.join("workspaces")));
    let made = fs::read_to_string(anna.tree().join(".env")).unwrap();
    assert!(
        made.contains(&format!("sqlite:///{}", at("db.sqlite3"))),
        "{made}"
    );
    assert_eq!(
        fs::read_link(anna.tree().join("frontend")).unwrap(),
        home.join("frontend")
    );

    let hostile = home.join("hostile.env");
    fs::write(
        &hostile,
        "DOMAIN=a.localhost\nGIT_URL=https://anna:hunter2@git.example.org/a.git\n",
    )
    .unwrap();
    let refused = stage.cictl_ends(
        2,
        &[
            "project",
            "init",
            "shop",
            "--from-env",
            hostile.to_str().unwrap(),
        ],
    );
    assert!(
        !refused.text().contains("hunter2") && refused.text().contains("--url"),
        "{refused}"
    );
}
