//! What a workspace can write is reached through `system::inside`, or by a helper beneath an open folder: a name there
//! may lead anywhere a moment later. So plain calls with a path are only in files that are listed here, by whose
//! paths they are given. A new file joins a list only with paths that no workspace, build or repository can change.

#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The daemon's, which is root on a host.
const DAEMON: &[(&str, &[&str])] = &[
    (
        "the kernel's, and the machine's own settings",
        &[
            "authz/caller.rs",
            "doctor/host/nginx.rs",
            "host/limits.rs",
            "reload.rs",
            "system/accounts/tables.rs",
            "system/listeners.rs",
            "system/procs.rs",
            "system/supervisor/app_groups.rs",
            "system/view.rs",
        ],
    ),
    (
        "the operator's: project files, keys, templates and the folders that these name",
        &[
            "config/last_good.rs",
            "config/projects.rs",
            "config/settings.rs",
            "doctor/host/disk.rs",
            "doctor/kept.rs",
            "doctor/worries.rs",
            "keeper/front.rs",
            "operation/project/check.rs",
            "step/configure.rs",
            "step/inspect.rs",
            "system/tls/pair.rs",
        ],
    ),
    (
        "cid's own, in folders that root alone writes on a host",
        &[
            "app.rs",
            "app/ports.rs",
            "doctor/missing.rs",
            "doctor/surplus.rs",
            "keeper/packages.rs",
            "operation/build.rs",
            "operation/project/remove.rs",
            "operation/stay.rs",
            "operation/watch.rs",
            "rpc/server.rs",
            "step/install.rs",
            "step/shared.rs",
            "step/turn_away.rs",
            "store/db.rs",
            "system/accounts/real.rs",
            "system/exec.rs",
            "system/included.rs",
            "system/launcher/earlier.rs",
            "system/launcher/starter.rs",
            "system/nginx/aside.rs",
            "system/nginx/at_start.rs",
            "system/nginx/files.rs",
            "system/nginx/master.rs",
            "system/supervisor/orphans.rs",
            "system/tls/copies.rs",
            "system/visits.rs",
        ],
    ),
    (
        "folders of workspaces and builds, by their names in folders that root alone writes on a host",
        &[
            "cid/mod.rs",
            "doctor/builds.rs",
            "keeper/prune.rs",
            "keeper/templates.rs",
            "host/folders.rs",
            "operation/work.rs",
            "step/make_build_folder.rs",
            "step/make_template.rs",
            "step/take_template.rs",
            "step/kept_output.rs",
            "step/make_directory.rs",
            "step/make_stage_folder.rs",
            "step/remove_directory.rs",
        ],
    ),
    (
        "logs of apps: supervisord writes them, in a folder of root's",
        &[
            "operation/logs/file.rs",
            "operation/logs/mod.rs",
            "step/last_lines.rs",
        ],
    ),
    (
        "a sandbox's, where all are one user",
        &[
            "sandbox/config.rs",
            "sandbox/front.rs",
            "sandbox/nginx.rs",
            "sandbox/supervisord.rs",
            "step/network.rs",
        ],
    ),
];

/// Those of the helper's that work with root's rights, or before these are given up.
const HELPER: &[(&str, &[&str])] = &[
    (
        "the kernel's",
        &["drop.rs", "end_processes.rs", "identity/credentials.rs"],
    ),
    (
        "root's: what tools left in /etc, the run file and the folder of PID files",
        &["account_files.rs", "app.rs"],
    ),
    (
        "asked for, to be told or refused alone",
        &["identity/confine.rs", "tree/acl/paths.rs", "tree/purge.rs"],
    ),
    (
        "the workspace's folder, in one of root's",
        &["identity/expect.rs"],
    ),
    ("folders that are open", &["leavings.rs"]),
];

/// The helper's files that are looked through.
const WITH_RIGHTS: &[&str] = &[
    "account_files.rs",
    "app.rs",
    "deps/seal.rs",
    "drop.rs",
    "end_processes.rs",
    "identity",
    "leavings.rs",
    "run.rs",
    "supervise.rs",
    "tree/acl",
    "tree/beneath.rs",
    "tree/purge.rs",
];

/// Calls that find a file by its name, following links.
const PLAIN: &[&str] = &[
    "File::create(",
    "File::open(",
    "OpenOptions::new(",
    "fs::canonicalize(",
    "fs::copy(",
    "fs::exists(",
    "fs::hard_link(",
    "fs::metadata(",
    "fs::read(",
    "fs::read_dir(",
    "fs::read_link(",
    "fs::read_optional(",
    "fs::read_to_string(",
    "fs::resolved(",
    "fs::set_permissions(",
    "fs::symlink_metadata(",
    ".canonicalize()",
    ".exists()",
    ".is_dir()",
    ".is_file()",
    ".is_symlink()",
    ".read_dir()",
    ".read_link()",
    ".symlink_metadata()",
    ".try_exists()",
];

#[test]
fn the_daemon_uses_plain_paths_only_where_no_workspace_can_change_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert_eq!(plain(&source, &[""]), listed(DAEMON));
}

#[test]
fn so_does_the_helper_where_it_has_roots_rights() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../helper/src");
    assert_eq!(plain(&source, WITH_RIGHTS), listed(HELPER));
}

fn listed(lists: &[(&str, &[&str])]) -> BTreeSet<String> {
    let names = lists.iter().flat_map(|(_, files)| files.iter());
    names.map(|name| (*name).to_owned()).collect()
}

/// The files with such calls outside of their tests.
fn plain(source: &Path, places: &[&str]) -> BTreeSet<String> {
    let mut left: Vec<PathBuf> = places.iter().map(|place| source.join(place)).collect();
    let mut found = BTreeSet::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let name = path
            .strip_prefix(source)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let is_test = name.contains("tests") || name.contains("fake");
        if !name.ends_with(".rs") || is_test {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        if PLAIN.iter().any(|call| code.contains(call)) {
            found.insert(name);
        }
    }
    assert!(found.len() > 3, "{found:?}");
    found
}
