//! Sends one mail to one address.

use cid_protocol::{
    fault::Fault,
    request::{MailTaken, Protection, SendMail},
};
use lettre::{
    Address, Message, SmtpTransport, Transport,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
    },
};
use std::{fmt::Display, time::Duration};

/// How long the server may take for each of its answers.
const PATIENCE: Duration = Duration::from_secs(15);

/// Hands a mail to the server. No failure tells its text.
///
/// # Errors
/// An address is not valid, or the server cannot be reached or trusted, or does not take it now.
pub(crate) fn send(ask: &SendMail) -> Result<MailTaken, Fault> {
    let message = message(ask)?;
    let transport = transport(ask).map_err(|error| cannot(ask, error))?;
    match transport.send(&message) {
        Ok(_) => Ok(MailTaken::Taken),
        Err(error) if error.is_permanent() => Ok(MailTaken::Refused(error.to_string())),
        Err(error) => Err(cannot(ask, error)),
    }
}

fn message(ask: &SendMail) -> Result<Message, Fault> {
    let wrong = |what: &str| Fault::new(format!("cannot write a mail: {what}"));
    let mailbox = |text: &str| {
        let address: Result<Address, _> = text.parse();
        address
            .map(|address| Mailbox::new(None, address))
            .map_err(|_| wrong("an address is none"))
    };
    let from = mailbox(&ask.from)?;
    let is_plain = |text: &str| text.chars().all(|c| !c.is_control());
    if !is_plain(&ask.subject) || !ask.id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(wrong("a header has characters in it that may not be there"));
    }
    Message::builder()
        .message_id(Some(format!("<{}@{}>", ask.id, from.email.domain())))
        .from(from)
        .to(mailbox(&ask.to)?)
        .subject(&ask.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(ask.text.expose().to_owned())
        .map_err(|error| wrong(&error.to_string()))
}

fn transport(ask: &SendMail) -> Result<SmtpTransport, Error> {
    let trusted = || TlsParameters::new(ask.host.clone());
    let tls = match ask.protection {
        Protection::Starttls => Tls::Required(trusted()?),
        Protection::Implicit => Tls::Wrapper(trusted()?),
        Protection::Plain => Tls::None,
    };
    let domain = ask.from.rsplit('@').next().unwrap_or("localhost");
    let transport = SmtpTransport::builder_dangerous(&ask.host)
        .port(ask.port)
        .tls(tls)
        .hello_name(ClientId::Domain(domain.to_owned()))
        .timeout(Some(PATIENCE));
    let transport = match &ask.login {
        Some((user, password)) => {
            let password = password.expose().to_owned();
            transport.credentials(Credentials::new(user.clone(), password))
        }
        None => transport,
    };
    Ok(transport.build())
}

fn cannot(ask: &SendMail, error: impl Display) -> Fault {
    let (host, port) = (&ask.host, ask.port);
    Fault::new(format!("cannot hand a mail to {host}:{port}: {error}"))
        .hint("see [mail] in cid.toml and the mail server's log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::request::Secret;
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    /// A mail server for one connection: answers `rcpt` to a recipient, and gives all that it was told.
    fn server(rcpt: &'static str) -> (u16, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let reader = BufReader::new(stream.try_clone().unwrap());
            let mut say = |line: &str| stream.write_all(format!("{line}\r\n").as_bytes());
            say("220 sink").unwrap();
            let (mut told, mut is_text) = (Vec::new(), false);
            for line in reader.lines().map_while(Result::ok) {
                let answer = match (is_text, line.as_str()) {
                    (true, ".") => Some("250 taken"),
                    (true, _) => None,
                    (_, "DATA") => Some("354 go on"),
                    (_, "QUIT") => Some("221 bye"),
                    (_, text) if text.starts_with("RCPT") => Some(rcpt),
                    _ => Some("250 ok"),
                };
                is_text = answer == Some("354 go on") || (is_text && line != ".");
                told.push(line);
                if let Some(answer) = answer
                    && say(answer).is_err()
                {
                    break;
                }
            }
            told
        });
        (port, told)
    }

    fn mail(port: u16) -> SendMail {
        SendMail {
            host: "127.0.0.1".into(),
            port,
            protection: Protection::Plain,
            login: None,
            from: "cid@example.org".into(),
            to: "anna@example.com".into(),
            subject: "Вход: ci.example.org".into(),
            text: Secret::new("Open this:\nhttps://ci.example.org/sign-in/SECRET\n.\nbye\n"),
            id: "abc123".into(),
        }
    }

    #[test]
    fn a_mail_has_one_recipient_and_its_text() {
        let (port, told) = server("250 ok");
        assert_eq!(send(&mail(port)), Ok(MailTaken::Taken));
        let told = told.join().unwrap();
        let begins = |what: &str| told.iter().filter(|line| line.starts_with(what)).count();
        assert_eq!(begins("RCPT TO:<anna@example.com>"), 1);
        assert_eq!(begins("RCPT"), 1);
        assert_eq!(begins("MAIL FROM:<cid@example.org>"), 1);
        assert_eq!(begins("To: anna@example.com"), 1);
        assert_eq!(begins("Message-ID: <abc123@example.org>"), 1);
        assert_eq!(begins("Date: "), 1);
        assert_eq!(begins("https://ci.example.org/sign-in/SECRET"), 1);
        assert_eq!(begins("EHLO example.org"), 1);
    }

    #[test]
    fn what_the_server_says_for_good_is_told_from_what_may_pass() {
        let (port, told) = server("550 no such user");
        assert!(matches!(send(&mail(port)), Ok(MailTaken::Refused(_))));
        told.join().unwrap();
        let (port, told) = server("451 come back");
        let fault = send(&mail(port)).unwrap_err();
        assert!(fault.message.contains("cannot hand a mail"), "{fault}");
        assert!(!fault.message.contains("SECRET"), "{fault}");
        told.join().unwrap();
    }

    /// A server in between that takes the encryption out gets neither link nor password.
    #[test]
    fn without_the_encryption_that_was_asked_for_nothing_is_sent() {
        for protection in [Protection::Starttls, Protection::Implicit] {
            let (port, told) = server("250 ok");
            let ask = SendMail {
                protection,
                login: Some(("cid".into(), Secret::new("PASSWORD"))),
                ..mail(port)
            };
            assert!(send(&ask).is_err(), "{protection:?}");
            let told = told.join().unwrap().join("\n");
            for part in ["SECRET", "PASSWORD", "RCPT", "AUTH"] {
                assert!(!told.contains(part), "{protection:?}: {told}");
            }
        }
    }

    #[test]
    fn no_header_and_no_recipient_can_be_put_in() {
        for bad in [
            "anna@example.com\r\nBcc: x@evil.example",
            "anna@example.com, x@evil.example",
            "anna@example.com> RCPT TO:<x@evil.example",
            "anna",
            "",
        ] {
            let (to, from) = (bad.to_owned(), bad.to_owned());
            assert!(message(&SendMail { to, ..mail(1) }).is_err(), "{bad:?}");
            assert!(message(&SendMail { from, ..mail(1) }).is_err(), "{bad:?}");
        }
        let subject = "x\r\nBcc: x@evil.example".to_owned();
        assert!(message(&SendMail { subject, ..mail(1) }).is_err());
        let id = "x>\r\nBcc: x".to_owned();
        assert!(message(&SendMail { id, ..mail(1) }).is_err());
    }
}
