use crate::{
    error::{Answer, Problem, Refusal},
    form::{Fields, Wish},
    i18n::Lang,
    page::{
        self,
        home::{self, Again},
    },
    visitor::Visitor,
};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect},
};
use cid_client::Kind;

/// Asks for a workspace and leads to its job, which outlives the workspace: when it fails and is
/// taken back, the job's page is where that is told.
pub async fn submit(visitor: Visitor, lang: Lang, fields: Fields) -> Answer {
    let bad_form = |status| Refusal(lang, Problem::BadForm(status));
    let fields = fields.map_err(|err| bad_form(err.status()))?;
    let wish = Wish::read(fields.0).ok_or_else(|| bad_form(StatusCode::BAD_REQUEST))?;

    let created = visitor.daemon.create(&wish.email, wish.project.as_deref());
    match created.await {
        Ok(created) => Ok(Redirect::to(&page::job_path(&created.job)).into_response()),
        // Wrong address, or a project that is not there: the form again, with what was typed.
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::NotFound) => {
            let again = Again {
                email: wish.email,
                project: wish.project,
                error: Some(error),
            };
            home::render(&visitor, lang, again).await
        }
        Err(error) => Err(Refusal(lang, error.into())),
    }
}
