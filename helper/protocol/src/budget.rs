//! How much of anything a repository, a project file or a caller may choose: the one table of bounds.
//! `docs/limits.md` shows it, and a test holds the two together.

use std::fmt::{self, Display};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What is counted, e.g. `process types of a workspace`.
    pub what: &'static str,
    /// The most there may be; of `bytes` so many bytes.
    pub most: usize,
    /// Whether bytes are counted.
    pub bytes: bool,
}

impl Budget {
    /// Refuses more than this; `place` says where so many were found, e.g. `the Procfile`.
    ///
    /// # Errors
    /// There are more.
    pub fn check(&'static self, found: usize, place: impl Display) -> Result<(), Over> {
        match found <= self.most {
            true => Ok(()),
            false => Err(self.over(place)),
        }
    }

    /// The error of more than this.
    pub fn over(&'static self, place: impl Display) -> Over {
        Over {
            budget: self,
            place: place.to_string(),
        }
    }

    /// The bound with its unit, e.g. `64 KiB`.
    pub fn amount(&self) -> String {
        match self.most {
            most if !self.bytes => most.to_string(),
            most if most.is_multiple_of(MIB) => format!("{} MiB", most / MIB),
            most if most.is_multiple_of(KIB) => format!("{} KiB", most / KIB),
            most => format!("{most} bytes"),
        }
    }
}

/// More than a [`Budget`] allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    budget: &'static Budget,
    place: String,
}

impl Over {
    /// Where the bound comes from.
    pub const HINT: &'static str =
        "cid sets this bound, for all alike; limits.md of the documentation has them all";
}

impl Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, place } = self;
        write!(
            f,
            "cannot take {place}: more than cid's bound of {} ({})",
            budget.amount(),
            budget.what
        )
    }
}

impl std::error::Error for Over {}

macro_rules! budgets {
    ($($(#[doc = $doc:literal])* $name:ident = $unit:ident $most:expr, $what:literal;)*) => {
        $(
            $(#[doc = $doc])*
            pub const $name: Budget = Budget { what: $what, most: $most, bytes: budgets!($unit) };
        )*
        /// All of them, in the order of the documents.
        pub const TABLE: &[Budget] = &[$($name),*];
    };
    (bytes) => { true };
    (count) => { false };
}

budgets! {
    // What a repository says.

    /// Each is a program of the supervisord that all workspaces share.
    PROCESS_TYPES = count 20, "process types of a workspace";
    /// It is part of file names and of supervisord's names.
    PROCESS_TYPE_NAME = bytes 31, "the name of a process type";
    /// One line of a Procfile, or the words of one command of a project file.
    COMMAND = bytes 8 * KIB, "a command of a Procfile or project file";
    /// The Procfile as a whole.
    PROCFILE = bytes 64 * KIB, "a Procfile";
    /// Any file that is read to find out how the app is made.
    REPOSITORY_FILE = bytes 8 * MIB, "a file of the repository that is read to inspect it";
    /// `-r` and `-c` lead from file to file.
    REPOSITORY_FILES = count 100, "files of the repository that are read to inspect it";
    /// Of all these files together.
    REPOSITORY_BYTES = bytes 32 * MIB, "all files of the repository that are read to inspect it";
    /// Folders that are looked through for `wsgi.py`.
    REPOSITORY_FOLDERS = count 1000, "folders of the app that are looked through";
    /// Files, folders and links, of a commit and of what it is built into.
    BUILD_ENTRIES = count 500_000, "files, folders and links of a build";
    /// A file of a commit that is exported; it is in memory as a whole.
    BUILD_FILE = bytes 512 * MIB, "a file of the repository that is built";
    /// Reports of one test run.
    REPORT_FILES = count 1000, "files with test reports of a build";
    /// All of them together.
    REPORT_BYTES = bytes 64 * MIB, "all test reports of a build";
    /// Names of failed tests that are kept.
    FAILED_TESTS = count 100, "names of failed tests of a build";
    /// In files beside it.
    BUILD_OUTPUT = bytes 64 * MIB, "the output of a build's commands that is kept, and the same of its tests";
    /// A template in the repository or of the operator's.
    TEMPLATE = bytes MIB, "a template";
    /// A loop in a template makes much of little.
    RENDERED = bytes 4 * MIB, "a file made from a template";
    /// Each is a line that git prints.
    BRANCHES = count 100_000, "branches of a remote that is followed";
    /// Each is looked at when the packages are used again.
    ENVIRONMENT_FOLDERS = count 100_000, "folders of installed packages that are shared";
    /// A copy is kept for nginx.
    STATIC_FILES = count 100_000, "collected static files";
    /// The same in bytes.
    STATIC_BYTES = bytes 1024 * MIB, "collected static files, together";

    // What a project file says.

    /// The file as a whole.
    PROJECT_FILE = bytes MIB, "a project file";
    /// Of `install`, `release`, `build` and `test` each.
    COMMANDS = count 20, "commands in one list of a project file";
    /// `[env]`.
    VARIABLES = count 256, "variables in [env]";
    /// The kernel takes no text over 128 KiB.
    VARIABLE = bytes 32 * KIB, "the value of a variable in [env]";
    /// The kernel takes 2 MiB for arguments and environment together.
    VARIABLES_BYTES = bytes 512 * KIB, "all variables in [env]";
    /// `[[files]]` and `[[links]]` each.
    ENTRIES = count 100, "entries in [[files]] or [[links]]";
    /// `[access.people]`.
    PEOPLE = count 1000, "people in [access.people]";

    // What a job keeps.

    /// The list of its steps with their parameters.
    PLAN = bytes MIB, "the plan of a job";
    /// What a step notes before it begins, or leaves for later ones.
    STEP_RESULT = bytes MIB, "what one step puts in the journal";
    /// Sentences for those who watch; further ones are left out.
    NOTES = count 50, "notes of one step";
    /// The output of its commands, from the beginning.
    JOB_LOG = bytes 768 * KIB, "a job's log, from its beginning";
    /// Once that is used up, so much of each step's end.
    STEP_LOG_END = bytes 16 * KIB, "a job's log, of each step's end after that";
    /// What is between the two, in a file of its own for `cictl jobs logs`.
    JOB_OUTPUT = bytes 64 * MIB, "a job's output that its log has no room for";
    /// Lines of output that one line of the journal holds.
    LOG_BATCH = bytes 64 * KIB, "lines of output in one entry of the journal";
    /// A step's writer waits when so many lines wait.
    LOG_QUEUE = count 64, "lines of output that wait to be written";
    /// Last lines that a failure shows.
    FAILURE_LINES = count 50, "last lines that a failure shows";
    /// Before them, of the command that failed: a tool often says the cause at once.
    FAILURE_HEAD = count 10, "first lines of the failed command that a failure shows";
    /// The same in bytes.
    FAILURE_BYTES = bytes 64 * KIB, "last lines that a failure shows, together";
    /// The reply to one request.
    HELPER_ANSWER = bytes 4 * MIB, "the answer of a helper";

    // What a caller asks for.

    /// As large as a forge makes one; it goes through a hash and is never held.
    HOOK_BODY = bytes 25 * MIB, "the body of a webhook";
    /// Connections that are open or wait for their user's others; those beyond wait in the kernel.
    CONNECTIONS = count 2048, "connections, in all";
    /// Those beyond are closed at once.
    CONNECTIONS_WAITING = count 512, "connections of one user id that wait for its others";
    /// The front has one connection for all that watch.
    STREAMS = count 512, "calls at once on a connection";
    /// Of one user id, on all its connections, until the answer is read. This is more than a few connections
    /// full of calls, so that a runaway program does not lock out even its own user.
    CALLS_OF_USER = count 2560, "calls at once of one user id";
    /// Over all users.
    CALLS = count 8192, "calls at once, in all";
    /// `cictl logs`.
    LOGS_OF_USER = count 32, "logs that one user id reads at once";
    /// The front reads logs for all who are signed in.
    LOGS_OF_PERSON = count 8, "logs that one person at the front reads at once";
    /// Over all users.
    LOGS = count 128, "logs that are read at once, in all";
    /// A creation is watched from its begin to its end; the front watches for all who use the form.
    WATCHES_OF_USER = count 256, "jobs that one user id watches at once";
    /// As with logs.
    WATCHES_OF_PERSON = count 32, "jobs that one person at the front watches at once";
    /// Over all users.
    WATCHES = count 512, "jobs that are watched at once, in all";
    /// `cictl run`.
    RUNS_OF_USER = count 16, "commands that one user id runs at once";
    /// The tests that one person begins at the front.
    RUNS_OF_PERSON = count 4, "commands that one person at the front runs at once";
    /// In one workspace.
    RUNS_OF_WORKSPACE = count 16, "commands that people run at once in one workspace";
    /// Each costs systemd a unit and the daemon two processes and three pipes.
    RUNS = count 64, "commands that people run at once, in all";
    /// The words of a command that somebody runs.
    RUN_COMMAND = bytes 128 * KIB, "a command that somebody runs";
    /// Requests are a few short texts...
    REQUEST = bytes 64 * KIB, "a request";
    /// ...except for what is typed into a running command.
    RUN_INPUT = bytes 256 * KIB, "a message to a running command";
    /// All headers of a request together.
    HEADERS = bytes 16 * KIB, "the headers of a request";
    /// What is taken of a call before its request is read.
    WINDOW = bytes 64 * KIB, "bytes of a call that wait to be read";
    /// The same of all calls on a connection.
    CONNECTION_WINDOW = bytes 256 * KIB, "bytes of a connection that wait to be read";
    /// Each is good once, and for 15 minutes.
    LINKS_OF_ADDRESS = count 5, "links to sign in for one address that are still good";
    /// Over all addresses.
    LINKS = count 2000, "links to sign in that are still good, in all";
    /// The oldest one ends when there would be one more.
    SESSIONS_OF_ADDRESS = count 20, "browsers in which one address is signed in";
    /// Over all addresses.
    SESSIONS = count 10_000, "browsers in which people are signed in, in all";
    /// By code, whatever the address; rightly or wrongly.
    ATTEMPTS_OF_ADDRESS = count 5, "attempts in 15 minutes to sign in with a code for one address";
    /// Of one IPv4 address or one IPv6 network of 64 bits.
    ATTEMPTS_OF_CLIENT = count 30, "attempts in 15 minutes to sign in from one address of the network";
    /// Over all.
    ATTEMPTS = count 2000, "attempts in 15 minutes to sign in, in all";
    /// Whether an address may have one or not.
    ASKS_OF_ADDRESS = count 3, "links that are asked for by mail in 15 minutes for one address";
    /// Of one IPv4 address or one IPv6 network of 64 bits.
    ASKS_OF_CLIENT = count 10, "links that are asked for by mail in 15 minutes from one address of the network";
    /// Over all.
    ASKS = count 200, "links that are asked for by mail in 15 minutes, in all";
    /// The oldest make way.
    NOTICES = count 100, "notices of a project that wait to be sent to its forge, its webhook or by mail, each";
    /// Mails that are on their way are among them.
    MAILS = count 100, "mails that wait to be sent";
    /// A list's page.
    PAGE = count 1000, "entries of a page of a list";
    /// `cictl logs --lines`.
    LOG_LINES = count 10_000, "last lines of a log";
    /// The end of a log that is searched for its last lines.
    LOG_TAIL = bytes 4 * MIB, "the end of a log that is searched for its last lines";
    /// The rest of a longer line is left out.
    LINE = bytes 16 * KIB, "a line of a log or of a command's output";
    /// Journal lines that wait for one watcher; no more are read until it has taken them.
    WATCH_BATCH = bytes 64 * KIB, "entries of the journal that are read at once for one who watches";
    /// An error's message and its hint, each.
    ERROR_TEXT = bytes KIB, "the text of an error in an answer";
    /// Files and commits that a refusal names.
    ERROR_LIST = bytes 5 * KIB, "names that an error lists";
}

/// The first bytes of a text, at most `most`, cut between characters.
pub fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_still_taken_and_one_more_is_not() {
        for budget in TABLE {
            assert_eq!(budget.check(budget.most, "it"), Ok(()));
            let over = budget.check(budget.most + 1, "it").unwrap_err().to_string();
            assert!(
                over.contains(&budget.amount()) && over.contains(budget.what),
                "{over}"
            );
        }
    }

    #[test]
    fn the_document_has_each_bound_and_no_other() {
        let document = include_str!("../../../docs/limits.md");
        let (_, rest) = document.split_once("<!-- budget.rs -->\n").unwrap();
        let (table, _) = rest.split_once("<!-- end -->").unwrap();
        let expected: String = TABLE
            .iter()
            .map(|budget| format!("| {} | {} |\n", budget.what, budget.amount()))
            .collect();
        let head = "| what | how much |\n|---|---|\n";
        assert_eq!(table.trim(), format!("{head}{expected}").trim());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("a\u{e9}b", 2), "a");
        assert_eq!(cut("ab", 9), "ab");
    }
}
