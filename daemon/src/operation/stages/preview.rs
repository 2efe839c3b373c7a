//! What a promotion or a rollback would change.

use super::{Place, builds, find, find_build, project_with, with_lost};
use crate::{
    cid::Cid,
    config::Project,
    domain::Build,
    error::Error,
    system::helpers::{Identity, ask_once},
};
use cid_protocol::request::{CompareCommits, Compared};

/// Which promotion or rollback is meant.
#[derive(Debug)]
pub struct WantedPreview {
    /// The project; empty where there is one only.
    pub project: String,
    /// The stage.
    pub stage: String,
    /// The build; `None`: the one that would be taken.
    pub build: Option<u32>,
    /// A rollback is meant.
    pub back: bool,
    /// Of a promotion: also a build that is older than what runs.
    pub older: bool,
}

/// What would change.
#[derive(Debug)]
pub struct Previewed {
    /// The build that would run.
    pub build: u32,
    /// The build that runs.
    pub running: Option<u32>,
    /// The commits between them.
    pub commits: Compared,
    /// What happened to the database since, of a rollback.
    pub notes: Vec<String>,
    /// Release commands would run.
    pub releases: bool,
    /// The database would be copied first.
    pub backs_up: bool,
}

/// Says what a promotion or a rollback would change.
///
/// # Errors
/// What it would fail with, but for jobs at work.
pub async fn preview(cid: &Cid, wanted: &WantedPreview) -> Result<Previewed, Error> {
    let name = project_with(cid, &wanted.project, &wanted.stage);
    let project = match wanted.back {
        true => {
            let project = cid.projects.standing_named_or_only(&name)?;
            with_lost(cid, project, &wanted.stage).0
        }
        false => cid.projects.named_or_only(&name)?,
    };
    let name = find(&project, &wanted.stage)?;
    let place = Place::of(cid, &project, &name).await?;
    let builds = builds(cid, &project).await?;
    let build = match (wanted.back, wanted.build) {
        (true, number) => find_build(&builds, &project.name, place.back_to(number, &builds)?)?,
        (false, Some(number)) => {
            let build = find_build(&builds, &project.name, number)?;
            place.refuse(build, wanted.older)?;
            build
        }
        (false, None) => place
            .newest(&builds)
            .ok_or_else(|| place.nothing_new(&builds))?,
    };
    let commits = match place.past.first() {
        Some(running) => compare(cid, &project, build, &running.commit).await?,
        None => Compared::default(),
    };
    let releases = !wanted.back && place.may_release();
    Ok(Previewed {
        build: build.number,
        running: place.running(),
        commits,
        notes: match wanted.back {
            true => place.since(build.number),
            false => Vec::new(),
        },
        backs_up: releases && place.backs_up(),
        releases,
    })
}

async fn compare(
    cid: &Cid,
    project: &Project,
    build: &Build,
    running: &str,
) -> Result<Compared, Error> {
    let ask = CompareCommits {
        mirror: cid.layout.mirror(&project.name),
        new: build.source.commit.clone(),
        old: running.to_owned(),
    };
    let identity = Identity::Git(project.name.clone());
    let limit = *cid.settings.limits.step;
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    Ok(ask_once(helpers, identity, limit, stopping, ask).await?)
}
