//! The helpers' units: each line becomes a property of a unit that `systemd-run` makes.

use super::{Directive, directives, names, read};

const HELPERS: &[&str] = &[
    "accounts.service",
    "build.service",
    "git.service",
    "nginx-test.service",
    "purge.service",
    "seal.service",
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
                    // A share of the memory is no fixed size.
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
            "seal.service" => "CAP_CHOWN CAP_DAC_READ_SEARCH",
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

/// Whatever a newer system or a further package puts into /run is shut to them.
#[test]
fn what_runs_others_code_or_talks_to_others_sees_no_socket_of_the_machine() {
    const SHUT: [&str; 4] = [
        "build.service",
        "git.service",
        "tools.service",
        "workspace.service",
    ];
    // Names, local databases, and what cid's own supervisord and front need.
    const OPEN: [&str; 11] = [
        "/run/NetworkManager",
        "/run/cid-web",
        "/run/cid/apps",
        "/run/cid/supervisor",
        "/run/cid/web",
        "/run/memcached",
        "/run/mysqld",
        "/run/postgresql",
        "/run/redis",
        "/run/resolvconf",
        "/run/systemd/resolve",
    ];
    let stay = ["cid-supervisor.service", "cid-web.service"].map(|unit| {
        let found = directives(&read(&format!("systemd/system/{unit}")));
        (unit.to_owned(), found)
    });
    let helpers = all().into_iter();
    let helpers = helpers.filter(|(unit, _)| SHUT.contains(&unit.as_str()));
    let units: Vec<_> = helpers.chain(stay).collect();
    assert_eq!(units.len(), SHUT.len() + 2);
    for (unit, directives) in units {
        let is_shut = |(_, key, value): &(String, String, String)| {
            key == "TemporaryFileSystem" && value.starts_with("/run:ro")
        };
        assert!(directives.iter().any(is_shut), "{unit}");
        let binds = directives
            .iter()
            .filter(|(_, key, _)| key.starts_with("Bind"));
        for path in binds.flat_map(|(_, _, value)| value.split_whitespace()) {
            let path = path.trim_start_matches('-');
            let is_open = OPEN.contains(&path) || !path.starts_with("/run");
            assert!(is_open, "{unit} brings {path} in");
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
