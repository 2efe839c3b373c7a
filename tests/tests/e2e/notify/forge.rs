//! A small forge: takes commit statuses and webhooks as real ones do, and refuses what they refuse.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

pub const TOKEN: &str = "t0ken-of-the-small-forge";
pub const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub struct Forge {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// So many requests are answered with 503.
    away: usize,
    /// The API, and what was taken.
    taken: Vec<(String, Value)>,
    /// What was refused, and why.
    refused: Vec<String>,
}

struct Asked {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Forge {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let own = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&own);
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn is_away_for(&self, requests: usize) {
        lock(&self.state).away = requests;
    }

    /// The documents that this API took.
    pub fn taken(&self, api: &str) -> Vec<Value> {
        let state = lock(&self.state);
        let own = state.taken.iter().filter(|(of, _)| of == api);
        own.map(|(_, body)| body.clone()).collect()
    }

    pub fn refused(&self) -> Vec<String> {
        lock(&self.state).refused.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(asked) = read(&stream) else { return };
    let mut state = lock(state);
    let (status, said) = if state.away > 0 {
        state.away -= 1;
        (503, "come back later".to_owned())
    } else {
        match judge(&asked) {
            Ok((api, body)) => {
                state.taken.push((api.to_owned(), body));
                (201, "{}".to_owned())
            }
            Err((status, why)) => {
                state.refused.push(format!("{} {status} {why}", asked.path));
                // Real ones repeat what they were sent.
                (
                    status,
                    format!("{why}: {:?}", asked.headers.get("authorization")),
                )
            }
        }
    };
    drop(state);
    let answer = format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
        said.len()
    );
    let _ = stream.write_all(answer.as_bytes());
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    (method == "POST").then_some(Asked {
        path,
        headers,
        body,
    })
}

type Refusal = (u16, String);

fn judge(asked: &Asked) -> Result<(&'static str, Value), Refusal> {
    let refuse = |status, why: &str| Err((status, why.to_owned()));
    if asked.headers.get("content-type").map(String::as_str) != Some("application/json") {
        return refuse(415, "no JSON");
    }
    let body: Value = serde_json::from_str(&asked.body).map_err(|_| (400, "no JSON".into()))?;
    let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
    let (api, sha, header, login) = match &parts[..] {
        ["hooks", "ci"] => return hook(asked, body),
        ["repos", "team", "hello", "statuses", sha] => {
            ("github", sha, "authorization", format!("Bearer {TOKEN}"))
        }
        ["api", "v1", "repos", "team", "hello", "statuses", sha] => {
            ("gitea", sha, "authorization", format!("token {TOKEN}"))
        }
        ["api", "v4", "projects", "team%2Fhello", "statuses", sha] => {
            ("gitlab", sha, "private-token", TOKEN.to_owned())
        }
        [
            "2.0",
            "repositories",
            "team",
            "hello",
            "commit",
            sha,
            "statuses",
            "build",
        ] => ("bitbucket", sha, "authorization", format!("Bearer {TOKEN}")),
        _ => return refuse(404, "no such page"),
    };
    if asked.headers.get(header) != Some(&login) {
        return refuse(401, "bad credentials");
    }
    if sha.len() != 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return refuse(404, "no such commit");
    }
    // GitHub answers nobody who does not say who asks.
    if !asked.headers.contains_key("user-agent") {
        return refuse(403, "who are you");
    }
    let states: &[&str] = match api {
        "github" => &["error", "failure", "pending", "success"],
        "gitea" => &["error", "failure", "pending", "success", "warning"],
        "gitlab" => &[
            "pending", "running", "success", "failed", "canceled", "skipped",
        ],
        _ => &["SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"],
    };
    let text = |key: &str| body[key].as_str();
    if !text("state").is_some_and(|state| states.contains(&state)) {
        return refuse(422, "no such state");
    }
    if text("description").is_some_and(|words| words.chars().count() > 140) {
        return refuse(422, "the description is too long");
    }
    let name = match api {
        "gitlab" => text("name"),
        "bitbucket" => text("key").filter(|key| key.len() <= 40),
        _ => text("context"),
    };
    if name.is_none() {
        return refuse(422, "no context");
    }
    let link = if api == "bitbucket" {
        text("url")
    } else {
        text("target_url")
    };
    let is_link = |link: &str| link.starts_with("http://") || link.starts_with("https://");
    match link {
        Some(link) if !(is_link(link) || api == "gitea" && link.is_empty()) => {
            return refuse(422, "the link is no URL");
        }
        None if api == "bitbucket" => return refuse(400, "no url"),
        _ => {}
    }
    Ok((
        api,
        json!({ "name": name, "state": body["state"], "description": body["description"], "link": link }),
    ))
}

/// As the libraries of Standard Webhooks do.
fn hook(asked: &Asked, body: Value) -> Result<(&'static str, Value), Refusal> {
    let header = |name: &str| asked.headers.get(name).cloned().unwrap_or_default();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    if id.is_empty() || at.parse().is_ok_and(|at: u64| now.abs_diff(at) > 300) {
        return Err((400, "no id, or out of time".into()));
    }
    let key = BASE64.decode(KEY.as_bytes()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.{}", asked.body).as_bytes());
    let wanted = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
    match header("webhook-signature")
        .split(' ')
        .any(|one| one == wanted)
    {
        true => Ok(("hook", body)),
        false => Err((401, "the signature is wrong".into())),
    }
}
