//! Checks that a project can be used: its file, its remote, its app, and what they name.

use super::story::story;
use crate::{
    cid::Cid,
    config::{GivenCertificate, NodeRange, Project, Projects, PythonVersion},
    doctor,
    domain::{Email, Name},
    error::Error,
    keeper,
    operation::known_project,
    recipe::{self, Recipe},
    step::{gid_of, uid_of},
    store::Silent,
    system::{
        credential,
        helpers::{Identity, ask_once},
        nginx::project_site,
        tls::Certificates,
        unwritable::unwritable,
    },
};
use cid_kernel::fs;
use cid_protocol::{
    environment::network,
    fault::Fault,
    request::{Dependencies, FindNode, FindPython, Inspect, Inspection, NodeFound, Push},
};
use std::path::Path;

/// How an [`Item`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good.
    Ok,
    /// Works, and may be a mistake.
    Warning,
    /// Does not work.
    Error,
}

/// One thing that was checked.
#[derive(Clone, Debug)]
pub struct Item {
    /// How it counts.
    pub severity: Severity,
    /// `PROJECT: KEY`.
    pub subject: String,
    /// What came of it.
    pub message: String,
    /// What to do; empty if nothing.
    pub hint: String,
}

/// Checks one project, or (empty) all.
///
/// # Errors
/// There is no such project, or the files or the ledger cannot be read.
pub async fn check(cid: &Cid, name: &str) -> Result<Vec<Item>, Error> {
    // Includes a file that was added or mended a moment ago.
    cid.read_projects().await?;
    keeper::keep_sites(cid).await;
    let shelf = cid.projects.all();
    if !name.is_empty() {
        known_project(cid, name).await?;
    }
    let is_meant = |one: &str| name.is_empty() || one == name;
    let bad = |project: &str, message: String, hint: &str| {
        item(Severity::Error, project, "file", message, hint)
    };
    let mut items = Vec::new();
    for gone in doctor::gone::gone(cid).await? {
        let project = gone.project.as_str();
        if is_meant(project) {
            items.push(bad(project, gone.told(), &gone.mend(cid)));
        }
    }
    for (stem, entry) in shelf.iter().filter(|(stem, _)| is_meant(stem)) {
        match entry {
            Err(error) => items.push(bad(stem, error.to_string(), "mend the file")),
            Ok(project) => check_one(cid, project, &mut items).await,
        }
    }
    Ok(items)
}

pub(super) fn item(
    severity: Severity,
    project: &str,
    subject: &str,
    message: String,
    hint: &str,
) -> Item {
    Item {
        severity,
        subject: format!("{project}: {subject}"),
        message,
        hint: hint.to_owned(),
    }
}

async fn check_one(cid: &Cid, project: &Project, items: &mut Vec<Item>) {
    let name = project.name.as_str();
    let mut say = |subject: &str, result: Result<String, Fault>| {
        items.push(match result {
            Ok(message) => item(Severity::Ok, name, subject, message, ""),
            Err(fault) => {
                let hint = fault.hint.clone().unwrap_or_default();
                item(Severity::Error, name, subject, fault.message, &hint)
            }
        });
    };
    say("file", Ok(format!("{} reads well", project.file.display())));
    if let Some(why) = cid.projects.unprepared(&project.name) {
        say("prepared", Err(Fault::new(why)));
    }
    let mut notes = Vec::new();
    let mut told = Vec::new();
    match remote(cid, project).await {
        Ok((message, base)) => {
            if silent(cid, project).await.is_some() {
                // What it has new is followed now, not at the next turn.
                cid.looks.hint(&project.name);
            }
            say("remote", Ok(message));
            match look_at(cid, project, base).await {
                Ok((recipe, inspection)) => {
                    let found = &inspection.found;
                    let shown = match found.is_empty() {
                        true => "the project file says how it runs".to_owned(),
                        false => format!("found {}", found.join(", ")),
                    };
                    say("app", recipe.as_ref().map(|_| shown).map_err(Clone::clone));
                    if let Ok(recipe) = &recipe {
                        told = story(project, &inspection, recipe);
                    }
                    if let Some(found) = python(cid, project, &inspection).await {
                        say("python", found);
                    }
                    let found = node(cid, &inspection).await;
                    notes = inspection.notes;
                    match found {
                        Some(Ok(found)) if found.is_other => notes.push(found.told),
                        Some(found) => say("node", found.map(|found| found.told)),
                        None => {}
                    }
                }
                Err(fault) => say("app", Err(fault)),
            }
        }
        Err(fault) => {
            let since = silent(cid, project).await.map(|silent| silent.since);
            let message = match since {
                Some(since) => format!(
                    "{}; it has not answered since {}",
                    fault.message,
                    since.strftime("%F %T UTC")
                ),
                None => fault.message.clone(),
            };
            say("remote", Err(Fault { message, ..fault }));
        }
    }
    for given in project.certificates() {
        say(&given.name.key(), certificate(cid, &given).await);
    }
    let noted = cid.note_work_dir(project).await;
    say("work_dir", noted.and_then(|()| work_dir(cid, project)));
    let is_there = |path: &Path| match path.exists() {
        true => Ok(format!("{} is there", path.display())),
        false => Err(Fault::new(format!("cannot find {}", path.display()))
            .hint("make it, or mend the project file")),
    };
    for (subject, path) in [
        ("git.identity_file", &project.git.identity_file),
        ("git.known_hosts", &project.git.known_hosts),
    ] {
        if let Some(path) = path {
            say(subject, is_there(path));
        }
    }
    if let Some(path) = &project.git.credential_file {
        let shown = path.display();
        say(
            "git.credential_file",
            credential::read(path).map(|_| format!("{shown} is cid's alone")),
        );
    }
    if let Some(path) = &project.git.webhook_secret_file {
        let shown = path.display();
        say(
            "git.webhook_secret_file",
            credential::webhook_secrets(path).map(|_| format!("{shown} is cid's alone")),
        );
    }
    check_notify(cid, project, &mut say);
    if let Some(env) = &project.app.env {
        say("app.env", is_there(&env.join("bin")));
    }
    match cid.sys.accounts() {
        Some(_) => {
            for (subject, state) in doctor::shared::look(cid, project).await {
                say(subject, state);
            }
        }
        None => {
            if let Some(media) = &project.media {
                say("media", is_there(&media.path));
            }
        }
    }
    for link in &project.links {
        say("links", is_there(&link.source));
    }
    let templates = project
        .files
        .iter()
        .filter_map(|file| file.template.as_ref());
    for template in templates.filter(|template| template.is_absolute()) {
        say("files", is_there(template));
    }
    if project.is_for_people() {
        let front = cid.sign_in.front_url();
        say(
            "visit.who",
            front
                .map(|url| format!("visitors sign in at {url}"))
                .ok_or_else(|| {
                    Fault::new("cannot let people in: it is not known where they sign in")
                        .hint("switch the front on (cictl front enable), or set url under [front] in cid.toml")
                }),
        );
    }
    let files = project.check_secrets().into_iter();
    for (key, looked) in files.chain(project.check_visits()) {
        say(&key, looked);
    }
    if let Some(group) = &project.access.deployers {
        say(
            "access.deployers",
            gid_of(group).map(|gid| format!("{group} is group {gid}")),
        );
    }
    if let Some(group) = &project.access.group {
        say(
            "access.group",
            gid_of(group).map(|gid| format!("{group} is group {gid}")),
        );
    }
    for account in project.access.people.values() {
        say(
            "access.people",
            uid_of(account).map(|uid| format!("{account} is user {uid}")),
        );
    }
    items.extend(told);
    for note in notes {
        items.push(item(Severity::Warning, name, "app", note, ""));
    }
    let worries = doctor::worries::worries(project).await;
    items.extend(worries.into_iter().map(|worry| {
        let (key, message) = (worry.key, worry.message);
        item(Severity::Warning, name, &key, message, &worry.mend)
    }));
}

/// Whether the secrets of `[notify]` can be used, and mail be sent.
fn check_notify(cid: &Cid, project: &Project, say: &mut dyn FnMut(&str, Result<String, Fault>)) {
    let notify = &project.notify;
    if let Some(status) = &notify.status {
        let repository = status.repository(&project.git.url);
        let at = repository.map(|at| format!("{} at {}", at.as_str(), status.base()));
        let told = credential::token(&status.token_file);
        say(
            "notify.status",
            told.map(|_| format!("commits of {} get a status", at.unwrap_or_default())),
        );
    }
    if let Some(webhook) = &notify.webhook {
        let told = credential::webhook_key(&webhook.secret_file);
        say(
            "notify.webhook",
            told.map(|_| format!("{} is told of builds and deployments", webhook.url.as_str())),
        );
    }
    if !notify.mail.is_empty() {
        say(
            "notify.mail",
            match cid.settings.mail {
                Some(_) => Ok(format!("{} get mail of failures", notify.mail.len())),
                None => Err(
                    Fault::new("cid sends no mail: there is no [mail] in cid.toml")
                        .hint("name the mail server there, and restart cid"),
                ),
            },
        );
    }
}

/// Since when the project's remote has not answered, by what the ledger saw.
async fn silent(cid: &Cid, project: &Project) -> Option<Silent> {
    let all = cid.store.silent_remotes().await.ok()?;
    all.into_iter().find(|one| one.project == project.name)
}

/// Makes it if it is missing, and checks that workspaces can be made in it.
fn work_dir(cid: &Cid, project: &Project) -> Result<String, Fault> {
    let work_dir = Projects::work_dir(project, &cid.layout.work_root);
    let made = fs::make_dir(&work_dir, 0o755);
    let unwritable = match cid.sys.accounts() {
        Some(_) => unwritable(&work_dir),
        None => None,
    };
    match unwritable {
        Some(fault) => Err(fault),
        None => made.map(|()| format!("{} is there", work_dir.display())),
    }
}

/// Checks the certificate, for us and for nginx. nginx gets it if it is new.
async fn certificate(cid: &Cid, given: &GivenCertificate) -> Result<String, Fault> {
    let pair = Certificates::read(given).await?;
    cid.sys.certificates.refresh(given).await?;
    Ok(format!(
        "the certificate is for {} and good until {}",
        given.hosts.join(", "),
        pair.not_after()
    ))
}

/// What the remote said, and the commit of base. Pushing a workspace's branch is tried too, without
/// creating it.
async fn remote(cid: &Cid, project: &Project) -> Result<(String, String), Fault> {
    let limit = *cid.settings.limits.git;
    let branch = sample_branch(project);
    let fetched = cid.engine.fetch(project, &branch, limit).await?;
    let base = fetched.base;
    let push = Push {
        mirror: cid.layout.mirror(&project.name),
        remote: project.remote(),
        branch,
        commit: base.clone(),
        expected: fetched.branch,
        dry_run: true,
    };
    let identity = Identity::Git(project.name.clone());
    let cancel = cid.stopping.clone();
    ask_once(cid.sys.helpers.as_ref(), identity, limit, cancel, push).await?;
    let (url, branch) = (&*project.git.url, &*project.git.base);
    let message = format!("{url} answers; {branch} is at {base:.10}; {PUSH_TRIED}");
    Ok((message, base))
}

/// What a workspace at this commit would be made of and run, or why nothing, and what else was found there.
///
/// # Errors
/// The mirror cannot be read.
pub(in crate::operation) async fn look_at(
    cid: &Cid,
    project: &Project,
    base: String,
) -> Result<(Result<Recipe, Fault>, Inspection), Fault> {
    let request = Inspect {
        mirror: cid.layout.mirror(&project.name),
        commit: base.clone(),
        base,
        trunk: None,
        app_dir: project.app.dir().to_owned(),
        given: recipe::given(project),
        install: recipe::install(project),
        python: project.app.python.as_ref().map(PythonVersion::text),
        settings: recipe::settings(project),
        node: project.app.node.as_ref().map(NodeRange::text),
    };
    let (identity, limit) = (
        Identity::Git(project.name.clone()),
        *cid.settings.limits.step,
    );
    let cancel = cid.stopping.clone();
    let inspection = ask_once(cid.sys.helpers.as_ref(), identity, limit, cancel, request).await?;
    let recipe = Recipe::new(project, &inspection);
    let recipe = recipe.map(|recipe| match project_site::workspaces(&cid.sys, project) {
        Some(_) => recipe,
        None => recipe.on_port(project, &inspection),
    });
    Ok((recipe, inspection))
}

/// Checks that the machine has a Python that the repository takes; `None` where cid makes no environment.
async fn python(
    cid: &Cid,
    project: &Project,
    inspection: &Inspection,
) -> Option<Result<String, Fault>> {
    let is_python = |kind: &Dependencies| kind.is_python();
    let installs = inspection.dependencies.iter().any(is_python) || project.app.install.is_some();
    if !installs || project.app.env.is_some() {
        return None;
    }
    let request = FindPython {
        wanted: inspection.python.clone(),
        may_bring: cid.settings.python_downloads,
        tools_dir: cid.layout.tools_dir(),
        // Its account is that of all projects' tools: none of the project's variables reach it.
        env: network(),
    };
    let (identity, limit) = (Identity::Tools, *cid.settings.limits.step);
    let cancel = cid.stopping.clone();
    let found = ask_once(cid.sys.helpers.as_ref(), identity, limit, cancel, request).await;
    Some(found.map(|found| found.told))
}

/// Says which Node would be used; `None` where it has nothing to do.
async fn node(cid: &Cid, inspection: &Inspection) -> Option<Result<NodeFound, Fault>> {
    let request = FindNode {
        wanted: inspection.node.clone()?,
        tools_dir: cid.layout.tools_dir(),
        env: network(),
    };
    let (identity, limit) = (Identity::Tools, *cid.settings.limits.step);
    let cancel = cid.stopping.clone();
    Some(ask_once(cid.sys.helpers.as_ref(), identity, limit, cancel, request).await)
}

/// A push that is only tried ends before the server looks at what it would store.
const PUSH_TRIED: &str =
    "it lets a push begin (hooks, protected branches and its disk were not tried)";

/// The name that a workspace's branch would have.
fn sample_branch(project: &Project) -> String {
    let name = Email::parse("project-check@example.org")
        .ok()
        .and_then(|email| Name::candidates(&email).next());
    name.map_or_else(
        || project.git.base.to_string(),
        |name| project.branch_for(&name),
    )
}
