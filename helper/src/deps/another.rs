//! Which other Python may do where packages refuse the one that was taken.

use super::{
    installer::{version_needed, which_python},
    python, settings,
    unbuilt::Unbuilt,
    uv,
    work::Work,
};
use crate::{
    command::{self, Code},
    inspect::{snapshot::Snapshot, wanted::Wanted},
};
use cid_protocol::{fault::Fault, request::BuildPackages};
use std::{ffi::OsString, fs, path::Path};

/// Versions are asked for back to this one.
const OLDEST: u32 = 8;

/// What to do after a build failed.
pub(super) enum Another {
    /// The same again with this one, which is there; and why.
    Take(Wanted, String),
    /// The same again with tools that build packages as they were.
    OldTools(String),
    /// It is to be fetched first.
    Bring(u32),
    /// Nothing; what the person may do.
    Tell(Fault),
}

/// Looks for one, where neither the repository nor the operator names theirs.
///
/// # Errors
/// The repository cannot be read.
pub(super) fn another(
    ask: &BuildPackages,
    snapshot: &Snapshot<'_>,
    fault: Fault,
) -> Result<Another, Fault> {
    if ask.python.is_some() {
        return Ok(Another::Tell(fault));
    }
    let wanted = Wanted::read(snapshot, None)?;
    if let Some(version) = version_needed(&fault) {
        if wanted.is_pinned() {
            return Ok(Another::Tell(fault));
        }
        // The packages of that time are made for the oldest that will do.
        let wanted = [
            Wanted::read(snapshot, Some(version))?,
            Wanted::at_least(version),
        ];
        let why = fault.to_string();
        return Ok(
            match wanted.into_iter().find(|wanted| is_there(ask, wanted)) {
                Some(wanted) => Another::Take(wanted, why),
                None => match minor(version).filter(|_| ask.may_bring_python) {
                    Some(minor) => Another::Bring(minor),
                    None => Another::Tell(fault),
                },
            },
        );
    }
    let Some(unbuilt) = Unbuilt::of(&fault) else {
        return Ok(Another::Tell(fault));
    };
    if unbuilt.by_old_tools {
        return Ok(Another::OldTools(fault.to_string()));
    }
    let Some(minor) = built_for(ask, &unbuilt) else {
        let hint = fault.hint.clone().unwrap_or_default();
        return Ok(Another::Tell(fault.hint(format!(
            "{hint}. No Python has this version of it built already: ask for a newer one in the repository, or try an \
             older Python:\n[app]\npython = \"3.9\""
        ))));
    };
    let version = format!("3.{minor}");
    let package = &unbuilt.package;
    let other = Wanted::read(snapshot, Some(&version))?;
    let may = !wanted.is_pinned() && wanted.takes_minor(minor);
    if may && is_there(ask, &other) {
        let why = format!("{fault}; for {version} it is built already");
        return Ok(Another::Take(other, why));
    }
    if may && ask.may_bring_python {
        return Ok(Another::Bring(minor));
    }
    Ok(Another::Tell(fault.hint(format!(
        "for Python {version} {package} is built already: write into the project file:\n[app]\npython = \"{version}\""
    ))))
}

fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("3.")?.parse().ok()
}

fn is_there(ask: &BuildPackages, wanted: &Wanted) -> bool {
    let env = settings::of_operator(&ask.env);
    let uv = uv::find(&ask.tools_dir, &env);
    which_python(wanted, uv.as_deref(), &ask.tools_dir, &env).is_ok()
}

/// The newest minor version before this one for which the index has the package built.
fn built_for(ask: &BuildPackages, unbuilt: &Unbuilt) -> Option<u32> {
    // pip leaves the version out; its newest has nothing to do with the one that failed.
    if !unbuilt.package.contains("==") {
        return None;
    }
    let work = Work::begin(&ask.target, ask.own_home).ok()?;
    let env = settings::environment(&ask.target, &work, &ask.env);
    let uv = uv::find(&ask.tools_dir, &env)?;
    let list = work.cache().with_file_name("one.txt");
    fs::write(&list, &unbuilt.package).ok()?;
    let python = python::find(&Wanted::default(), &env)?;
    let words = [
        "pip",
        "compile",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--python",
    ];
    let has_it = |minor: &u32| {
        let argv: Vec<OsString> = std::iter::once(uv.clone().into())
            .chain(words.map(OsString::from))
            .chain([python.path.clone().into()])
            .chain(["--python-version".into(), format!("3.{minor}").into()])
            .chain([list.clone().into()])
            .collect();
        let asked = command::capture(Code::Untrusted, &argv, &env, Path::new("/"));
        asked.is_ok_and(|(status, _)| status.success())
    };
    (OLDEST..unbuilt.python[1]).rev().find(has_it)
}
