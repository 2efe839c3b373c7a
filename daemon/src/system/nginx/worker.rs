//! The account that nginx answers as.

/// nginx's default (`configure --user`, which Debian does not set).
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
    // Text after a `#` begins with the `#`, so it does not count as a directive.
    let statements = configuration
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split([';', '{', '}']));
    statements.filter_map(move |statement| {
        let rest = statement.trim().strip_prefix(name)?;
        let value = rest.strip_prefix([' ', '\t'])?;
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
        assert_eq!(
            account("events {} user www-data; # user root;\n"),
            "www-data"
        );
    }
}
