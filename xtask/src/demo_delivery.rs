//! The part of the demo in which a push travels to production and back.

use anyhow::{Context, Result, ensure};
use cid_testkit::{GitServer, Sandbox, wait_until};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);
/// What the pushed change says.
const SIGN: &str = "Guest book, second edition";
const TEMPLATE: &str =
    include_str!("../../examples/guestbook/entries/templates/entries/index.html");

/// `examples/guestbook.toml` with the gate and the stages that are comments there.
pub fn with_stages(project: &str) -> String {
    let gate = "[app]\ntest = [[\"python\", \"manage.py\", \"test\"]]\n";
    // The demo says itself when to look at the remote.
    let git = "[git]\npoll = \"off\"\n";
    let project = project.replace("[git]\n", git);
    format!("{}{STAGES}", project.replacen("[app]", gate, 1))
}

const STAGES: &str = r#"
[stages.test]                      # each push to git.base is built, tested, and deployed here
env = { DATABASE_URL = "sqlite:///{directory}/data/db.sqlite3" }

[stages.production]
after = "test"                     # takes only builds that ran there
env = { DATABASE_URL = "sqlite:///{directory}/data/db.sqlite3" }
"#;

/// Builds, tests and deploys the base branch, then a push to it, and takes that back.
pub fn show(sandbox: &Sandbox, server: &GitServer) -> Result<()> {
    // A sandbox that was kept has been through it.
    if build_in(sandbox, "test").is_ok() {
        return Ok(());
    }
    let cictl = |args: &[&str]| {
        println!("==> cictl {}", args.join(" "));
        let output = sandbox.cictl(args)?.ok()?;
        Ok::<_, anyhow::Error>(output)
    };
    cictl(&["build"])?;
    cictl(&["promote", "test"])?;
    cictl(&["promote", "production"])?;
    ensure!(
        !page(sandbox, "production")?.contains(SIGN),
        "it is there before it was pushed"
    );

    println!("==> git push, of another title");
    let changed = TEMPLATE.replace("Guest book", SIGN);
    server.commit_file("main", "entries/templates/entries/index.html", &changed)?;
    cictl(&["project", "fetch", "guestbook"])?;
    wait_until(
        "the push to be built, tested and deployed to test",
        LIMIT,
        || (build_in(sandbox, "test").ok()? == 2).then_some(()),
    )?;
    ensure!(
        page(sandbox, "test")?.contains(SIGN),
        "test has another build"
    );
    cictl(&["promote", "production"])?;
    ensure!(
        page(sandbox, "production")?.contains(SIGN),
        "production has another build"
    );
    cictl(&["rollback", "production"])?;
    ensure!(
        !page(sandbox, "production")?.contains(SIGN),
        "it was not taken back"
    );
    print!("{}", cictl(&["stages"])?.stdout);
    Ok(())
}

/// The build that runs in a stage.
fn build_in(sandbox: &Sandbox, stage: &str) -> Result<u64> {
    let stages = sandbox.json(&["stages"])?;
    let mut stages = stages.as_array().into_iter().flatten();
    let found = stages.find(|one| one["name"] == stage);
    let build = found.and_then(|one| one["build"].as_u64());
    build.with_context(|| format!("nothing runs in {stage}"))
}

/// What a stage answers with.
fn page(sandbox: &Sandbox, stage: &str) -> Result<String> {
    let answer = sandbox.get(&format!("{stage}.guestbook.localhost"), "/")?;
    ensure!(
        answer.status == 200,
        "{stage} answers with status {}",
        answer.status
    );
    Ok(answer.body)
}
