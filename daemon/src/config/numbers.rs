//! How many of anything a project file may hold.

use super::{Project, place::Broken};
use cid_protocol::budget::{
    Budget, COMMANDS, ENTRIES, PEOPLE, PROCESS_TYPES, VARIABLE, VARIABLES, VARIABLES_BYTES,
};

/// Refuses more than the bounds.
///
/// # Errors
/// The first that is broken, with its key.
pub(super) fn check(project: &Project) -> Result<(), Broken> {
    let within = |budget: &'static Budget, found: usize, key: &'static str| {
        let taken = budget.check(found, format_args!("this {key}"));
        taken.map_err(|over| Broken::new(key, over.to_string()))
    };
    let app = &project.app;
    for (key, commands) in [
        ("app.install", &app.install),
        ("app.release", &app.release),
        ("app.build", &app.build),
        ("app.test", &app.test),
    ] {
        within(&COMMANDS, commands.as_ref().map_or(0, Vec::len), key)?;
    }
    within(&COMMANDS, app.seed.len(), "app.seed")?;
    within(&COMMANDS, app.personal.len(), "app.personal")?;
    within(&ENTRIES, app.install_inputs.len(), "app.install_inputs")?;
    within(&PROCESS_TYPES, app.skip.len(), "app.skip")?;
    within(&PROCESS_TYPES, app.run.len(), "app.run")?;
    within(&VARIABLES, project.env.len(), "env")?;
    let longest = project.env.values().map(String::len).max();
    within(&VARIABLE, longest.unwrap_or(0), "env")?;
    let variables = project.env.iter();
    let bytes = variables.map(|(name, value)| name.as_str().len() + value.len());
    within(&VARIABLES_BYTES, bytes.sum(), "env")?;
    let test = &project.test.env;
    within(&VARIABLES, test.len(), "test.env")?;
    let longest = test.values().map(String::len).max();
    within(&VARIABLE, longest.unwrap_or(0), "test.env")?;
    let bytes = test
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    within(&VARIABLES_BYTES, bytes.sum(), "test.env")?;
    within(&ENTRIES, project.files.len(), "files")?;
    within(&ENTRIES, project.links.len(), "links")?;
    within(&PEOPLE, project.access.people.len(), "access.people")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::budget::{COMMAND, PROJECT_FILE};
    use std::fmt::Write as _;

    const HEAD: &str = "domain = \"x.localhost\"\n[git]\nurl = \"/srv/x.git\"\n";

    fn load(text: &str) -> Result<Project, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.toml");
        std::fs::write(&path, text).unwrap();
        Project::load(&path).map_err(|error| error.to_string())
    }

    /// A file with so many of something in it.
    type File = fn(usize) -> String;

    fn many(head: &str, count: usize, line: impl Fn(usize) -> String) -> String {
        let mut text = format!("{HEAD}{head}");
        (0..count).for_each(|n| writeln!(text, "{}", line(n)).unwrap());
        text
    }

    fn commands(key: &str, count: usize) -> String {
        format!("{HEAD}[app]\n{key} = [{}]\n", "[\"x\"],".repeat(count))
    }

    #[test]
    fn each_number_is_taken_at_its_bound_and_not_above() {
        let files: [(&Budget, File); 12] = [
            (&COMMANDS, |n| commands("install", n)),
            (&COMMANDS, |n| commands("release", n)),
            (&COMMANDS, |n| commands("build", n)),
            (&COMMANDS, |n| commands("test", n)),
            (&PROCESS_TYPES, |n| {
                many("[app.run]\n", n, |n| format!("p{n} = [\"x\"]"))
            }),
            (&VARIABLES, |n| {
                many("[env]\n", n, |n| format!("V{n} = \"x\""))
            }),
            (&VARIABLE, |n| {
                many("[env]\n", 1, |_| format!("V = \"{}\"", "x".repeat(n)))
            }),
            (&VARIABLES_BYTES, |n| {
                // Names of two bytes, and the rest for the last one.
                let (whole, rest) = (n / (VARIABLE.most + 2), n % (VARIABLE.most + 2));
                let value = |length| "x".repeat(length);
                let line = |n: usize| {
                    format!(
                        "{}Z = \"{}\"",
                        (b'A' + n as u8) as char,
                        value(VARIABLE.most)
                    )
                };
                many("[env]\n", whole, line) + &format!("ZZ = \"{}\"\n", value(rest - 2))
            }),
            (&ENTRIES, |n| {
                many("", n, |n| {
                    format!("[[files]]\ntemplate = \"t\"\ntarget = \"f{n}\"")
                })
            }),
            (&ENTRIES, |n| {
                many("", n, |n| {
                    format!("[[links]]\nsource = \"/t\"\ntarget = \"f{n}\"")
                })
            }),
            (&PEOPLE, |n| {
                many("[access.people]\n", n, |n| {
                    format!("\"p{n}@example.com\" = \"p\"")
                })
            }),
            (&COMMAND, |n| {
                format!("{HEAD}[app]\nrelease = [[\"{}\"]]\n", "x".repeat(n - 1))
            }),
        ];
        for (budget, file) in files {
            let taken = load(&file(budget.most));
            assert!(taken.is_ok(), "{}: {taken:?}", budget.what);
            let said = load(&file(budget.most + 1)).unwrap_err();
            assert!(
                said.contains(budget.what) && said.contains("line "),
                "{said}"
            );
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let comment = |length: usize| format!("{HEAD}#{}", "x".repeat(length - HEAD.len() - 1));
        assert!(load(&comment(PROJECT_FILE.most)).is_ok());
        let said = load(&comment(PROJECT_FILE.most + 1)).unwrap_err();
        assert!(said.contains("1 MiB"), "{said}");
    }
}
