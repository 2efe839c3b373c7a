use crate::{
    error::{Answer, Refusal},
    form::Posted,
    i18n::Lang,
    page::{self, Frame, act, workspace::find},
    visitor::Visitor,
};
use askama::Template;
use axum::{extract::Path, http::StatusCode, response::Response};
use cid_client::{Conflict, DeleteOptions, Error, Kind, LeftFiles, Workspace};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Shows what would be lost with a workspace, and asks.
pub async fn ask(
    visitor: Visitor,
    lang: Lang,
    Path((project, who)): Path<(String, String)>,
) -> Answer {
    let refuse = |problem| Refusal(lang, problem);
    let frame = Frame::of(&visitor, lang).await?;
    let daemon = &visitor.daemon;
    let workspace = find(daemon, &project, &who).await.map_err(refuse)?;
    let project = Some(workspace.project.as_str());
    let looked = daemon.look_before_delete(&workspace.email, project, DeleteOptions::default());
    let found = match looked.await {
        Ok(look) => Found {
            looked: look.looked,
            files: look.files,
            ..Found::default()
        },
        Err(error) => Found::of(error).map_err(|error| refuse(error.into()))?,
    };
    Ok(show(lang, StatusCode::OK, frame, &workspace, found, false))
}

/// Deletes a workspace. Where work would be lost, its address must have been typed.
pub async fn submit(Path((project, who)): Path<(String, String)>, posted: Posted) -> Answer {
    let [looked, with_branch, discard, typed, shown] =
        posted.values(["looked", "with_branch", "discard", "typed", "shown"])?;
    let lang = posted.lang;
    let refuse = |problem| Refusal(lang, problem);
    let daemon = &posted.visitor.daemon;
    let workspace = find(daemon, &project, &who).await.map_err(refuse)?;
    let discard = discard.is_some();
    let is_typed = typed.is_some_and(|typed| typed.eq_ignore_ascii_case(&workspace.email));
    let frame = async || Frame::of(&posted.visitor, lang).await;
    let options = DeleteOptions {
        with_branch: with_branch.is_some(),
        discard: discard && is_typed,
        looked: looked.unwrap_or_default(),
        ..DeleteOptions::default()
    };
    let project = Some(workspace.project.as_str());
    if options.discard {
        // Consent is for what was shown: what came since is shown first.
        let looked = daemon.look_before_delete(&workspace.email, project, DeleteOptions::default());
        if let Err(error) = looked.await {
            let found = Found::of(error).map_err(|error| refuse(error.into()))?;
            if Some(found.mark()) != shown {
                let (status, frame) = (StatusCode::CONFLICT, frame().await?);
                return Ok(show(lang, status, frame, &workspace, found, false));
            }
        }
    }
    match daemon.delete(&workspace.email, project, options).await {
        Ok(deletion) => Ok(act::to_job(&deletion.job)),
        // Work that the person has not been asked about, or the address was not typed.
        Err(error) => {
            let found = Found::of(error).map_err(|error| refuse(error.into()))?;
            let status = StatusCode::CONFLICT;
            Ok(show(
                lang,
                status,
                frame().await?,
                &workspace,
                found,
                discard,
            ))
        }
    }
}

/// What a look found.
#[derive(Default)]
struct Found {
    /// Work that would be lost.
    lost: Option<Box<Conflict>>,
    /// What goes along without being work.
    files: LeftFiles,
    looked: String,
}

impl Found {
    /// Of a delete that was refused because work would be lost.
    fn of(mut error: Error) -> Result<Self, Error> {
        let conflict = error.conflict.take();
        match conflict {
            Some(mut lost)
                if error.kind == Kind::Conflict
                    && !(lost.work.is_empty() && lost.unseen.is_empty()) =>
            {
                let files = std::mem::take(&mut lost.files);
                Ok(Self {
                    lost: Some(lost),
                    files,
                    looked: String::new(),
                })
            }
            conflict => Err(Error { conflict, ..error }),
        }
    }
}

impl Found {
    /// What stands for the work that is listed; another list has another.
    fn mark(&self) -> String {
        let lost = self
            .lost
            .as_ref()
            .map(|lost| (&lost.work, &lost.unseen, lost.more_unseen));
        let text = format!("{lost:?}");
        HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..16])
    }
}

fn show(
    t: Lang,
    status: StatusCode,
    frame: Frame,
    workspace: &Workspace,
    found: Found,
    is_wrong: bool,
) -> Response {
    let page = DeletePage {
        t,
        path: page::workspace_path(workspace),
        frame,
        w: workspace,
        shown: found.mark(),
        lost: found.lost,
        files: found.files,
        looked: found.looked,
        is_wrong,
    };
    page::html(t, status, &page)
}

#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage<'a> {
    t: Lang,
    frame: Frame,
    w: &'a Workspace,
    path: String,
    lost: Option<Box<Conflict>>,
    /// See [`Found::mark`].
    shown: String,
    files: LeftFiles,
    looked: String,
    /// Another address was typed.
    is_wrong: bool,
}
