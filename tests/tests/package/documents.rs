//! Files that must not say something else than the programs.

use super::{checkout, names, read, run};
use cid_testkit::binaries;
use std::process::Command;

#[test]
fn the_daemons_page_has_every_verb_and_option() {
    let cid = binaries().unwrap().join("cid");
    let help = |args: &[&str]| {
        let output = run(Command::new(&cid).args(args).arg("--help"));
        String::from_utf8(output.stdout).unwrap()
    };
    let page = read("packaging/man/cid.8").replace("\\-", "-");
    let usage = help(&[]);
    let (_, verbs) = usage.split_once("Commands:\n").unwrap();
    for line in verbs.lines().take_while(|line| !line.is_empty()) {
        let Some(verb) = line
            .strip_prefix("  ")
            .filter(|line| !line.starts_with(' '))
        else {
            continue;
        };
        let verb = verb.split(' ').next().unwrap();
        if verb == "help" {
            continue;
        }
        assert!(
            page.contains(&format!("cid {verb}")),
            "cid.8 has no verb {verb}"
        );
        for option in help(&[verb]).split_whitespace() {
            let name = option.trim_end_matches([',', '.', ']']);
            if name.starts_with("--") && name != "--help" {
                assert!(page.contains(name), "cid.8 has no {name} of {verb}");
            }
        }
    }
}

/// A vhost that uses what nginx does not know would break all sites of the machine.
#[test]
fn the_include_defines_what_vhosts_use() {
    let vhost = read("daemon/templates/vhost.conf");
    let include = read("packaging/nginx/cid.conf");
    let variables: Vec<&str> = vhost
        .split("$cid_")
        .skip(1)
        .filter_map(|rest| {
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .next()
        })
        .collect();
    assert!(!variables.is_empty());
    for variable in variables {
        let is_defined = include.contains(&format!(" $cid_{variable} {{"))
            || vhost.contains(&format!("    set $cid_{variable} "))
            || vhost.contains(&format!("    auth_request_set $cid_{variable} "));
        assert!(is_defined, "$cid_{variable} is not defined");
    }
}

/// Others may have units that begin with `cid-`.
#[test]
fn maintainer_scripts_stop_units_of_cids_alone() {
    for script in ["preinst", "prerm", "postrm", "postinst"] {
        let text = read(&format!("packaging/debian/{script}"));
        // A command may go on in the next line.
        let text = text.replace("\\\n", " ");
        let stops = text.lines().filter(|line| {
            let line = line.trim();
            line.contains(" stop ") && !line.starts_with('#')
        });
        for line in stops {
            assert!(!line.contains('*'), "{script}: {line}");
        }
    }
    let prerm = read("packaging/debian/prerm");
    assert!(prerm.contains("= system-cid-helpers.slice ]"), "{prerm}");
}

#[test]
fn maintainer_scripts_are_scripts() {
    for script in names("packaging/debian") {
        if !["preinst", "postinst", "prerm", "postrm"].contains(&script.as_str()) {
            continue;
        }
        let path = checkout("packaging/debian").join(&script);
        let output = run(Command::new("sh").arg("-n").arg(&path));
        assert!(
            output.status.success(),
            "{script}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            read(&format!("packaging/debian/{script}")).contains("\nset -e\n"),
            "{script}"
        );
    }
}
