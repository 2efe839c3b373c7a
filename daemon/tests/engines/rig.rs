//! A sandbox of its own for a test, without the rest of the daemon.

use cid_daemon::{
    config::{NginxSettings, OwnNginx},
    domain::{ProcessType, UnitName},
    layout::Layout,
    sandbox::{Engines, listen_addresses},
    system::{
        nginx::{
            RealNginx,
            vhost::{HostName, Upstream, Vhost},
        },
        probe::{Page, Probe, RealProbe},
        supervisor::{RealSupervisor, program::Program},
    },
};
use cid_protocol::run_file::{ProcessCommand, RunFile};
use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What every app of a test has in its environment.
const MARK: &str = "CID_TEST";

pub struct Rig {
    dir: tempfile::TempDir,
    pub layout: Layout,
    pub port: u16,
    pub probe: RealProbe,
    engines: Mutex<Option<Arc<Engines>>>,
}

pub fn unit(name: &str) -> UnitName {
    UnitName::parse(&format!("shop.{name}")).unwrap()
}

pub fn host(unit: &UnitName) -> String {
    format!(
        "{}.shop.localhost",
        unit.as_str().split_once('.').unwrap().1
    )
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Waits for something to become true.
pub async fn eventually(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !check().await {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Rig {
    /// Folders only.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("cid-")
            .rand_bytes(6)
            .tempdir()
            .unwrap();
        let layout = Layout::sandbox(dir.path());
        let port = free_port();
        Self {
            dir,
            layout,
            port,
            probe: RealProbe {
                http_port: port,
                https_port: 1,
            },
            engines: Mutex::default(),
        }
    }

    pub async fn started() -> Self {
        let rig = Self::new();
        rig.start().await;
        rig
    }

    pub async fn start(&self) {
        let engines = self.try_start().await.unwrap();
        *self.engines.lock().unwrap() = Some(Arc::new(engines));
    }

    pub async fn try_start(&self) -> Result<Engines, cid_protocol::fault::Fault> {
        Engines::start(
            &self.layout,
            self.port,
            &self.bin_dir(),
            &OwnNginx::default(),
        )
        .await
    }

    pub fn engines(&self) -> Arc<Engines> {
        Arc::clone(self.engines.lock().unwrap().as_ref().unwrap())
    }

    fn take_engines(&self) -> Option<Arc<Engines>> {
        self.engines.lock().unwrap().take()
    }

    /// Stops looking after the engines, as a killed daemon does.
    pub async fn abandon(&self) {
        self.take_engines().unwrap().release().await;
    }

    pub async fn stop(&self) {
        self.take_engines().unwrap().stop().await.unwrap();
        assert_eq!(self.apps(), Vec::<u32>::new(), "apps outlive their engine");
    }

    pub fn nginx(&self) -> RealNginx {
        RealNginx::new(self.engines().nginx_paths())
    }

    pub fn supervisor(&self) -> RealSupervisor {
        RealSupervisor::new(&self.layout)
    }

    /// A vhost that leads to this port.
    pub fn vhost(&self, unit: &UnitName, upstream: u16) -> String {
        let vhost = Vhost {
            unit: unit.clone(),
            server_name: HostName::parse(&host(unit)).unwrap(),
            listen: listen_addresses(self.port),
            tls: None,
            plain_too: false,
            upstream: Upstream::Port(upstream),
            media: None,
            collected: None,
            bounds: (&NginxSettings::default()).into(),
            visit: Default::default(),
            front: "/nowhere/front.sock".into(),
            away: "/nowhere/away".into(),
        };
        vhost.render().unwrap()
    }

    /// What the site of a unit answers.
    pub async fn get(&self, unit: &UnitName) -> (u16, String) {
        self.probe
            .get(Page::http(&host(unit), "/"), Duration::from_secs(5))
            .await
            .unwrap()
    }

    /// A program file for these shell lines, with run file and log folder.
    pub fn program(&self, unit: &UnitName, processes: &[(&str, &str)]) -> String {
        let commands = processes.iter().map(|(name, line)| {
            (
                (*name).to_owned(),
                ProcessCommand::Shell((*line).to_owned()),
            )
        });
        let env = [
            ("PATH", "/usr/bin:/bin".to_owned()),
            (MARK, self.dir.path().display().to_string()),
            ("CID_RUN_DIR", self.layout.run_dir.display().to_string()),
            ("CID_UNIT", unit.to_string()),
        ];
        let run_file = RunFile {
            web_socket: None,
            unit: unit.to_string(),
            dir: "/tmp".into(),
            env: env
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<BTreeMap<_, _>>(),
            processes: commands.collect(),
            network: BTreeMap::new(),
            pid_dir: self.layout.app_pid_dir(),
            made_from: Default::default(),
            run_as: None,
        };
        fs::create_dir_all(self.layout.run_file_dir()).unwrap();
        fs::create_dir_all(self.layout.app_log_dir(unit)).unwrap();
        fs::write(
            self.layout.run_file(unit),
            serde_json::to_vec(&run_file).unwrap(),
        )
        .unwrap();
        let program = Program {
            web_alone: false,
            require_user: false,
            unit: unit.clone(),
            processes: processes
                .iter()
                .map(|(name, _)| ProcessType::parse(name).unwrap())
                .collect(),
            helper: helper(),
            run_file: self.layout.run_file(unit),
            log_dir: self.layout.app_log_dir(unit),
        };
        program.render().unwrap()
    }

    /// All processes of this test's apps, whatever their parent is.
    pub fn apps(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.dir.path().display());
        let holds = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|setting| setting == mark.as_bytes())
        };
        all_pids().into_iter().filter(holds).collect()
    }

    pub fn bin_dir(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// Sends lines to nginx as they are; gives what comes back within a second.
    pub async fn raw(&self, lines: &[&str]) -> String {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .unwrap();
        stream
            .write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        let all = stream.read_to_end(&mut answer);
        drop(tokio::time::timeout(Duration::from_secs(1), all).await);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub fn supervisord_pid(&self) -> u32 {
        read_pid(&self.layout.run_dir.join("supervisord.pid"))
    }

    pub fn nginx_pid(&self) -> u32 {
        read_pid(&self.layout.run_dir.join("nginx.pid"))
    }

    /// Kills supervisord and starts one as an earlier version of cid did, without cid's own part.
    pub async fn replace_by_earlier_supervisord(&self) {
        let config = self.layout.state_dir.join("supervisor/supervisord.conf");
        let text = fs::read_to_string(&config).unwrap();
        let (head, tail) = text.split_once("[rpcinterface:cid]").unwrap();
        let (_, tail) = tail.split_once("\n[").unwrap();
        fs::write(&config, format!("{head}[{tail}")).unwrap();
        let pid = self.supervisord_pid();
        let apps = self.apps();
        kill(pid);
        apps.into_iter().filter(|pid| is_alive(*pid)).for_each(kill);
        eventually("it is gone", Duration::from_secs(5), async || {
            !is_alive(pid) && self.apps().is_empty()
        })
        .await;
        fs::remove_file(self.layout.supervisor_socket()).unwrap();
        std::process::Command::new("setsid")
            .args(["--fork", "supervisord", "-n", "-c"])
            .arg(config)
            .env("CID_RUN_DIR", &self.layout.run_dir)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        eventually("it answers", Duration::from_secs(5), async || {
            tokio::net::UnixStream::connect(self.layout.supervisor_socket())
                .await
                .is_ok()
        })
        .await;
    }

    pub fn foreign_program(&self) -> PathBuf {
        self.layout.program_dir().join("foreign.conf")
    }

    pub fn foreign_vhost(&self) -> PathBuf {
        self.layout.config_dir.join("nginx.d/foreign.conf")
    }
}

/// A test that fails leaves nothing running either.
impl Drop for Rig {
    fn drop(&mut self) {
        let Some(engines) = self.take_engines() else {
            return;
        };
        let stop = move || {
            tokio::runtime::Runtime::new()
                .unwrap()
                .block_on(engines.stop())
        };
        drop(std::thread::spawn(stop).join());
    }
}

/// Serves the same text to everybody; gives its port.
pub async fn serve(text: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                let asked = String::from_utf8_lossy(&request[..length]).into_owned();
                let body = format!("{text}\n{asked}");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    port
}

/// Kills one process, by its number.
pub fn kill(pid: u32) {
    let status = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

pub fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

fn all_pids() -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn read_pid(file: &Path) -> u32 {
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

/// Beside which tests of all packages are built.
fn helper() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().with_file_name("cid-helper")
}
