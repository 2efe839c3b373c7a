//! Package managers other than uv and pip: which one, and its command.

use super::{settings, work::Work};
use crate::{
    Lines,
    command::{self, Code},
    inspect::kinds::{Kind, Source, Tool},
};
use cid_protocol::{
    environment::{Environment, passed_on},
    fault::Fault,
    request::{BuildPackages, Dependencies, PACKAGES},
};
use serde_json::Value;
use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// How the first line of output that names a cause begins.
const CAUSES: &[&str] = &[
    "error",
    "npm ERR! code",
    "npm error code",
    "ERR_",
    " ERR_",
    "ERROR",
    "Error",
    "fatal",
    "go: ",
    "!!",
];
/// A cause is quoted up to this, in characters.
const QUOTED: usize = 300;

/// Installs in a folder of the exported files what a kind's lock says.
///
/// # Errors
/// The machine has no such tool, or the tool fails.
pub(super) fn install(
    ask: &BuildPackages,
    kind: &Kind,
    tool: &Tool,
    folder: &Path,
    (work, uv): (&Work, Option<&Path>),
    lines: Lines,
) -> Result<(), Fault> {
    let env = environment(ask, work);
    let mut argv = program(kind, tool, folder, uv, &env)?;
    argv.extend(tool.install.iter().map(OsString::from));
    if kind.dependencies == Dependencies::Cargo && folder.join("Cargo.lock").exists() {
        argv.push("--locked".into());
    }
    run(tool.program, &argv, &env, folder, lines)
}

/// Runs an operator's command like a package manager.
///
/// # Errors
/// It cannot be started, or fails.
pub(super) fn run_given(
    ask: &BuildPackages,
    command: &[String],
    folder: &Path,
    work: &Work,
    lines: Lines,
) -> Result<(), Fault> {
    let env = environment(ask, work);
    let shown = command.join(" ");
    lines(&format!("$ {shown}"));
    let argv: Vec<OsString> = command.iter().map(OsString::from).collect();
    run(&shown, &argv, &env, folder, lines).map_err(|fault| {
        fault
            .hint("see its lines of output; mend the repository or app.install in the project file")
    })
}

/// Variables of all package managers: each reads its own.
fn environment(ask: &BuildPackages, work: &Work) -> Environment {
    let mut env = settings::environment(&ask.target, work, &ask.env);
    if !has_python(ask) {
        env.remove(OsStr::new("VIRTUAL_ENV"));
        env.remove(OsStr::new("UV_PROJECT_ENVIRONMENT"));
    }
    if let Some(node) = &ask.node {
        let mut path = node.clone().into_os_string();
        path.push(":");
        path.push(env.get(OsStr::new("PATH")).cloned().unwrap_or_default());
        env.insert("PATH".into(), path);
    }
    let cache = |name: &str| work.cache().join(name).into_os_string();
    let folders = [
        ("npm_config_cache", cache("npm")),
        ("npm_config_store_dir", cache("pnpm")),
        ("YARN_CACHE_FOLDER", cache("yarn")),
        ("YARN_GLOBAL_FOLDER", cache("yarn-global")),
        ("BUN_INSTALL_CACHE_DIR", cache("bun")),
        ("COMPOSER_HOME", cache("composer")),
        ("BUNDLE_APP_CONFIG", cache("bundle")),
        ("GOCACHE", cache("go")),
        ("POETRY_CACHE_DIR", cache("poetry")),
        ("PDM_CACHE_DIR", cache("pdm")),
        ("UV_TOOL_DIR", cache("tools")),
    ];
    let fixed = [
        ("npm_config_audit", "false"),
        ("npm_config_fund", "false"),
        ("npm_config_progress", "false"),
        ("npm_config_update_notifier", "false"),
        // A link into the store could be written by what is installed.
        ("npm_config_package_import_method", "copy"),
        ("YARN_ENABLE_TELEMETRY", "0"),
        ("YARN_NODE_LINKER", "node-modules"),
        ("COMPOSER_ALLOW_SUPERUSER", "1"),
        ("BUNDLE_FROZEN", "true"),
        ("GOFLAGS", "-modcacherw"),
        ("PDM_CHECK_UPDATE", "0"),
    ];
    env.extend(folders.map(|(name, value)| (name.into(), value)));
    env.extend(fixed.map(|(name, value)| (name.into(), value.into())));
    let beside = ask.dependencies.iter().filter_map(|kind| kind.beside());
    env.extend(beside.map(|(folder, variable)| {
        let folder = ask.target.join(PACKAGES).join(folder);
        (variable.into(), folder.into())
    }));
    env
}

/// Python's own packages, and an operator's commands, get an environment of Python's.
pub(super) fn has_python(ask: &BuildPackages) -> bool {
    ask.dependencies.is_empty() || ask.dependencies.iter().any(|kind| kind.is_python())
}

/// The tool: the machine's, or brought by another one.
fn program(
    kind: &Kind,
    tool: &Tool,
    folder: &Path,
    uv: Option<&Path>,
    env: &Environment,
) -> Result<Vec<OsString>, Fault> {
    let on_path = |name: &str| command::find(OsStr::new(name), env, Path::new("/")).ok();
    let is_uvs = matches!(tool.source, Source::Uv(_));
    if !is_uvs && let Some(path) = on_path(tool.program) {
        return Ok(vec![path.into()]);
    }
    let name = OsString::from(tool.program);
    match tool.source {
        Source::Uv(packages) => uv.map(|uv| {
            let with = packages
                .iter()
                .skip(1)
                .flat_map(|package| ["--with", package]);
            let words = ["tool", "run", "--from", tool.program]
                .into_iter()
                .chain(with);
            let words = words.map(OsString::from).chain([name]);
            std::iter::once(OsString::from(uv)).chain(words).collect()
        }),
        Source::Npm => on_path("npm").map(|npm| {
            let package = format!("--package={}", package_of(kind, folder));
            let words = [
                "exec".into(),
                "--yes".into(),
                package.into(),
                "--".into(),
                name,
            ];
            std::iter::once(npm.into()).chain(words).collect()
        }),
        Source::Machine => None,
    }
    .ok_or_else(|| without(kind, tool))
}

/// The machine has neither the tool nor what brings it.
fn without(kind: &Kind, tool: &Tool) -> Fault {
    let needs = match tool.source {
        Source::Npm => "npm",
        Source::Uv(_) => "uv",
        Source::Machine => tool.program,
    };
    Fault::new(format!("cannot find {needs}, which {} needs", kind.file)).hint(format!(
        "apt install {}; or say otherwise by `install` in [app] of the project file",
        tool.debian
    ))
}

/// Why a kind cannot be installed on this machine; uv is brought in where it is missing.
pub(crate) fn missing(kind: &Kind) -> Option<Fault> {
    let tool = kind.tool.as_ref()?;
    let env = passed_on();
    let is_there = |name: &str| command::find(OsStr::new(name), &env, Path::new("/")).is_ok();
    let found = match tool.source {
        Source::Uv(_) => true,
        // It comes with Node, which is fetched.
        Source::Npm => true,
        Source::Machine if tool.program == "npm" => true,
        Source::Machine => is_there(tool.program),
    };
    (!found).then(|| without(kind, tool))
}

/// npm's name of the tool in the version that the repository wants: it says so, or its lock does.
fn package_of(kind: &Kind, folder: &Path) -> String {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let json: Value = serde_json::from_str(&read("package.json")).unwrap_or_default();
    let asked = json.get("packageManager").and_then(Value::as_str);
    let asked = asked.and_then(|text| text.split('+').next()?.split_once('@'));
    let lock = read(kind.file);
    let (name, version) = match (kind.dependencies, asked) {
        (Dependencies::Yarn, Some(("yarn", version))) => ("yarn", version),
        (Dependencies::Yarn, _) => ("yarn", "1"),
        (Dependencies::YarnModern, Some(("yarn", version))) => ("@yarnpkg/cli-dist", version),
        (Dependencies::YarnModern, _) => ("@yarnpkg/cli-dist", "4"),
        (Dependencies::Pnpm, Some(("pnpm", version))) => ("pnpm", version),
        (Dependencies::Pnpm, _) => ("pnpm", pnpm_of(&lock)),
        (Dependencies::Bun, Some(("bun", version))) => ("bun", version),
        _ => ("bun", "1"),
    };
    format!("{name}@{version}")
}

/// Each version of pnpm writes locks of its own.
fn pnpm_of(lock: &str) -> &'static str {
    let version = lock
        .lines()
        .find_map(|line| line.strip_prefix("lockfileVersion:"));
    let version = version.unwrap_or_default().trim().trim_matches(['\'', '"']);
    match version.split('.').next() {
        Some("5") => "7",
        Some("6") => "8",
        _ => "9",
    }
}

fn run(
    shown: &str,
    argv: &[OsString],
    env: &Environment,
    folder: &Path,
    lines: Lines,
) -> Result<(), Fault> {
    let said: Mutex<Option<String>> = Mutex::default();
    let status = command::run(Code::Untrusted, argv, env, folder, &|line| {
        let is_cause = CAUSES.iter().any(|begin| line.starts_with(begin));
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if is_cause && said.is_none() {
            *said = Some(line.trim().chars().take(QUOTED).collect());
        }
        drop(said);
        lines(line);
    })?;
    if status.success() {
        return Ok(());
    }
    let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
    let cause = said.map_or_else(String::new, |said| format!(": {said}"));
    Err(Fault::new(format!(
        "cannot install the dependencies: `{shown}` ended with status {}{cause}",
        command::code(status)
    ))
    .hint(format!("the lines {shown} wrote before say more")))
}

/// Where uv is, if anything needs it.
pub(super) fn uv_of(ask: &BuildPackages, work: &Work) -> Option<PathBuf> {
    super::uv::find(&ask.tools_dir, &environment(ask, work))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::kinds::kind;

    #[test]
    fn the_repository_or_its_lock_says_which_version_brings_the_tool() {
        let dir = tempfile::tempdir().unwrap();
        let package = |kind_of, json: &str, lock: &str| {
            let kind = kind(kind_of).unwrap();
            fs::write(dir.path().join("package.json"), json).unwrap();
            fs::write(dir.path().join(kind.file), lock).unwrap();
            package_of(kind, dir.path())
        };
        let asks = r#"{"packageManager": "pnpm@8.15.4+sha256.abc"}"#;
        for (kind, json, lock, expected) in [
            (Dependencies::Pnpm, asks, "", "pnpm@8.15.4"),
            (
                Dependencies::Pnpm,
                "{}",
                "lockfileVersion: '6.0'\n",
                "pnpm@8",
            ),
            (Dependencies::Pnpm, "{}", "lockfileVersion: 5.4\n", "pnpm@7"),
            (
                Dependencies::Pnpm,
                "{}",
                "lockfileVersion: '9.0'\n",
                "pnpm@9",
            ),
            // Another tool's.
            (Dependencies::Yarn, asks, "", "yarn@1"),
            (
                Dependencies::YarnModern,
                "nonsense",
                "",
                "@yarnpkg/cli-dist@4",
            ),
            (Dependencies::Bun, "{}", "", "bun@1"),
        ] {
            assert_eq!(package(kind, json, lock), expected);
        }
    }
}
