use super::*;

/// Refuses files with `bad` in them, and two files with the same text. Of those with `aside` in them too
/// it knows that they are nobody's new ones.
struct Picky(Included);

#[async_trait]
impl Tester for Picky {
    async fn test(&self) -> Result<(), Objection> {
        let mut seen = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(&self.0.dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "conf") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            if text.contains("bad") || !seen.insert(text) {
                return Err(Objection::Refused(Refusal {
                    message: "no".into(),
                    file: Some(path),
                    line: Some(1),
                }));
            }
        }
        Ok(())
    }
    fn culprit(&self, unit: &UnitName, _: &Refusal) -> Fault {
        Fault::new(format!("culprit {unit}"))
    }
    fn foreign(&self, refusal: &Refusal) -> Fault {
        Fault::new(format!("foreign {}", refusal.place().unwrap()))
    }
    async fn set_aside(&self, refusal: &Refusal) -> Result<bool, Fault> {
        let file = refusal.file.as_ref().unwrap();
        let is_to_go = std::fs::read_to_string(file).unwrap().contains("aside");
        if is_to_go {
            set_aside(file)?;
            std::fs::write(file, "stands in").unwrap();
        }
        Ok(is_to_go)
    }
}

fn unit(name: &str) -> UnitName {
    UnitName::parse(&format!("shop.{name}")).unwrap()
}

fn put(name: &str, text: &str) -> Put {
    Put {
        unit: unit(name),
        text: text.into(),
    }
}

fn folder() -> (tempfile::TempDir, Included, Picky) {
    let dir = tempfile::tempdir().unwrap();
    let folder = Included::new(dir.path().to_owned());
    (dir, folder.clone(), Picky(folder))
}

fn outcome(admission: &Admission) -> Vec<Result<Option<&str>, &str>> {
    let verdicts = admission.verdicts.iter();
    verdicts
        .map(|verdict| {
            verdict
                .as_ref()
                .map(Option::as_deref)
                .map_err(|fault| fault.message.as_str())
        })
        .collect()
}

#[tokio::test]
async fn only_the_culprit_stays_out() {
    let (_dir, folder, tester) = folder();
    folder.write(&unit("b"), "old b").await.unwrap();
    let admission = folder
        .admit(
            &[put("a", "1"), put("b", "bad"), put("c", "2"), put("d", "2")],
            &tester,
        )
        .await;
    assert_eq!(
        outcome(&admission),
        [
            Ok(None),
            Err("culprit shop.b"),
            Ok(None),
            Err("culprit shop.d")
        ]
    );
    assert!(admission.standing.is_ok());
    assert_eq!(folder.read(&unit("b")).unwrap().as_deref(), Some("old b"));
    assert_eq!(folder.list().unwrap(), [unit("a"), unit("b"), unit("c")]);
}

#[tokio::test]
async fn a_foreign_file_is_blamed_and_nobody_rolled_back() {
    let (dir, folder, tester) = folder();
    folder.write(&unit("a"), "old a").await.unwrap();
    std::fs::write(dir.path().join("foreign.conf"), "bad").unwrap();
    let admission = folder
        .admit(&[put("a", "new a"), put("b", "1")], &tester)
        .await;
    let blame = format!("foreign {}/foreign.conf:1", dir.path().display());
    assert_eq!(
        outcome(&admission),
        [Err(blame.as_str()), Err(blame.as_str())]
    );
    assert!(admission.standing.is_err());
    assert_eq!(folder.read(&unit("a")).unwrap().as_deref(), Some("old a"));
    assert_eq!(folder.read(&unit("b")).unwrap(), None);
}

#[tokio::test]
async fn an_untested_leftover_of_the_same_unit_is_nobody_elses_fault() {
    let (_dir, folder, tester) = folder();
    folder.write(&unit("a"), "bad leftover").await.unwrap();
    let admission = folder
        .admit(&[put("a", "bad again"), put("b", "1")], &tester)
        .await;
    assert_eq!(outcome(&admission), [Err("culprit shop.a"), Ok(None)]);
    let admission = folder.admit(&[put("a", "2")], &tester).await;
    assert_eq!(outcome(&admission), [Ok(None)]);
}

#[tokio::test]
async fn what_went_bad_since_is_set_aside_and_nobody_waits_for_it() {
    let (dir, folder, tester) = folder();
    folder.write(&unit("gone"), "bad aside").await.unwrap();
    let admission = folder
        .admit(&[put("a", "bad"), put("b", "1")], &tester)
        .await;
    assert_eq!(outcome(&admission), [Err("culprit shop.a"), Ok(None)]);
    let text = folder.read(&unit("gone")).unwrap();
    assert_eq!(text.as_deref(), Some("stands in"));
    let broken = dir.path().join("shop.gone.conf.broken");
    assert_eq!(std::fs::read_to_string(&broken).unwrap(), "bad aside");
    // A good file is not blamed for it.
    folder.write(&unit("gone"), "bad aside").await.unwrap();
    let admission = folder.admit(&[put("c", "2")], &tester).await;
    assert_eq!(outcome(&admission), [Ok(None)]);
    // Also where nothing new comes.
    folder.write(&unit("gone"), "bad aside").await.unwrap();
    assert!(folder.admit(&[], &tester).await.standing.is_ok());
    assert!(folder.remove(&unit("gone")).await.unwrap());
    assert!(!broken.exists());
}
