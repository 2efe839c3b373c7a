//! The helpers' units: each line becomes a property of a unit that `systemd-run` makes.

use super::{Directive, directives, names, read};

const HELPERS: &[&str] = &[
    "accounts.service",
    "build.service",
    "deploy.service",
    "nginx-test.service",
    "purge.service",
    "tools.service",
    "workspace.service",
];

fn all() -> Vec<(String, Vec<Directive>)> {
    let units = names("systemd/helpers");
    assert_eq!(units, HELPERS);
    units
        .into_iter()
        .map(|unit| {
            let found = directives(&read(&format!("systemd/helpers/{unit}")));
            (unit, found)
        })
        .collect()
}

#[test]
fn every_line_can_be_a_property() {
    for (unit, directives) in all() {
        for (section, key, value) in directives {
            match section.as_str() {
                "Unit" => assert_eq!(key, "Description", "{unit}"),
                "Service" => {
                    assert!(
                        !key.starts_with("Exec"),
                        "{unit}: {key} is added at run time"
                    );
                    // A share of the memory is none.
                    assert!(
                        !value.trim_end_matches('%').contains('%'),
                        "{unit}: {key} has a specifier"
                    );
                    assert!(
                        !value.ends_with('\\'),
                        "{unit}: {key} goes on in the next line"
                    );
                }
                _ => panic!("{unit} has a section {section}"),
            }
        }
    }
}

#[test]
fn none_of_them_gets_more_than_it_is_known_to_need() {
    for (unit, directives) in all() {
        let values = |wanted: &str| -> Vec<&str> {
            directives
                .iter()
                .filter(|(_, key, _)| key == wanted)
                .map(|(_, _, value)| value.as_str())
                .collect()
        };
        assert_eq!(values("NoNewPrivileges"), ["yes"], "{unit}");
        assert_eq!(values("AmbientCapabilities"), [""; 0], "{unit}");
        let capabilities = match unit.as_str() {
            "accounts.service" => "CAP_CHOWN",
            "nginx-test.service" => "CAP_DAC_READ_SEARCH",
            "purge.service" => "CAP_DAC_OVERRIDE CAP_FOWNER",
            _ => "",
        };
        assert_eq!(values("CapabilityBoundingSet"), [capabilities], "{unit}");
        // Without a user of its own a unit would be root: what runs others' code is nobody until
        // it is told who.
        let user: &[&str] = if capabilities.is_empty() {
            &["nobody"]
        } else {
            &[]
        };
        assert_eq!(values("User"), user, "{unit}");
    }
}

#[test]
fn what_runs_others_code_sees_no_socket_of_the_machine() {
    for (unit, directives) in all() {
        if unit != "workspace.service" && unit != "build.service" {
            continue;
        }
        let has =
            |key: &str, value: &str| directives.iter().any(|(_, k, v)| k == key && v == value);
        assert!(has("TemporaryFileSystem", "/run:ro"), "{unit}");
        for (_, key, value) in &directives {
            for secret in ["/run/cid", "/run/dbus", "/run/systemd/private", "/run/user"] {
                assert!(
                    !(key.starts_with("Bind") && value.contains(secret)),
                    "{unit}: {key} brings {secret} in"
                );
            }
        }
    }
}

#[test]
fn work_for_jobs_weighs_less_than_the_sites() {
    for (unit, directives) in all() {
        let slice = directives.iter().find(|(_, key, _)| key == "Slice");
        let is_short = ["accounts.service", "nginx-test.service"].contains(&&*unit);
        match slice {
            Some((_, _, slice)) => assert_eq!(slice, "system-cid-helpers.slice", "{unit}"),
            None => assert!(is_short, "{unit} is beside the sites"),
        }
    }
    let weights = |unit: &str| -> Vec<u32> {
        let found = directives(&read(&format!("systemd/system/{unit}")));
        let weights = found.iter().filter(|(_, key, _)| key.ends_with("Weight"));
        weights
            .map(|(_, _, value)| value.parse().unwrap())
            .collect()
    };
    // Without a word it is 100.
    assert_eq!(weights("cid-supervisor.service"), [0; 0]);
    let helpers = weights("system-cid-helpers.slice");
    assert!(
        helpers.len() == 2 && helpers.iter().all(|weight| *weight < 50),
        "{helpers:?}"
    );
}
