use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The repository's `examples` folder.
#[must_use]
pub fn examples_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The example's project file, for this repository and this media folder.
///
/// # Errors
/// The file cannot be read, or its paths are not the ones replaced here.
pub fn guestbook_toml(url: &str, media: &Path) -> Result<String> {
    let path = examples_dir().join("guestbook.toml");
    let mut text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let media = media.display().to_string();
    for (placeholder, value) in [
        ("/srv/git/guestbook.git", url),
        ("/srv/guestbook/media", &media),
    ] {
        anyhow::ensure!(
            text.contains(placeholder),
            "{} does not hold {placeholder}",
            path.display()
        );
        text = text.replace(placeholder, value);
    }
    Ok(text)
}

/// The files of a small project made up by a test.
#[derive(Clone, Debug, Default)]
pub struct Tree(Vec<(String, String)>);

impl Tree {
    /// An app without dependencies that answers every request with `hello from <name>`, so that
    /// a workspace of it takes next to no time.
    #[must_use]
    pub fn hello() -> Self {
        Self::default()
            .with("Procfile", "web: python3 app.py\n")
            .with("app.py", HELLO)
    }

    /// An app without dependencies on its Unix socket. It answers with `VERSION from <name>`, posts with the
    /// SHA-256 of their body, `/slow` after four seconds, `/pid` with its number; `bad` as a version never listens.
    #[must_use]
    pub fn on_socket() -> Self {
        Self::default()
            .with("Procfile", "web: exec python3 app.py $SOCKET\n")
            .with("version", "one")
            .with("app.py", ON_SOCKET)
    }

    /// With one more file, or another content of one.
    #[must_use]
    pub fn with(mut self, path: &str, content: &str) -> Self {
        self.0.retain(|(name, _)| name != path);
        self.0.push((path.to_owned(), content.to_owned()));
        self
    }

    /// Writes the files below `dir`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        for (name, content) in &self.0 {
            let path = dir.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, content)
                .with_context(|| format!("cannot write {}", path.display()))?;
            if content.starts_with("#!") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }
}

const HELLO: &str = r#"import http.server
import os


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"hello from {os.environ['CID_WORKSPACE']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


print("hello starts", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

const ON_SOCKET: &str = r#"import hashlib
import http.server
import os
import socketserver
import sys
import time

VERSION = open("version").read().strip()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "nginx"

    def answer(self, text):
        body = f"{text}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.write(self.rfile.readline())
            self.close_connection = True
            return None
        if self.path == "/slow":
            time.sleep(4)
        if self.path == "/pid":
            return self.answer(os.getpid())
        place = os.environ.get("CID_WORKSPACE") or os.environ["CID_STAGE"]
        self.answer(f"{VERSION} from {place}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(hashlib.sha256(body).hexdigest())


class OnSocket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


class OnPort(http.server.ThreadingHTTPServer):
    request_queue_size = 128


print(f"{VERSION} starts", flush=True)
while VERSION == "bad":
    time.sleep(1)
place = sys.argv[1]
server = OnPort(("127.0.0.1", int(place)), Handler) if place.isdigit() else OnSocket(place, Handler)
server.serve_forever()
"#;

/// Copies a folder without what running the app there may have left.
///
/// # Errors
/// A file cannot be read or written.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if [".venv", "__pycache__", "db.sqlite3", "media"]
            .iter()
            .any(|skip| name == *skip)
        {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy to {}", target.display()))?;
        }
    }
    Ok(())
}
