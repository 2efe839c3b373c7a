//! Whether accounts can use what lies outside of their workspaces. Looks at permissions alone and opens
//! nothing as those accounts.

use crate::tree::acl::look::rights_by;
use cid_kernel::acl::{ALL, EXECUTE, bits};
use cid_protocol::{
    fault::Fault,
    request::{LookAtPaths, Obstacle, PathAsk, PathReport},
};
use rustix::fs::{self as sys, Mode, OFlags};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Looks at all of them and changes nothing.
///
/// # Errors
/// Something that is there cannot be looked at.
pub(crate) fn look_at_paths(ask: &LookAtPaths) -> Result<PathReport, Fault> {
    let obstacles = ask.asks.iter().map(obstacle).collect::<Result<_, _>>()?;
    Ok(PathReport { obstacles })
}

fn obstacle(ask: &PathAsk) -> Result<Option<Obstacle>, Fault> {
    let path = match fs::canonicalize(&ask.path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(Obstacle::Missing));
        }
        Err(error) => return Err(Fault::io("look at", &ask.path, error)),
    };
    let mut way: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
    way.reverse();
    for folder in way {
        if rights(ask, &folder)? & EXECUTE == 0 {
            return Ok(Some(Obstacle::Way(folder)));
        }
    }
    let is_open = rights(ask, &path)? & ask.rights == ask.rights;
    Ok((!is_open).then_some(Obstacle::Itself))
}

/// What the account may do with this one thing.
fn rights(ask: &PathAsk, path: &Path) -> Result<u16, Fault> {
    let cannot = |error: rustix::io::Errno| Fault::io("look at", path, error);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = sys::open(path, flags, Mode::empty()).map_err(cannot)?;
    let stat = sys::fstat(&handle).map_err(cannot)?;
    Ok(match ask.uid {
        0 => ALL,
        uid if uid == stat.st_uid => bits(stat.st_mode, 6),
        uid => rights_by(&handle, stat.st_mode, stat.st_gid, uid, &ask.gids),
    })
}

#[cfg(test)]
mod tests {
    use crate::tree::acl::paths::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn says_what_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(dir.path(), 0o755);
        let (outer, inner) = (dir.path().join("outer"), dir.path().join("outer/inner"));
        fs::create_dir_all(&inner).unwrap();
        let link = dir.path().join("link");
        symlink(&inner, &link).unwrap();
        let meta = fs::metadata(&inner).unwrap();
        let stranger = meta.uid() + 12_345;
        let ask = |path: &Path, uid, gids: &[u32], rights| {
            let gids = gids.to_vec();
            let path = path.to_owned();
            obstacle(&PathAsk {
                path,
                uid,
                gids,
                rights,
            })
            .unwrap()
        };
        let of_group = [meta.gid()];
        set(&outer, 0o710);
        set(&inner, 0o2770);
        assert_eq!(ask(&inner, stranger, &of_group, 7), None);
        assert_eq!(ask(&link, stranger, &of_group, 7), None);
        let real = fs::canonicalize(&outer).unwrap();
        let on_the_way = Some(Obstacle::Way(real));
        assert_eq!(ask(&link, stranger, &[], 5), on_the_way);
        set(&outer, 0o711);
        assert_eq!(ask(&inner, stranger, &[], 5), Some(Obstacle::Itself));
        set(&inner, 0o2775);
        assert_eq!(ask(&inner, stranger, &[], 5), None);
        assert_eq!(ask(&inner, stranger, &[], 7), Some(Obstacle::Itself));
        assert_eq!(ask(&inner, 0, &[], 7), None);
        let missing = outer.join("no");
        assert_eq!(ask(&missing, 0, &[], 4), Some(Obstacle::Missing));
    }
}
