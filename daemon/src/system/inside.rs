//! Paths in a workspace. Root owns `WORK_DIR/NAME`; what is in the folders below, the workspace's code
//! writes, and may replace at any moment. The daemon reaches it by [`Inside`] alone: a path is opened
//! once, beneath the workspace's folder and never through a link, and what was opened is looked at and
//! used, not what the name means a moment later.

use super::probe::App;
use cid_protocol::{
    fault::Fault,
    run_file::{RunFile, WEB_SOCKET},
};
use rustix::{
    fs::{FileType, Mode, OFlags, Stat, fstat, open, openat},
    io::Errno,
};
use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::{Component, Path, PathBuf},
};
use tokio::net::UnixStream;

const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FOLDER: OFlags = PLACE.union(OFlags::DIRECTORY);

/// A place in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// `WORK_DIR/NAME`.
    directory: PathBuf,
    /// Relative to it.
    inner: PathBuf,
}

impl Inside {
    /// A place in the workspace that has this folder.
    pub fn new(directory: &Path, inner: impl AsRef<Path>) -> Self {
        Self {
            directory: directory.to_owned(),
            inner: inner.as_ref().to_owned(),
        }
    }

    /// What is there: neither a link's aim, nor anything behind a link. `None`: nothing.
    ///
    /// # Errors
    /// It cannot be told, as in a folder that the daemon may not pass.
    pub fn kind(&self) -> Result<Option<FileType>, Fault> {
        match self.open().and_then(|opened| fstat(&opened)) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
            Err(error) => Err(self.fault("look at", error)),
        }
    }

    /// Whose it is; `None`: nothing is there, or it cannot be looked at.
    pub fn owner(&self) -> Option<u32> {
        let opened = self.open().ok()?;
        fstat(&opened).ok().map(|stat| stat.st_uid)
    }

    /// Whether a folder is there; one that cannot be looked at counts.
    pub fn may_be_folder(&self) -> bool {
        match self.kind() {
            Ok(kind) => kind == Some(FileType::Directory),
            Err(_) => true,
        }
    }

    /// The path, for messages.
    pub fn display(&self) -> String {
        self.directory.join(&self.inner).display().to_string()
    }

    /// By each name from the folder before it: neither a link nor `..` nor a mount leads out. openat2 does that in
    /// one call, and `RestrictSUIDSGID=` takes it away from the daemon.
    fn open(&self) -> Result<OwnedFd, Errno> {
        let mut opened = open(&self.directory, FOLDER, Mode::empty())?;
        let device = fstat(&opened)?.st_dev;
        let mut names = self.inner.components().peekable();
        while let Some(name) = names.next() {
            let name = match name {
                Component::Normal(name) => name,
                Component::CurDir => continue,
                _ => return Err(Errno::XDEV),
            };
            if names.peek().is_none() {
                return openat(&opened, name, PLACE, Mode::empty());
            }
            opened = openat(&opened, name, FOLDER, Mode::empty())?;
            // Of folders alone: what overlayfs says of other files is the device below it.
            if fstat(&opened)?.st_dev != device {
                return Err(Errno::XDEV);
            }
        }
        Ok(opened)
    }

    fn fault(&self, verb: &str, why: impl std::fmt::Display) -> Fault {
        Fault::io(verb, &self.directory.join(&self.inner), why)
    }
}

/// The Unix socket of a workspace's web process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSocket {
    place: Inside,
    /// By which nginx reaches it.
    name: Inside,
    /// Who makes it.
    owner: u32,
}

impl App {
    /// Where a workspace's web process is to listen.
    pub fn of(run_file: &RunFile) -> Self {
        let port = run_file.env.get("PORT").and_then(|port| port.parse().ok());
        match AppSocket::of(run_file) {
            Some(socket) => Self::Socket(socket),
            None => Self::Port(port.unwrap_or(0)),
        }
    }
}

impl AppSocket {
    /// Where a workspace's web process is to listen; `None`: on its port.
    pub fn of(run_file: &RunFile) -> Option<Self> {
        let path = run_file.web_socket.as_ref()?;
        let directory = path.parent()?.parent()?;
        let inner = path.strip_prefix(directory).ok()?;
        let name = inner.with_file_name(WEB_SOCKET);
        let own = || nix::unistd::geteuid().as_raw();
        Some(Self {
            place: Inside::new(directory, inner),
            name: Inside::new(directory, name),
            owner: run_file.run_as.as_ref().map_or_else(own, |user| user.uid),
        })
    }

    /// Whether a socket of the workspace's own is there.
    pub fn is_there(&self) -> bool {
        self.open().is_ok()
    }

    /// Whether it has the name by which nginx reaches it.
    pub fn is_named(&self) -> bool {
        let file = |place: &Inside| place.open().and_then(|opened| fstat(&opened));
        match (file(&self.place), file(&self.name)) {
            (Ok(own), Ok(named)) => (own.st_dev, own.st_ino) == (named.st_dev, named.st_ino),
            _ => false,
        }
    }

    /// Connects to it.
    ///
    /// # Errors
    /// It is no socket of the workspace's own, or nobody listens.
    pub async fn connect(&self) -> Result<UnixStream, Fault> {
        let opened = self.open()?;
        // This leads to what was opened, whatever has that name by now.
        let path = format!("/proc/self/fd/{}", opened.as_raw_fd());
        #[expect(clippy::disallowed_methods, reason = "to what was looked at")]
        let connected = UnixStream::connect(path).await;
        let stream = connected.map_err(|error| self.place.fault("connect to", error))?;
        // A socket can be handed over: who listens is who is asked.
        let peer = stream.peer_cred();
        let peer = peer.map_err(|error| self.place.fault("connect to", error))?;
        if peer.uid() != self.owner {
            return Err(self
                .place
                .fault("connect to", "somebody else listens there"));
        }
        Ok(stream)
    }

    /// The path that it is bound by.
    pub fn path(&self) -> PathBuf {
        self.place.directory.join(&self.place.inner)
    }

    /// The path, for messages.
    pub fn display(&self) -> String {
        self.place.display()
    }

    fn open(&self) -> Result<OwnedFd, Fault> {
        let opened = self.place.open();
        let opened = opened.map_err(|error| self.place.fault("open", error))?;
        let stat = fstat(&opened).map_err(|error| self.place.fault("look at", error))?;
        match self.objection(&stat) {
            None => Ok(opened),
            Some(why) => Err(self.place.fault("use", why)),
        }
    }

    fn objection(&self, stat: &Stat) -> Option<&'static str> {
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Some("it is no socket");
        }
        if stat.st_uid != self.owner {
            return Some("it belongs to somebody else");
        }
        let is_same = |other: &Stat| (other.st_dev, other.st_ino) == (stat.st_dev, stat.st_ino);
        let named = self.name.open().and_then(|opened| fstat(&opened));
        let names = 1 + u64::from(named.is_ok_and(|named| is_same(&named)));
        (stat.st_nlink != names).then_some("it has another name elsewhere")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::probe::{App, Probe, RealProbe};
    use std::{
        fs,
        os::unix::{fs::symlink, net::UnixListener as Listener},
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    /// A workspace, and a socket of somebody else's beside it.
    struct Scene {
        dir: tempfile::TempDir,
        victim: Listener,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("w/run")).unwrap();
            let victim = Listener::bind(dir.path().join("victim.sock")).unwrap();
            victim.set_nonblocking(true).unwrap();
            Self { dir, victim }
        }

        fn path(&self, inner: &str) -> PathBuf {
            self.dir.path().join(inner)
        }

        fn socket(&self) -> AppSocket {
            let run_file = RunFile {
                unit: "p.w".into(),
                dir: PathBuf::new(),
                env: Default::default(),
                network: Default::default(),
                processes: Default::default(),
                web_socket: Some(self.path("w/run/web.0.sock")),
                pid_dir: PathBuf::new(),
                made_from: Default::default(),
                run_as: None,
            };
            AppSocket::of(&run_file).unwrap()
        }

        fn is_victim_called(&self) -> bool {
            self.victim.accept().is_ok()
        }
    }

    #[tokio::test]
    async fn connects_to_the_workspaces_own_socket() {
        let scene = Scene::new();
        assert!(!scene.socket().is_there());
        let own = Listener::bind(scene.path("w/run/web.0.sock")).unwrap();
        assert!(scene.socket().is_there());
        scene.socket().connect().await.unwrap();
        own.accept().unwrap();
        // By which nginx reaches it.
        fs::hard_link(scene.path("w/run/web.0.sock"), scene.path("w/run/web.sock")).unwrap();
        scene.socket().connect().await.unwrap();
        fs::rename(scene.path("w/run/web.sock"), scene.path("elsewhere")).unwrap();
        assert!(!scene.socket().is_there());
    }

    #[tokio::test]
    async fn a_socket_that_was_left_takes_nobody() {
        let scene = Scene::new();
        let probe = RealProbe {
            http_port: 80,
            https_port: 443,
        };
        let app = App::Socket(scene.socket());
        assert!(!probe.takes(&app).await);
        let own = Listener::bind(scene.path("w/run/web.0.sock")).unwrap();
        assert!(probe.takes(&app).await);
        drop(own);
        assert!(scene.socket().is_there());
        assert!(!probe.takes(&app).await);
    }

    #[tokio::test]
    async fn no_way_to_somebody_elses_socket_is_taken() {
        type Attack = fn(&Scene);
        let attacks: [(&str, Attack); 6] = [
            ("a link", |s| {
                symlink(s.path("victim.sock"), s.path("w/run/web.0.sock")).unwrap();
            }),
            ("a relative link", |s| {
                symlink("../../victim.sock", s.path("w/run/web.0.sock")).unwrap();
            }),
            ("a hard link", |s| {
                fs::hard_link(s.path("victim.sock"), s.path("w/run/web.0.sock")).unwrap();
            }),
            ("a link in place of the folder", |s| {
                fs::rename(s.path("w/run"), s.path("w/old")).unwrap();
                fs::create_dir(s.path("other")).unwrap();
                fs::rename(s.path("victim.sock"), s.path("other/web.0.sock")).unwrap();
                symlink("../other", s.path("w/run")).unwrap();
            }),
            ("a magic link", |s| {
                let victim = s.victim.as_raw_fd();
                symlink(
                    format!("/proc/self/fd/{victim}"),
                    s.path("w/run/web.0.sock"),
                )
                .unwrap();
            }),
            ("a folder", |s| {
                fs::create_dir(s.path("w/run/web.0.sock")).unwrap();
            }),
        ];
        for (what, attack) in attacks {
            let scene = Scene::new();
            attack(&scene);
            assert!(!scene.socket().is_there(), "{what}");
            assert!(scene.socket().connect().await.is_err(), "{what}");
            assert!(!scene.is_victim_called(), "{what}");
        }
    }

    #[tokio::test]
    async fn a_socket_of_another_user_is_not_the_workspaces() {
        let scene = Scene::new();
        let _own = Listener::bind(scene.path("w/run/web.0.sock")).unwrap();
        let mut socket = scene.socket();
        socket.owner += 1;
        assert!(!socket.is_there());
        let said = socket.connect().await.unwrap_err().message;
        assert!(said.contains("belongs to somebody else"), "{said}");
    }

    /// The name means the workspace's own socket and a link to another's by turns.
    #[tokio::test]
    async fn a_race_is_not_won() {
        let scene = Scene::new();
        let (name, link) = (scene.path("w/run/web.0.sock"), scene.path("w/run/link"));
        let own = Listener::bind(&name).unwrap();
        own.set_nonblocking(true).unwrap();
        symlink(scene.path("victim.sock"), &link).unwrap();
        let over = AtomicBool::new(false);
        let mut connected = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                while !over.load(Ordering::Relaxed) {
                    renameat_with(CWD, &name, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            thread::scope(|scope| {
                scope.spawn(|| {
                    runtime.unwrap().block_on(async {
                        for _ in 0..20_000 {
                            connected += usize::from(scene.socket().connect().await.is_ok());
                            while own.accept().is_ok() {}
                        }
                    });
                });
            });
            over.store(true, Ordering::Relaxed);
        });
        assert!(connected > 0, "it never met the workspace's own socket");
        assert!(!scene.is_victim_called());
    }

    #[test]
    fn tells_what_is_there_and_follows_nothing() {
        let scene = Scene::new();
        symlink("run", scene.path("w/link")).unwrap();
        let directory = scene.path("w");
        let kind = |inner: &str| Inside::new(&directory, inner).kind().unwrap();
        assert_eq!(kind("run"), Some(FileType::Directory));
        assert_eq!(kind("link"), Some(FileType::Symlink));
        assert_eq!(kind("link/x"), None);
        assert_eq!(kind("../victim.sock"), None);
        assert_eq!(kind("nothing"), None);
        assert!(Inside::new(&directory, "run").may_be_folder());
        assert!(!Inside::new(&directory, "link").may_be_folder());
    }
}
