//! What programs usually mean by their last words, said with what to do.

/// A cause, told by a line of output.
struct Cause {
    /// One of these is in the line.
    marks: &'static [&'static str],
    /// What to do, by the line; `None`: it is another cause.
    mend: fn(&str) -> Option<String>,
}

/// The first that a line holds counts.
const CAUSES: &[Cause] = &[
    Cause {
        marks: &["unable to open database file"],
        mend: |_| {
            said(
                "the folder of its SQLite file is not in the repository; make it first, such as\n[app]\n\
                 release = [[\"mkdir\", \"-p\", \"data\"], [\"python\", \"manage.py\", \"migrate\", \"--noinput\"]]",
            )
        },
    },
    Cause {
        marks: &["No module named '"],
        mend: |line| {
            let module = between(line, "No module named '", "'")?;
            let module = module.split('.').next()?;
            Some(format!(
                "no package that was installed has the module {module}: declare its package where the others are declared. Where several \
                 files declare packages:\n[app]\ninstall = [[\"pip\", \"install\", \"-r\", \"FILE\", \"-r\", \"ANOTHER FILE\"]]"
            ))
        },
    },
    Cause {
        marks: &[
            "KeyError: '",
            "Set the ",
            " not found. Declare it as envvar",
        ],
        mend: |line| {
            let name = between(line, "KeyError: '", "'")
                .or_else(|| between(line, "Set the ", " environment variable"))
                .or_else(|| {
                    let (before, _) = line.split_once(" not found. Declare it as envvar")?;
                    before.rsplit(' ').next()
                })?;
            let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let is_variable = name.len() > 1 && name.chars().all(is_name);
            is_variable.then(|| {
                format!("the app wants a variable that nothing sets:\n[env]\n{name} = \"...\"")
            })
        },
    },
    Cause {
        marks: &[":6379", "port 6379"],
        mend: |line| {
            refused(
                line,
                "Redis",
                "redis-server",
                "[env]\nREDIS_URL = \"redis://127.0.0.1:6379/{number}\"",
            )
        },
    },
    Cause {
        marks: &["port 5432", ":5432"],
        mend: |line| refused(line, "PostgreSQL", "postgresql", DATABASE),
    },
    Cause {
        marks: &[
            "Can't connect to MySQL",
            "Can't connect to local MySQL",
            ":3306",
        ],
        mend: |line| {
            let line = format!("{line} refused");
            refused(&line, "MySQL or MariaDB", "mariadb-server", DATABASE)
        },
    },
    Cause {
        marks: &["pg_config executable not found", "libpq-fe.h"],
        mend: |_| {
            said(
                "apt install libpq-dev python3-dev gcc; or let the repository ask for psycopg2-binary",
            )
        },
    },
    Cause {
        marks: &["mysql_config", "Can not find valid pkg-config name"],
        mend: |_| said("apt install default-libmysqlclient-dev pkg-config python3-dev gcc"),
    },
    Cause {
        marks: &["Python.h: No such file"],
        mend: |_| said("apt install python3-dev gcc: a package is compiled here"),
    },
    Cause {
        marks: &["ffi.h: No such file"],
        mend: |_| said("apt install libffi-dev gcc: a package is compiled here"),
    },
    Cause {
        marks: &[
            "gcc' failed: No such file",
            "gcc: not found",
            "cc: not found",
            "make: not found",
            "not found: make",
        ],
        mend: |_| said("apt install build-essential: a package is compiled here"),
    },
    Cause {
        marks: &[
            "Could not resolve host",
            "Name or service not known",
            "Temporary failure in name resolution",
            "ENOTFOUND",
            "EAI_AGAIN",
        ],
        mend: |_| {
            said(
                "this machine does not reach what is fetched there: see the network's settings in project-file.md, or take it from an index near by",
            )
        },
    },
    Cause {
        marks: &[": not found", ": command not found"],
        mend: |line| {
            let (before, _) = line
                .split_once(": command not found")
                .or_else(|| line.split_once(": not found"))?;
            let program = before.rsplit([' ', ':']).next()?;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
            let is_shells = line.contains("sh: ") || line.contains("bash: ");
            (is_shells && !program.is_empty() && program.chars().all(is_plain)).then(|| {
                format!("the program {program} is neither among the packages nor on this machine: declare it, or apt install what has it")
            })
        },
    },
];

const DATABASE: &str =
    "[database]\nkind = \"shared\"\nurl = \"...://USER:PASSWORD@127.0.0.1/DATABASE\"";

fn said(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A service that does not answer.
fn refused(line: &str, name: &str, package: &str, lines: &str) -> Option<String> {
    let line = line.to_ascii_lowercase();
    let is_refused = ["refused", "111", "could not connect", "timed out"].iter();
    is_refused.into_iter().any(|mark| line.contains(mark)).then(|| {
        format!("{name} does not answer there: apt install {package}, or name one elsewhere, such as\n{lines}")
    })
}

fn between<'l>(line: &'l str, begin: &str, end: &str) -> Option<&'l str> {
    line.split_once(begin)?
        .1
        .split_once(end)
        .map(|(inner, _)| inner)
}

/// What to do about what a step's last lines tell; `None`: they tell nothing that is known.
pub(super) fn mend(lines: &[String]) -> Option<String> {
    lines.iter().rev().find_map(|line| {
        let holds = |cause: &&Cause| cause.marks.iter().any(|mark| line.contains(mark));
        CAUSES
            .iter()
            .filter(holds)
            .find_map(|cause| (cause.mend)(line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_last_words_are_answered_with_what_to_do() {
        for (line, word) in [
            (
                "sqlite3.OperationalError: unable to open database file",
                "mkdir",
            ),
            (
                "ModuleNotFoundError: No module named 'celery.app'",
                "the module celery:",
            ),
            ("KeyError: 'REDIS_HOST'", "REDIS_HOST = \"...\""),
            (
                "django.core.exceptions.ImproperlyConfigured: Set the API_URL environment variable",
                "API_URL = ",
            ),
            (
                "decouple.UndefinedValueError: API_KEY not found. Declare it as envvar or define a default value.",
                "API_KEY = ",
            ),
            (
                "redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused.",
                "redis-server",
            ),
            (
                "connection to server at \"127.0.0.1\", port 5432 failed: Connection refused",
                "[database]",
            ),
            ("Error: pg_config executable not found.", "libpq-dev"),
            (
                "fatal error: Python.h: No such file or directory",
                "python3-dev",
            ),
            (
                "/bin/sh: 1: heroku-php-apache2: not found",
                "the program heroku-php-apache2",
            ),
            ("sh: 1: make: not found", "build-essential"),
            ("npm ERR! code ENOTFOUND", "does not reach"),
        ] {
            let lines = ["before".to_owned(), line.to_owned(), "after".to_owned()];
            let mend = mend(&lines).unwrap_or_default();
            assert!(mend.contains(word), "{line}: {mend}");
        }
        for line in [
            "KeyError: 'name'",
            "listening on 127.0.0.1:6379",
            "Page not found: /favicon.ico: not found",
            "all is well",
        ] {
            assert_eq!(mend(&[line.to_owned()]), None, "{line}");
        }
    }
}
