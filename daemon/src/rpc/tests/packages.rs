//! Packages that nobody uses go, and no others.

use super::stage::Stage;
use crate::{
    domain::{Build, Creator, JobKind, Packages},
    keeper::{days_ago, forget_packages},
    store::{AppendedBuild, NewBuild},
};
use std::{
    fs::{self, File},
    path::PathBuf,
};

/// A complete environment that was last used so many days ago.
fn environment(stage: &Stage, key: &str, days: u16) -> (PathBuf, PathBuf) {
    let state = &stage.cid.layout.state_dir;
    let (folder, mark) = (
        state.join("packages/demo").join(key),
        state.join("built/demo").join(key),
    );
    fs::create_dir_all(folder.join("lib")).unwrap();
    let file = File::create(&mark).unwrap();
    file.set_modified(days_ago(days)).unwrap();
    (folder, mark)
}

/// A build that has its files, with these packages.
async fn sealed_build(stage: &Stage, packages: Option<PathBuf>) {
    let draft = Build::drafted(stage.cid.layout.state_dir.join("builds/demo"));
    let new = NewBuild {
        draft,
        kind: JobKind::Build,
        again: true,
        creator: Creator::User(0),
        plan: Box::new(|_| Ok(serde_json::json!({}))),
        limit: 9,
    };
    let store = &stage.cid.store;
    let AppendedBuild::Job(build) = store.submit_build(new).await.unwrap() else {
        panic!("it is there already");
    };
    fs::create_dir_all(&build.directory).unwrap();
    let packages = Packages {
        path: packages,
        ..Packages::default()
    };
    let sealed = store.set_sealed(build.id, "d".into(), packages).await;
    sealed.unwrap();
}

#[tokio::test]
async fn what_nobody_has_used_for_long_goes() {
    let stage = Stage::new();
    let (old, old_mark) = environment(&stage, "old", 31);
    let (_, refusal) = environment(&stage, "made.alone", 31);
    let (new, new_mark) = environment(&stage, "new", 29);
    let (used, used_mark) = environment(&stage, "used", 400);
    let run_file = stage.cid.layout.run_file_dir().join("demo.anna.json");
    fs::write(
        run_file,
        format!("{{\"VIRTUAL_ENV\": \"{}\"}}", used.display()),
    )
    .unwrap();
    let (built, built_mark) = environment(&stage, "built", 400);
    sealed_build(&stage, Some(built.clone())).await;
    // One that has other packages keeps none.
    sealed_build(&stage, None).await;
    assert_eq!(forget_packages(&stage.cid, days_ago(30)).await.unwrap(), 2);
    assert!(!old_mark.exists() && !refusal.exists());
    for path in [&new, &new_mark, &used, &used_mark, &built, &built_mark] {
        assert!(path.exists(), "{}", path.display());
    }
    let purged = stage.fake.requests().into_iter().any(
        |request| matches!(request, cid_protocol::request::Request::Purge(ask) if ask.path == old),
    );
    assert!(purged);
    // A second look finds nothing more.
    assert_eq!(forget_packages(&stage.cid, days_ago(30)).await.unwrap(), 0);
}
