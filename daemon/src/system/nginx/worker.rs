//! As whom nginx answers.

/// What nginx takes when nobody says anything (`configure --user`, which Debian does not give).
const DEFAULT: &str = "nobody";

/// The account of nginx's workers, by all that nginx reads.
pub(crate) fn account(configuration: &str) -> &str {
    directives(configuration, "user")
        .find_map(|words| words.split_whitespace().next())
        .unwrap_or(DEFAULT)
}

/// The words of a directive and of all others of that name.
pub(crate) fn directives<'a>(
    configuration: &'a str,
    name: &'a str,
) -> impl Iterator<Item = &'a str> {
    configuration.lines().filter_map(move |line| {
        let rest = line.trim().strip_prefix(name)?;
        let value = rest.strip_prefix([' ', '\t'])?.split(';').next()?;
        Some(value.trim().trim_matches(['"', '\'']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_as_whom() {
        assert_eq!(
            account("# user root;\nuser  www-data www-data;\n"),
            "www-data"
        );
        assert_eq!(account("worker_processes auto;\nuser_x y;\n"), "nobody");
    }
}
