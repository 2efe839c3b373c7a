//! `[test]`: the surroundings of the commands that test a build.

use super::{EnvName, Seconds, project::variables};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `[test]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestGate {
    /// Given to the tests, and nothing of `[env]`.
    #[serde(deserialize_with = "variables")]
    pub env: BTreeMap<EnvName, String>,
    /// How long all of them may take together.
    pub timeout: Seconds,
    /// What they reach; kept on a host.
    pub network: TestNetwork,
    /// Whether a build that failed is kept from stages.
    pub required: bool,
}

impl Default for TestGate {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            timeout: Seconds::new(20 * 60),
            network: TestNetwork::Loopback,
            required: true,
        }
    }
}

/// `test.network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestNetwork {
    /// Only what the tests start themselves.
    Loopback,
    /// Whatever the machine reaches.
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_optional() {
        let gate: TestGate = toml::from_str("").unwrap();
        assert_eq!(gate.timeout.as_secs(), 1200);
        assert!(gate.required && gate.network == TestNetwork::Loopback);
        let gate: TestGate = toml::from_str(
            "env = { MODE = \"test\" }\ntimeout = \"90s\"\nnetwork = \"full\"\nrequired = false",
        )
        .unwrap();
        assert_eq!(gate.env.values().collect::<Vec<_>>(), ["test"]);
        assert!(!gate.required && gate.network == TestNetwork::Full);
    }

    #[test]
    fn bad_values_name_line_and_rule() {
        for (line, rule) in [
            ("network = \"none\"", "expected `loopback` or `full`"),
            ("timeout = \"soon\"", "soon"),
            ("env = { CID_X = \"1\" }", "CID_"),
            ("retries = 3", "unknown field `retries`"),
        ] {
            let error = toml::from_str::<TestGate>(&format!("required = true\n{line}\n"));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(rule) && error.contains("line 2"), "{error}");
        }
    }
}
