//! Environments that several workspaces use.

use super::installed::Installed;
use crate::{
    domain::{builder, project_group},
    engine::Cx,
};
use cid_kernel::fs;
use cid_protocol::{
    fault::Fault,
    request::{CheckPackages, DiscardPackages, LOCAL_LIST},
};
use std::{fs::File, path::PathBuf, time::SystemTime};

/// The mark of one that cannot be for several workspaces ends in this.
pub(crate) const ALONE: &str = "alone";

/// An environment of several workspaces.
pub(super) struct Shared {
    pub(super) key: String,
    pub(super) target: PathBuf,
    /// Says that the environment is complete, and not what a build may have written there.
    pub(super) mark: PathBuf,
}

/// What there is of an environment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It can be used.
    Sound,
    /// It was never completed.
    Incomplete,
    /// It is not as it was when it was completed; in which way.
    Damaged(String),
}

impl Shared {
    pub(super) fn of(cx: &Cx, key: String) -> Self {
        let (layout, project) = (&cx.sys().layout, cx.project_name());
        Self {
            target: layout.packages(project).join(&key),
            mark: layout.package_mark(project, &key),
            key,
        }
    }

    /// Whether packages of the repository were taken out of it, which each workspace has in its own tree. For what
    /// the operator's commands made, which tells it only then.
    pub(super) fn is_without_local(&self) -> Result<bool, Fault> {
        let list = fs::read_optional(&self.target.join(LOCAL_LIST))?;
        Ok(list.is_some_and(|list| list.trim() != "[]"))
    }

    /// Whether what is made by this key was found to work in its own tree alone.
    pub(super) fn cannot_be(&self) -> bool {
        fs::exists(&self.refusal())
    }

    pub(super) fn note_that_it_cannot_be(&self) -> Result<(), Fault> {
        fs::write_atomic(&self.refusal(), b"", 0o644)
    }

    fn refusal(&self) -> PathBuf {
        self.mark.with_extension(ALONE)
    }

    /// Whether it is complete; notes that it is used now, so that it is not taken for an old one.
    fn is_still_kept(&self) -> bool {
        let mark = File::options().write(true).open(&self.mark);
        let now = SystemTime::from(jiff::Timestamp::now());
        mark.is_ok_and(|mark| mark.set_modified(now).is_ok())
    }

    pub(super) fn is_complete(&self) -> bool {
        fs::exists(&self.mark)
    }

    /// Looks at it: in a sandbox its workspaces run as the user who may change it, and anywhere a folder can be
    /// removed by hand.
    pub(super) async fn look(&self, cx: &Cx) -> Result<Condition, Fault> {
        if !self.is_still_kept() {
            return Ok(Condition::Incomplete);
        }
        let check = CheckPackages {
            target: self.target.clone(),
            closely: false,
        };
        let checked = cx.ask(cx.user(), check).await?;
        Ok(checked.damage.map_or(Condition::Sound, Condition::Damaged))
    }

    /// Removes an environment that is not complete.
    pub(super) async fn discard_half(&self, cx: &Cx) {
        if self.is_complete() || !fs::exists(&self.target) {
            return;
        }
        let target = self.target.clone();
        let discard = DiscardPackages { target };
        if let Err(fault) = cx.ask(cx.builder(&self.key), discard).await {
            tracing::warn!("{fault}");
        }
        // On a host the helper only empties it.
        let _ = std::fs::remove_dir(&self.target);
    }

    /// On a host the folder of all packages is root's, so that a build reaches no other one.
    pub(super) fn make_place(&self, cx: &Cx) -> Result<(), Fault> {
        let Some(accounts) = cx.sys().accounts() else {
            return Ok(());
        };
        let project = cx.project_name();
        let (uid, gid) = accounts.numbers(&builder(project), &project_group(project))?;
        // The parent folder decides who gets this far.
        fs::make_dir(&self.target, 0o755)?;
        fs::give_to(&self.target, uid, gid)
    }
}

/// Refuses packages of several workspaces that are not as they were installed.
pub(super) async fn check_sound(packages: &Installed, cx: &Cx) -> Result<(), Fault> {
    let all = cx.sys().layout.packages(cx.project_name());
    let folders = [&packages.path, &packages.shared, &packages.packages];
    let folders = folders.into_iter().flatten();
    for folder in folders.filter(|folder| folder.parent() == Some(&all)) {
        let key = folder.file_name().unwrap_or_default().to_string_lossy();
        let damage = match Shared::of(cx, key.into_owned()).look(cx).await? {
            Condition::Sound => continue,
            Condition::Incomplete => "they are not complete".to_owned(),
            Condition::Damaged(damage) => damage,
        };
        return Err(Fault::new(format!(
            "cannot use the packages in {}: {damage}",
            folder.display()
        ))
        .hint("build the commit again: cictl build --again"));
    }
    Ok(())
}
