//! The ports of a sandbox.

use crate::{layout::Layout, store::Store};
use cid_kernel::fs;
use cid_protocol::fault::Fault;

/// A port on which the sandbox's nginx answers.
pub(super) struct SandboxPort {
    default: u16,
    /// The file in `state` that records the port of the last run.
    file: &'static str,
    option: &'static str,
    /// What addresses with this port begin with.
    scheme: &'static str,
}

pub(super) const HTTP: SandboxPort = SandboxPort {
    default: 8080,
    file: "http-port",
    option: "--http-port",
    scheme: "http://",
};
pub(super) const HTTPS: SandboxPort = SandboxPort {
    default: 8443,
    file: "https-port",
    option: "--https-port",
    scheme: "https://",
};

impl SandboxPort {
    /// Chooses it. The port is part of workspaces' addresses and vhosts, so it changes only
    /// while no workspace uses it.
    pub(super) async fn choose(
        &self,
        wanted: Option<u16>,
        layout: &Layout,
        store: &Store,
    ) -> anyhow::Result<u16> {
        let path = layout.state_dir.join(self.file);
        let last: Option<u16> = fs::read_optional(&path)?.and_then(|text| text.trim().parse().ok());
        let port = wanted.or(last).unwrap_or(self.default);
        if let Some(last) = last.filter(|last| *last != port) {
            let workspaces = store.workspaces(None, 0, usize::MAX >> 1).await?;
            if workspaces
                .iter()
                .any(|workspace| workspace.url.starts_with(self.scheme))
            {
                return Err(Fault::new(format!("cannot answer on port {port}: the workspaces of this sandbox have addresses with port {last}"))
                    .hint(format!("start it with {} {last}, or delete its workspaces first", self.option))
                    .into());
            }
        }
        if last != Some(port) {
            fs::write_changed(&path, format!("{port}\n").as_bytes(), 0o644)?;
        }
        Ok(port)
    }
}
