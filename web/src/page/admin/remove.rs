//! `POST /admin/workspaces/delete`: several workspaces at once. What holds work stays.

use super::frame;
use crate::{
    error::Answer,
    form::Posted,
    i18n::{Lang, Said},
    limits::LOOK_TIMEOUT,
    page::{self, Frame},
};
use askama::Template;
use axum::http::StatusCode;
use cid_client::DeleteOptions;
use futures::{StreamExt, stream};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Each look waits for the remotes of a workspace.
const AT_ONCE: usize = 4;
/// The answer says of each workspace what came of it, so it comes before the request's own limit.
const LIMIT: Duration = Duration::from_secs(LOOK_TIMEOUT.as_secs() - 20);

/// Asks before the workspaces that were chosen are deleted; with `confirmed`, deletes those without work.
pub async fn submit(posted: Posted) -> Answer {
    let lang = posted.lang;
    let frame = frame(&posted.visitor, lang).await?;
    let (mut chosen, mut is_confirmed) = (Vec::new(), false);
    for (name, value) in &posted.fields {
        match (name.as_str(), value.split_once(' ')) {
            ("which", Some((email, project))) => {
                chosen.push((email.to_owned(), project.to_owned()));
            }
            ("confirmed", _) => is_confirmed = true,
            _ => return Err(posted.bad()),
        }
    }
    let daemon = &posted.visitor.daemon;
    let end = Instant::now() + LIMIT;
    let delete = async |(email, project): (String, String)| {
        let outcome = match is_confirmed {
            false => None,
            true => {
                let begun = daemon.delete(&email, Some(&project), DeleteOptions::default());
                Some(match timeout_at(end, begun).await {
                    Ok(Ok(begun)) => Outcome::Begun(page::job_path(&begun.job)),
                    Ok(Err(error)) => Outcome::Refused(lang.daemon_says(&error.message)),
                    Err(_) => Outcome::Unknown,
                })
            }
        };
        One {
            email,
            project,
            outcome,
        }
    };
    let mut rows = Vec::new();
    let mut all = stream::iter(chosen.into_iter().map(delete)).buffered(AT_ONCE);
    while let Some(one) = all.next().await {
        rows.push(one);
    }
    drop(all);
    let page = RemovePage {
        t: lang,
        frame,
        rows,
        is_confirmed,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

/// A workspace that was chosen.
struct One {
    email: String,
    project: String,
    /// What came of its delete; `None`: it has not been asked for.
    outcome: Option<Outcome>,
}

enum Outcome {
    /// The page of the job.
    Begun(String),
    Refused(Said),
    /// The git server took too long.
    Unknown,
}

#[derive(Template)]
#[template(path = "admin/remove.html")]
struct RemovePage {
    t: Lang,
    frame: Frame,
    rows: Vec<One>,
    is_confirmed: bool,
}

impl RemovePage {
    /// Which of the pages it is.
    fn at(&self) -> &'static str {
        super::PATH
    }
}
