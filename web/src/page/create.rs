use crate::{
    error::{Answer, Refusal},
    form::{Posted, Wish},
    page::{
        self,
        home::{self, Again},
    },
};
use axum::response::{IntoResponse, Redirect};
use cid_client::Kind;

/// Asks for a workspace and leads to its job, which outlives the workspace: when it fails and is
/// taken back, the job's page is where that is told.
pub async fn submit(posted: Posted) -> Answer {
    let wish = Wish::read(posted.fields.clone()).ok_or_else(|| posted.bad())?;
    let Posted { visitor, lang, .. } = posted;

    let (project, base) = (wish.project.as_deref(), wish.base.as_deref());
    let created = visitor.daemon.create(&wish.email, project, base);
    match created.await {
        Ok(created) => Ok(Redirect::to(&page::job_path(&created.job)).into_response()),
        // Wrong address, or a project that is not there: the form again, with what was typed.
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::NotFound) => {
            let again = Again {
                email: wish.email,
                project: wish.project,
                base: wish.base.unwrap_or_default(),
                error: Some(error),
            };
            home::render(&visitor, lang, again).await
        }
        Err(error) => Err(Refusal(lang, error.into())),
    }
}
