//! Content of a workspace's program file: one program per process, one group for all. It holds no text of
//! users; the helper reads what to execute from the run file.

use crate::{
    domain::{ProcessType, UnitName},
    system::strict,
};
use askama::Template;
use cid_protocol::fault::Fault;
use std::path::PathBuf;

/// A workspace's program file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The workspace; also the group's name.
    pub unit: UnitName,
    /// supervisord starts only the web process by itself.
    pub web_alone: bool,
    /// Its processes, in start order.
    pub processes: Vec<ProcessType>,
    /// `cid-helper`.
    pub helper: PathBuf,
    /// The run file, which says what the helper executes.
    pub run_file: PathBuf,
    /// Whether a run file that names no user is refused.
    pub require_user: bool,
    /// The folder of the logs; must exist when supervisord reads the file.
    pub log_dir: PathBuf,
}

impl Program {
    /// Renders the program file.
    ///
    /// # Errors
    /// There is no process, or a path cannot be written into supervisord's configuration.
    pub fn render(&self) -> Result<String, Fault> {
        if self.processes.is_empty() {
            return Err(Fault::new(format!(
                "cannot write the program file of {}: it has no processes",
                self.unit
            )));
        }
        let path = |path: &PathBuf| {
            path.to_str()
                .filter(|_| path.is_absolute())
                .map(str::to_owned)
                .ok_or_else(|| {
                    Fault::new(format!(
                        "cannot use {} in supervisord: not an absolute path in UTF-8",
                        path.display()
                    ))
                })
        };
        let template = ProgramFile {
            unit: self.unit.as_str(),
            processes: self.processes.iter().map(ProcessType::as_str).collect(),
            web_alone: self.web_alone,
            require_user: self.require_user,
            helper: path(&self.helper)?,
            run_file: path(&self.run_file)?,
            log_dir: path(&self.log_dir)?,
        };
        strict::render(&template, format_args!("the program file of {}", self.unit))
    }
}

#[derive(Template)]
#[template(path = "program.conf")]
struct ProgramFile<'a> {
    unit: &'a str,
    processes: Vec<&'a str>,
    web_alone: bool,
    require_user: bool,
    helper: String,
    run_file: String,
    log_dir: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &str) -> Program {
        Program {
            unit: UnitName::parse("shop.anna---example-com").unwrap(),
            processes: ["web", "worker"]
                .map(|text| ProcessType::parse(text).unwrap())
                .to_vec(),
            web_alone: false,
            require_user: true,
            helper: "/usr/libexec/cid-helper".into(),
            run_file: path.into(),
            log_dir: "/var/log/cid/apps/shop.anna---example-com".into(),
        }
    }

    #[test]
    fn reads_like_this() {
        let text = program("/var/lib/cid/apps/shop.anna---example-com.json")
            .render()
            .unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn refuses_what_supervisord_would_read_otherwise() {
        for bad in [
            "a",
            "/a b",
            "/a;b",
            "/a#b",
            "/%(ENV_HOME)s",
            "/a%",
            "/a\nb",
            "/a'b",
            "/a\"b",
            "/a\\b",
            "/a\tb",
        ] {
            assert!(program(bad).render().is_err(), "{bad:?}");
        }
        assert!(
            Program {
                processes: vec![],
                ..program("/a")
            }
            .render()
            .is_err()
        );
    }

    #[test]
    fn process_types_are_plain() {
        for bad in [
            "",
            "-a",
            "--",
            "a b",
            "a:b",
            "a.b",
            "wörker",
            "a,b",
            "a]",
            &"a".repeat(32),
        ] {
            assert!(ProcessType::parse(bad).is_none(), "{bad:?}");
        }
        for good in ["Web", "1a", "_a-", &"a".repeat(31)] {
            assert_eq!(ProcessType::parse(good).unwrap().as_str(), good);
        }
    }
}
