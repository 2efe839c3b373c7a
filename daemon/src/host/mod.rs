//! An installed host: systemd keeps the engines up and runs the helpers, each identity is an account
//! of its own, polkit decides. What is the same as in a sandbox is in [`crate::app`].

mod folders;
mod identities;
mod limits;

use crate::{
    authz::{Accounts, DenyList, Host, Polkit},
    config::{Projects, Settings, Shelf},
    domain::ProjectName,
    layout::Layout,
    system::{
        HostParts, Site, System,
        accounts::{self, RealAccounts},
        git_servers::GitServers,
        helpers::{Identity, Launcher},
        launcher::{HelperLauncher, Units},
        nginx::{Nginx, NginxPaths, RealNginx},
        probe::RealProbe,
        queue::Queues,
        standing::Standing,
        supervisor::RealSupervisor,
        tls::Certificates,
    },
};
use cid_kernel::{
    accounts::{group, uid_of, user},
    fs,
};
use cid_protocol::fault::Fault;
use identities::Identities;
use limits::Controllers;
use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc};

/// The account of `cid-web`.
const FRONT: &str = "cid-web";
/// The group whose members may use cid.
const PEOPLE: &str = "cid";
/// Where it listens, by its unit.
const FRONT_SOCKET: &str = "/run/cid-web/http.sock";
/// Where nginx answers for workspaces.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// The machine as steps see it.
///
/// # Errors
/// A folder cannot be made, or systemd does not answer.
pub(crate) async fn system(
    layout: &Arc<Layout>,
    settings: &Arc<Settings>,
    projects: &Arc<Projects>,
    bin_dir: &Path,
) -> Result<System, Fault> {
    folders::trusting_home(&layout.helper_home())?;
    folders::tools(layout)?;
    let identities = Identities {
        layout: Arc::clone(layout),
        settings: Arc::clone(settings),
        projects: Arc::clone(projects),
        controllers: Controllers::look(),
    };
    let units: Arc<Units> = Arc::new(move |identity| identities.place(identity));
    let site = Site {
        listen: everywhere(HTTP_PORT),
        http_port: HTTP_PORT,
        listen_https: everywhere(HTTPS_PORT),
        https_port: HTTPS_PORT,
        front: FRONT_SOCKET.into(),
        helper: bin_dir.join("cid-helper"),
        app_helper: layout.app_helper(),
    };
    let helpers = HelperLauncher::host(site.helper.clone(), Arc::clone(&units)).await?;
    let queues = Arc::new(Queues::new(
        settings.cores(),
        settings.git_connections.get(),
    ));
    let helpers = GitServers::new(Arc::new(helpers), Arc::clone(&queues));
    let helpers: Arc<dyn Launcher> = Arc::new(helpers);
    let tools = Standing::new(Arc::clone(&helpers), Identity::Accounts);
    let test = Standing::new(Arc::clone(&helpers), Identity::NginxTest);
    tokio::join!(tools.prepare(), test.prepare());
    let nginx: Arc<dyn Nginx> = Arc::new(RealNginx::new(nginx(layout, test)));
    Ok(System {
        layout: Arc::clone(layout),
        certificates: Arc::new(Certificates::new(Arc::clone(layout), Arc::clone(&nginx))),
        nginx,
        supervisor: Arc::new(RealSupervisor::of_host(layout)),
        host: Some(HostParts {
            accounts: Arc::new(RealAccounts {
                tools,
                made_groups: layout.made_groups_dir(),
            }),
            units,
        }),
        helpers,
        queues,
        probe: Arc::new(RealProbe {
            http_port: HTTP_PORT,
            https_port: HTTPS_PORT,
        }),
        sessions: Arc::default(),
        templates: Arc::default(),
        site: Arc::new(site),
    })
}

fn everywhere(port: u16) -> Vec<SocketAddr> {
    vec![
        SocketAddr::from(([0, 0, 0, 0], port)),
        SocketAddr::from(([0_u16; 8], port)),
    ]
}

/// Who decides what callers may do.
///
/// # Errors
/// The front's account is missing.
pub(crate) fn authority(projects: &Arc<Projects>, settings: &Settings) -> Result<Host, Fault> {
    let advice = "systemd-sysusers makes it, as the package's installation does";
    let front = uid_of(FRONT, advice)?;
    let named = Arc::clone(projects);
    let uids = vec![settings.workspace_uids.0.clone()];
    let denied = DenyList::new(uids, move |account| named.deploys(account));
    Ok(Host {
        uid: nix::unistd::geteuid().as_raw(),
        front,
        denied,
        accounts: Accounts::of_this_machine(),
        polkit: Arc::new(Polkit::of_this_machine()),
    })
}

/// The distribution's own nginx.
fn nginx(layout: &Layout, test: Standing) -> NginxPaths {
    NginxPaths {
        runner: Some(test),
        program: "/usr/sbin/nginx".into(),
        config: "/etc/nginx/nginx.conf".into(),
        prefix: "/usr/share/nginx".into(),
        pid_file: "/run/nginx.pid".into(),
        error_log: "/var/log/nginx/error.log".into(),
        vhost_dir: layout.vhost_dir(),
        start_hint: "start it with: systemctl start nginx",
    }
}

/// Whether an account is in the group whose members use cid. One that cannot be looked up is not.
pub(crate) fn is_member(account: &str) -> bool {
    let Ok(Some(group)) = group(PEOPLE) else {
        return false;
    };
    let primary = || matches!(user(account), Ok(Some(user)) if user.gid == group.gid);
    group.mem.iter().any(|member| member == account) || primary()
}

/// Makes what projects need before their first workspace. A project that cannot be prepared says so
/// here and when it is used; the others do not suffer.
pub(crate) async fn prepare_projects(
    shelf: &Shelf,
    layout: &Layout,
    accounts: &dyn accounts::Accounts,
) -> BTreeMap<ProjectName, String> {
    let mut problems = BTreeMap::new();
    for project in shelf.values().flatten() {
        if let Err(fault) = folders::prepare(project, layout, accounts).await {
            tracing::error!(PROJECT = project.name.as_str(), "{fault}");
            problems.insert(project.name.clone(), fault.to_string());
        }
    }
    problems
}

/// Makes the folders that are the daemon's own.
///
/// # Errors
/// One cannot be made.
pub(crate) fn make_folders(layout: &Layout) -> Result<(), Fault> {
    let state = |name: &str| layout.state_dir.join(name);
    let dirs = [
        (layout.state_dir.clone(), 0o711),
        (layout.vhost_dir(), 0o755),
        (layout.program_dir(), 0o700),
        (layout.run_file_dir(), 0o700),
        (layout.trash_dir(), 0o700),
        (layout.log_trash_dir(), 0o700),
        (layout.app_logs_dir(), 0o750),
        (layout.app_pid_dir(), 0o711),
        (layout.away_dir(), 0o711),
        (state("mirrors"), 0o711),
        (state("packages"), 0o711),
        (state("built"), 0o711),
    ];
    dirs.iter()
        .try_for_each(|(dir, mode)| fs::make_dir(dir, *mode))
}
