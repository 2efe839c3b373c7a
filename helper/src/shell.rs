//! The shell that a person gets in a workspace.

use cid_protocol::{environment::Environment, frame::Terminal};
use std::{ffi::OsString, path::Path};

const BASH: &str = "/bin/bash";
const SH: &str = "/bin/sh";
/// Terminals of this kind know no colours.
const PLAIN: &str = "dumb";

/// What to execute, and what it finds in its environment: a prompt that says where one is, unless the
/// person has a `.bashrc`. No login shell, for `/etc/profile` would replace PATH.
pub(super) fn for_person(env: &mut Environment, terminal: Option<&Terminal>) -> Vec<OsString> {
    if !Path::new(BASH).exists() {
        env.insert("SHELL".into(), SH.into());
        env.insert("PS1".into(), "${CID_UNIT}$ ".into());
        return vec![SH.into(), "-i".into()];
    }
    let prompt = match terminal.is_none_or(|terminal| terminal.name == PLAIN) {
        true => r"$CID_UNIT:\W$ ",
        false => r"\[\e[1;32m\]$CID_UNIT\[\e[0m\]:\[\e[1;34m\]\W\[\e[0m\]$ ",
    };
    // Set at the first prompt: the machine's own bashrc would replace one that is set before.
    let set = format!("[ -e ~/.bashrc ] || PS1='{prompt}'; unset PROMPT_COMMAND");
    env.insert("PROMPT_COMMAND".into(), set.into());
    env.insert("SHELL".into(), BASH.into());
    vec![BASH.into(), "-i".into()]
}
