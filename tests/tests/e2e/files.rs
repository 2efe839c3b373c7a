//! Files of a repository as their own tools read them, and nothing passed over in silence.

use crate::stage::{ANNA, BERT, Stage};
use cid_testkit::Tree;
use std::{fs, os::unix::fs::symlink};

#[test]
fn a_procfile_is_read_whole_or_refused_by_its_line() {
    let procfile = "\u{feff}web: python3 app.py\r\nconsole: python3\r\nBeat_2: sleep 9999\r\n";
    let stage = Stage::of(&Tree::hello().with("Procfile", procfile), "");
    let said = stage.cictl_ends(0, &["create", ANNA]).text();
    assert!(
        said.contains("console in Procfile is not started"),
        "{said}"
    );
    let anna = stage.show(ANNA);
    stage.answers(&anna);
    let checked = stage.cictl_ends(0, &["project", "check"]).text();
    assert!(
        checked.contains("console in Procfile") && checked.contains("Beat_2, web"),
        "{checked}"
    );

    let push = |message: &str| {
        anna.git(&["add", "--all"]);
        anna.git(&[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b.c",
            "commit",
            "-qm",
            message,
        ]);
        anna.git(&["push", "-q", "origin", "HEAD:main"]);
    };
    // Another name for the same file, on the way to it a folder that is a link.
    let tree = anna.tree();
    fs::create_dir(tree.join("deploy")).unwrap();
    fs::rename(tree.join("Procfile"), tree.join("deploy/web.procfile")).unwrap();
    symlink("deploy", tree.join("etc")).unwrap();
    symlink("etc/web.procfile", tree.join("Procfile")).unwrap();
    push("linked");
    stage.create(BERT);
    stage.delete(BERT);

    fs::write(
        tree.join("deploy/web.procfile"),
        "web: python3 app.py\ncelery.worker: x\n",
    )
    .unwrap();
    push("bad");
    let checked = stage.cictl_ends(1, &["project", "check"]).text();
    let said = stage.create_is_taken_back(BERT);
    for said in [checked, said] {
        assert!(
            said.contains("line 2 of Procfile") && said.contains("celery.worker"),
            "{said}"
        );
    }
}
