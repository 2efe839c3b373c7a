use super::*;

const ALL: &str = r#"
# the prototype's
export WORK_DIR=/srv/workspaces/
GIT_URL="git@git.example.org:team/pressa.git"
DOMAIN='*.Pressa.example.org'
NGINX_PATH=/etc/nginx/sites-enabled
MEDIA_PATH=/srv/pressa/media
PROJECT_PATH=pressa/backend/app
DB_PATH=/srv/pressa/db.sqlite3
ENV_PATH=/srv/pressa/venv   # shared
FRONTEND_PATH=/srv/pressa/frontend/dist
SECRET_KEY=hunter2
"#;

const GIVEN: Given<'_> = Given {
    name: Some("pressa"),
    url: None,
    domain: None,
    base: "main",
};

fn made(text: &str) -> Result<String, Error> {
    render(&dotenv::parse(text).unwrap(), &GIVEN).map(|(_, file)| file)
}

#[test]
fn every_key_becomes_a_setting_or_a_comment() {
    let file = made(ALL).unwrap();
    for key in KNOWN {
        assert!(file.contains(key), "{key} is not mentioned:\n{file}");
    }
    assert!(file.contains("SECRET_KEY") && !file.contains("hunter2"));
    insta::assert_snapshot!(file);
}

#[test]
fn what_cannot_be_used_is_named_and_left_out() {
    let file = made(
        "GIT_URL=/srv/a.git\nDOMAIN=a.org\nWORK_DIR=relative\nMEDIA_PATH='/a b'\nPROJECT_PATH=clone\nENV_PATH=/srv/.env\nDB_PATH=/a/../b\nFRONTEND_PATH=\n",
    )
    .unwrap();
    for absent in [
        "work_dir =",
        "[media]",
        "dir = \".",
        "\nenv =",
        "[database]",
        "[[links]]",
    ] {
        assert!(!file.contains(absent), "{absent} in:\n{file}");
    }
    for key in [
        "WORK_DIR",
        "MEDIA_PATH",
        "PROJECT_PATH",
        "ENV_PATH",
        "DB_PATH",
    ] {
        assert!(file.contains(key), "{key} is not mentioned:\n{file}");
    }
}

#[test]
fn credentials_are_refused_and_not_shown() {
    for url in [
        "https://user:hunter2@git.example.org/a.git",
        "https://hunter2@git.example.org/a.git",
        "https://git.example.org/a.git?token=hunter2",
        "ssh://git:hunter2@git.example.org/a.git",
        "git:hunter2@git.example.org:a.git",
    ] {
        let error = made(&format!("GIT_URL={url}\nDOMAIN=a.org")).unwrap_err();
        let said = format!("{error:?}");
        assert!(
            said.contains("credentials") && !said.contains("hunter2"),
            "{said}"
        );
        assert!(error.hint.unwrap().contains("--url"));
    }
    assert!(made("GIT_URL=git://a/b\nDOMAIN=a.org").is_err());
}

#[test]
fn what_is_missing_is_named() {
    let error = made("DOMAIN=a.org").unwrap_err();
    assert!(error.message.contains("GIT_URL") && error.hint.unwrap().contains("--url"));
    let error = made("GIT_URL=/srv/a.git").unwrap_err();
    assert!(error.message.contains("DOMAIN"));
    let error = made("GIT_URL=/srv/a.git\nDOMAIN=https://a.org:80").unwrap_err();
    assert!(error.message.contains("none"), "{}", error.message);
    let error = made("GIT_URL=/srv/a.git\nDOMAIN=a.org\nDB_PATH=$HOME/db").unwrap_err();
    assert!(error.message.contains("DB_PATH"));
}

#[test]
fn the_repository_gives_the_name_where_nobody_does() {
    let named = |url: &str| {
        let values = dotenv::parse(&format!("GIT_URL={url}\nDOMAIN=a.org")).unwrap();
        let given = Given {
            name: None,
            ..GIVEN
        };
        render(&values, &given)
    };
    for url in [
        "git@git.example.org:pressa.git",
        "git@git.example.org:team/pressa",
        "https://git.example.org/team/pressa.git/",
        "ssh://git@git.example.org/pressa.git",
        "/srv/git/pressa.git",
    ] {
        let (name, file) = named(url).unwrap();
        assert_eq!(name, "pressa", "{url}");
        assert!(file.contains("/etc/cid/projects.d/pressa.toml"), "{file}");
    }
    for url in [
        "/srv/git/Pressa.git",
        "git@git.example.org:a_b.git",
        "/srv/1/.git",
    ] {
        let error = named(url).unwrap_err();
        assert!(error.message.contains("cannot call"), "{}", error.message);
        assert!(
            error
                .hint
                .unwrap()
                .contains("project init NAME --from-env FILE")
        );
    }
}

#[test]
fn a_path_from_the_root_to_the_app_is_not_lost() {
    let path = |path: &str| {
        let text = format!(
            "GIT_URL=git@git.example.org:team/pressa.git\nDOMAIN=a.org\nPROJECT_PATH={path}"
        );
        made(&text).unwrap()
    };
    for (value, dir) in [("/pressa/app", "app"), ("/srv/x/pressa/app/sub", "app/sub")] {
        let file = path(value);
        assert!(
            file.contains(&format!("CHANGE: PROJECT_PATH was {value:?}")),
            "{file}"
        );
        assert!(file.contains(&format!("\ndir = {dir:?}\n")), "{file}");
    }
}

#[test]
fn a_program_in_an_environment_is_not_taken_for_one() {
    for value in [
        "/srv/venv/bin/python",
        "/srv/venv/bin/python3.11",
        "/srv/venv/bin/",
        "/srv/venv",
    ] {
        let file = made(&format!(
            "GIT_URL=/srv/a.git\nDOMAIN=a.org\nENV_PATH={value}"
        ))
        .unwrap();
        assert!(file.contains("\nenv = \"/srv/venv\"\n"), "{value}:\n{file}");
    }
    let file = made("GIT_URL=/srv/a.git\nDOMAIN=a.org\nENV_PATH=/bin/python3").unwrap();
    assert!(
        !file.contains("\nenv =") && file.contains("/bin/python3"),
        "{file}"
    );
}
