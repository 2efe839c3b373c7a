//! Tests a build.

use super::{
    InstallDependencies, SealFiles,
    ended::judge,
    kept_output::KeptOutput,
    make_build_folder::make_for_tester,
    make_directory::{HOME, TMP, TREE, purge},
    run_build::surroundings,
    seal_files,
};
use crate::{
    config::Limits,
    domain::Verdict,
    engine::{Cx, Step},
    layout::TEST,
    system::{helpers::Identity, queue::Resource},
};
use cid_protocol::{
    environment::network,
    fault::Fault,
    request::{CopyBuild, ReadReports, Reports, RunCommand},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Runs the commands of `app.test` in a throw-away copy of a build's files. That they fail is no failure of
/// the job: it is the verdict.
#[derive(Serialize, Deserialize)]
pub struct TestBuild {
    /// The build's folder.
    pub directory: PathBuf,
    /// Where in the repository the app lives.
    pub app_dir: PathBuf,
    /// The commands, in order; the first that fails is the last.
    pub commands: Vec<Vec<String>>,
    /// How long all of them may take together, in seconds.
    pub seconds: u64,
    /// They reach more than what they start themselves.
    pub network: bool,
}

/// In the throw-away folder: where tests leave their reports.
const REPORTS: &str = "reports";
/// In the build's folder: all that the tests printed.
pub const OUTPUT: &str = "test.log";
/// For copying, checking and throwing away, beside the tests' own time.
const BESIDE: Duration = Duration::from_secs(600);

impl Step for TestBuild {
    const KIND: &'static str = "test-build.v1";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "test it".into()
    }

    fn limit(&self, _: &Limits) -> Duration {
        Duration::from_secs(self.seconds) + BESIDE
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let build = cx.build().await?;
        let ledger = |error: crate::store::StoreError| Fault::new(error.to_string());
        let verdict = match self.commands.is_empty() {
            true => Verdict {
                passed: true,
                message: "nothing was tested: [app] of the project file has no `test`".into(),
                ..Verdict::default()
            },
            false => {
                cx.store().set_testing(build.id).await.map_err(ledger)?;
                self.test(cx).await?
            }
        };
        cx.note(format!("verdict: {}", verdict.message));
        cx.store()
            .set_verdict(build.id, verdict)
            .await
            .map_err(ledger)
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

impl TestBuild {
    async fn test(&self, cx: &Cx) -> Result<Verdict, Fault> {
        let place = self.directory.join(TEST);
        // An earlier attempt's.
        purge(&place, cx).await?;
        // It stays root's on a host, as the build's own folder does.
        cid_kernel::fs::make_dir(&place, 0o755)?;
        for name in [TREE, HOME, TMP, REPORTS] {
            make_for_tester(&place.join(name), cx)?;
        }
        let _core = cx.turn(Resource::Core).await?;
        let project = cx.project_name().clone();
        let tester = Identity::Tester(project, self.directory.clone(), self.network);
        let copy = CopyBuild {
            source: self.directory.join(TREE),
            target: place.join(TREE),
        };
        cx.ask(tester.clone(), copy).await?;
        let failure = self.run(&tester, &place, cx).await?;
        let folder = place.join(REPORTS);
        let reports = cx.ask(tester, ReadReports { folder }).await?;
        for note in &reports.notes {
            cx.note(note);
        }
        purge(&place, cx).await?;
        self.check_seal(cx).await?;
        Ok(verdict(failure, reports))
    }

    /// Why the tests failed; `None`: they passed.
    async fn run(&self, tester: &Identity, place: &Path, cx: &Cx) -> Result<Option<String>, Fault> {
        let env = self.environment(place, cx)?;
        let output = KeptOutput::create(&self.directory.join(OUTPUT))?;
        let (begin, limit) = (Instant::now(), Duration::from_secs(self.seconds));
        for command in &self.commands {
            let shown = command.join(" ");
            let begins = format!("$ {shown}");
            output.line(&begins);
            cx.line(begins).await;
            let request = RunCommand {
                command: command.clone(),
                dir: place.join(TREE).join(&self.app_dir),
                env: env.clone(),
                alone: true,
            };
            let kept = output.clone();
            let each = move |line: &str| kept.line(line);
            let remaining = limit.saturating_sub(begin.elapsed());
            let ended = cx.ask_for(tester.clone(), request, remaining, each).await;
            let exited = match ended {
                Ok(Some(exited)) => exited,
                Ok(None) => {
                    let seconds = self.seconds;
                    return Ok(Some(format!(
                        "`{shown}` was ended: the tests may take {seconds} s (timeout under [test])"
                    )));
                }
                Err(fault) if fault.no_program => return Ok(Some(fault.message)),
                // A helper that was killed, or could not be started, says nothing about the commit.
                Err(fault) => return Err(fault),
            };
            if let Err(fault) = judge(exited, "test", &shown, "") {
                return Ok(Some(fault.message));
            }
        }
        Ok(None)
    }

    /// Nothing of the project's `[env]`: what stages and workspaces use is not for tests.
    fn environment(&self, place: &Path, cx: &Cx) -> Result<BTreeMap<String, String>, Fault> {
        let mut env = match self.network {
            true => network(),
            false => BTreeMap::new(),
        };
        env.extend(surroundings(place, cx)?);
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let database = text(place.join(TMP).join("test.sqlite3"));
        env.insert("DATABASE_URL".into(), format!("sqlite:///{database}"));
        // Read now: plans are journalled, and a variable may be a secret.
        let project = cx.project()?;
        let own = project.test.env.iter();
        env.extend(own.map(|(name, value)| (name.as_str().to_owned(), value.clone())));
        env.insert("CID_REPORTS".into(), text(place.join(REPORTS)));
        Ok(env)
    }

    /// In a sandbox tests run as the user who may change the build.
    async fn check_seal(&self, cx: &Cx) -> Result<(), Fault> {
        let sealed = cx.output::<SealFiles>()?;
        let packages = cx.output::<InstallDependencies>()?;
        let request = seal_files::request(&self.directory, true, &packages, cx);
        match cx.ask(cx.user(), request).await?.digest == sealed {
            true => Ok(()),
            false => Err(Fault::new(
                "cannot use the build: its files were changed while its tests ran",
            )
            .hint("have the tests write into their working folder, HOME or TMPDIR")),
        }
    }
}

fn verdict(failure: Option<String>, reports: Reports) -> Verdict {
    let Reports {
        tests,
        failed,
        skipped,
        names,
        ..
    } = reports;
    let counts = match tests {
        0 => String::new(),
        _ => format!(" ({tests} tests, {failed} failed, {skipped} left out)"),
    };
    let passed = failure.is_none() && failed == 0;
    let message = match failure {
        None if passed => format!("passed{counts}"),
        None => format!("failed{counts}: the commands succeeded and their reports name failures"),
        Some(why) => format!("failed{counts}: {why}"),
    };
    Verdict {
        passed,
        message,
        tests,
        failed,
        skipped,
        names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_failures_fails_what_succeeded() {
        let reports = |failed| Reports {
            tests: 3,
            failed,
            ..Reports::default()
        };
        assert!(verdict(None, reports(0)).passed);
        assert!(!verdict(None, reports(1)).passed);
        let told = verdict(Some("`x` ended with status 1".into()), reports(1));
        assert_eq!(
            told.message,
            "failed (3 tests, 1 failed, 0 left out): `x` ended with status 1"
        );
        assert_eq!(verdict(None, Reports::default()).message, "passed");
    }
}
