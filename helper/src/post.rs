//! Posts one document to one server.

use cid_protocol::{
    fault::Fault,
    request::{Post, Posted},
};
use rustls::crypto::ring;
use std::{io::Read as _, sync::Arc, time::Duration};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig, TlsProvider},
};

/// How long all of it may take, from the look-up of the name to the answer's end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// So much of an answer is read.
const ANSWER: u64 = 2048;
/// And so many characters of it are told.
const TOLD: usize = 200;

/// Posts it. No link to another place is followed: the secret in the headers is for this server alone.
///
/// # Errors
/// The server cannot be reached or trusted, or does not answer. No failure tells a header.
pub(crate) fn post(ask: &Post) -> Result<Posted, Fault> {
    let mut request = agent()
        .post(&ask.url)
        .header("content-type", "application/json");
    for (name, value) in &ask.headers {
        request = request.header(name, value.expose());
    }
    let mut answer = request
        .send(&ask.body)
        .map_err(|error| cannot(ask, &error))?;
    let status = answer.status().as_u16();
    let mut said = Vec::new();
    // What it says beside the status is of use to people alone.
    let _ = answer
        .body_mut()
        .as_reader()
        .take(ANSWER)
        .read_to_end(&mut said);
    Ok(Posted {
        status,
        said: told(ask, &String::from_utf8_lossy(&said)),
    })
}

fn agent() -> Agent {
    let known = rustls_native_certs::load_native_certs().certs;
    let roots = known
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned());
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::from(roots))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .user_agent("cid")
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(PATIENCE))
        .build()
        .into()
}

/// The first words of an answer, on one line, without what it may repeat of the request's secrets.
fn told(ask: &Post, said: &str) -> String {
    let words: Vec<&str> = said
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let words = words.iter().filter(|word| !word.is_empty());
    let mut said = words.copied().collect::<Vec<_>>().join(" ");
    for (_, value) in &ask.headers {
        // A scheme such as `Bearer` comes before the secret itself.
        let secret = value.expose().rsplit(' ').next().unwrap_or_default();
        if !secret.is_empty() {
            said = said.replace(secret, "***");
        }
    }
    said.chars().take(TOLD).collect()
}

fn cannot(ask: &Post, error: &ureq::Error) -> Fault {
    // Behind the host there may be a secret.
    let end = ask.url.find("://").map_or(0, |at| at + 3);
    let host = ask.url[end..].split('/').next().unwrap_or_default();
    Fault::new(format!("cannot reach {}{host}: {error}", &ask.url[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::request::Secret;
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    /// A server for one request: gives all that it was told, and answers this.
    fn server(answer: &'static str) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/statuses", listener.local_addr().unwrap());
        let told = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut told, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                told.push_str(&line);
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            told.push_str(&String::from_utf8(body).unwrap());
            stream.write_all(answer.as_bytes()).unwrap();
            told
        });
        (url, told)
    }

    fn ask(url: String) -> Post {
        Post {
            url,
            headers: vec![("authorization".into(), Secret::new("Bearer s3cret-token"))],
            body: "{\"state\":\"success\"}".into(),
        }
    }

    #[test]
    fn a_document_goes_with_its_headers_and_the_answer_tells_no_secret() {
        let (url, told) = server(
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n{\"message\":\n\"bad token s3cret-token\"}",
        );
        let posted = post(&ask(url)).unwrap();
        assert_eq!(posted.status, 401);
        assert_eq!(posted.said, "{\"message\": \"bad token ***\"}");
        let told = told.join().unwrap();
        assert!(told.starts_with("POST /statuses HTTP/1.1\r\n"), "{told}");
        let lower = told.to_lowercase();
        assert!(lower.contains("\r\nauthorization: bearer s3cret-token\r\n"));
        assert!(lower.contains("\r\ncontent-type: application/json\r\n"));
        assert!(told.ends_with("\r\n\r\n{\"state\":\"success\"}"), "{told}");
    }

    #[test]
    fn a_secret_is_taken_nowhere_else() {
        let (other, never) = server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {other}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let (url, told) = server(answer.leak());
        assert_eq!(post(&ask(url)).unwrap().status, 307);
        told.join().unwrap();
        assert!(!never.is_finished());
    }

    #[test]
    fn a_server_that_is_away_is_a_fault_without_the_secret() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let fault = post(&ask(url)).unwrap_err();
        let told = format!("{fault:?}");
        assert!(
            told.contains("cannot reach") && !told.contains("s3cret"),
            "{told}"
        );
    }
}
