//! A single vhost that nginx refuses keeps it from starting, and with it every site of the machine. This
//! module tells cid's vhosts from others' and sets them aside: a stand-in keeps the names and answers with an
//! error, so that no other site answers for them.

use super::worker::directives;
use crate::{
    domain::UnitName,
    system::included::{self, Refusal},
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// What the first line of a stand-in says, before the reason.
const MARK: &str = "set aside by cid, because nginx would not start with it: ";

/// Why the vhost that this one stands in for was set aside; `None`: it is no stand-in.
pub fn reason(vhost: &str) -> Option<&str> {
    let (_, reason) = vhost.lines().next()?.split_once(MARK)?;
    vhost.starts_with("# ").then_some(reason)
}

/// The vhosts of cid's that nginx's complaint is about: the one it names, or those that name the
/// certificate it names. Of other files in the folder, and other folders, none.
pub(crate) fn to_blame(vhost_dir: &Path, refusal: &Refusal) -> Vec<PathBuf> {
    let quoted: Vec<&Path> = refusal
        .message
        .split('"')
        .filter(|part| part.starts_with('/'))
        .map(Path::new)
        .collect();
    let named = refusal.file.as_deref().into_iter();
    // One that cannot be read is only quoted: the file that includes it is the one that is named.
    let mut named = named.chain(quoted.iter().copied());
    if let Some(file) = named.find(|file| is_vhost(vhost_dir, file)) {
        return vec![file.to_owned()];
    }
    let names_one = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        ["ssl_certificate", "ssl_certificate_key"]
            .iter()
            .flat_map(|directive| directives(&text, directive))
            .any(|path| quoted.contains(&Path::new(path)))
    };
    let mut files: Vec<PathBuf> = fs::names(vhost_dir)
        .unwrap_or_default()
        .iter()
        .map(|name| vhost_dir.join(name))
        .filter(|file| is_vhost(vhost_dir, file) && names_one(file))
        .collect();
    files.sort();
    files
}

fn is_vhost(vhost_dir: &Path, file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    file.parent() == Some(vhost_dir)
        && name
            .and_then(|name| name.strip_suffix(".conf"))
            .is_some_and(|unit| {
                unit == UnitName::front().as_str() || UnitName::parse(unit).is_some()
            })
}

/// Sets all vhosts aside that are to blame; whether there were any.
///
/// # Errors
/// A file cannot be moved or written.
pub(crate) fn set_aside_all(vhost_dir: &Path, refusal: &Refusal) -> Result<bool, Fault> {
    let files = to_blame(vhost_dir, refusal);
    for file in &files {
        set_aside(file, &refusal.message)?;
        tracing::error!(file = %file.display(), why = refusal.message, "a vhost that nginx does not take is set aside");
    }
    Ok(!files.is_empty())
}

/// Sets a vhost aside and puts another one in its place. A stand-in that is itself to blame goes.
///
/// # Errors
/// A file cannot be moved or written.
pub(crate) fn set_aside(file: &Path, why: &str) -> Result<(), Fault> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    if reason(&text).is_some() {
        return fs::remove_file(file).map(drop);
    }
    let aside = included::set_aside(file)?;
    fs::write_atomic(file, stand_in(&text, &aside, why).as_bytes(), 0o644)
}

/// A vhost for the names and addresses of another one. That one is broken, so only unambiguous parts are
/// taken over.
fn stand_in(vhost: &str, aside: &Path, why: &str) -> String {
    let why = why.replace(char::is_control, " ");
    let mut lines = vec![
        format!("# {MARK}{why}"),
        format!("# It is now {}.", aside.display()),
    ];
    let is_name = |word: &&str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"*.-".contains(&b);
        !word.is_empty() && word.bytes().all(plain)
    };
    let is_address = |word: &str| {
        let plain = |b: u8| b.is_ascii_hexdigit() || b"[]:.".contains(&b);
        word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().all(plain)
    };
    let names: BTreeSet<&str> = directives(vhost, "server_name").filter(is_name).collect();
    let listen: BTreeSet<&str> = directives(vhost, "listen")
        .filter(|address| is_address(address.strip_suffix(" ssl").unwrap_or(address)))
        .collect();
    if names.is_empty() || listen.is_empty() {
        return lines.join("\n") + "\n";
    }
    lines.push("server {".into());
    lines.extend(
        listen
            .iter()
            .map(|address| format!("    listen {address};")),
    );
    lines.extend(names.iter().map(|name| format!("    server_name {name};")));
    if listen.iter().any(|address| address.ends_with(" ssl")) {
        lines.push("    # Without a certificate there is nothing to say.".into());
        lines.push("    ssl_reject_handshake on;".into());
    }
    lines.push("    return 503;".into());
    lines.push("}".into());
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const VHOST: &str = "# shop.a---b: written by cid\nserver {\n    listen 0.0.0.0:80;\n    listen [::]:80;\n    \
        server_name a---b.shop.test;\n    return 308 https://a---b.shop.test$request_uri;\n}\nserver {\n    \
        listen 0.0.0.0:443 ssl;\n    server_name a---b.shop.test;\n    ssl_certificate /c/shop.pem;\n    \
        ssl_certificate_key /c/shop.pem;\n    location / {\n        proxy_pass http://127.0.0.1:4000;\n    }\n}\n";

    fn refusal(message: &str, file: Option<&Path>) -> Refusal {
        Refusal {
            message: message.into(),
            file: file.map(Path::to_owned),
            line: file.map(|_| 1),
        }
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["shop.a---b.conf", "shop.c---d.conf", "theirs.conf", "x"] {
            std::fs::write(dir.path().join(name), VHOST).unwrap();
        }
        let other = VHOST.replace("/c/shop.pem", "/c/other.pem");
        std::fs::write(dir.path().join("other.e---f.conf"), other).unwrap();
        let front = VHOST.replace("/c/shop.pem", "/c/front.pem");
        std::fs::write(dir.path().join("front.conf"), front).unwrap();
        dir
    }

    #[test]
    fn only_vhosts_of_workspaces_are_blamed() {
        let dir = folder();
        let at = |name: &str| dir.path().join(name);
        let blamed = |message: &str, file: Option<&Path>| {
            let files = to_blame(dir.path(), &refusal(message, file));
            let name = |file: PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
            files.into_iter().map(name).collect::<Vec<_>>()
        };
        let nobody: [&str; 0] = [];
        assert_eq!(
            blamed("no", Some(&at("shop.a---b.conf"))),
            ["shop.a---b.conf"]
        );
        // The front names the operator's own files.
        assert_eq!(blamed("no", Some(&at("front.conf"))), ["front.conf"]);
        assert_eq!(
            blamed("cannot load certificate \"/c/front.pem\": no", None),
            ["front.conf"]
        );
        assert_eq!(blamed("no", Some(&at("theirs.conf"))), nobody);
        assert_eq!(
            blamed("no", Some(Path::new("/etc/nginx/shop.a---b.conf"))),
            nobody
        );
        assert_eq!(blamed("no", Some(&at("y/shop.a---b.conf"))), nobody);
        assert_eq!(
            blamed(
                "cannot load certificate \"/c/shop.pem\": BIO_new_file() failed",
                None
            ),
            ["shop.a---b.conf", "shop.c---d.conf"]
        );
        assert_eq!(
            blamed("SSL_CTX_use_PrivateKey(\"/c/other.pem\") failed", None),
            ["other.e---f.conf"]
        );
        assert_eq!(
            blamed("cannot load certificate \"/c/foreign.pem\"", None),
            nobody
        );
        let quoted = format!(
            "open() \"{}\" failed (5: Input/output error)",
            at("shop.c---d.conf").display()
        );
        assert_eq!(
            blamed(&quoted, Some(Path::new("/etc/nginx/conf.d/cid.conf"))),
            ["shop.c---d.conf"]
        );
    }

    #[test]
    fn the_one_that_stands_in_keeps_names_and_addresses() {
        let dir = folder();
        let file = dir.path().join("shop.a---b.conf");
        set_aside(&file, "cannot load\ncertificate \"/c/shop.pem\"").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            reason(&text),
            Some("cannot load certificate \"/c/shop.pem\"")
        );
        let text = text.replace(&dir.path().display().to_string(), "VHOSTS");
        insta::assert_snapshot!(text);
        let aside = dir.path().join("shop.a---b.conf.broken");
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), VHOST);
        // Its own turn to be bad.
        set_aside(&file, "no").unwrap();
        assert!(!file.exists() && aside.exists());
        assert_eq!(reason(VHOST), None);
    }

    #[test]
    fn of_garbage_nothing_is_taken_over() {
        let garbage =
            "server_name a b; server_name $x; listen unix:/x; listen 80 default_server; \u{0}";
        let text = stand_in(garbage, Path::new("/v.broken"), "no");
        assert_eq!(text, format!("# {MARK}no\n# It is now /v.broken.\n"));
    }
}
