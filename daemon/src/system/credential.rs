//! Secrets about a git server: the user and token for a repository over https, and those of webhooks. Each is a file of
//! the operator's that only the daemon reads.
//! It hands a token to the helper that talks to the git server, by that helper's own pipe.

use crate::config::read_private;
use cid_protocol::{
    fault::Fault,
    request::{Secret, UseCredential},
};
use data_encoding::BASE64;
use std::path::Path;

/// A file longer than this holds something else.
const MAX_LEN: u64 = 4096;
/// What is shorter can be guessed.
const SHORTEST_SECRET: usize = 16;
const MOST_SECRETS: usize = 4;
/// The user name sent with a token alone; most servers ignore it.
const ANYBODY: &str = "x-access-token";

/// Reads `USER:TOKEN` or a token alone.
///
/// # Errors
/// There is no such file, others than the daemon's own user could read or change it, or it holds no
/// token. The message never shows what it holds.
pub fn read(path: &Path) -> Result<UseCredential, Fault> {
    let text = read_private(path, MAX_LEN)?;
    parse(&text).ok_or_else(|| {
        Fault::io(
            "use",
            path,
            "it does not hold one line with USER:TOKEN or a token",
        )
        .hint("write the token that the git server gave into it")
    })
}

/// Reads the secrets of webhooks, one a line: two while one takes the place of the other.
///
/// # Errors
/// As [`read`]; or one is too short to be a secret.
pub fn webhook_secrets(path: &Path) -> Result<Vec<String>, Fault> {
    let text = read_private(path, MAX_LEN)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let secrets: Vec<String> = lines.map(str::to_owned).collect();
    let are_good = (1..=MOST_SECRETS).contains(&secrets.len())
        && secrets.iter().all(|secret| secret.len() >= SHORTEST_SECRET);
    if are_good {
        return Ok(secrets);
    }
    Err(Fault::io(
        "use",
        path,
        format!("it does not hold a secret of {SHORTEST_SECRET} characters or more, or {MOST_SECRETS} of them, one a line"),
    )
    .hint("make one: openssl rand -hex 32; give the git server the same"))
}

/// Reads a token for a forge's API: one word.
///
/// # Errors
/// As [`read`].
pub fn token(path: &Path) -> Result<Secret, Fault> {
    let text = read_private(path, MAX_LEN)?;
    let word = text.trim();
    match !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Secret::new(word)),
        false => Err(
            Fault::io("use", path, "it does not hold one line with a token")
                .hint("write the token that the forge gave into it"),
        ),
    }
}

/// Reads the key that signs webhooks: what is written `whsec_...` is Base64, as Standard Webhooks says.
///
/// # Errors
/// As [`webhook_secrets`].
pub fn webhook_key(path: &Path) -> Result<Vec<u8>, Fault> {
    let secret = webhook_secrets(path)?.remove(0);
    let Some(text) = secret.strip_prefix("whsec_") else {
        return Ok(secret.into_bytes());
    };
    BASE64.decode(text.as_bytes()).map_err(|_| {
        Fault::io("use", path, "what follows whsec_ is no Base64")
            .hint("make one: echo whsec_$(openssl rand -base64 32)")
    })
}

fn parse(text: &str) -> Option<UseCredential> {
    let line = text.trim();
    let (user, token) = line.split_once(':').unwrap_or((ANYBODY, line));
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    (is_word(user) && is_word(token)).then(|| UseCredential {
        user: user.to_owned(),
        token: Secret::new(token),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_kernel::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn reads_a_file_that_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write_atomic(&path, b"anna:s3cret\n", 0o600).unwrap();
        let read_one = read(&path).unwrap();
        assert_eq!(
            (read_one.user.as_str(), read_one.token.expose()),
            ("anna", "s3cret")
        );
        assert!(!format!("{read_one:?}").contains("s3cret"));
        fs::write_atomic(&path, b"s3cret", 0o400).unwrap();
        assert_eq!(read(&path).unwrap().user, ANYBODY);
    }

    #[test]
    fn webhooks_have_long_secrets_of_cids_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hook");
        let one = "0123456789abcdef";
        let write = |text: &str, mode| fs::write_atomic(&path, text.as_bytes(), mode).unwrap();
        write(&format!(" {one}\n\nanother long secret\n"), 0o600);
        assert_eq!(
            webhook_secrets(&path).unwrap(),
            [one, "another long secret"]
        );
        for (text, mode) in [
            ("", 0o600),
            ("short", 0o600),
            (&format!("{one}\nshort"), 0o600),
            (&format!("{one}\n").repeat(5), 0o600),
            (one, 0o640),
        ] {
            write(text, mode);
            let fault = webhook_secrets(&path).unwrap_err();
            assert!(!format!("{fault:?}").contains(one), "{fault:?}");
        }
    }

    #[test]
    fn a_token_is_a_word_and_a_key_is_what_standard_webhooks_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let write = |text: &str, mode| fs::write_atomic(&path, text.as_bytes(), mode).unwrap();
        write("t0ken\n", 0o600);
        assert_eq!(token(&path).unwrap().expose(), "t0ken");
        for (text, mode) in [("", 0o600), ("two t0kens", 0o600), ("t0ken", 0o644)] {
            write(text, mode);
            assert!(!format!("{:?}", token(&path).unwrap_err()).contains("t0ken"));
        }
        write("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 0o600);
        assert_eq!(webhook_key(&path).unwrap()[..2], [0x31, 0xf2]);
        write("a long enough secret", 0o600);
        assert_eq!(webhook_key(&path).unwrap(), b"a long enough secret");
        for text in ["whsec_not*base64*at*all", "short"] {
            write(text, 0o600);
            assert!(!format!("{:?}", webhook_key(&path).unwrap_err()).contains(text));
        }
    }

    #[test]
    fn refuses_what_others_can_read_and_what_holds_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for (content, mode) in [
            ("s3cret", 0o640),
            ("s3cret", 0o604),
            ("", 0o600),
            ("anna:", 0o600),
            (":s3cret", 0o600),
            ("s3cret\nand more", 0o600),
        ] {
            fs::write_atomic(&path, content.as_bytes(), mode).unwrap();
            let fault = read(&path).unwrap_err();
            let told = format!("{fault:?}");
            assert!(!told.contains("s3cret"), "{told}");
        }
        fs::write_atomic(&path, b"s3cret", 0o600).unwrap();
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(read(&link).is_err() && read(dir.path()).is_err());
    }
}
