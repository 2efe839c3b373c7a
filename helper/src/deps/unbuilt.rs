//! A package that could not be built, told by what installers say.

use super::python::{self, Version};
use cid_protocol::fault::Fault;

/// A package that is there in source alone for this Python, and was not built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unbuilt {
    /// `greenlet==1.1.2`.
    pub(super) package: String,
    /// The Python that it was to be built for.
    pub(super) python: Version,
    /// Its build wants setuptools or Cython as they were.
    pub(super) by_old_tools: bool,
}

/// How such a fault ends.
const UNBUILT: &str = " cannot be built with Python ";
const TOOLS: &str = " and today's setuptools";
/// What builds say that are older than their tools.
const OF_OLD_TOOLS: &[&str] = &[
    "use_2to3 is invalid",
    "from 'setuptools'",
    "No module named 'pkg_resources'",
    "No module named 'setuptools.",
    "cython_sources",
    "Invalid dash-separated key",
];

impl Unbuilt {
    /// What a fault says of one.
    pub(super) fn of(fault: &Fault) -> Option<Self> {
        let (before, python) = fault.message.split_once(UNBUILT)?;
        let package = before.rsplit(' ').next()?.to_owned();
        let (python, by_old_tools) = match python.strip_suffix(TOOLS) {
            Some(python) => (python, true),
            None => (python, false),
        };
        let python = python::numbers(python)?.try_into().ok()?;
        Some(Self {
            package,
            python,
            by_old_tools,
        })
    }

    /// The same as a fault.
    pub(super) fn fault(&self) -> Fault {
        let [major, minor, micro] = self.python;
        let tools = match self.by_old_tools {
            true => TOOLS,
            false => "",
        };
        Fault::new(format!(
            "cannot install the dependencies: {}{UNBUILT}{major}.{minor}.{micro}{tools}",
            self.package
        ))
    }

    /// What a line of uv's or pip's says.
    pub(super) fn package_in(line: &str) -> Option<String> {
        const MARKS: &[&str] = &[
            "Failed to build `",
            "Failed to download and build `",
            "Failed building wheel for ",
            "Could not build wheels for ",
        ];
        let (_, rest) = MARKS.iter().find_map(|mark| line.split_once(mark))?;
        let end = rest.find(['`', ',', ' ']).unwrap_or(rest.len());
        let package = &rest[..end];
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-=+!".contains(c);
        (!package.is_empty() && package.chars().all(is_name)).then(|| package.to_owned())
    }
}

/// Whether a line says that a build is older than its tools.
pub(super) fn is_of_old_tools(line: &str) -> bool {
    OF_OLD_TOOLS.iter().any(|mark| line.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_built_is_told_by_its_line_and_its_fault() {
        for (line, package) in [
            (
                "  × Failed to build `greenlet==1.1.2`",
                Some("greenlet==1.1.2"),
            ),
            (
                "  × Failed to download and build `psycopg2==2.7.3`",
                Some("psycopg2==2.7.3"),
            ),
            ("error: Failed to build `x @ file:///src`", Some("x")),
            (
                "  ERROR: Failed building wheel for psycopg2",
                Some("psycopg2"),
            ),
            (
                "ERROR: Could not build wheels for lxml, which is required to install",
                Some("lxml"),
            ),
            ("Building wheels for collected packages: x", None),
        ] {
            assert_eq!(Unbuilt::package_in(line).as_deref(), package, "{line}");
        }
        for by_old_tools in [false, true] {
            let unbuilt = Unbuilt {
                package: "greenlet==1.1.2".into(),
                python: [3, 11, 2],
                by_old_tools,
            };
            assert_eq!(Unbuilt::of(&unbuilt.fault()), Some(unbuilt));
        }
        assert_eq!(
            Unbuilt::of(&Fault::new("cannot install the dependencies")),
            None
        );
    }
}
