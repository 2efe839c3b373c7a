//! The Procfile: `TYPE: SHELL LINE` a line.

/// Process types in the file's order, and its `release` line. What is no such line is passed over,
/// as others do.
pub(super) fn parse(text: &str) -> (Vec<(String, String)>, Option<String>) {
    let mut processes: Vec<(String, String)> = Vec::new();
    let mut release = None;
    for line in text.lines() {
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
        if name == "release" {
            release = Some(command.to_owned());
        } else if let Some((_, old)) = processes.iter_mut().find(|(old, _)| old == name) {
            command.clone_into(old);
        } else {
            processes.push((name.to_owned(), command.to_owned()));
        }
    }
    (processes, release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_shell_text() {
        let text = "# a comment: x\nweb: gunicorn -b 127.0.0.1:$PORT a.wsgi\r\nrelease: ./go && x\n\n\
                    worker:celery -A a worker\nnot a line\n../x: y\nempty:\n";
        let (processes, release) = parse(text);
        assert_eq!(
            processes,
            [
                ("web".into(), "gunicorn -b 127.0.0.1:$PORT a.wsgi".into()),
                ("worker".into(), "celery -A a worker".into())
            ]
        );
        assert_eq!(release.as_deref(), Some("./go && x"));
    }
}
