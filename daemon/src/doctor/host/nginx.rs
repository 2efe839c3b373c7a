//! What nginx's configuration must contain for workspaces to answer. The configuration is the one that
//! nginx itself reports.

use super::{Trouble, Troubles};
use crate::{
    cid::Cid,
    step::uid_of,
    system::nginx::worker::{self, directives},
};
use cid_kernel::{accounts, fs};
use std::path::Path;

/// nginx's default: the length of a processor cache line.
const DEFAULT_BUCKET: usize = 64;
/// A workspace's name has at most so many characters, and a dot follows.
const LONGEST_NAME: usize = 41;

/// The package's file that includes them.
const PACKAGED: &str = "/etc/nginx/conf.d/cid.conf";
/// A file of /etc that somebody removed stays removed, unless dpkg is told otherwise.
const BRING_BACK: &str = "/etc/nginx/conf.d/cid.conf is missing; bring it back with the package that is installed: apt install --reinstall -o Dpkg::Options::=--force-confmiss ./cid_VERSION_ARCH.deb, then: systemctl reload nginx";

/// Whether the folder of the workspaces' sites is included.
pub(super) async fn include(cid: Cid) -> Troubles {
    // nginx's own test reports a broken configuration.
    let Ok(configuration) = cid.sys.nginx.configuration().await else {
        return Ok(Vec::new());
    };
    let dir = cid.layout.vhost_dir();
    if includes(&configuration, &dir) {
        return Ok(Vec::new());
    }
    let message = format!("nothing that nginx reads includes {}/*.conf", dir.display());
    let trouble = Trouble::new("", message);
    Ok(vec![match fs::exists(Path::new(PACKAGED)) {
        true => trouble,
        false => trouble.mend(BRING_BACK),
    }])
}

/// nginx reads what its workers' account may read: media that people upload, and sockets of apps. An
/// account with further rights would serve files that were never meant to be public.
pub(super) async fn worker(cid: Cid) -> Troubles {
    let Ok(configuration) = cid.sys.nginx.configuration().await else {
        return Ok(Vec::new());
    };
    let name = worker::account(&configuration);
    let Some(user) = accounts::user(name)? else {
        return Ok(vec![Trouble::new(
            "",
            format!("there is no account {name}"),
        )]);
    };
    let uid = user.uid.as_raw();
    let shelf = cid.projects.all();
    let others = shelf.values().flatten().flat_map(|project| {
        let people = project.access.people.values();
        let named = project.deploy_user.iter().chain(people);
        named.map(|account| (account.clone(), project.name.clone()))
    });
    let what = if uid == 0 {
        Some("they are root's, and read everything on this machine".to_owned())
    } else if cid.settings.workspace_uids.0.contains(&uid) {
        Some(format!("they run as {name}, the account of a workspace"))
    } else {
        // By number: two names may be one account.
        let mut others = others.filter(|(account, _)| uid_of(account).is_ok_and(|of| of == uid));
        others.next().map(|(account, project)| {
            format!("they run as {account}, whom the project {project} names, and read that account's files")
        })
    };
    Ok(what
        .map(|message| Trouble::new("", message))
        .into_iter()
        .collect())
}

/// Projects with a domain so long that nginx would refuse to start for the longest name below it.
pub(super) async fn names(cid: Cid) -> Troubles {
    let Ok(configuration) = cid.sys.nginx.configuration().await else {
        return Ok(Vec::new());
    };
    let bucket = bucket(&configuration);
    let shelf = cid.projects.all();
    let too_long = shelf.values().flatten().filter_map(|project| {
        let length = LONGEST_NAME + project.domain.len();
        (length > capacity(bucket)).then(|| {
            let message = format!(
                "a name below {} can have {length} characters where its app listens on a port; with \
                 server_names_hash_bucket_size {bucket} nginx takes {}, and a longer one stops all sites",
                project.domain,
                capacity(bucket)
            );
            Trouble::new(format!("of {}", project.name), message)
        })
    });
    Ok(too_long.collect())
}

fn includes(configuration: &str, dir: &Path) -> bool {
    directives(configuration, "include").any(|glob| {
        let glob = Path::new(glob);
        glob.parent() == Some(dir)
            && matches!(glob.file_name(), Some(name) if name == "*.conf" || name == "*")
    })
}

fn bucket(configuration: &str) -> usize {
    let mut sizes = directives(configuration, "server_names_hash_bucket_size");
    let size = sizes.next().and_then(|size| size.parse().ok());
    // nginx rounds up to whole lines of the cache.
    size.map_or(DEFAULT_BUCKET, |size: usize| {
        size.next_multiple_of(DEFAULT_BUCKET)
    })
}

/// The longest name that fits into a bucket. A bucket also holds two pointers and the name's length, and
/// is rounded up to whole pointers (`NGX_HASH_ELT_SIZE` in nginx's `ngx_hash.c`).
fn capacity(bucket: usize) -> usize {
    const POINTER: usize = 8;
    (bucket.saturating_sub(2 * POINTER) / POINTER * POINTER).saturating_sub(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_nginx_prints() {
        let text = "http {\n    include /etc/nginx/conf.d/*.conf;\n# include /v/vhosts/*.conf;\n";
        assert!(!includes(text, Path::new("/v/vhosts")));
        let text =
            format!("{text}\tinclude   /v/vhosts/*.conf;\nserver_names_hash_bucket_size 100;\n");
        assert!(includes(&text, Path::new("/v/vhosts")));
        assert!(!includes(&text, Path::new("/v")));
        assert_eq!(bucket(&text), 128);
        assert_eq!(bucket("# server_names_hash_bucket_size 128;"), 64);
    }

    #[test]
    fn knows_how_long_a_name_may_be() {
        // Tried with nginx 1.22: 46 characters pass at 64, 47 do not; 110 at 128.
        assert_eq!((capacity(64), capacity(128)), (46, 110));
    }
}
