//! Transient units of systemd: how a host runs everything outside the daemon. The unit files in the
//! repository's `systemd/helpers/` define what each kind of helper may do, and `systemd-analyze` can read
//! them. They are compiled into this program, so they cannot be changed apart from it.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

/// A kind of helper, by what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// git over the network.
    Git,
    /// The repository's own commands.
    Workspace,
    /// Shared packages.
    Build,
    /// Makes a build's files root's.
    Seal,
    /// What builds run.
    Tools,
    /// What a workspace's user cannot remove or open.
    Purge,
    /// The machine's accounts.
    Accounts,
    /// `nginx -t`.
    NginxTest,
}

impl Profile {
    fn text(self) -> &'static str {
        match self {
            Self::Git => include_str!("../../../systemd/helpers/git.service"),
            Self::Workspace => include_str!("../../../systemd/helpers/workspace.service"),
            Self::Build => include_str!("../../../systemd/helpers/build.service"),
            Self::Seal => include_str!("../../../systemd/helpers/seal.service"),
            Self::Tools => include_str!("../../../systemd/helpers/tools.service"),
            Self::Purge => include_str!("../../../systemd/helpers/purge.service"),
            Self::Accounts => include_str!("../../../systemd/helpers/accounts.service"),
            Self::NginxTest => include_str!("../../../systemd/helpers/nginx-test.service"),
        }
    }

    /// What the file's `[Service]` section says, line by line.
    fn properties(self) -> impl Iterator<Item = &'static str> {
        self.text()
            .lines()
            .skip_while(|line| *line != "[Service]")
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    fn description(self) -> &'static str {
        self.text()
            .lines()
            .find_map(|line| line.strip_prefix("Description="))
            .unwrap_or("cid helper")
    }
}

/// A transient unit to be.
#[derive(Clone, Debug)]
pub struct Unit {
    profile: Profile,
    name: Option<String>,
    properties: Vec<OsString>,
    env: Vec<OsString>,
}

impl Unit {
    /// A unit of this kind, called as systemd likes.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            name: None,
            properties: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Gives it a name, which no other unit may have at the same time.
    #[must_use]
    pub fn named(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets a property; it comes after those of the profile.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<OsString>) -> Self {
        let mut property = OsString::from(format!("{key}="));
        property.push(value.into());
        self.properties.push(property);
        self
    }

    /// Lets it write below a path that exists (one that does not is left out).
    #[must_use]
    pub fn writable(self, path: &Path) -> Self {
        let mut value = OsString::from("-");
        value.push(escaped(path));
        self.with("ReadWritePaths", value)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &Path) -> Self {
        let mut setting = OsString::from(format!("{name}="));
        setting.push(value);
        self.env.push(setting);
        self
    }

    /// What it is called, where it has been given a name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The command line that runs a program with its arguments as this unit, with this process's standard
    /// streams, and exits with the program's status when nothing of the unit is left. The arguments are
    /// passed unchanged; the program's path must hold no dollar sign.
    pub fn running(&self, program: &Path, arguments: Vec<OsString>) -> Vec<OsString> {
        let mut command = self.command();
        command.push(program.into());
        command.extend(arguments.into_iter().map(literal));
        command
    }

    /// Up to where the program is named.
    pub(crate) fn command(&self) -> Vec<OsString> {
        let mut command: Vec<OsString> = [
            "systemd-run",
            "--quiet",
            "--pipe",
            "--wait",
            "--collect",
            "--no-ask-password",
        ]
        .map(OsString::from)
        .into();
        command.push(format!("--description={}", self.profile.description()).into());
        if let Some(name) = &self.name {
            command.push(format!("--unit={name}").into());
        }
        let fixed = self.profile.properties().map(OsString::from);
        for property in fixed.chain(self.properties.iter().cloned()) {
            command.push("--property".into());
            command.push(property);
        }
        for setting in &self.env {
            command.push("--setenv".into());
            command.push(setting.clone());
        }
        command.push("--".into());
        command
    }
}

/// systemd expands `$NAME` and `${NAME}` in a command's words. Two dollar signs stand for one.
fn literal(word: OsString) -> OsString {
    if !word.as_bytes().contains(&b'$') {
        return word;
    }
    let doubled = word.as_bytes().iter().flat_map(|byte| {
        let count = if *byte == b'$' { 2 } else { 1 };
        std::iter::repeat_n(*byte, count)
    });
    OsString::from_vec(doubled.collect())
}

/// Lists of paths are separated by white space, and a backslash or a quote begins an escape.
fn escaped(path: &Path) -> OsString {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@,:=~".contains(c) || !c.is_ascii();
    if text.chars().all(plain) {
        return path.as_os_str().to_owned();
    }
    let inner = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{inner}\"").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Profile; 8] = [
        Profile::Git,
        Profile::Workspace,
        Profile::Build,
        Profile::Seal,
        Profile::Tools,
        Profile::Purge,
        Profile::Accounts,
        Profile::NginxTest,
    ];

    #[test]
    fn every_profile_gives_up_what_it_can() {
        for profile in ALL {
            let properties: Vec<_> = profile.properties().collect();
            assert!(properties.contains(&"NoNewPrivileges=yes"), "{profile:?}");
            assert!(properties.contains(&"PrivateDevices=yes"), "{profile:?}");
            assert!(
                properties
                    .iter()
                    .any(|p| p.starts_with("CapabilityBoundingSet=")),
                "{profile:?}"
            );
            assert!(properties.iter().all(|p| p.contains('=')), "{profile:?}");
            assert!(profile.description().starts_with("cid helper: "));
        }
    }

    #[test]
    fn what_is_added_comes_after_the_profile() {
        let command = Unit::new(Profile::Workspace)
            .named("cid-helper-x.service".into())
            .with("User", "cidw-7")
            .writable(Path::new("/srv/a b"))
            .env("HOME", Path::new("/var/lib/cid/home"))
            .command();
        let position = |text: &str| command.iter().position(|word| word == text).unwrap();
        assert!(position("User=nobody") < position("User=cidw-7"));
        assert!(position("ReadWritePaths=-\"/srv/a b\"") < position("HOME=/var/lib/cid/home"));
        assert_eq!(command.last().unwrap(), "--");
        assert!(position("--unit=cid-helper-x.service") > 0);
    }

    #[test]
    fn systemd_finds_no_variable_in_an_argument() {
        let arguments = ["$HOME", "${INVOCATION_ID}", "a$$b", "%n", "a b", ";", ""];
        let command = Unit::new(Profile::Workspace)
            .running(Path::new("/bin/echo"), arguments.map(OsString::from).into());
        let begin = command.iter().position(|word| word == "--").unwrap();
        assert_eq!(
            command[begin + 1..],
            [
                "/bin/echo",
                "$$HOME",
                "$${INVOCATION_ID}",
                "a$$$$b",
                "%n",
                "a b",
                ";",
                ""
            ]
        );
    }
}
