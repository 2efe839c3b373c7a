use super::*;
use std::fs;

#[test]
fn files_wait_for_their_instance_and_go_back_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, place) = (dir.path().join("tree"), dir.path().join("place"));
    for folder in [&tree, &place] {
        fs::create_dir(folder).unwrap();
    }
    let gather = |version: &str, instance| {
        fs::create_dir_all(tree.join("out")).unwrap();
        fs::write(tree.join("out/app.css"), version).unwrap();
        let ask = CollectStatic {
            tree: tree.clone(),
            source: "out".into(),
            place: place.clone(),
            uids: Vec::new(),
            instance,
        };
        assert!(collect(&ask).unwrap().is_there);
    };
    let turn = |instance, back| {
        let place = place.clone();
        show(&ShowStatic {
            place,
            instance,
            back,
        })
        .unwrap();
    };
    let served = || fs::read_to_string(place.join(STATIC_FOLDER).join("app.css")).ok();
    gather("one", None);
    assert_eq!(served().as_deref(), Some("one"));
    // Nothing changes until the switch, and after a failure nothing has.
    gather("two", Some(1));
    assert_eq!(served().as_deref(), Some("one"));
    for (back, wanted) in [
        (true, "one"),
        (false, "two"),
        (false, "two"),
        (true, "one"),
        (true, "one"),
        (false, "two"),
    ] {
        turn(1, back);
        assert_eq!(served().as_deref(), Some(wanted));
    }
    // The next one, of which there is nothing to collect.
    fs::remove_dir_all(tree.join("out")).unwrap();
    let ask = CollectStatic {
        tree: tree.clone(),
        source: "out".into(),
        place: place.clone(),
        uids: Vec::new(),
        instance: Some(2),
    };
    assert!(!collect(&ask).unwrap().is_there);
    assert_eq!(served().as_deref(), Some("two"));
    turn(2, false);
    assert_eq!(served(), None);
    turn(2, true);
    assert_eq!(served().as_deref(), Some("two"));
    // The first of all.
    fs::remove_dir_all(place.join(STATIC_FOLDER)).unwrap();
    gather("three", Some(3));
    turn(3, false);
    assert_eq!(served().as_deref(), Some("three"));
    turn(3, true);
    assert_eq!(served(), None);
}
