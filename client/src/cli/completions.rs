//! `cictl completions`

use super::{Cli, Cx, Outcome};
use cid_client::Exit;
use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};
use std::io::{self, Write as _};

/// Print a script that completes cictl's command line in a shell
///
/// Projects' names are asked of the daemon.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cictl completions bash | sudo tee /etc/bash_completion.d/cictl")]
pub(super) struct Completions {
    /// Which shell
    #[arg(required_unless_present = "projects")]
    shell: Option<Shell>,
    /// Print the projects' names, for these scripts
    #[arg(long, hide = true)]
    projects: bool,
}

/// What a script runs to know the projects.
const ASK: &str = "cictl completions --projects 2>/dev/null";

impl Completions {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let text = match self.shell {
            Some(shell) => script(shell),
            None => names(cx).await?,
        };
        // Written in one piece: the generator itself panics on a broken pipe.
        io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Done)
    }
}

/// A shell expands what it completes with: anything but a project's name is left out.
async fn names(cx: &Cx) -> Result<String, super::Failure> {
    let projects = cx.connect().await?.projects().await?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let names = projects.iter().map(|project| project.name.as_str());
    let names = names.filter(|name| name.chars().all(plain));
    Ok(names.map(|name| format!("{name}\n")).collect())
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "cictl", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => bash(&script),
        Shell::Zsh => script.replace(
            ":PROJECT:_default'",
            &format!(":PROJECT:{{compadd ${{(f)\"$({ASK})\"}}}}'"),
        ),
        Shell::Fish => fish(&script),
        _ => script,
    }
}

/// clap takes each value for a file.
fn bash(script: &str) -> String {
    let mut is_project = false;
    let lines = script.lines().map(|line| {
        let was_project = is_project;
        is_project = matches!(line.trim(), "--project)" | "-p)");
        match was_project {
            true => line.replace(
                "compgen -f \"${cur}\"",
                &format!("compgen -W \"$({ASK})\" -- \"${{cur}}\""),
            ),
            false => line.to_owned(),
        }
    });
    lines.map(|line| line + "\n").collect()
}

fn fish(script: &str) -> String {
    let lines =
        script.lines().map(
            |line| match line.contains(" -l project ") && line.ends_with(" -r") {
                true => format!("{line} -f -a \"({ASK})\"\n"),
                false => format!("{line}\n"),
            },
        );
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_are_asked_for_and_files_are_not_offered() {
        for (shell, files) in [
            (
                Shell::Bash,
                "--project)\n                    COMPREPLY=($(compgen -f",
            ),
            (Shell::Zsh, ":PROJECT:_default"),
            (
                Shell::Fish,
                "Which project\\'s; may be left out where there is only one it can be' -r\n",
            ),
        ] {
            let script = script(shell);
            assert!(!script.contains(files), "{script}");
            assert!(script.matches(ASK).count() > 5, "{script}");
        }
        // A file stays one.
        assert!(
            script(Shell::Bash).contains("--write)\n                    COMPREPLY=($(compgen -f")
        );
    }
}
