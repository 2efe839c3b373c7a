//! The one who has supervisord read its files again: program files that wait go in together.
//! Starting and stopping groups needs no turn; it may take as long as an app likes.

use super::rpc::{Rpc, RpcError, code};
use crate::{
    domain::UnitName,
    system::{
        Fault,
        included::{Included, Objection, Put, Refusal, Tester},
        turns::Turn,
    },
};
use async_trait::async_trait;
use std::path::PathBuf;

/// Puts program files in place and has supervisord read them.
pub(super) struct Loader {
    pub(super) programs: Included,
    pub(super) rpc: Rpc,
}

#[async_trait]
impl Turn for Loader {
    type Change = Put;
    /// What the file replaced.
    type Reply = Result<Option<String>, Fault>;

    fn unit(put: &Put) -> Option<&UnitName> {
        Some(&put.unit)
    }

    async fn run(&mut self, puts: Vec<Put>) -> Vec<Self::Reply> {
        self.programs.admit(&puts, &self.rpc).await.verdicts
    }
}

/// Groups by what supervisord would have to do with them: added, changed, removed.
pub(crate) type Differences = (Vec<String>, Vec<String>, Vec<String>);

impl Rpc {
    /// Has all files read again. Starts and stops nothing.
    pub(crate) async fn reread(&self) -> Result<Differences, RpcError> {
        let answer: Vec<Differences> = self.call("reloadConfig", ()).await?;
        Ok(answer.into_iter().next().unwrap_or_default())
    }
}

#[async_trait]
impl Tester for Rpc {
    async fn test(&self) -> Result<(), Objection> {
        match self.reread().await {
            Ok(_) => Ok(()),
            Err(RpcError::Refused {
                code: code::CANT_REREAD,
                text,
            }) => Err(Objection::Refused(parse(&text))),
            Err(error) => Err(Objection::Failed(error.fault("load the program file"))),
        }
    }

    fn culprit(&self, unit: &UnitName, refusal: &Refusal) -> Fault {
        Fault::new(format!(
            "cannot load the program file of {unit}: supervisord says: {}",
            refusal.message
        ))
    }

    fn foreign(&self, refusal: &Refusal) -> Fault {
        let place = refusal
            .place()
            .map(|place| format!(" by {place}"))
            .unwrap_or_default();
        Fault::new(format!(
            "cannot change supervisord: its configuration is broken{place}: {}",
            refusal.message
        ))
        .hint("mend that file, then try again")
    }
}

/// Takes the file out of `CANT_REREAD: ... (file: 'FILE')`, `Source contains parsing errors:
/// 'FILE'` or `file: 'FILE', line: 3`.
pub(crate) fn parse(text: &str) -> Refusal {
    let message = text
        .strip_prefix("CANT_REREAD: ")
        .unwrap_or(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let place = ["file: '/", "errors: '/"].into_iter().find_map(|mark| {
        let (_, rest) = message.split_once(mark)?;
        let (file, rest) = rest.split_once('\'')?;
        let digits = rest.split_once("line")?.1.trim_start_matches([':', ' ']);
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        Some((
            PathBuf::from(format!("/{file}")),
            digits[..end].parse().ok(),
        ))
    });
    let without_line = || {
        let (_, rest) = message
            .split_once("file: '/")
            .or_else(|| message.split_once("errors: '/"))?;
        Some(PathBuf::from(format!("/{}", rest.split_once('\'')?.0)))
    };
    let (file, line) =
        place.map_or_else(|| (without_line(), None), |(file, line)| (Some(file), line));
    Refusal {
        message,
        file,
        line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_file() {
        for (text, place) in [
            (
                "CANT_REREAD: The directory named as part of the path /x/web.log does not exist in section 'program:a.b.web' (file: '/p/a.b.conf')",
                "/p/a.b.conf",
            ),
            (
                "CANT_REREAD: File contains no section headers.\nfile: '/p/x.conf', line: 3\n'foo\\n'",
                "/p/x.conf:3",
            ),
            (
                "CANT_REREAD: Source contains parsing errors: '/p/y.conf'\n\t[line  2]: 'nonsense\\n'",
                "/p/y.conf:2",
            ),
        ] {
            assert_eq!(parse(text).place().as_deref(), Some(place), "{text}");
        }
        assert_eq!(parse("CANT_REREAD: something else").place(), None);
    }
}
