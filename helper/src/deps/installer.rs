//! uv where it can be had, pip otherwise.

use super::{
    brought,
    python::{self, Found, Version},
    settings,
    unbuilt::{self, Unbuilt},
    uv,
    work::Work,
};
use crate::{
    Lines,
    command::{self, Code},
    inspect::wanted::Wanted,
};
use cid_protocol::{environment::Environment, fault::Fault, request::BuildPackages};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a fault says where the packages want another Python than the repository asks for.
const NEEDS: &str = "the packages need at least Python ";

/// The version that such a fault names.
pub(super) fn version_needed(fault: &Fault) -> Option<&str> {
    fault.message.split_once(NEEDS).map(|(_, version)| version)
}

/// The version in a line of uv's or pip's that says that this Python is too old.
fn needed_python(line: &str) -> Option<String> {
    let marks = ["does not satisfy Python>=", "Requires-Python >="];
    let (_, rest) = marks.iter().find_map(|mark| line.split_once(mark))?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let numbers: Vec<&str> = rest[..end.unwrap_or(rest.len())]
        .split('.')
        .take(2)
        .collect();
    (numbers.len() == 2).then(|| numbers.join("."))
}

/// What installs into one environment.
pub(super) struct Installer<'a> {
    target: &'a Path,
    python: PathBuf,
    /// `None`: it is that of another environment.
    version: Option<Version>,
    /// `None`: pip.
    uv: Option<PathBuf>,
    /// The environment is for the operator's own commands, which may want pip.
    with_pip: bool,
    env: Environment,
    lines: Lines<'a>,
}

/// The Python of the machine's, or one that was brought in, that fits what the repository wants, and a line that tells
/// it.
///
/// # Errors
/// No Python fits.
pub(super) fn which_python(
    wanted: &Wanted,
    uv: Option<&Path>,
    tools_dir: &Path,
    env: &Environment,
) -> Result<(Found, String), Fault> {
    let why = wanted.text();
    let by_uv = || {
        wanted
            .each()
            .iter()
            .find_map(|one| find_by_uv(one, uv?, env))
    };
    let by_cid = || brought::find(tools_dir, wanted, env);
    let Some(found) = python::find(wanted, env).or_else(by_cid).or_else(by_uv) else {
        return Err(python::missing(wanted, &python::all(env)));
    };
    let [major, minor, micro] = found.version;
    let told = format!(
        "Python {major}.{minor}.{micro}, {}: {}",
        found.path.display(),
        why.as_deref().unwrap_or("the repository asks for none")
    );
    Ok((found, told))
}

/// uv knows more places than PATH.
fn find_by_uv(wanted: &Wanted, uv: &Path, env: &Environment) -> Option<Found> {
    let argv = [
        uv.into(),
        "python".into(),
        "find".into(),
        "--no-project".into(),
        wanted.request().into(),
    ];
    let (status, lines) = command::capture(Code::Untrusted, &argv, env, Path::new("/")).ok()?;
    let path = PathBuf::from(lines.last().filter(|_| status.success())?);
    let found = python::look_at(Some(path).filter(|path| path.is_absolute())?, env)?;
    wanted.takes(found.version).then_some(found)
}

impl<'a> Installer<'a> {
    /// Finds tools and Python; `None`: there is no uv, and the request does not want pip instead.
    ///
    /// # Errors
    /// No Python fits what the repository wants.
    pub(super) fn choose(
        ask: &'a BuildPackages,
        work: &Work,
        (wanted, old_tools): (&Wanted, bool),
        lines: Lines<'a>,
    ) -> Result<Option<Self>, Fault> {
        let mut env = settings::environment(&ask.target, work, &ask.env);
        let uv = uv::find(&ask.tools_dir, &env);
        if uv.is_none() && !ask.or_pip {
            return Ok(None);
        }
        let (found, told) = which_python(wanted, uv.as_deref(), &ask.tools_dir, &env)?;
        lines(&told);
        if old_tools {
            let file = work.cache().with_file_name("build-tools.txt");
            // Those before know nothing of this Python.
            let text = match found.version >= [3, 12, 0] {
                true => "setuptools<81\ncython<3\n",
                false => "setuptools<58\ncython<3\n",
            };
            fs::write(&file, text).map_err(|error| Fault::io("write", &file, error))?;
            env.insert("UV_BUILD_CONSTRAINT".into(), file.into());
        }
        let installer = Self {
            target: &ask.target,
            python: found.path,
            version: Some(found.version),
            uv,
            with_pip: ask.dependencies.is_empty(),
            env,
            lines,
        };
        Ok(Some(installer))
    }

    /// What lays an environment over another one, or adds to one (then both are the same).
    pub(super) fn of(
        target: &'a Path,
        other: &Path,
        tools_dir: &Path,
        env: Environment,
        lines: Lines<'a>,
    ) -> Self {
        Self {
            target,
            python: other.join("bin/python"),
            version: None,
            uv: uv::find(tools_dir, &env),
            with_pip: false,
            env,
            lines,
        }
    }

    /// An environment without packages.
    pub(super) fn make_environment(&self) -> Result<(), Fault> {
        let target = self.target.as_os_str();
        let by_python = || {
            let argv = ["-m", "venv", "--prompt", "cid"].map(OsString::from);
            self.run(
                self.python.as_os_str().to_owned(),
                argv.into_iter().chain([target.to_owned()]),
                Path::new("/"),
            )
            .map_err(|fault| fault.hint("on Debian this needs the package python3-venv"))
        };
        let Some(uv) = &self.uv else {
            return by_python();
        };
        // What is there is this build's own.
        let mut argv: Vec<OsString> = [
            "venv",
            "--quiet",
            "--no-project",
            "--allow-existing",
            "--prompt",
            "cid",
        ]
        .map(Into::into)
        .into();
        if self.with_pip {
            argv.push("--seed".into());
        }
        argv.extend([
            "--python".into(),
            self.python.clone().into(),
            target.to_owned(),
        ]);
        match self.run(uv.into(), argv, Path::new("/")) {
            // uv takes pip from the package index, which may have the project's own packages alone. Python brings it.
            Err(fault) if self.with_pip && !fault.cancelled => by_python().map_err(|_| fault)?,
            made => made?,
        }
        if self.with_pip && !self.target.join("bin/uv").exists() {
            // For commands like `uv sync`, where the machine has no uv on PATH. It is convenience.
            let _ = std::os::unix::fs::symlink(uv, self.target.join("bin/uv"));
        }
        Ok(())
    }

    /// Installs what `uv.lock` says.
    pub(super) fn sync(&self, app: &Path) -> Result<(), Fault> {
        let Some(uv) = &self.uv else {
            return Err(Fault::new("cannot install from uv.lock without uv")
                .hint("install uv, e.g. with pipx install uv"));
        };
        let mut argv: Vec<OsString> = [
            "sync",
            "--frozen",
            "--no-dev",
            "--compile-bytecode",
            "--python",
        ]
        .map(Into::into)
        .into();
        argv.push(self.python.clone().into());
        self.run(uv.into(), argv, app)
    }

    /// Installs what `requirements.txt` says.
    pub(super) fn install_requirements(&self, app: &Path) -> Result<(), Fault> {
        self.install(app, "requirements.txt")
    }

    /// Installs the dependencies of `pyproject.toml` without the project.
    pub(super) fn install_project_dependencies(&self, app: &Path) -> Result<(), Fault> {
        if self.uv.is_some() {
            return self.install(app, "pyproject.toml");
        }
        let path = app.join("pyproject.toml");
        let text = fs::read_to_string(&path).map_err(|error| Fault::io("read", &path, error))?;
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| Fault::io("understand", &path, error.message()))?;
        let requirements: Vec<&str> = table
            .get("project")
            .ok_or_else(|| {
                Fault::new("cannot install what [tool.poetry] declares without uv")
                    .hint("install uv, e.g. with pipx install uv")
            })?
            .get("dependencies")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_str)
            .collect();
        let list = app.join("cid-requirements.txt");
        fs::write(&list, requirements.join("\n"))
            .map_err(|error| Fault::io("write", &list, error))?;
        let installed = self.install(app, "cid-requirements.txt");
        // It belongs into no tree.
        let _ = fs::remove_file(&list);
        installed
    }

    /// Installs a list that names each package, from a lock.
    pub(super) fn install_exported(&self, app: &Path, file: &str) -> Result<(), Fault> {
        let words = [self.compile(), "--no-deps", "-r", file];
        self.pip("install", words.map(Into::into), app)
    }

    fn install(&self, app: &Path, file: &str) -> Result<(), Fault> {
        let words = [self.compile(), "-r", file];
        self.pip("install", words.map(Into::into), app)
    }

    fn compile(&self) -> &'static str {
        match self.uv {
            Some(_) => "--compile-bytecode",
            None => "--compile",
        }
    }

    /// Adds setuptools to an environment of a Python whose own environments have it, where nothing asks for another one:
    /// apps of its time take pkg_resources for there. It is convenience.
    pub(super) fn add_setuptools(&self) {
        let is_of_its_time = self.version.is_some_and(|version| version < [3, 12, 0]);
        let lib = self.target.join("lib");
        let folders = fs::read_dir(&lib).into_iter().flatten().flatten();
        let mut folders = folders.map(|entry| entry.path().join("site-packages/setuptools"));
        if self.uv.is_none() || !is_of_its_time || folders.any(|folder| folder.exists()) {
            return;
        }
        let words = [self.compile(), "--quiet", "setuptools<81"].map(Into::into);
        if let Err(fault) = self.pip("install", words, Path::new("/")) {
            (self.lines)(&format!("going on without setuptools: {fault}"));
        }
    }

    /// Installs packages, without what they need, so that they are used where they lie.
    pub(super) fn install_editable(&self, folders: &[PathBuf], app: &Path) -> Result<(), Fault> {
        let each = |folder: &PathBuf| ["--editable".into(), folder.into()];
        let folders = folders.iter().flat_map(each);
        self.pip(
            "install",
            ["--no-deps".into()].into_iter().chain(folders),
            app,
        )
    }

    /// Removes packages.
    pub(super) fn uninstall(&self, names: &[String]) -> Result<(), Fault> {
        let yes = self.uv.is_none().then(|| "--yes".into());
        let names = names.iter().map(Into::into);
        self.pip("uninstall", yes.into_iter().chain(names), Path::new("/"))
    }

    /// uv's own pip where there is uv, the environment's otherwise.
    fn pip(
        &self,
        verb: &str,
        arguments: impl IntoIterator<Item = OsString>,
        dir: &Path,
    ) -> Result<(), Fault> {
        let python = self.target.join("bin/python");
        let (program, begin): (OsString, Vec<OsString>) = match &self.uv {
            Some(uv) => {
                let python = ["--python".into(), python.into()];
                let begin = ["pip", verb].map(Into::into).into_iter().chain(python);
                (uv.into(), begin.collect())
            }
            None => (python.into(), ["-m", "pip", verb].map(Into::into).into()),
        };
        self.run(program, begin.into_iter().chain(arguments), dir)
    }

    /// Runs one command; the fault ends in what it said last about an error.
    fn run(
        &self,
        program: OsString,
        arguments: impl IntoIterator<Item = OsString>,
        dir: &Path,
    ) -> Result<(), Fault> {
        let argv: Vec<OsString> = std::iter::once(program).chain(arguments).collect();
        let said: Mutex<Option<String>> = Mutex::default();
        let newer: Mutex<Option<String>> = Mutex::default();
        let unbuilt: Mutex<Option<String>> = Mutex::default();
        let by_old_tools = AtomicBool::default();
        let status = command::run(Code::Untrusted, &argv, &self.env, dir, &|line| {
            if let Some(version) = needed_python(line) {
                *newer.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
            }
            if unbuilt::is_of_old_tools(line) {
                by_old_tools.store(true, Ordering::Relaxed);
            }
            if let Some(package) = Unbuilt::package_in(line) {
                let mut unbuilt = unbuilt.lock().unwrap_or_else(PoisonError::into_inner);
                unbuilt.get_or_insert(package);
            }
            if ["error:", "ERROR:", "  ×", "Error:"]
                .iter()
                .any(|mark| line.starts_with(mark))
            {
                *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.trim().to_owned());
            }
            (self.lines)(line);
        })?;
        if status.success() {
            return Ok(());
        }
        if let Some(version) = newer.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(
                Fault::new(format!("cannot install the dependencies: {NEEDS}{version}")).hint(
                    format!("install it, and write into the project file:\n[app]\npython = \"{version}\""),
                ),
            );
        }
        let tool = if self.uv.is_some() { "uv" } else { "pip" };
        let unbuilt = unbuilt.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let (Some(package), Some(python)) = (unbuilt, self.version) {
            let by_old_tools = by_old_tools.into_inner();
            let unbuilt = Unbuilt {
                package,
                python,
                by_old_tools,
            };
            return Err(unbuilt.fault().hint(format!(
                "the lines {tool} wrote before say what it lacks: a compiler, headers of a library, or code for this Python"
            )));
        }
        let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
        let cause =
            said.unwrap_or_else(|| format!("{tool} ended with status {}", command::code(status)));
        Err(
            Fault::new(format!("cannot install the dependencies: {cause}"))
                .hint(format!("the lines {tool} wrote before say more")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_too_old_is_told_from_other_faults() {
        for (line, version) in [
            (
                "  cause: Because the current Python version (3.11.2) does not satisfy Python>=3.12 and you require django==6.1, we",
                Some("3.12"),
            ),
            (
                "ERROR: Ignored the following versions that require a different python version: 6.1 Requires-Python >=3.12.1; 6",
                Some("3.12"),
            ),
            ("error: No solution found when resolving dependencies", None),
            ("does not satisfy Python>=3", None),
        ] {
            assert_eq!(needed_python(line).as_deref(), version, "{line}");
        }
        let fault = Fault::new(format!("cannot install the dependencies: {NEEDS}3.12"));
        assert_eq!(version_needed(&fault), Some("3.12"));
        assert_eq!(version_needed(&Fault::new("cannot")), None);
    }
}
