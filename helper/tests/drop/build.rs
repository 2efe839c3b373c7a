//! An environment in a folder whose parent is root's.

use crate::{rig::Helper, scene::Scene};
use cid_protocol::request::{BuildPackages, Dependencies, SealPackages};
use git2::{Repository, Signature};
use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, process::Command};

#[test]
fn is_built_in_place_and_emptied_when_that_fails() {
    let Some(scene) = Scene::set() else { return };
    let mirror = scene.path("mirror.git");
    let repository = Repository::init_bare(&mirror).unwrap();
    let commit = |text: &str| {
        let mut tree = repository.treebuilder(None).unwrap();
        let blob = repository.blob(text.as_bytes()).unwrap();
        tree.insert("requirements.txt", blob, 0o100_644).unwrap();
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let who = Signature::now("a", "a@example.com").unwrap();
        let id = repository.commit(None, &who, &who, "x", &tree, &[]);
        id.unwrap().to_string()
    };
    scene.folder("packages", 0, 0o755);
    let target = scene.folder("packages/one", scene.uid, 0o2770);
    let tools = scene.folder("tools", 0, 0o755);
    let mut command = scene.as_user(scene.uid, &[]);
    for (name, value) in std::env::vars().filter(|(name, _)| {
        ["PIP_", "UV_", "SSL_", "HTTP", "http"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    }) {
        command.env(name, value);
    }
    let lock = scene.folder("lock", scene.uid, 0o700).join("lock");
    let mut helper = Helper::start_by(command, &lock);
    let build = |helper: &mut Helper, text: &str| {
        helper.ask(BuildPackages {
            env: BTreeMap::new(),
            mirror: mirror.clone(),
            commit: commit(text),
            app_dir: ".".into(),
            dependencies: vec![Dependencies::Requirements],
            install: Vec::new(),
            python: None,
            node: None,
            target: target.clone(),
            tools_dir: tools.clone(),
            or_pip: true,
            may_bring_python: false,
            own_home: true,
        })
    };
    let (fault, _) = build(&mut helper, "six==0.0.0.0.1\n").unwrap_err();
    assert!(fault.starts_with("cannot install the dep"), "{fault}");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    build(&mut helper, "six\n").unwrap();
    let works = Command::new(target.join("bin/python"))
        .args(["-I", "-c", "import six"])
        .status();
    assert!(works.unwrap().success());
    let python = fs::symlink_metadata(target.join("bin/python")).unwrap();
    assert_eq!(python.uid(), scene.uid);
    // A sealed one is built again in its folder, by a user whom its write bits stop.
    let seal = SealPackages {
        target: target.clone(),
    };
    helper.ask(seal).unwrap();
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o222, 0);
    build(&mut helper, "six\n").unwrap();
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o700, 0o700);
    assert_eq!(fs::read_dir(&tools).unwrap().count(), 0);
}
