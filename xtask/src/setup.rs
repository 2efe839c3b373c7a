//! Brings in what the machine lacks, from Debian's own packages.

use anyhow::{Context, Result, bail};
use cid_testkit::host::{Why, available};
use nix::unistd::Uid;
use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the machine is to be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Building cid and running a sandbox.
    Demo,
    /// Building the Debian package.
    Dist,
    /// All of Demo, and booting a Debian.
    Host,
    /// All of that as far as the machine can, and every test.
    Test,
}

/// Something that has to be there, and the package that brings it.
struct Need {
    package: &'static str,
    found_by: Found,
}

enum Found {
    Program(&'static str),
    File(&'static str),
    /// Python can import these.
    Modules(&'static str),
}

const DEMO: &[Need] = &[
    Need {
        package: "ca-certificates",
        found_by: Found::File("/etc/ssl/certs/ca-certificates.crt"),
    },
    Need {
        package: "gcc",
        found_by: Found::Program("cc"),
    },
    Need {
        package: "git",
        found_by: Found::Program("git"),
    },
    Need {
        package: "libc6-dev",
        found_by: Found::File("/usr/include/stdio.h"),
    },
    Need {
        package: "nginx-light",
        found_by: Found::Program("nginx"),
    },
    Need {
        package: "pkg-config",
        found_by: Found::Program("pkg-config"),
    },
    Need {
        package: "python3-venv",
        found_by: Found::Modules("venv, ensurepip"),
    },
    Need {
        package: "supervisor",
        found_by: Found::Program("supervisord"),
    },
];

const TEST: &[Need] = &[
    Need {
        package: "acl",
        found_by: Found::Program("setfacl"),
    },
    Need {
        package: "chromium",
        found_by: Found::Program("chromium"),
    },
    Need {
        package: "chromium-driver",
        found_by: Found::Program("chromedriver"),
    },
    Need {
        package: "fonts-dejavu-core",
        found_by: Found::File("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    },
    Need {
        package: "lintian",
        found_by: Found::Program("lintian"),
    },
    Need {
        package: "openssh-client",
        found_by: Found::Program("ssh-keygen"),
    },
    Need {
        package: "openssh-server",
        found_by: Found::Program("sshd"),
    },
    Need {
        package: "systemd",
        found_by: Found::Program("systemd-analyze"),
    },
];

const DIST: &[Need] = &[Need {
    package: "dpkg-dev",
    found_by: Found::Program("dpkg-shlibdeps"),
}];

const HOST: &[Need] = &[
    // Old versions of these two do not know the newest Debian.
    Need {
        package: "debian-archive-keyring",
        found_by: Found::File("/usr/share/keyrings/debian-archive-trixie-stable.gpg"),
    },
    Need {
        package: "debootstrap",
        found_by: Found::File("/usr/share/debootstrap/scripts/trixie"),
    },
    Need {
        package: "systemd-container",
        found_by: Found::Program("systemd-nspawn"),
    },
];

/// Sees to it that everything is there: installs it as root, says what to run otherwise.
pub fn ensure(purpose: Purpose) -> Result<()> {
    let more: &[&[Need]] = match purpose {
        Purpose::Demo => &[],
        Purpose::Dist => &[DIST],
        Purpose::Host => &[DIST, HOST],
        // A machine that cannot boot one anyway is spared the packages.
        Purpose::Test if matches!(available(), Ok(()) | Err(Why::Missing(_))) => {
            &[TEST, DIST, HOST]
        }
        Purpose::Test => &[TEST],
    };
    let missing: Vec<&str> = DEMO
        .iter()
        .chain(more.iter().copied().flatten())
        .filter(|need| !is_there(&need.found_by))
        .map(|need| need.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !Uid::effective().is_root() {
        bail!(
            "some Debian packages are missing; run this line, then the same command again:\n\n    \
             sudo apt-get update && sudo apt-get install --yes --no-install-recommends {packages}\n"
        );
    }
    if find("apt-get").is_none() {
        bail!("these are missing, and there is no apt-get to install them: {packages}");
    }
    println!("==> installing {packages}");
    let _quiet = NoServices::begin()?;
    apt_get(&["update", "--quiet"])?;
    apt_get(
        &[
            &["install", "--quiet", "--yes", "--no-install-recommends"],
            missing.as_slice(),
        ]
        .concat(),
    )
}

fn is_there(found_by: &Found) -> bool {
    match found_by {
        Found::Program(name) => find(name).is_some(),
        Found::File(path) => Path::new(path).exists(),
        Found::Modules(modules) => Command::new("python3")
            .arg("-c")
            .arg(format!("import {modules}"))
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success()),
    }
}

/// Looks a program up on PATH, and where Debian keeps the ones for administrators.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(sbin)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

fn apt_get(args: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .context("cannot start apt-get")?;
    if !status.success() {
        bail!("`apt-get {}` ended with {status}", args.join(" "));
    }
    Ok(())
}

/// While it lives, packages do not start the services they bring: a sandbox has its own nginx and
/// supervisord, and the machine's stay as they were.
struct NoServices {
    is_ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn begin() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { is_ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context("cannot write the service policy")?;
        let guard = Self { is_ours: true };
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!(
                "warning: cannot remove {POLICY}, which keeps services from starting: {error}"
            );
        }
    }
}
