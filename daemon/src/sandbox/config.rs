//! The engines' own configuration files.

use super::{front, preflight};
use crate::{
    config::OwnNginx,
    layout::Layout,
    system::{nginx::NginxPaths, strict},
};
use askama::Template;
use cid_protocol::fault::Fault;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{net::SocketAddr, path::Path};

/// Each app takes about three descriptors of supervisord's, which has them from its limit.
const DESCRIPTORS: u64 = 8192;
/// What supervisord is told: it closes so many, one by one in Python, before each start of a process
/// (10 ms for 8192). They are closed by exec anyway, as Python's own are not inherited.
const CLOSED_AT_START: u64 = 256;
const MIME_TYPES: &str = "/etc/nginx/mime.types";

/// Lets this process and what it starts have enough descriptors, where the hard limit allows.
fn raise_descriptors() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < DESCRIPTORS.min(hard)
    {
        // Less is no error: then there is room for fewer apps.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS.min(hard), hard);
    }
}

#[derive(Template)]
#[template(path = "nginx.conf")]
struct NginxFile<'a> {
    as_root: bool,
    mime_types: Option<&'a str>,
    config_dir: String,
    state_dir: String,
    log_dir: String,
    pid_file: String,
    vhost_dir: String,
    front_socket: String,
    listen: Vec<SocketAddr>,
    /// In seconds.
    worker_shutdown_timeout: u64,
}

/// nginx's main configuration.
pub(super) fn nginx(
    layout: &Layout,
    paths: &NginxPaths,
    http_port: u16,
    settings: &OwnNginx,
) -> Result<String, Fault> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let template = NginxFile {
        as_root: nix::unistd::geteuid().is_root(),
        mime_types: Path::new(MIME_TYPES).is_file().then_some(MIME_TYPES),
        config_dir: text(&layout.config_dir),
        state_dir: text(&paths.prefix),
        log_dir: text(&layout.log_dir),
        pid_file: text(&paths.pid_file),
        vhost_dir: text(&paths.vhost_dir),
        front_socket: text(&front::socket(layout)),
        listen: preflight::listen_addresses(http_port),
        worker_shutdown_timeout: settings.worker_shutdown_timeout.as_secs(),
    };
    strict::render(&template, format_args!("the sandbox's nginx configuration"))
}

#[derive(Template)]
#[template(path = "supervisord.conf")]
struct SupervisordFile {
    as_root: bool,
    descriptors: u64,
    socket: String,
    events: String,
    pid_file: String,
    log_dir: String,
    program_dir: String,
    front: Option<Front>,
}

struct Front {
    program: String,
    listen: String,
    socket: String,
}

/// supervisord's configuration, with the front where it was built.
pub(super) fn supervisord(
    layout: &Layout,
    bin_dir: &Path,
    pid_file: &Path,
) -> Result<String, Fault> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    raise_descriptors();
    let template = SupervisordFile {
        as_root: nix::unistd::geteuid().is_root(),
        descriptors: CLOSED_AT_START,
        socket: text(&layout.supervisor_socket()),
        events: text(&layout.supervisor_events()),
        pid_file: text(pid_file),
        log_dir: text(&layout.log_dir),
        program_dir: text(&layout.program_dir()),
        front: front::program(bin_dir).map(|program| Front {
            program: text(&program),
            listen: text(&front::socket(layout)),
            socket: text(&layout.web_socket()),
        }),
    };
    strict::render(
        &template,
        format_args!("the sandbox's supervisord configuration"),
    )
}
