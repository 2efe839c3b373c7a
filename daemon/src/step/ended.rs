//! What the end of a repository's command means for the job.

use cid_protocol::{
    fault::Fault,
    request::{Exited, Resource},
};

/// 128 + SIGXFSZ: the kernel ends a process that writes beyond its limit.
const TOO_LONG_A_FILE: i32 = 153;

/// Whether a command succeeded. `cannot` says what it was for, `shown` is the command, and `hint` says what
/// to do when the command itself failed.
pub(super) fn judge(exited: Exited, cannot: &str, shown: &str, hint: &str) -> Result<(), Fault> {
    let ran_out = |what: &str, key: &str| {
        Err(
            Fault::new(format!("cannot {cannot}: `{shown}` ran out of {what}")).hint(format!(
                "{key} under [limits.commands] in the project file allows more"
            )),
        )
    };
    match (exited.status, exited.ran_out_of) {
        (0, _) => Ok(()),
        (_, Some(Resource::Memory)) => ran_out("memory", "memory"),
        (_, Some(Resource::Processes)) => ran_out("processes", "processes"),
        (TOO_LONG_A_FILE, None) => ran_out("room in a file", "file_size"),
        (status, None) => Err(Fault::new(format!(
            "cannot {cannot}: `{shown}` ended with status {status}"
        ))
        .hint(hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_command_ran_out_of() {
        let said = |status, ran_out_of| {
            let exited = Exited { status, ran_out_of };
            judge(exited, "release", "x", "look").map_err(|fault| fault.to_string())
        };
        assert_eq!(said(0, Some(Resource::Processes)), Ok(()));
        let killed = said(137, Some(Resource::Memory)).unwrap_err();
        assert!(killed.contains("cannot release: `x` ran out of memory"));
        assert!(said(153, None).unwrap_err().contains("room in a file"));
        assert!(said(1, None).unwrap_err().contains("ended with status 1"));
    }
}
