//! `[nginx]`: how a project's sites are served.

use super::{RelativePath, Seconds, UrlPrefix, limits::Size, place::Broken};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::path::Component;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// `[nginx]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NginxSettings {
    /// The largest request body.
    pub max_body: Size<MIB, { 64 * GIB }>,
    /// Answers are taken from the app as fast as it gives them, and handed on as fast as the visitor takes
    /// them.
    pub buffering: bool,
    /// How long the headers of an answer, and of a request, may be.
    pub header_buffer: Size<{ 4 * KIB }, { 256 * KIB }>,
    /// For how long the app may send nothing.
    pub read_timeout: Seconds,
    /// Names beginning with a dot that are served all the same.
    #[serde(deserialize_with = "dot_files")]
    pub dot_files: Vec<DotName>,
    /// Collected files that nginx serves itself.
    #[serde(rename = "static")]
    pub collected: Option<StaticFiles>,
}

/// `nginx.static`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticFiles {
    /// In `app.dir`: where the release commands collect them.
    pub path: RelativePath,
    /// Below which URL they are.
    pub url: UrlPrefix,
}

impl NginxSettings {
    /// Checks what no value shows by itself.
    pub(super) fn check(&self, media: Option<&UrlPrefix>) -> Result<(), Broken> {
        let Some(StaticFiles { path, url }) = &self.collected else {
            return Ok(());
        };
        if path.components().all(|part| part == Component::CurDir) {
            return Err(Broken::new(
                "nginx.static.path",
                "all of the app would be public: name the folder of collected files alone",
            ));
        }
        if media == Some(url) {
            return Err(Broken::new(
                "nginx.static.url",
                "media.url is the same: each URL leads to one folder",
            ));
        }
        Ok(())
    }
}

/// A name that begins with a dot, such as `.well-known`: after it letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DotName(String);

impl TryFrom<String> for DotName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let is_name = |rest: &str| {
            rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && rest.len() < DOT_NAME
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        // What lies below /.cid is cid's own.
        match text != ".cid" && text.strip_prefix('.').is_some_and(is_name) {
            true => Ok(Self(text)),
            false => Err(format!(
                "`{text}` is no name of a file or folder that begins with a dot, like .well-known"
            )),
        }
    }
}

impl DotName {
    /// The name, with its dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn dot_files<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<DotName>, D::Error> {
    let names = Vec::<DotName>::deserialize(deserializer)?;
    match names.len() > DOT_NAMES {
        true => Err(D::Error::custom(format!("at most {DOT_NAMES} names"))),
        false => Ok(names),
    }
}

/// The longest name in bytes, and the most names: they become one expression of nginx's.
const DOT_NAME: usize = 64;
const DOT_NAMES: usize = 16;

impl Default for NginxSettings {
    fn default() -> Self {
        Self {
            max_body: Size::of(100 * MIB),
            buffering: true,
            header_buffer: Size::of(32 * KIB),
            read_timeout: Seconds::new(300),
            collected: None,
            dot_files: vec![DotName(".well-known".into())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NginxSettings, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn each_value_has_bounds() {
        let all =
            "max_body = \"2G\"\nbuffering = false\nheader_buffer = \"64K\"\nread_timeout = \"1h\"";
        let nginx = read(all).unwrap();
        assert_eq!((*nginx.max_body, *nginx.header_buffer), (2 * GIB, 64 * KIB));
        assert_eq!(
            (nginx.buffering, nginx.read_timeout.as_secs()),
            (false, 3600)
        );
        assert_eq!(read("").unwrap(), NginxSettings::default());
        for (text, said) in [
            ("max_body = \"64G\"", ""),
            ("max_body = \"65G\"", "from 1M to 64G"),
            ("max_body = \"1023K\"", "from 1M to 64G"),
            ("max_body = 100", "expected a string"),
            ("header_buffer = \"4K\"", ""),
            ("header_buffer = \"3K\"", "from 4K to 256K"),
            ("header_buffer = \"1M\"", "from 4K to 256K"),
            ("header_buffer = \"32k; }\"", "from 4K to 256K"),
            ("read_timeout = \"0s\"", "0s"),
            ("read_timeout = \"25h\"", "25h"),
            ("buffering = \"off\"", "expected a boolean"),
            ("static = { path = \"static/all\", url = \"/static/\" }", ""),
            ("static = { path = \"../x\", url = \"/static/\" }", "../x"),
            ("static = { path = \"/etc\", url = \"/static/\" }", "/etc"),
            ("static = { path = \"x\", url = \"/\" }", "URL prefix"),
            ("static = { path = \"x\", url = \"/a;b/\" }", "URL prefix"),
            ("static = { path = \"x\" }", "url"),
            ("dot_files = []", ""),
            ("dot_files = [\".well-known\", \".a_b-c.d\"]", ""),
            ("dot_files = [\"well-known\"]", "begins with a dot"),
            ("dot_files = [\"..\"]", "begins with a dot"),
            ("dot_files = [\".cid\"]", "begins with a dot"),
            ("dot_files = [\".\"]", "begins with a dot"),
            ("dot_files = [\".a/b\"]", "begins with a dot"),
            ("dot_files = [\".a|b\"]", "begins with a dot"),
            ("dot_files = [\".*\"]", "begins with a dot"),
            ("proxy_buffering = true", "unknown field"),
        ] {
            match read(text) {
                Ok(_) => assert_eq!(said, "", "{text}"),
                Err(error) => assert!(!said.is_empty() && error.contains(said), "{text}: {error}"),
            }
        }
    }
}
