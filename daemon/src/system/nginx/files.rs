//! What nginx reads, assembled by its `include`s. nginx prints it too, but only where its whole test passes,
//! including the parts that an unprivileged user cannot do.

use super::worker::directives;
use cid_protocol::fault::Fault;
use glob::{MatchOptions, glob_with};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files that include each other in a circle come to an end here; nginx itself does not take them.
const MAX_DEPTH: usize = 16;
const MAX_FILES: usize = 4096;

/// The main configuration file and all that is included, each after the one that includes it; of `vhosts`
/// nothing. What cannot be read is left out.
///
/// # Errors
/// The main file cannot be read.
pub(super) fn read(config: &Path, vhosts: &Path) -> Result<String, Fault> {
    let main = fs::read(config).map_err(|error| Fault::io("read", config, error))?;
    let mut reader = Reader {
        prefix: config.parent().unwrap_or(Path::new("/")),
        vhosts,
        all: String::new(),
        files: 0,
    };
    reader.add(&main, 0);
    Ok(reader.all)
}

struct Reader<'a> {
    /// What relative paths are relative to.
    prefix: &'a Path,
    vhosts: &'a Path,
    all: String,
    files: usize,
}

impl Reader<'_> {
    fn add(&mut self, content: &[u8], depth: usize) {
        let text = String::from_utf8_lossy(content);
        self.all.push_str(&text);
        self.all.push('\n');
        if depth == MAX_DEPTH {
            return;
        }
        for pattern in directives(&text, "include") {
            let pattern = self.prefix.join(pattern);
            if pattern.parent() == Some(self.vhosts) {
                continue;
            }
            for file in matching(&pattern) {
                self.files += 1;
                if self.files > MAX_FILES {
                    return;
                }
                match cid_kernel::fs::read(&file) {
                    Ok(content) => self.add(&content, depth + 1),
                    Err(error) => tracing::debug!("cannot read {}: {error}", file.display()),
                }
            }
        }
    }
}

/// The files of a pattern, sorted. Hidden ones fit only what begins with a dot, as with nginx.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let options = MatchOptions {
        require_literal_separator: true,
        require_literal_leading_dot: true,
        ..MatchOptions::default()
    };
    let found = glob_with(&pattern.to_string_lossy(), options);
    found.into_iter().flatten().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_includes_as_nginx_does() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let vhosts = dir.path().join("vhosts");
        let main = "http { include conf.d/*.conf; include sites/[a-x]; include no/such; include nginx.conf; }";
        write("nginx.conf", main);
        write("conf.d/b.conf", "b;");
        write(
            "conf.d/a.conf",
            &format!("a; include {}/*.conf;", vhosts.display()),
        );
        write("conf.d/.hidden.conf", "hidden;");
        write("conf.d/c.off", "off;");
        write("sites/x", "x;");
        write("sites/xx", "xx;");
        write("vhosts/v.conf", "v;");
        let text = read(&dir.path().join("nginx.conf"), &vhosts).unwrap();
        let of = |word: &str| text.find(&format!("\n{word};"));
        assert!(of("a") < of("b") && of("b") < of("x"), "{text}");
        for word in ["hidden", "off", "xx", "v"] {
            assert_eq!(of(word), None, "{word}");
        }
        assert!(text.contains(&format!("include {}/*.conf", vhosts.display())));
        assert_eq!(text.matches(main).count(), MAX_DEPTH + 1);
        assert!(read(&dir.path().join("none"), &vhosts).is_err());
    }
}
