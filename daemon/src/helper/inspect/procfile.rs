//! The Procfile: `TYPE: SHELL LINE` a line.

use crate::budget::{COMMAND, Over, PROCESS_TYPE_NAME, PROCESS_TYPES};

/// Process types in the file's order, and its `release` line.
pub(super) type Processes = (Vec<(String, String)>, Option<String>);

/// Reads a Procfile. What is no such line is passed over, as others do.
///
/// # Errors
/// It has more process types, or longer ones or longer commands, than there may be.
pub(super) fn parse(text: &str) -> Result<Processes, Over> {
    let mut processes: Vec<(String, String)> = Vec::new();
    let mut release = None;
    for (index, line) in text.lines().enumerate() {
        let Some((name, command)) = line.split_once(':') else {
            continue;
        };
        let (name, command) = (name.trim(), command.trim());
        let good = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        if !good || command.is_empty() {
            continue;
        }
        let place = format_args!("line {} of the Procfile", index + 1);
        PROCESS_TYPE_NAME.check(name.len(), place)?;
        COMMAND.check(command.len(), place)?;
        if name == "release" {
            release = Some(command.to_owned());
        } else if let Some((_, old)) = processes.iter_mut().find(|(old, _)| old == name) {
            command.clone_into(old);
        } else {
            processes.push((name.to_owned(), command.to_owned()));
            PROCESS_TYPES.check(processes.len(), "the Procfile")?;
        }
    }
    Ok((processes, release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_shell_text() {
        let text = "# a comment: x\nweb: gunicorn -b 127.0.0.1:$PORT a.wsgi\r\nrelease: ./go && x\n\n\
                    worker:celery -A a worker\nnot a line\n../x: y\nempty:\n";
        let (processes, release) = parse(text).unwrap();
        assert_eq!(
            processes,
            [
                ("web".into(), "gunicorn -b 127.0.0.1:$PORT a.wsgi".into()),
                ("worker".into(), "celery -A a worker".into())
            ]
        );
        assert_eq!(release.as_deref(), Some("./go && x"));
    }

    #[test]
    fn each_number_is_taken_at_its_bound_and_not_above() {
        let types = |count: usize| -> String { (0..count).map(|n| format!("p{n}: x\n")).collect() };
        let named = |length| format!("{}: x\n", "p".repeat(length));
        let running = |name: &str, length| format!("{name}: {}\n", "x".repeat(length));
        for (good, bad) in [
            (types(PROCESS_TYPES.most), types(PROCESS_TYPES.most + 1)),
            (
                named(PROCESS_TYPE_NAME.most),
                named(PROCESS_TYPE_NAME.most + 1),
            ),
            (
                running("web", COMMAND.most),
                running("web", COMMAND.most + 1),
            ),
            (
                running("release", COMMAND.most),
                running("release", COMMAND.most + 1),
            ),
        ] {
            assert!(parse(&good).is_ok());
            let said = parse(&bad).unwrap_err().to_string();
            assert!(said.contains("the Procfile"), "{said}");
        }
        // The same type once more is no further one.
        assert!(parse(&types(PROCESS_TYPES.most).repeat(2)).is_ok());
    }
}
