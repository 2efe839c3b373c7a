use crate::{
    asset, language, limits,
    page::{
        self, act, admin, away, build, change, create, delete, delivery, events, home, hook, job,
        logs, sign_in, test, visit, workspace,
    },
    rate, refusal, security, wake,
};
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use cid_client::Client;
use std::sync::Arc;
use tokio::sync::watch;
use tower_http::csrf::CsrfLayer;

/// What every page may use.
#[derive(Clone, Debug)]
pub struct App {
    /// The daemon; dialled when it is first asked, and again when the connection is gone.
    pub daemon: Client,
    /// The places there are for requests and streams.
    pub places: Arc<limits::Places>,
    /// Becomes true when the front is told to stop: streams end then.
    pub closing: watch::Receiver<bool>,
    /// Where people reach the front.
    pub own_address: Arc<away::OwnAddress>,
    /// Visitors of workspaces that do not answer.
    pub wakes: Arc<wake::Wakes>,
    /// Visitors of apps that are for people alone.
    pub visitors: Arc<visit::Known>,
}

impl App {
    /// The state of a front that asks `daemon`.
    pub fn new(daemon: Client, closing: watch::Receiver<bool>) -> Self {
        Self {
            daemon,
            places: Arc::default(),
            closing,
            own_address: Arc::default(),
            wakes: Arc::default(),
            visitors: Arc::default(),
        }
    }
}

/// All routes, and the layers around them. What changes something is a POST.
pub fn router(app: App) -> Router {
    let pages = Router::new()
        .route("/", get(home::show))
        .route("/workspaces", post(create::submit))
        .route("/workspaces/{project}/{who}", get(workspace::show))
        .route("/workspaces/{project}/{who}/restart", post(act::restart))
        .route("/workspaces/{project}/{who}/stop", post(act::stop))
        .route("/workspaces/{project}/{who}/sleep", post(act::sleep))
        .route("/workspaces/{project}/{who}/start", post(act::start))
        .route("/workspaces/{project}/{who}/deploy", post(act::deploy))
        .route("/workspaces/{project}/{who}/test", post(test::submit))
        .route("/jobs/{id}", get(job::show))
        .route("/jobs/{id}/cancel", post(act::cancel))
        .route("/jobs/{id}/retry", post(act::retry))
        .route("/projects/{project}", get(delivery::show))
        .route("/projects/{project}/builds/{number}", get(build::show))
        .route(
            "/projects/{project}/stages/{stage}/promote",
            get(change::ask_promote).post(change::promote),
        )
        .route(
            "/projects/{project}/stages/{stage}/rollback",
            get(change::ask_roll_back).post(change::roll_back),
        )
        .route(sign_in::PATH, get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/{token}", get(sign_in::link))
        .route("/ask-for-link", post(sign_in::ask))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/at/{host}", get(away::at))
        .route("/visit/{unit}", get(visit::ticket))
        .fallback(page::missing)
        .layer(from_fn_with_state(app.clone(), limits::admit));
    let administration = Router::new()
        .route(admin::PATH, get(admin::workspaces::show))
        .route("/admin/jobs", get(admin::jobs::show))
        .route("/admin/people", get(admin::people::show))
        .route("/admin/people/sign-out", post(admin::people::sign_out))
        .route("/admin/people/link", post(admin::people::link))
        .route("/admin/audit", get(admin::audit::show))
        .layer(from_fn_with_state(app.clone(), limits::admit));
    // These wait for remotes, or look at the whole machine.
    let looks = Router::new()
        .route("/admin/workspaces/delete", post(admin::remove::submit))
        .route("/admin/health", get(admin::health::show))
        .route("/projects/{project}/builds", post(delivery::build))
        .route(
            "/workspaces/{project}/{who}/delete",
            get(delete::ask).post(delete::submit),
        )
        .layer(from_fn_with_state(app.clone(), limits::admit_look));
    // Streams have places of their own: they stay open for as long as a job runs.
    let streams = Router::new()
        .route("/jobs/{id}/events", get(events::stream))
        .route(
            "/workspaces/{project}/{who}/logs/{process}",
            get(logs::download),
        )
        .route(
            "/workspaces/{project}/{who}/logs/{process}/events",
            get(logs::stream),
        );
    // Not counted among forms: who floods them keeps nobody from signing in.
    let hooks = Router::new().route("/hooks/{project}", post(hook::take));

    // On workspaces' own sites, in the place of their apps.
    let away = Router::new()
        .route("/.cid/away", get(away::silent))
        .route("/.cid/wake", get(away::stopped))
        .route("/.cid/nobody", get(away::nobody))
        .route("/.cid/check", get(visit::check))
        .route("/.cid/visitor", get(visit::visitor))
        .route("/.cid/enter", get(visit::enter))
        .with_state(app.clone());

    let limited = app.clone();
    let mut router = pages.merge(administration).merge(looks).merge(streams);
    for asset in [
        &asset::CSS,
        &asset::TIMES,
        &asset::LIVE,
        &asset::PAGE,
        &asset::ICON,
    ] {
        router = router.route(asset.path(), get(|| async { asset.serve() }));
    }
    router
        .layer(from_fn_with_state(limited, rate::limit))
        .merge(hooks)
        .layer(from_fn(language::choose))
        .layer(CsrfLayer::new())
        .layer(from_fn_with_state(app.clone(), refusal::tell))
        .layer(from_fn(security::headers))
        .with_state(app)
        .merge(away)
}
