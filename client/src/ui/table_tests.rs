use super::*;
use crate::ui::sample;
use cid_client::{Health, ProcessState};

#[test]
fn workspaces_stand_in_columns() {
    let table = workspaces(&[sample::workspace()], None);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("EMAIL             PROJECT  STATE  HEALTH  URL"));
    assert!(lines[1].starts_with(
        "anna@example.com  pressa   ready  up      http://anna---example-com.pressa.localhost  "
    ));
    assert_eq!(lines.len(), 2);
    assert!(workspaces(&[], None).is_empty());
}

#[test]
fn a_workspace_shows_what_ails_it() {
    let process = |name: &str, state| Process {
        name: name.into(),
        state,
        since: None,
        restarts: 0,
        memory: Some(34 << 20),
        last_end: None,
        last_ended_at: None,
        last_lines: Vec::new(),
    };
    let worker = Process {
        restarts: 4,
        memory: None,
        last_end: Some("exit status 3".into()),
        last_lines: vec!["no \u{1b}[31mbroker".into()],
        ..process("worker", ProcessState::Crashing)
    };
    let shown = workspace(&Workspace {
        health: Health::Crashing,
        health_message: Some("worker has ended 5 times, last with exit status 3".into()),
        processes: vec![process("web", ProcessState::Running), worker],
        ..sample::workspace()
    });
    for line in [
        "health     crashing: worker has ended 5 times, last with exit status 3\n",
        "\nPROCESS  STATE     SINCE  RESTARTS  MEMORY  LAST END\n",
        "\nweb      running   -      0         34 MiB  -\n",
        "\nworker   crashing  -      4         -       exit status 3\n",
        "\n\nlast lines of worker:\n    no broker",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn eighty_columns_have_room_for_what_one_looks_for() {
    let id = "01a20460-5ed6-73cf-9ef4-43a98b1f8356";
    let job = Job {
        id: id.into(),
        ..sample::failed_job()
    };
    let jobs = jobs(&[job], Some(80));
    assert!(jobs.contains(id), "{jobs}");
    let longest = |text: &str| text.lines().map(|line| line.chars().count()).max();
    assert!(longest(&jobs) <= Some(80), "{jobs}");
    assert!(jobs.ends_with(": with -o wide)"), "{jobs}");
    let workspaces = workspaces(&[sample::workspace()], Some(80));
    assert!(workspaces.contains("http://anna---example-com.pressa.localhost"));
    assert!(longest(&workspaces) <= Some(80), "{workspaces}");
    assert!(workspaces.contains("  up "), "{workspaces}");
}

#[test]
fn what_a_job_waits_for_is_told() {
    let waiting = cid_client::Waiting {
        resource: cid_client::WaitingFor::Turn,
        of: None,
        ahead: 2,
        work: None,
        email: None,
        minutes: 0,
        text: "waiting for a turn: 2 ahead".into(),
    };
    let waiting = Job {
        waiting: Some(waiting),
        ..sample::failed_job()
    };
    let said = "\n\nwaiting for a turn: 2 ahead\n";
    assert!(job(&waiting).contains(said), "{}", job(&waiting));
    let listed = jobs(&[sample::failed_job(), waiting], None);
    assert!(
        listed.ends_with("\n\n0190: waiting for a turn: 2 ahead"),
        "{listed}"
    );
}

#[test]
fn what_was_not_deployed_is_told_with_its_reason() {
    let failed = |build| FailedDeployment {
        job: "0191".into(),
        at: jiff::Timestamp::UNIX_EPOCH,
        build,
        message: "web ended with \u{1b}[31mstatus 7".into(),
    };
    let own = Workspace {
        failed_deployment: Some(failed(None)),
        ..sample::workspace()
    };
    let listed = workspaces(std::slice::from_ref(&own), Some(80));
    assert!(listed.contains("up, deploy failed"), "{listed}");
    let at = time(jiff::Timestamp::UNIX_EPOCH);
    let said = format!("failed at {at}: web ended with status 7 (cictl jobs show 0191)");
    assert!(workspace(&own).contains(&said), "{}", workspace(&own));
    let stage = cid_client::Stage {
        name: "test".into(),
        project: "shop".into(),
        state: None,
        health: Health::Up,
        health_message: None,
        url: String::new(),
        build: Some(9),
        commit: None,
        previous: None,
        promotable: None,
        deployed_at: None,
        by: None,
        job: None,
        failed_deployment: Some(failed(Some(10))),
        held: Some("build 11 waits".into()),
    };
    let said = format!(
        "test of shop: build 10 was not deployed at {at}: web ended with status 7 (cictl jobs show 0191)"
    );
    let listed = stages(std::slice::from_ref(&stage), Some(80));
    assert!(listed.contains(&said), "{listed}");
    assert!(
        listed.ends_with("\ntest of shop: build 11 waits"),
        "{listed}"
    );
}

#[test]
fn a_job_shows_what_its_steps_noted_and_what_stays() {
    let mut told = sample::failed_job();
    told.notes = vec!["the tree was not brought up to date".into()];
    told.steps[1].stays = true;
    let text = job(&told);
    assert!(text.contains("\n\nnote: the tree was not"), "{text}");
    assert!(
        text.contains("install dependencies  not taken back"),
        "{text}"
    );
}

#[test]
fn a_job_shows_its_steps_and_its_trouble() {
    let text = job(&sample::failed_job());
    assert!(
        text.contains("\ninstall dependencies  undone  1.50s  install.v1\n"),
        "{text}"
    );
    assert!(
        text.contains("\nerror: cannot install: no such package"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn findings_say_how_to_mend_them() {
    let finding = sample::finding();
    assert_eq!(
        findings(std::slice::from_ref(&finding)),
        "[drift] vhost pressa.anna: the file is missing\n    write it again"
    );
    let repaired = Finding {
        repaired: true,
        ..finding
    };
    assert_eq!(
        findings(&[repaired]),
        "[repaired] vhost pressa.anna: the file is missing"
    );
}
