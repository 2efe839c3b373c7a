//! A Django project with many migrations: what the template saves, against what the app takes by itself.

use super::{create, floor::Floor, quiet_disk, spread::Spread};
use anyhow::{Context, Result};
use cid_testkit::{
    GitServer, Options, Sandbox, copy_tree, examples_dir, guestbook_toml, wait_until,
};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const MIGRATIONS: usize = 150;
/// A template may wait for everybody else.
const LIMIT: Duration = Duration::from_secs(300);

/// Measures and prints.
pub(super) fn run(runs: u8, bins: PathBuf) -> Result<()> {
    let mut sandbox = Sandbox::prepare_with(Options {
        bins: Some(bins),
        ..Options::default()
    })?;
    let home = sandbox.home()?.to_owned();
    let tree = home.join("many");
    copy_tree(&examples_dir().join("guestbook"), &tree)?;
    add_migrations(&tree)?;
    let server = GitServer::local(&home, "guestbook", &tree)?;
    let media = home.join("media");
    fs::create_dir(&media)?;
    sandbox.write_project("guestbook", &guestbook_toml(&server.url, &media)?)?;
    sandbox.start()?;

    println!("==> the first workspace, which installs the environment and migrates");
    create(&sandbox, "first@example.com")?;
    template(&sandbox, 1)?;
    let floor = Floor::new(&sandbox, &home, &server)?;
    println!("==> {runs} rounds: cid, and the app by itself with {MIGRATIONS} migrations");
    let mut rounds = Vec::new();
    for i in 0..runs {
        let cid = || create(&sandbox, &format!("user{i}@example.com"));
        let (took, (migrates, starts)) = match i % 2 {
            0 => {
                let took = cid()?;
                (took, floor.parts(i)?)
            }
            _ => {
                let parts = floor.parts(i)?;
                (cid()?, parts)
            }
        };
        println!("    cid {took:>7.3} s    migrates {migrates:>7.3} s    starts {starts:>7.3} s");
        rounds.push((took, migrates, starts));
    }
    println!("==> after a push: the first workspace, and the second");
    let mut after = Vec::new();
    for i in 0..runs.min(5) {
        server.commit_file("main", "pushed.txt", &format!("{i}\n"))?;
        sandbox.cictl(&["project", "fetch", "guestbook"])?.ok()?;
        template(&sandbox, usize::from(i) + 2)?;
        let first = create(&sandbox, &format!("pushed{i}@example.com"))?;
        let second = create(&sandbox, &format!("next{i}@example.com"))?;
        println!("    first {first:>7.3} s    second {second:>7.3} s");
        after.push((first, second));
    }
    println!("==> without a template");
    let toml = guestbook_toml(&server.url, &media)?;
    let toml = toml.replacen("\n[app]", "\n[app]\ntemplate = false\n", 1);
    sandbox.write_project("guestbook", &toml)?;
    sandbox.hup()?;
    wait_until("the project to be read again", LIMIT, || {
        let shown = sandbox.json(&["project", "list"]).ok()?;
        shown.as_array().filter(|all| all.len() == 1).map(drop)
    })?;
    let without: Vec<f64> = (0..runs.min(5))
        .map(|i| create(&sandbox, &format!("without{i}@example.com")))
        .collect::<Result<_>>()?;
    report(&rounds, &after, &without);
    sandbox.stop()
}

/// Each makes a table of its own.
fn add_migrations(tree: &Path) -> Result<()> {
    let folder = tree.join("entries/migrations");
    let mut before = "0001_initial".to_owned();
    for number in 2..=MIGRATIONS {
        let name = format!("{number:04}_table");
        let mut text = String::from("from django.db import migrations, models\n\n\n");
        write!(
            text,
            "class Migration(migrations.Migration):\n    dependencies = [(\"entries\", \"{before}\")]\n\n    \
             operations = [\n        migrations.CreateModel(\n            name=\"Table{number}\",\n            \
             fields=[\n                (\"id\", models.BigAutoField(primary_key=True)),\n                \
             (\"name\", models.CharField(max_length=80, db_index=True)),\n            ],\n        ),\n    ]\n"
        )?;
        fs::write(folder.join(format!("{name}.py")), text)?;
        before = name;
    }
    Ok(())
}

/// Waits until so many templates are made, and the disk has them.
fn template(sandbox: &Sandbox, count: usize) -> Result<()> {
    wait_until("a template", LIMIT, || {
        let jobs = sandbox.json(&["jobs", "list", "--limit", "1000"]).ok()?;
        let made = jobs.as_array()?.iter();
        let made = made.filter(|job| job["kind"] == "template" && job["state"] == "done");
        (made.count() >= count).then_some(())
    })
    .context("the benchmark needs a template")?;
    quiet_disk();
    Ok(())
}

fn report(rounds: &[(f64, f64, f64)], after: &[(f64, f64)], without: &[f64]) {
    let cid = Spread::of(rounds.iter().map(|(cid, ..)| *cid)).median;
    let migrates = Spread::of(rounds.iter().map(|(_, migrates, _)| *migrates)).median;
    let starts = Spread::of(rounds.iter().map(|(.., starts)| *starts)).median;
    let first = Spread::of(after.iter().map(|(first, _)| *first)).median;
    let second = Spread::of(after.iter().map(|(_, second)| *second)).median;
    let without = Spread::of(without.iter().copied()).median;
    println!("\nmedians: cid {cid:.3} s, without a template {without:.3} s");
    for (what, ratio) in [
        (
            "create / migrations and first answer",
            cid / (migrates + starts),
        ),
        ("create / start to first answer", cid / starts),
        ("first create after a push / second", first / second),
        ("create / the same without a template", cid / without),
    ] {
        println!("{what:<40}{ratio:>6.2}");
    }
}
