//! Runs the commands of `app.build`.

use super::{
    Inspect, InstallDependencies,
    ended::judge,
    install::builds,
    kept_output::KeptOutput,
    make_directory::{HOME, TMP, TREE},
    network::for_installers,
    variables::{DATABASE, random_text},
};
use crate::{
    config::Limits,
    engine::{Cx, Step},
    recipe::OwnValue,
    system::queue::Resource,
};
use cid_protocol::{fault::Fault, request::RunCommand};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Runs the commands of `app.build` in the build's files, as the project's builder.
#[derive(Serialize, Deserialize)]
pub struct RunBuild {
    /// The build's folder.
    pub directory: PathBuf,
    /// Where in the repository the app lives.
    pub app_dir: PathBuf,
    /// The commands, in order.
    pub commands: Vec<Vec<String>>,
}

/// In the build's folder: all that its commands printed.
pub const BUILD_LOG: &str = "build.log";

impl Step for RunBuild {
    const KIND: &'static str = "run-build.v1";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "run the build commands".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.install
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let commands = match self.commands.is_empty() {
            true => cx.output::<Inspect>()?.recipe.build,
            false => self.commands.clone(),
        };
        if commands.is_empty() {
            return Ok(());
        }
        let mut env = for_installers(&*cx.project()?, None);
        env.extend(surroundings(&self.directory, cx)?);
        let _turn = cx.turn(builds(cx)).await?;
        let _core = cx.turn(Resource::Core).await?;
        let output = KeptOutput::create(&self.directory.join(BUILD_LOG))?;
        for command in commands {
            let shown = command.join(" ");
            let begins = format!("$ {shown}");
            output.line(&begins);
            cx.line(begins).await;
            let request = RunCommand {
                command,
                dir: self.directory.join(TREE).join(&self.app_dir),
                env: env.clone(),
                alone: true,
            };
            let hint = "see its last lines of output; mend it in the repository, or `build` in [app] of the project file";
            let kept = output.clone();
            let each = move |line: &str| kept.line(line);
            let ended = cx.ask_hearing(cx.user(), request, each).await?;
            if let Err(fault) = judge(ended, "build", &shown, hint) {
                cx.store().set_blamed(cx.build().await?.id).await?;
                return Err(fault);
            }
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// Where commands of a build find programs, and where they may leave things; `home` is the folder with HOME
/// and TMPDIR.
pub(super) fn surroundings(home: &Path, cx: &Cx) -> Result<BTreeMap<String, String>, Fault> {
    let installed = cx.output::<InstallDependencies>()?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), installed.search_path(&home.join(TREE))),
        ("HOME".to_owned(), text(&home.join(HOME))),
        ("TMPDIR".to_owned(), text(&home.join(TMP))),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("PYTHONUNBUFFERED".to_owned(), "1".to_owned()),
        // Compiled files would be another content each time.
        ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
    ]);
    // What the app's settings do not start without.
    for (name, value) in cx.output::<Inspect>()?.recipe.own {
        let value = match value {
            OwnValue::Secret => random_text()?,
            OwnValue::Host | OwnValue::OneHost => "localhost".to_owned(),
            OwnValue::Origin => "http://localhost".to_owned(),
            OwnValue::Database => format!("sqlite:///{}", text(&home.join(HOME).join(DATABASE))),
        };
        all.insert(name, value);
    }
    all.extend(installed.variables);
    if let Some(environment) = &installed.path {
        all.insert("VIRTUAL_ENV".to_owned(), text(environment));
    }
    Ok(all)
}
