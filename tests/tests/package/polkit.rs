//! polkit's files.

use super::read;

const POLICY: &str = "polkit/actions/org.cid.policy";

/// The text of each action's element, by its name.
fn actions() -> Vec<(String, String)> {
    read(POLICY)
        .split("<action id=\"")
        .skip(1)
        .map(|rest| {
            let (name, rest) = rest.split_once('"').unwrap();
            let (body, _) = rest.split_once("</action>").unwrap();
            (name.to_owned(), body.to_owned())
        })
        .collect()
}

#[test]
fn nobody_may_anything_by_default() {
    let actions = actions();
    assert!(actions.len() > 10);
    for (name, body) in actions {
        assert!(name.starts_with("org.cid."), "{name}");
        for sort in ["allow_any", "allow_inactive", "allow_active"] {
            let granted = [
                format!("<{sort}>auth_admin</{sort}>"),
                format!("<{sort}>no</{sort}>"),
            ];
            assert!(
                granted.iter().any(|text| body.contains(text)),
                "{name}: {sort}"
            );
        }
    }
}

#[test]
fn every_action_is_explained_in_both_languages() {
    for (name, body) in actions() {
        for tag in ["description", "message"] {
            assert!(body.contains(&format!("<{tag}>")), "{name}: no {tag}");
            assert!(
                body.contains(&format!("<{tag} xml:lang=\"ru\">")),
                "{name}: no Russian {tag}"
            );
        }
    }
}

#[test]
fn rules_name_actions_that_exist() {
    let actions = actions();
    let rules = read("polkit/rules.d/50-cid.rules");
    let named: Vec<&str> = rules
        .split("\"org.cid.")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(name, _)| name)
        .filter(|name| !name.is_empty())
        .collect();
    assert!(named.len() > 5);
    for name in named {
        let id = format!("org.cid.{name}");
        assert!(actions.iter().any(|(of, _)| *of == id), "there is no {id}");
    }
}
