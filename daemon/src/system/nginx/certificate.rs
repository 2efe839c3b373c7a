//! Whether nginx takes a certificate, asked with a configuration that holds nothing else.

use super::NginxPaths;
use crate::system::{included::Objection, strict};
use askama::Template;
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::path::Path;

#[derive(Template)]
#[template(path = "certificate.conf")]
struct TrialFile {
    as_root: bool,
    folder: String,
    certificate: String,
}

/// Asks nginx about a certificate and its key, both in `file`; the file's folder is used for it.
///
/// # Errors
/// nginx says no, and why; or it could not be asked.
pub(super) async fn attempt(paths: &NginxPaths, file: &Path) -> Result<(), Fault> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let template = TrialFile {
        as_root: nix::unistd::geteuid().is_root(),
        folder: folder.to_string_lossy().into_owned(),
        certificate: file.to_string_lossy().into_owned(),
    };
    let text = strict::render(&template, format_args!("the trial of a certificate"))?;
    let config = folder.join("nginx.conf");
    fs::write_atomic(&config, text.as_bytes(), 0o600)?;
    match paths.test_file(&config).await {
        Ok(()) => Ok(()),
        Err(Objection::Failed(fault)) => Err(fault),
        Err(Objection::Refused(refusal)) => Err(Fault::new(format!(
            "cannot use the certificate: nginx says: {}",
            refusal.message
        ))
        .hint("mend tls.certificate and tls.key, then reload cid")),
    }
}
