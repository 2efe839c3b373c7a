//! The kinds of packages that cid installs: a row each. Another kind joins by a row.

use super::{
    declared::Declared, locks, node, others, pyproject, requirements, snapshot::Snapshot, uv_lock,
};
use cid_protocol::{fault::Fault, request::Dependencies};

/// How a kind's files are read; `None` when they declare nothing after all.
type Read = fn(&Snapshot<'_>, &Kind) -> Result<Option<Declared>, Fault>;

/// A way to declare dependencies.
pub(crate) struct Kind {
    /// What it is called in requests.
    pub(crate) dependencies: Dependencies,
    language: Language,
    /// The deciding file.
    pub(crate) file: &'static str,
    /// This one is in the app's folder.
    pub(crate) needs: &'static str,
    pub(super) read: Read,
    /// What installs; `None`: uv or pip, see [`crate::deps`].
    pub(crate) tool: Option<Tool>,
}

/// A package manager and its command.
#[derive(Clone, Copy)]
pub(crate) struct Tool {
    /// The program.
    pub(crate) program: &'static str,
    /// Who else brings it where the machine does not have it.
    pub(crate) source: Source,
    /// The package of Debian's that has it, or has what brings it.
    pub(crate) debian: &'static str,
    /// Its arguments.
    pub(crate) install: &'static [&'static str],
}

/// What a tool that only translates a lock writes, for uv.
pub(crate) const EXPORTED: &str = "cid-exported.txt";

/// Where a tool comes from that the machine does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nowhere.
    Machine,
    /// The package index of Python, by uv: these packages.
    Uv(&'static [&'static str]),
    /// npm's registry, by npm.
    Npm,
}

/// Of each at most one kind counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    Ruby,
    Php,
    Go,
    Rust,
    Node,
}

/// Of each language the first whose files are there counts. Node's beside another one builds its assets.
pub(crate) const KINDS: &[Kind] = &[
    by_uv(
        Dependencies::UvLock,
        uv_lock::FILE,
        pyproject::FILE,
        |at, _| uv_lock::read(at),
    ),
    row(
        Dependencies::Poetry,
        Language::Python,
        "poetry.lock",
        pyproject::FILE,
        locks::of_pyproject,
        tool(
            "poetry",
            Source::Uv(&["poetry", "poetry-plugin-export"]),
            "pipx",
            // uv installs, which knows the operator's index and needs less time.
            &[
                "export",
                "--only",
                "main",
                "--no-interaction",
                "--no-ansi",
                "--output",
                EXPORTED,
            ],
        ),
    ),
    row(
        Dependencies::Pdm,
        Language::Python,
        "pdm.lock",
        pyproject::FILE,
        locks::of_pyproject,
        tool(
            "pdm",
            Source::Uv(&["pdm"]),
            "pipx",
            &["sync", "--prod", "--no-self", "--no-editable"],
        ),
    ),
    // Pipenv's own pip may be too new for the app's Python.
    by_uv(
        Dependencies::Pipenv,
        "Pipfile.lock",
        "Pipfile",
        locks::pipenv,
    ),
    by_uv(
        Dependencies::Requirements,
        requirements::FILE,
        requirements::FILE,
        |at, _| requirements::read(at),
    ),
    by_uv(
        Dependencies::Pyproject,
        pyproject::FILE,
        pyproject::FILE,
        |at, _| pyproject::read(at),
    ),
    row(
        Dependencies::Bundler,
        Language::Ruby,
        "Gemfile.lock",
        "Gemfile",
        others::bundler,
        tool("bundle", Source::Machine, "bundler", &["install"]),
    ),
    row(
        Dependencies::Composer,
        Language::Php,
        "composer.lock",
        "composer.json",
        others::composer,
        tool(
            "composer",
            Source::Machine,
            "composer",
            &[
                "install",
                "--no-dev",
                "--no-interaction",
                "--no-progress",
                "--no-scripts",
                "--no-ansi",
            ],
        ),
    ),
    row(
        Dependencies::Go,
        Language::Go,
        "go.mod",
        "go.mod",
        others::go,
        tool("go", Source::Machine, "golang-go", &["mod", "download"]),
    ),
    row(
        Dependencies::Cargo,
        Language::Rust,
        "Cargo.toml",
        "Cargo.toml",
        others::cargo,
        tool("cargo", Source::Machine, "cargo", &["fetch"]),
    ),
    row(
        Dependencies::Pnpm,
        Language::Node,
        "pnpm-lock.yaml",
        node::PACKAGE,
        node::read,
        tool(
            "pnpm",
            Source::Npm,
            "npm",
            &["install", "--frozen-lockfile"],
        ),
    ),
    row(
        Dependencies::YarnModern,
        Language::Node,
        "yarn.lock",
        node::PACKAGE,
        node::read,
        tool("yarn", Source::Npm, "npm", &["install", "--immutable"]),
    ),
    row(
        Dependencies::Yarn,
        Language::Node,
        "yarn.lock",
        node::PACKAGE,
        node::read,
        tool(
            "yarn",
            Source::Npm,
            "npm",
            &["install", "--frozen-lockfile"],
        ),
    ),
    row(
        Dependencies::Bun,
        Language::Node,
        "bun.lock",
        node::PACKAGE,
        node::read,
        tool("bun", Source::Npm, "npm", &["install", "--frozen-lockfile"]),
    ),
    row(
        Dependencies::Npm,
        Language::Node,
        "package-lock.json",
        node::PACKAGE,
        node::read,
        tool("npm", Source::Machine, "npm", &["ci"]),
    ),
    row(
        Dependencies::PackageJson,
        Language::Node,
        node::PACKAGE,
        node::PACKAGE,
        node::read,
        tool(
            "npm",
            Source::Machine,
            "npm",
            &["install", "--no-package-lock"],
        ),
    ),
];

const fn by_uv(
    dependencies: Dependencies,
    file: &'static str,
    needs: &'static str,
    read: Read,
) -> Kind {
    Kind {
        dependencies,
        language: Language::Python,
        file,
        needs,
        read,
        tool: None,
    }
}

const fn row(
    dependencies: Dependencies,
    language: Language,
    file: &'static str,
    needs: &'static str,
    read: Read,
    tool: Tool,
) -> Kind {
    Kind {
        dependencies,
        language,
        file,
        needs,
        read,
        tool: Some(tool),
    }
}

const fn tool(
    program: &'static str,
    source: Source,
    debian: &'static str,
    install: &'static [&'static str],
) -> Tool {
    Tool {
        program,
        source,
        debian,
        install,
    }
}

/// The row of a kind.
pub(crate) fn kind(dependencies: Dependencies) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.dependencies == dependencies)
}

/// A kind that is there, with what it declares.
pub(crate) type Detected = (&'static Kind, Declared);

/// How a commit declares its dependencies: the app's own first, and Node's beside them where they build what the
/// app serves.
///
/// # Errors
/// A file cannot be read or understood.
pub(crate) fn detect(snapshot: &Snapshot<'_>) -> Result<Vec<Detected>, Fault> {
    let mut found: Vec<Detected> = Vec::new();
    for kind in KINDS {
        for name in [kind.needs, kind.file] {
            // A folder of that name is an error, not an absent file.
            if !snapshot.has(name) {
                snapshot.read(name)?;
            }
        }
        if !snapshot.has(kind.needs) {
            continue;
        }
        let is_node = kind.language == Language::Node;
        let known = found.first().map(|(first, _)| first.language);
        let others_own = known.is_some_and(|known| known != kind.language);
        let is_taken = found
            .iter()
            .any(|(other, _)| other.language == kind.language);
        if is_taken || (others_own && !(is_node && node::builds(snapshot)?)) {
            continue;
        }
        if let Some(declared) = (kind.read)(snapshot, kind)? {
            found.push((kind, declared));
        }
    }
    if found.is_empty()
        && let Some(above) = above(snapshot)
    {
        return of_python_above(&above);
    }
    Ok(found)
}

/// Where an app of Python's has no packages of its own: the nearest folder above that declares some, such as the
/// repository's root for `src/manage.py`.
pub(super) fn above<'r>(snapshot: &Snapshot<'r>) -> Option<Snapshot<'r>> {
    let is_there = |at: &Snapshot<'_>, kind: &Kind| at.has(kind.file) && at.has(kind.needs);
    let declares = |at: &Snapshot<'_>| KINDS.iter().any(|kind| is_there(at, kind));
    if !snapshot.has_any(".py") || declares(snapshot) {
        return None;
    }
    let mut all = snapshot.app_dir.ancestors().skip(1);
    all.find_map(|folder| {
        let at = snapshot.at(folder)?;
        let of_python = KINDS
            .iter()
            .filter(|kind| kind.language == Language::Python);
        let has_one = of_python.into_iter().any(|kind| is_there(&at, kind));
        has_one.then_some(at)
    })
}

/// What a folder above the app's declares. Where it is a package itself, only what that needs is installed.
fn of_python_above(above: &Snapshot<'_>) -> Result<Vec<Detected>, Fault> {
    for kind in KINDS
        .iter()
        .filter(|kind| kind.language == Language::Python)
    {
        if !above.has(kind.file) || !above.has(kind.needs) {
            continue;
        }
        let Some(mut declared) = (kind.read)(above, kind)? else {
            continue;
        };
        declared.run_in = Some(above.app_dir.clone());
        if declared.is_package && kind.dependencies != Dependencies::UvLock {
            (declared.is_package, declared.local) = (false, false);
        }
        return Ok(vec![(kind, declared)]);
    }
    Ok(Vec::new())
}

/// All that these declare.
pub(crate) fn together(found: Vec<Detected>) -> Option<(Vec<Dependencies>, Declared)> {
    let mut kinds = Vec::new();
    let mut all: Option<Declared> = None;
    for (kind, declared) in found {
        kinds.push(kind.dependencies);
        all = Some(match all {
            None => declared,
            Some(before) => before.and(declared),
        });
    }
    all.map(|all| (kinds, all))
}
