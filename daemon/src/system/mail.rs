//! A mail for the server of `[mail]`.

use super::credential;
use crate::{
    config::{Mail, MailTls},
    domain::Email,
};
use cid_protocol::{
    fault::Fault,
    request::{Protection, Secret, SendMail},
};
use uuid::Uuid;

/// A mail to one address, with the login that the server wants.
///
/// # Errors
/// The login cannot be read.
pub fn letter(mail: &Mail, to: &Email, subject: String, text: String) -> Result<SendMail, Fault> {
    let login = match &mail.credential {
        Some(file) => {
            let login = credential::read(file.path())?;
            Some((login.user, login.token))
        }
        None => None,
    };
    Ok(SendMail {
        host: mail.host.as_str().to_owned(),
        port: mail.port,
        protection: match mail.tls {
            MailTls::Starttls => Protection::Starttls,
            MailTls::Implicit => Protection::Implicit,
            MailTls::None => Protection::Plain,
        },
        login,
        from: mail.from.to_string(),
        to: to.to_string(),
        subject,
        text: Secret::new(text),
        id: Uuid::now_v7().simple().to_string(),
    })
}
