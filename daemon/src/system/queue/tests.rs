use super::*;

fn who(project: &str, person: &str) -> Arc<Who> {
    let project = ProjectName::parse(project).unwrap();
    let owner = Owner::parse(&format!("{person}@example.com")).unwrap();
    Arc::new(Who::step(Uuid::now_v7(), project, Some(owner), "install"))
}

fn job(who: &Who) -> Uuid {
    who.job.unwrap()
}

async fn enter(queues: &Arc<Queues>, who: &Arc<Who>) -> Turn {
    let cancel = CancellationToken::new();
    queues.take(Resource::Core, who, &cancel).await.unwrap()
}

#[tokio::test]
async fn turns_go_round_projects_and_their_people() {
    let queues = Arc::new(Queues::new(1, 1));
    let server = || Resource::GitServer("git.example.org".into());
    let first = queues.enter(server(), &who("x", "zoe"));
    let all = [
        ("x", "anna"),
        ("x", "anna"),
        ("x", "ben"),
        ("x", "anna"),
        ("y", "carl"),
        ("y", "carl"),
    ];
    let enter = |(project, person)| {
        let who = who(project, person);
        let entry = queues.enter(server(), &who);
        (format!("{project}/{person}"), job(&who), entry)
    };
    let mut entries: Vec<_> = all.into_iter().map(enter).collect();
    let told: Vec<_> = entries
        .iter()
        .map(|(_, job, _)| queues.waiting(*job).unwrap().ahead)
        .collect();
    assert_eq!(told, [2, 5, 4, 6, 1, 3]);
    drop(first);
    let mut order = Vec::new();
    while !entries.is_empty() {
        let come = entries
            .iter_mut()
            .position(|(_, _, entry)| entry.coming.try_recv().is_ok());
        order.push(entries.remove(come.expect("one has come")).0);
    }
    assert_eq!(
        order,
        ["y/carl", "x/anna", "y/carl", "x/ben", "x/anna", "x/anna"]
    );
}

#[tokio::test]
async fn a_project_that_hangs_leaves_places_to_others() {
    let queues = Arc::new(Queues::new(2, 1));
    let hang: Vec<Turn> = vec![
        enter(&queues, &who("a", "anna")).await,
        enter(&queues, &who("a", "ben")).await,
    ];
    let third = queues.enter(Resource::Core, &who("a", "carl"));
    // A place beyond the cores is only for who has none.
    let other = enter(&queues, &who("b", "dora")).await;
    let more = queues.enter(Resource::Core, &who("b", "emil"));
    assert!(third.ready().is_none());
    assert!(more.ready().is_none());
    let mut turns = vec![other];
    for project in ["c", "d", "e"] {
        turns.push(enter(&queues, &who(project, "x")).await);
    }
    // And there are not more than that.
    assert!(
        queues
            .enter(Resource::Core, &who("f", "x"))
            .ready()
            .is_none()
    );
    drop((hang, turns));
    assert!(queues.lines().of.is_empty(), "nothing is kept");
}

#[tokio::test]
async fn of_a_git_server_there_are_not_more_connections_than_said() {
    let queues = Arc::new(Queues::new(2, 2));
    let server = || Resource::GitServer("git.example.org".into());
    let entries: Vec<Entry> = (0..3)
        .map(|at| queues.enter(server(), &who(&format!("p{at}"), "anna")))
        .collect();
    let other = Resource::GitServer("git.example.org:2222".into());
    assert!(queues.enter(other, &who("p", "anna")).ready().is_some());
    assert!(queues.is_wanted(&server()));
    let ready = entries.into_iter().filter_map(Entry::ready);
    assert_eq!(ready.collect::<Vec<_>>().len(), 2);
    assert!(!queues.is_wanted(&server()));
}

#[tokio::test]
async fn who_waits_is_told_for_whom() {
    let queues = Arc::new(Queues::new(2, 1));
    let _hang = [
        enter(&queues, &who("a", "ben")).await,
        enter(&queues, &who("a", "anna")).await,
    ];
    let (carl, dora) = (who("a", "carl"), who("a", "dora"));
    let first = queues.enter(Resource::Core, &carl);
    let _second = queues.enter(Resource::Core, &dora);
    let told = |who: &Who| queues.waiting(job(who)).map(|waiting| waiting.to_string());
    let expected = "waiting for a turn: 2 ahead (install of ben@example.com in a)";
    assert_eq!(told(&carl).unwrap(), expected);
    let expected = "waiting for a turn: 3 ahead (install of ben@example.com in a)";
    assert_eq!(told(&dora).unwrap(), expected);
    drop(first);
    assert_eq!(told(&carl), None);
    let expected = "waiting for a turn: 2 ahead (install of ben@example.com in a)";
    assert_eq!(told(&dora).unwrap(), expected);
    assert_eq!(queues.all_waiting().len(), 1);
    let ahead = Ahead {
        work: "install".into(),
        owner: Owner::parse("ben@example.com").ok(),
        project: ProjectName::parse("b"),
        minutes: 3,
    };
    assert_eq!(ahead.to_string(), "install of ben@example.com in b, 3 min");
    let fetch = Ahead {
        work: "fetch".into(),
        owner: None,
        ..ahead
    };
    assert_eq!(fetch.to_string(), "fetch in b, 3 min");
}

#[tokio::test]
async fn waiting_is_counted_apart_and_ends_with_a_cancel() {
    let queues = Arc::new(Queues::new(1, 1));
    let mirror = Resource::Mirror(ProjectName::parse("a").unwrap());
    let anna = who("a", "anna");
    let turn = queues.try_take(mirror.clone(), &anna).unwrap();
    assert!(queues.try_take(mirror.clone(), &anna).is_none());
    let ben = who("a", "ben");
    let cancel = CancellationToken::new();
    let waiting = tokio::spawn({
        let (queues, ben, cancel) = (Arc::clone(&queues), Arc::clone(&ben), cancel.clone());
        let mirror = mirror.clone();
        async move { queues.take(mirror, &ben, &cancel).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(ben.waited() >= Duration::from_millis(40));
    cancel.cancel();
    assert!(waiting.await.unwrap().unwrap_err().cancelled);
    let waited = ben.waited();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(ben.waited(), waited);
    drop(turn);
    assert!(queues.try_take(mirror, &anna).is_some());
}
