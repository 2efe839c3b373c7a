//! A person's command in a workspace on a host.

use crate::{rig::to_run, scene::Scene};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
};

const WHO: [&str; 3] = ["sh", "-c", "id -u; id -G; grep CapBnd /proc/self/status"];

fn expected(scene: &Scene) -> String {
    format!(
        "{0}\n{0} {1}\nCapBnd:\t0000000000000000\n",
        scene.uid, scene.group
    )
}

#[test]
fn becomes_the_workspaces_user() {
    let Some(scene) = Scene::set() else { return };
    let file = scene.run_file("", Some(scene.run_as()));
    let mut command = scene.as_root();
    command.arg("run").arg(file).stdin(to_run(&WHO));
    let output = command.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        expected(&scene),
        "{output:?}"
    );
}

/// A folder with the run file, as a unit has it.
pub fn credentials(scene: &Scene) -> PathBuf {
    let file = scene.run_file("", Some(scene.run_as()));
    let credentials = scene.folder("credentials", scene.uid, 0o500);
    let credential = credentials.join("run-file");
    fs::copy(file, &credential).unwrap();
    fs::set_permissions(&credential, Permissions::from_mode(0o400)).unwrap();
    chown(&credential, Some(scene.uid), None).unwrap();
    credentials
}

#[test]
fn finds_the_run_file_that_its_unit_brings_along() {
    let Some(scene) = Scene::set() else { return };
    let credentials = credentials(&scene);
    let run = |groups: &[u32]| {
        let mut command = scene.as_user(scene.uid, groups);
        command
            .env("CREDENTIALS_DIRECTORY", &credentials)
            .args(["run", "--require-user", "-"])
            .stdin(to_run(&WHO));
        command.output().unwrap()
    };
    let output = run(&[scene.group]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        expected(&scene),
        "{output:?}"
    );
    let output = run(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("it is in the groups"), "{output:?}");
    assert!(output.stdout.is_empty());
}
