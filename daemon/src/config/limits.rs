//! `[limits]` of a project: how long its commands may take, and how much of the machine its commands
//! and its apps may use.

use super::{Limits, Seconds, Settings};
use cid_protocol::run_file;
use serde::Deserialize;
use std::{num::NonZero, ops::Deref};

pub(super) const MIB: u64 = 1 << 20;

/// `[limits]` of a project file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectLimits {
    /// How long installing dependencies may take, instead of what `cid.toml` says.
    pub install: Option<Seconds>,
    /// How long the release commands may take, instead of what `cid.toml` says.
    pub release: Option<Seconds>,
    /// How large the project's mirror may get, instead of what `cid.toml` says.
    pub repository: Option<Size<MIB>>,
    /// The most workspaces that the project may have, instead of what `cid.toml` says.
    pub workspaces: Option<NonZero<u32>>,
    /// Of all that a job does for a workspace, and of `cictl run`: each in itself.
    pub commands: Amounts,
    /// Of the processes of one workspace's app together.
    pub app: Amounts,
}

/// How much of the machine may be used; what is left out is as [`run_file::Limits`] and the helpers'
/// units have it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Amounts {
    /// Memory of all processes together.
    pub memory: Option<Size<{ 32 * MIB }>>,
    /// Processes and threads in all.
    pub processes: Option<Count<16>>,
    /// Open files of each process.
    pub open_files: Option<Count<64>>,
    /// How long each file may get that is written.
    pub file_size: Option<Size<MIB>>,
}

impl ProjectLimits {
    /// How large the mirror may get, in bytes.
    pub fn max_repository(&self, of_all: &Settings) -> u64 {
        *self.repository.unwrap_or(of_all.max_repository)
    }

    /// The limits of `cid.toml` where this project has none of its own.
    pub fn over(&self, of_all: &Limits) -> Limits {
        let mut limits = of_all.clone();
        if let Some(install) = &self.install {
            limits.install = install.clone();
        }
        if let Some(release) = &self.release {
            limits.release = release.clone();
        }
        if let Some(workspaces) = self.workspaces {
            limits.workspaces_per_project = workspaces;
        }
        limits
    }
}

impl Amounts {
    /// As the run file of an app says them, what is left out filled in.
    pub fn of_app(&self) -> run_file::Limits {
        run_file::Limits {
            memory: self.memory.map(|size| *size),
            processes: Some(self.processes.map_or(1024, |count| *count)),
            open_files: Some(self.open_files.map_or(8192, |count| *count)),
            file_size: Some(self.file_size.map_or(4 << 30, |size| *size)),
        }
    }
}

/// Bytes, at least `LEAST` and at most `MOST` of them: `512M`, `2G`. `K`, `M`, `G` and `T` are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size<const LEAST: u64, const MOST: u64 = KERNELS>(u64);

/// More than that the kernel's own numbers do not hold.
const KERNELS: u64 = i64::MAX as u64;

impl Size<MIB> {
    /// What a repository may take without a word of the operator's.
    pub(super) const DEFAULT_REPOSITORY: Self = Self(5 << 30);
}

impl<const LEAST: u64, const MOST: u64> Size<LEAST, MOST> {
    /// A default, brought within the bounds.
    pub(super) const fn of(bytes: u64) -> Self {
        if bytes < LEAST {
            Self(LEAST)
        } else if bytes > MOST {
            Self(MOST)
        } else {
            Self(bytes)
        }
    }
}

impl<const LEAST: u64, const MOST: u64> TryFrom<String> for Size<LEAST, MOST> {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bytes = || {
            let digits = text.trim_end_matches(|c: char| c.is_ascii_uppercase());
            let shift = match text.get(digits.len()..)? {
                "K" => 10,
                "M" => 20,
                "G" => 30,
                "T" => 40,
                _ => return None,
            };
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number: u64 = digits.parse().ok().filter(|_| plain)?;
            let bytes = number.checked_mul(1 << shift)?;
            (LEAST..=MOST).contains(&bytes).then_some(bytes)
        };
        bytes().map(Self).ok_or_else(|| {
            let bounds = match MOST {
                KERNELS => format!("at least {}", shown(LEAST)),
                most => format!("from {} to {}", shown(LEAST), shown(most)),
            };
            format!(
                "`{text}` is not a size like 512M or 2G (a whole number and K, M, G or T; {bounds})"
            )
        })
    }
}

fn shown(bytes: u64) -> String {
    let units = [(30, 'G'), (20, 'M'), (10, 'K')];
    let unit = units
        .into_iter()
        .find(|(shift, _)| bytes.is_multiple_of(1 << shift));
    unit.map_or_else(
        || bytes.to_string(),
        |(shift, unit)| format!("{}{unit}", bytes >> shift),
    )
}

impl<const LEAST: u64, const MOST: u64> Deref for Size<LEAST, MOST> {
    type Target = u64;
    fn deref(&self) -> &u64 {
        &self.0
    }
}

/// A number of things, at least `LEAST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Count<const LEAST: u64>(u64);

/// As many processes as Linux can number, which is more than it opens files.
const MOST: u64 = 1 << 22;

impl<const LEAST: u64> TryFrom<u64> for Count<LEAST> {
    type Error = String;
    fn try_from(number: u64) -> Result<Self, String> {
        match (LEAST..=MOST).contains(&number) {
            true => Ok(Self(number)),
            false => Err(format!("{number} is not between {LEAST} and {MOST}")),
        }
    }
}

impl<const LEAST: u64> Deref for Count<LEAST> {
    type Target = u64;
    fn deref(&self) -> &u64 {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Result<ProjectLimits, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn sizes_numbers_and_times_are_read() {
        let text = "release = \"20m\"\n\
                    [commands]\nmemory = \"4G\"\n\
                    [app]\nmemory = \"512M\"\nprocesses = 64\nopen_files = 256\nfile_size = \"1024K\"\n";
        let limits = limits(text).unwrap();
        assert_eq!(*limits.commands.memory.unwrap(), 4 << 30);
        assert_eq!(
            limits.app.of_app(),
            run_file::Limits {
                memory: Some(512 << 20),
                processes: Some(64),
                open_files: Some(256),
                file_size: Some(1 << 20),
            }
        );
        let times = limits.over(&Limits::default());
        assert_eq!(times.release.as_secs(), 1200);
        assert_eq!(times.install, Limits::default().install);
    }

    #[test]
    fn what_is_left_out_has_a_limit_too() {
        let app = ProjectLimits::default().app.of_app();
        assert!(app.processes.is_some() && app.open_files.is_some() && app.file_size.is_some());
    }

    #[test]
    fn bad_values_name_line_column_and_rule() {
        for (value, rule) in [
            ("memory = \"2 GB\"", "`2 GB` is not a size like 512M or 2G"),
            ("memory = \"2g\"", "is not a size"),
            ("memory = \"+2G\"", "is not a size"),
            ("memory = \"G\"", "is not a size"),
            ("memory = \"-1G\"", "is not a size"),
            ("memory = \"31M\"", "at least 32M"),
            ("memory = \"99999999T\"", "is not a size"),
            ("memory = 2048", "expected a string"),
            ("file_size = \"1K\"", "at least 1M"),
            ("processes = 3", "3 is not between 16 and"),
            ("processes = \"many\"", "expected u64"),
            ("open_files = -1", "expected u64"),
            ("memroy = \"2G\"", "unknown field `memroy`"),
        ] {
            let error = limits(&format!("[app]\n{value}\n"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(rule), "{value}: {error}");
            assert!(error.contains("line 2, column"), "{value}: {error}");
        }
    }
}
