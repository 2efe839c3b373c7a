//! A message bus of a test's own, and a polkitd on it that knows cid's rules and made-up accounts.

use crate::{people::PEOPLE, skip::skip};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User},
};
use std::{
    fmt::Write as _,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

const POLKITD: &str = "/usr/lib/polkit-1/polkitd";

/// In a mount namespace of its own, so that the machine's accounts, actions and rules stay as they are.
const START: &str = "set -e
mount --bind \"$1/passwd\" /etc/passwd
mount --bind \"$1/group\" /etc/group
mount --bind \"$1/actions\" /usr/share/polkit-1/actions
mount --bind \"$1/rules.d\" /usr/share/polkit-1/rules.d
mount --bind \"$1/none\" /etc/polkit-1/rules.d
exec \"$2\" --no-debug";

/// Ended when it is dropped.
pub struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap());
        kill(pid, signal).unwrap();
    }

    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process of another user.
pub fn process_of(uid: u32) -> Running {
    Running::start(Command::new("sleep").arg("600").uid(uid).gid(uid))
}

/// A bus.
pub struct Bus {
    dir: tempfile::TempDir,
    _daemon: Running,
}

impl Bus {
    /// `None`, having said why, where there is no bus to be had.
    pub async fn start() -> Option<Self> {
        if Command::new("dbus-daemon")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            skip("this needs the package dbus");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let conf = dir.path().join("bus.conf");
        let socket = dir.path().join("bus");
        fs::write(&conf, configuration(&socket)).unwrap();
        let mut command = Command::new("dbus-daemon");
        command
            .arg("--nofork")
            .arg(format!("--config-file={}", conf.display()));
        let daemon = Running::start(&mut command);
        wait_for(|| std::os::unix::net::UnixStream::connect(&socket).is_ok()).await;
        Some(Self {
            dir,
            _daemon: daemon,
        })
    }

    pub fn address(&self) -> String {
        format!("unix:path={}", self.dir.path().join("bus").display())
    }

    /// `None`, having said why, where polkitd cannot run in a namespace.
    pub async fn polkitd(&self) -> Option<Running> {
        if !Path::new(POLKITD).exists() || !nix::unistd::geteuid().is_root() {
            skip("this needs root and the package polkitd");
            return None;
        }
        self.write_machine();
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                START,
                "sh",
            ])
            .arg(self.dir.path())
            .arg(POLKITD)
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.address());
        let mut polkitd = Running::start(&mut command);
        let bus = zbus::connection::Builder::address(self.address().as_str())
            .build()
            .await
            .unwrap();
        let names = zbus::fdo::DBusProxy::new(&bus).await.unwrap();
        for _ in 0..500 {
            let name = "org.freedesktop.PolicyKit1".try_into().unwrap();
            if names.name_has_owner(name).await.unwrap() {
                return Some(polkitd);
            }
            if let Some(status) = polkitd.0.try_wait().unwrap() {
                panic!("polkitd ended at once: {status}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("polkitd did not come up within 10 s");
    }

    fn write_machine(&self) {
        let dir = self.dir.path();
        let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../polkit");
        for folder in ["actions", "rules.d", "none"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        for file in ["actions/org.cid.policy", "rules.d/50-cid.rules"] {
            fs::copy(repository.join(file), dir.join(file)).unwrap();
        }
        // The bus, outside of the namespace, must know whom polkitd becomes.
        let polkitd = User::from_name("polkitd").unwrap().unwrap();
        let (uid, gid) = (polkitd.uid, polkitd.gid);
        let mut passwd = format!("polkitd:x:{uid}:{gid}::/:/bin/false\n");
        let mut group = format!("polkitd:x:{gid}:\n");
        for person in &PEOPLE {
            let (account, uid) = (person.account, person.uid);
            writeln!(passwd, "{account}:x:{uid}:{uid}::/:/bin/sh").unwrap();
            writeln!(group, "{account}:x:{uid}:").unwrap();
        }
        for (name, gid) in [("cid", 61_200), ("sudo", 61_201)] {
            let members: Vec<&str> = PEOPLE
                .iter()
                .filter(|person| person.groups.contains(&name))
                .map(|person| person.account)
                .collect();
            writeln!(group, "{name}:x:{gid}:{}", members.join(",")).unwrap();
        }
        fs::write(dir.join("passwd"), passwd).unwrap();
        fs::write(dir.join("group"), group).unwrap();
    }
}

fn configuration(socket: &Path) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="signal"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
  </policy>
</busconfig>
"#,
        socket.display()
    )
}

pub async fn wait_for(is_so: impl Fn() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come to pass within 10 s");
}
