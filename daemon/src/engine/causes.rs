//! What programs usually mean by their last words, said with what to do.

use cid_protocol::request::SUBMODULES;

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
            let removed = REMOVED.iter().find(|(_, all)| all.contains(&module));
            removed.map(|(minor, _)| older_python(*minor, &format!("it has no {module} any more")))
        },
    },
    Cause {
        marks: &[
            "No module named 'pkg_resources",
            "No module named 'setuptools",
        ],
        mend: |_| {
            said(
                "an app of some age takes setuptools for installed, and from 81 on it has no pkg_resources: declare \
                 setuptools<81 where the other packages are declared, or:\n[app]\ninstall = [[\"pip\", \"install\", \
                 \"-r\", \"requirements.txt\", \"setuptools<81\"]]",
            )
        },
    },
    Cause {
        marks: &[
            "from 'collections'",
            "module 'collections' has no attribute",
        ],
        mend: |line| {
            let names = ["cannot import name '", "has no attribute '"];
            let name = names.iter().find_map(|mark| between(line, mark, "'"))?;
            let is_class = name.starts_with(|c: char| c.is_ascii_uppercase());
            is_class.then(|| older_python(9, &format!("its collections have no {name} any more")))
        },
    },
    Cause {
        marks: &[
            "module 'inspect' has no attribute 'getargspec'",
            "from 'inspect'",
            "module 'asyncio' has no attribute 'coroutine'",
            "longintrepr.h: No such file",
        ],
        mend: |line| {
            let is_other = line.contains("from 'inspect'") && !line.contains("getargspec");
            (!is_other).then(|| older_python(10, "something is gone there that it uses"))
        },
    },
    Cause {
        marks: &[
            "module 'pkgutil' has no attribute 'ImpImporter'",
            "module 'configparser' has no attribute 'SafeConfigParser'",
            "module 'configparser' has no attribute 'readfp'",
            "module 'ssl' has no attribute 'wrap_socket'",
            "module 'unittest' has no attribute 'makeSuite'",
        ],
        mend: |_| Some(older_python(11, "something is gone there that it uses")),
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
            "\" is required",
        ],
        mend: |line| {
            let name = between(line, "KeyError: '", "'")
                .or_else(|| between(line, "Set the ", " environment variable"))
                .or_else(|| {
                    let (before, _) = line.split_once("\" is required")?;
                    before.rsplit('"').next()
                })
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
        marks: &["@prisma/client did not initialize yet"],
        mend: |_| {
            said(
                "its client was not made as it was installed: that fetches from binaries.prisma.sh, and reads the schema that \
                 package.json names (prisma.schema, else prisma/schema.prisma). It can be made in the tree as well:\n[app]\n\
                 build = [[\"npx\", \"prisma\", \"generate\"]]",
            )
        },
    },
    Cause {
        marks: &["The Werkzeug web server is not designed to run in production"],
        mend: |_| {
            said(
                "Flask-SocketIO starts its own server from a terminal alone; by Flask it runs:\n[app]\n\
                 run.web = [\"flask\", \"--app\", \"MODULE\", \"run\", \"--port\", \"{port}\"]",
            )
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
        marks: &["pnpm: not found", "yarn: not found", "bun: not found"],
        mend: |line| {
            let tool = ["pnpm", "yarn", "bun"];
            let tool = tool
                .into_iter()
                .find(|tool| line.contains(&format!(": {tool}: not found")))?;
            Some(format!(
                "cid fetches {tool} for installing alone. So it is there for what runs too, in scripts of package.json as well:\n[app]\n\
                 run.web = [\"npx\", \"--yes\", \"--package={tool}\", \"-c\", \"{tool} run start\"]"
            ))
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

/// Up to this minor version Python brings these modules.
const REMOVED: &[(u32, &[&str])] = &[
    (9, &["formatter", "parser", "symbol"]),
    (11, &["asynchat", "asyncore", "distutils", "imp", "smtpd"]),
    (
        12,
        &[
            "aifc",
            "audioop",
            "cgi",
            "cgitb",
            "chunk",
            "crypt",
            "imghdr",
            "mailcap",
            "nis",
            "nntplib",
            "pipes",
            "sndhdr",
            "spwd",
            "sunau",
            "telnetlib",
            "uu",
            "xdrlib",
        ],
    ),
];

/// The app is older than its Python.
fn older_python(minor: u32, why: &str) -> String {
    format!(
        "the app or a package of it is from before Python 3.{}: {why}. With an older one:\n[app]\npython = \"3.{minor}\"",
        minor + 1
    )
}

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

/// What to do about what a step's last lines tell, beside what its fault says to do; `None`: they tell nothing that is
/// known, or nothing more.
pub(super) fn mend(lines: &[String], said: &str) -> Option<String> {
    // A module that is in a submodule is in no package.
    let is_said = |line: &str| {
        let module = between(line, "No module named '", "'");
        let module = module.and_then(|module| module.split('.').next());
        let of_module = |rest: &str, module: &str| {
            let words = rest.split([' ', ',', '/', '-', '.']);
            words.into_iter().any(|word| word == module)
        };
        let known = said.split_once(SUBMODULES).map(|(_, rest)| rest);
        known
            .zip(module)
            .is_some_and(|(rest, module)| of_module(rest, module))
    };
    lines.iter().rev().find_map(|line| {
        if is_said(line) {
            return None;
        }
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
            (
                "ImportError: cannot import name 'Iterator' from 'collections' (/usr/lib/python3.11/collections/__init__.py)",
                "python = \"3.9\"",
            ),
            (
                "AttributeError: module 'collections' has no attribute 'Callable'",
                "python = \"3.9\"",
            ),
            (
                "ModuleNotFoundError: No module named 'distutils'",
                "python = \"3.11\"",
            ),
            (
                "ModuleNotFoundError: No module named 'cgi'",
                "python = \"3.12\"",
            ),
            (
                "src/x.c:12:10: fatal error: longintrepr.h: No such file or directory",
                "python = \"3.10\"",
            ),
            (
                "ModuleNotFoundError: No module named 'pkg_resources'",
                "setuptools<81",
            ),
            (
                "ImportError: cannot import name 'getargspec' from 'inspect' (/usr/lib/python3.11/inspect.py)",
                "python = \"3.10\"",
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
            (
                "sh: 1: pnpm: not found",
                "\"--package=pnpm\", \"-c\", \"pnpm run start\"",
            ),
            (
                "Error: Config validation error: \"MONGODB_URL\" is required",
                "MONGODB_URL = \"...\"",
            ),
            ("npm ERR! code ENOTFOUND", "does not reach"),
        ] {
            let lines = ["before".to_owned(), line.to_owned(), "after".to_owned()];
            let mend = mend(&lines, "").unwrap_or_default();
            assert!(mend.contains(word), "{line}: {mend}");
        }
        for line in [
            "KeyError: 'name'",
            "listening on 127.0.0.1:6379",
            "ImportError: cannot import name 'orderedict' from 'collections' (x)",
            "Page not found: /favicon.ico: not found",
            "all is well",
        ] {
            assert_eq!(mend(&[line.to_owned()], ""), None, "{line}");
        }
    }

    #[test]
    fn a_module_of_a_submodule_is_in_no_package() {
        let line = "ModuleNotFoundError: No module named 'libs_theme.urls'".to_owned();
        let of = |said: &str| mend(std::slice::from_ref(&line), said).is_some();
        assert!(of("") && of("cid does not fetch submodules: other stays empty"));
        assert!(!of(
            "likely: cid does not fetch submodules: a, web/libs_theme stays empty"
        ));
    }
}
