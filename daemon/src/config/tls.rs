//! `tls`: the certificate that a project's workspaces answer with.

use super::AbsolutePath;
use serde::Deserialize;

/// Two years, which browsers' preload lists ask for at most.
const MAX_HSTS: u32 = 63_072_000;

/// `tls`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate for `*.DOMAIN` and its chain, in PEM.
    pub certificate: AbsolutePath,
    /// Its private key, in PEM, without a passphrase.
    pub key: AbsolutePath,
    /// For how long browsers are told to come by HTTPS alone; absent: they are not told.
    pub hsts: Option<HstsSeconds>,
}

/// Seconds that browsers remember to come by HTTPS alone: 1 to two years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct HstsSeconds(u32);

impl TryFrom<u32> for HstsSeconds {
    type Error = String;
    fn try_from(seconds: u32) -> Result<Self, String> {
        match (1..=MAX_HSTS).contains(&seconds) {
            true => Ok(Self(seconds)),
            false => Err(format!(
                "tls.hsts is a number of seconds from 1 to {MAX_HSTS}; leave it out to say nothing"
            )),
        }
    }
}

impl HstsSeconds {
    /// The seconds.
    pub fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsts_is_left_out_or_positive() {
        let read = |hsts: &str| {
            toml::from_str::<Tls>(&format!("certificate = \"/c\"\nkey = \"/k\"\n{hsts}"))
        };
        assert_eq!(read("").unwrap().hsts, None);
        assert_eq!(read("hsts = 60").unwrap().hsts.unwrap().get(), 60);
        for bad in [
            "hsts = 0",
            "hsts = 99999999",
            "hsts = \"1d\"",
            "ca = \"/x\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
