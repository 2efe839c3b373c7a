//! The daemon's life: configuration, ledger, engines, sockets and jobs, until it is told to stop.

mod ports;

use crate::{
    authz::{Gate, OwnerOnly},
    cid::{Cid, Streams},
    config::{self, Projects, Settings, Shelf},
    doctor,
    domain::ProjectName,
    engine::{Engine, Hooks},
    health::Looker,
    host, keeper,
    layout::{KEPT_MODE, Layout, kept_dir, trash_dir},
    notify, operation,
    reload::Telling,
    rpc::{self, Doors},
    sandbox::{self, Engines},
    sign_in::SignIn,
    status, step,
    store::Store,
    system::{
        Site, System,
        git_servers::GitServers,
        launcher::HelperLauncher,
        nginx::{Nginx, RealNginx},
        probe::RealProbe,
        queue::Queues,
        session,
        supervisor::RealSupervisor,
        tls::Certificates,
    },
    trigger,
};
use anyhow::Context;
use cid_kernel::fs;
use cid_protocol::fault::{Fault, FaultContext};
use nix::fcntl::{Flock, FlockArg};
use ports::{HTTP, HTTPS};
use sd_notify::NotifyState;
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Options of a sandbox.
pub struct SandboxOptions {
    /// The sandbox's folder; created when missing.
    pub dir: PathBuf,
    /// The loopback port on which nginx listens; `None`: the port of the last run, or 8080.
    pub http_port: Option<u16>,
    /// The HTTPS port, used once a project has a certificate; `None`: the port of the last run, or 8443.
    pub https_port: Option<u16>,
    /// The folder of `cid-helper` and `cid-web`.
    pub bin_dir: PathBuf,
    /// Observers of the engine.
    pub hooks: Arc<dyn Hooks>,
}

/// Runs a sandbox until SIGTERM or SIGINT.
///
/// # Errors
/// The sandbox cannot be started, or cannot be stopped in an orderly way.
pub async fn sandbox(options: SandboxOptions) -> anyhow::Result<()> {
    // This comes first so that no signal is missed.
    let signals = Signals::new()?;
    let dir = std::path::absolute(&options.dir).context("cannot tell the sandbox's folder")?;
    let layout = Arc::new(Layout::sandbox(&dir));
    sandbox::check_paths(&layout, &options.bin_dir)?;
    fs::make_dir(&dir, 0o755)?;
    if nix::unistd::geteuid().is_root() {
        tracing::warn!(
            "this sandbox runs as root: what workspaces run, and whoever can reach it, is root too; start it as an ordinary user"
        );
    }
    prepare(&layout)?;
    let _lock = lock(&layout)?;
    let settings = Arc::new(Settings::load(&layout.config_file())?);
    let projects = Arc::new(Projects::load(&layout)?);
    let store = Store::open(&layout.database())?;
    let http_port = HTTP.choose(options.http_port, &layout, &store).await?;
    let https_port = HTTPS.choose(options.https_port, &layout, &store).await?;
    // All checks that can fail come before the engines are started: engines outlive a daemon that fails.
    let doors = Doors::bind(&layout)?;
    let engines = Engines::start(&layout, http_port, &options.bin_dir, &settings.nginx).await?;
    let site = Site {
        listen: sandbox::listen_addresses(http_port),
        http_port,
        listen_https: sandbox::listen_addresses(https_port),
        https_port,
        front: sandbox::front_socket(&layout),
        app_helper: options.bin_dir.join("cid-helper"),
        helper: options.bin_dir.join("cid-helper"),
    };
    let nginx: Arc<dyn Nginx> = Arc::new(RealNginx::new(engines.nginx_paths()));
    let helpers = HelperLauncher::local(Arc::clone(&layout), site.helper.clone());
    let queues = Arc::new(Queues::new(
        settings.cores(),
        settings.git_connections.get(),
    ));
    let sys = System {
        layout: Arc::clone(&layout),
        certificates: Arc::new(Certificates::new(Arc::clone(&layout), Arc::clone(&nginx))),
        nginx,
        supervisor: Arc::new(RealSupervisor::new(&layout)),
        host: None,
        helpers: Arc::new(GitServers::new(Arc::new(helpers), Arc::clone(&queues))),
        queues,
        probe: Arc::new(RealProbe {
            http_port,
            https_port,
        }),
        sessions: Arc::default(),
        templates: Arc::default(),
        site: Arc::new(site),
    };
    let front_url = sys.site.url("localhost", false);
    let cid = Cid {
        mode: "sandbox",
        front_url,
        ..assemble(
            sys,
            store,
            projects,
            settings,
            config::SignIn::Open,
            options.hooks,
        )
    };
    // Links go by mail as well as by hand.
    cid.sign_in.answer_at(Some(cid.front_url.clone()));
    cid.recall_rights().await?;
    prepare_projects(&cid, &cid.projects.all()).await;
    let gate = Gate::new(Arc::new(OwnerOnly {
        uid: nix::unistd::geteuid().as_raw(),
    }));
    let sockets = [cid.layout.socket(), cid.layout.web_socket()];
    serve(cid, gate, doors, signals).await?;
    for socket in &sockets {
        fs::remove_file(socket)?;
    }
    engines.stop().await?;
    Ok(())
}

/// Options of an installed host.
pub struct HostOptions {
    /// The folder of `cid-helper`.
    pub bin_dir: PathBuf,
    /// Observers of the engine.
    pub hooks: Arc<dyn Hooks>,
}

/// Serves an installed host until SIGTERM. systemd has made the sockets and keeps the engines up.
///
/// # Errors
/// The daemon cannot be started, or cannot be stopped in an orderly way.
pub async fn host(options: HostOptions) -> anyhow::Result<()> {
    let signals = Signals::new()?;
    let layout = Arc::new(Layout::host());
    let doors = Doors::inherited(&layout)?;
    host::make_folders(&layout)?;
    let _lock = lock(&layout)?;
    let settings = Arc::new(Settings::load(&layout.config_file())?);
    let projects = Arc::new(Projects::load_beside(&layout, host::is_member)?);
    let store = Store::open(&layout.database())?;
    let sys = host::system(&layout, &settings, &projects, &options.bin_dir).await?;
    let sign_in = config::SignIn::Verified;
    let cid = assemble(sys, store, projects, settings, sign_in, options.hooks);
    cid.recall_rights().await?;
    prepare_projects(&cid, &cid.projects.all()).await;
    let gate = Gate::new(Arc::new(host::authority(&cid.projects, &cid.settings)?));
    let helpers = Arc::clone(&cid.sys.helpers);
    serve(cid, gate, doors, signals).await?;
    // systemd kills processes that the daemon leaves behind, and logs it each time.
    helpers.stop().await;
    Ok(())
}

/// Builds what all calls are answered with, on a host.
fn assemble(
    sys: System,
    store: Store,
    projects: Arc<Projects>,
    settings: Arc<Settings>,
    sign_in: config::SignIn,
    hooks: Arc<dyn Hooks>,
) -> Cid {
    let engine = Engine::new(
        sys.clone(),
        store.clone(),
        Arc::clone(&projects),
        Arc::clone(&settings),
        hooks,
        step::decode,
    );
    Cid {
        engine,
        sign_in: SignIn::new(store.clone(), Arc::clone(&settings), sign_in),
        store,
        health: Arc::new(Looker::new(sys.clone(), Arc::clone(&projects))),
        layout: Arc::clone(&sys.layout),
        sys,
        settings,
        projects,
        mode: "host",
        front_url: String::new(),
        prepare: |cid, shelf| Box::pin(prepare_projects(cid, shelf)),
        turns: Arc::default(),
        looks: Arc::default(),
        deliveries: Arc::default(),
        streams: Streams::default(),
        stopping: CancellationToken::new(),
    }
}

/// Reports what is wrong with projects, and remembers it for later questions.
async fn prepare_projects(cid: &Cid, shelf: &Shelf) -> Vec<String> {
    for project in shelf.values().flatten() {
        if let Err(fault) = cid.note_work_dir(project).await {
            tracing::error!(PROJECT = project.name.as_str(), "{fault}");
        }
    }
    let problems = match cid.sys.accounts() {
        Some(accounts) => host::prepare_projects(shelf, &cid.layout, accounts).await,
        None => make_work_dirs(shelf, &cid.layout),
    };
    let told = problems.iter();
    let told = told
        .map(|(project, why)| format!("{project}: {why}"))
        .collect();
    cid.projects.set_unprepared(problems);
    told
}

/// The part that a sandbox and a host have in common.
async fn serve(cid: Cid, gate: Gate, doors: Doors, mut signals: Signals) -> anyhow::Result<()> {
    cid.store.release_stray_ports().await?;
    cid.recall_deliveries().await?;
    keeper::renew_room_for_units(&cid);
    doctor::mend_accounts(&cid).await?;
    doctor::mend_away(&cid).await?;
    let recovered = cid.engine.recover().await?;
    tokio::spawn(end_stray_helpers(cid.clone()));
    let server = tokio::spawn(rpc::serve(cid.clone(), gate, doors, cid.stopping.clone()));
    let mails = tokio::spawn(cid.deliver_mail());
    if let Err(fault) = keeper::front::resume_front(&cid).await {
        tracing::error!("{fault}");
    }
    let debts = tokio::spawn(keeper::settle_forever(cid.clone()));
    let sites = tokio::spawn(keeper::keep_sites_forever(cid.clone()));
    let builds = tokio::spawn(operation::tidy_builds_forever(cid.clone()));
    let templates = tokio::spawn(operation::make_templates_forever(cid.clone()));
    let sleeping = tokio::spawn(operation::sleep_forever(cid.clone()));
    let watching = tokio::spawn(trigger::watch_forever(cid.clone()));
    let carrying = tokio::spawn(trigger::carry_forever(cid.clone()));
    let deliveries = tokio::spawn(cid.clone().keep_deliveries());
    let telling_others = tokio::spawn(notify::tell_forever(cid.clone()));
    let forgetting = tokio::spawn(keeper::forget_forever(cid.clone()));
    let watchdog = tokio::spawn(status::feed_watchdog(cid.clone()));
    let status = tokio::spawn(status::keep_told(cid.clone()));
    let mut telling = Telling::new(&cid.layout, cid.sys.is_host());
    sd_notify::notify(&[NotifyState::Ready]).ok();
    tracing::info!("ready: {} (jobs taken up: {recovered})", how_to_use(&cid));
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                telling.begin();
                telling.end(reload(&cid).await);
            }
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
        }
    }
    tracing::info!("stopping; jobs under way go on at the next start");
    cid.stopping.cancel();
    cid.engine.stop().await;
    let served = server.await.context("the server ended badly")?;
    if !cid.sys.sessions.close(session::END_LIMIT).await {
        tracing::warn!("some commands in workspaces are still being ended");
    }
    let _ = tokio::join!(
        mails,
        debts,
        sites,
        templates,
        builds,
        sleeping,
        watching,
        carrying,
        deliveries,
        telling_others,
        forgetting,
        watchdog,
        status
    );
    served.map_err(Into::into)
}

/// Says how to reach this daemon.
fn how_to_use(cid: &Cid) -> String {
    let socket = cid.layout.socket();
    match cid.front_url.as_str() {
        "" => socket.display().to_string(),
        form => format!(
            "the form at {form}, cictl after: export CID_SOCKET={}",
            socket.display()
        ),
    }
}

/// Ends an earlier daemon's helpers that belonged to no job: they answered questions, such as what a delete
/// would lose.
async fn end_stray_helpers(cid: Cid) {
    for job in cid.sys.helpers.strays() {
        if cid.engine.follow(job).is_some() {
            continue;
        }
        if let Err(fault) = cid.sys.helpers.end(job).await {
            tracing::warn!("{fault}");
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Says what is wrong with projects.
async fn reload(cid: &Cid) -> Vec<String> {
    let mut problems = match cid.read_projects().await {
        Ok(problems) => problems,
        Err(fault) => {
            tracing::error!("projects stay as they were: {fault}");
            return vec![fault.to_string()];
        }
    };
    // An invalid certificate leaves the last valid one in place, and is tried again.
    problems.extend(keeper::keep_sites(cid).await);
    match doctor::gone::gone(cid).await {
        Ok(gone) => {
            for gone in gone {
                let told = format!("{}: {}", gone.told(), gone.mend(cid));
                tracing::error!(PROJECT = gone.project.as_str(), "{told}");
                problems.push(told);
            }
        }
        Err(error) => tracing::error!("{error}"),
    }
    tracing::info!("projects read again: {}", cid.projects.all().len());
    problems
}

fn prepare(layout: &Layout) -> Result<(), Fault> {
    let mirrors = layout.state_dir.join("mirrors");
    let dirs = [
        (layout.projects_dir(), 0o755),
        (layout.run_dir.clone(), 0o755),
        (layout.run_dir.join("web"), 0o755),
        // Environments and `.env` hold secrets, the ledger holds addresses: other users must not read them.
        (layout.state_dir.clone(), 0o700),
        (layout.log_dir.clone(), 0o755),
        (layout.app_pid_dir(), 0o770),
        (layout.away_dir(), 0o755),
        (layout.helper_dir(), 0o700),
        (layout.run_file_dir(), 0o750),
        (layout.app_logs_dir(), 0o750),
        (layout.trash_dir(), 0o700),
        (layout.log_trash_dir(), 0o700),
        (layout.helper_home(), 0o755),
        (mirrors, 0o755),
    ];
    dirs.iter()
        .try_for_each(|(dir, mode)| fs::make_dir(dir, *mode))
}

/// Creates folders for workspaces and their trash. A failure is reported when its project is used or checked;
/// other projects are not affected.
fn make_work_dirs(shelf: &Shelf, layout: &Layout) -> BTreeMap<ProjectName, String> {
    let mut problems = BTreeMap::new();
    for project in shelf.values().flatten() {
        let work_dir = Projects::work_dir(project, &layout.work_root);
        let packages = layout.packages(&project.name);
        let trash = trash_dir(&work_dir.join("any"));
        let kept = kept_dir(&work_dir);
        for (dir, mode) in [
            (work_dir, 0o755),
            (trash, 0o700),
            (kept, KEPT_MODE),
            (packages, 0o755),
        ] {
            if let Err(fault) = fs::make_dir(&dir, mode) {
                tracing::error!(PROJECT = project.name.as_str(), "{fault}");
                problems.insert(project.name.clone(), fault.to_string());
            }
        }
    }
    problems
}

/// Takes the lock, which is held as long as the daemon lives. The kernel releases it when the daemon dies.
fn lock(layout: &Layout) -> Result<Flock<File>, Fault> {
    let path = layout.lock_file();
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| Fault::io("open", &path, error))?;
    let mut tried = Flock::lock(file, FlockArg::LockExclusiveNonblock);
    // A daemon that was killed a moment ago may still be exiting.
    for _ in 0..LOCK_TRIES {
        let Err((file, _)) = tried else { break };
        std::thread::sleep(LOCK_PAUSE);
        tried = Flock::lock(file, FlockArg::LockExclusiveNonblock);
    }
    tried.map_err(|_| {
        let folder = path.parent().unwrap_or(Path::new("/")).display();
        Fault::new(format!("cannot use {folder}: another cid is at work there"))
            .hint("stop it first, or choose another folder")
    })
}

/// The folder of this program and its companions.
///
/// # Errors
/// The kernel does not tell where this program is.
pub fn bin_dir() -> Result<PathBuf, Fault> {
    let program = std::env::current_exe().cannot("find this program's own file")?;
    Ok(program.parent().unwrap_or(Path::new("/")).to_owned())
}
