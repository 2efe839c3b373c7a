//! `cictl man`, hidden: the manual pages, for packaging.

use super::{Cli, Failure, Outcome};
use cid_client::Exit;
use clap::{Args, CommandFactory as _};
use std::{fmt::Write as _, fs, io, path::PathBuf};

/// What clap does not know of the command as a whole.
const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "CID_SOCKET",
        "The daemon's socket, where \\fB\\-\\-socket\\fR does not name it.",
    ),
    (
        "NO_COLOR",
        "Set to anything but the empty text: no colours. There are none either where the output is no terminal.",
    ),
];
const STATUSES: &[(Exit, &str)] = &[
    (Exit::Done, "Done."),
    (
        Exit::Failed,
        "The job failed, drift is left, or something unexpected.",
    ),
    (Exit::Usage, "Usage, or invalid input."),
    (
        Exit::NotFound,
        "There is no such workspace, project or job.",
    ),
    (Exit::Denied, "The caller may not."),
    (
        Exit::Conflict,
        "Refused as things are: it exists already, a job is in the way, a limit is reached, work would be lost; or a command was ended because its workspace is deleted.",
    ),
    (
        Exit::Unreachable,
        "The daemon cannot be reached, or has ended a command because it stops.",
    ),
    (
        Exit::Detached,
        "Interrupted while waiting for a job, which goes on.",
    ),
    (Exit::BrokenPipe, "Whoever read the output has gone."),
];
const RUN: &str =
    "\\fBcictl run\\fR ends with the status of its command, or 128 and the signal that ended it.";
const SEE_ALSO: &str = "\\fBcid\\-project\\fR(5), \\fBcid.toml\\fR(5), \\fBcid\\fR(8)";
const MAIN_PAGE: &str = "cictl.1";

/// Write the manual pages of cictl and its verbs into a folder
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder, which exists
    dir: PathBuf,
}

impl Man {
    pub(super) fn run(&self) -> Outcome {
        let failed = |error| Failure::Io("cannot write the manual pages", error);
        clap_mangen::generate_to(Cli::command(), &self.dir).map_err(failed)?;
        let main_page = main_page().map_err(failed)?;
        fs::write(self.dir.join(MAIN_PAGE), main_page).map_err(failed)?;
        Ok(Exit::Done)
    }
}

/// The page of cictl itself. Its help names the statuses in passing, the page in a part of their own.
fn main_page() -> io::Result<String> {
    let mut command = Cli::command()
        .after_help(None::<&str>)
        .disable_help_subcommand(true);
    // Otherwise it does not know the names of its verbs' pages.
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    page.push_str(".SH \"EXIT STATUS\"\n");
    for (exit, meaning) in STATUSES {
        let _ = write!(page, ".TP\n\\fB{}\\fR\n{meaning}\n", exit.code());
    }
    let _ = write!(page, ".PP\n{RUN}\n.SH ENVIRONMENT\n");
    for (name, meaning) in ENVIRONMENT {
        let _ = write!(page, ".TP\n\\fB{name}\\fR\n{meaning}\n");
    }
    page.push_str(".SH \"SEE ALSO\"\n");
    for verb in Cli::command()
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
    {
        let _ = writeln!(page, "\\fBcictl\\-{}\\fR(1),", verb.get_name());
    }
    page.push_str(SEE_ALSO);
    page.push('\n');
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_statuses_and_environment_in_parts_of_their_own() {
        let page = main_page().unwrap();
        let parts: Vec<&str> = page
            .lines()
            .filter_map(|l| l.strip_prefix(".SH "))
            .collect();
        for part in [
            "OPTIONS",
            "SUBCOMMANDS",
            "\"EXIT STATUS\"",
            "ENVIRONMENT",
            "\"SEE ALSO\"",
        ] {
            assert!(parts.contains(&part), "{part}: {parts:?}");
        }
        assert!(!parts.contains(&"EXTRA"), "{parts:?}");
        for word in [
            "\\fB130\\fR",
            "\\fBCID_SOCKET\\fR",
            "\\fBNO_COLOR\\fR",
            "\\fBcid\\fR(8)",
        ] {
            assert!(page.contains(word), "{word}");
        }
        assert!(page.contains("cictl\\-create(1)"), "{page}");
        assert!(!page.contains("cictl\\-help"), "{page}");
    }
}
