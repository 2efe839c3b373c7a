//! A day's work in the browser alone: a link by mail, a workspace, its log, and its end.

use crate::{
    stage::{ANNA, SOON, Stage},
    web::{eventually, front, in_browser_of, screenshot},
};
use cid_testkit::{Tree, wait_until};
use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};
use thirtyfour::{By, WebDriver, error::WebDriverResult};

/// A mail server that keeps what it is given.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<String>>>);

impl Sink {
    /// Starts it, and answers its port.
    fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sink = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                sink.take(stream.unwrap());
            }
        });
        port
    }

    fn take(&self, mut stream: TcpStream) {
        let reader = BufReader::new(stream.try_clone().unwrap());
        let (mut told, mut is_text) = (String::new(), false);
        stream.write_all(b"220 sink\r\n").unwrap();
        for line in reader.lines().map_while(Result::ok) {
            told += &line;
            told.push('\n');
            let answer = match (is_text, line.as_str()) {
                (true, ".") => "250 taken\r\n",
                (true, _) => continue,
                (_, "DATA") => "354 go on\r\n",
                (_, "QUIT") => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            is_text = line == "DATA";
            if stream.write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
        self.0.lock().unwrap().push(told);
    }

    fn mails(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn stage(mail_port: u16) -> Stage {
    let tree = Tree::hello();
    Stage::prepared(&tree, |stage| {
        let url = format!("http://localhost:{}", stage.sandbox.http_port());
        let settings = format!(
            "[people]\ndomains = [\"example.com\"]\n[front]\nsign_in = \"verified\"\nurl = \"{url}\"\n\
             [mail]\nfrom = \"cid@example.org\"\nhost = \"127.0.0.1\"\nport = {mail_port}\ntls = \"none\"\n"
        );
        stage.sandbox.configure(&settings).unwrap();
        let project = stage.server.project_toml("hello", "");
        stage.sandbox.write_project("hello", &project).unwrap();
    })
}

async fn click(browser: &WebDriver, id: &'static str) -> WebDriverResult<()> {
    eventually(async || browser.find(By::Id(id)).await?.click().await).await
}

async fn text(browser: &WebDriver, id: &'static str) -> WebDriverResult<String> {
    eventually(async || browser.find(By::Id(id)).await?.text().await).await
}

async fn ask(browser: &WebDriver, stage: &Stage, email: &str) -> WebDriverResult<String> {
    browser.goto(format!("{}sign-in", front(stage))).await?;
    browser
        .find(By::Id("ask-email"))
        .await?
        .send_keys(email)
        .await?;
    click(browser, "ask").await?;
    text(browser, "sent").await
}

#[test]
fn a_link_comes_by_mail_and_the_workspaces_page_is_enough_for_a_day() {
    let sink = Sink::default();
    let stage = stage(sink.start());
    in_browser_of(&stage, "en", async |browser, stage| {
        // For an address that may not, the page says the same and no mail is sent.
        let other = ask(&browser, stage, "eve@elsewhere.org").await?;
        let said = ask(&browser, stage, ANNA).await?;
        assert_eq!(said.replace(ANNA, "eve@elsewhere.org"), other);
        screenshot(&browser, "link-sent").await?;
        let mail = wait_until("a mail", SOON, || sink.mails().pop()).unwrap();
        assert!(mail.contains(&format!("RCPT TO:<{ANNA}>")), "{mail}");
        assert_eq!(mail.matches("RCPT TO").count(), 1, "{mail}");
        let link = mail.lines().find(|line| line.starts_with("http"));
        let link = link.unwrap().to_owned();
        assert!(
            link.starts_with(&format!("{}sign-in/", front(stage))),
            "{link}"
        );
        browser.goto(&link).await?;
        click(&browser, "sign-in").await?;
        assert_eq!(text(&browser, "who").await?, ANNA);

        click(&browser, "create").await?;
        text(&browser, "workspace-url").await?;
        let page = format!("{}workspaces/hello/{ANNA}", front(stage));
        browser.goto(&page).await?;
        assert_eq!(text(&browser, "workspace-uncommitted").await?, "nothing");
        assert_eq!(
            text(&browser, "workspace-counts").await?,
            "as on the server"
        );
        // What the app writes from now on appears by itself.
        stage.answers(&stage.show(ANNA));
        eventually(async || {
            browser
                .find(By::XPath("//pre[@id='log']//*[contains(text(), 'GET /')]"))
                .await
                .map(drop)
        })
        .await?;
        screenshot(&browser, "workspace").await?;
        browser.set_window_rect(0, 0, 400, 860).await?;
        screenshot(&browser, "workspace-phone").await?;
        browser.set_window_rect(0, 0, 1200, 900).await?;

        click(&browser, "restart").await?;
        eventually(async || {
            browser
                .find(By::XPath("//h1[contains(text(), 'is restarted')]"))
                .await
                .map(drop)
        })
        .await?;

        // Work that is nowhere else is named, and is lost only for who types the address.
        std::fs::write(stage.show(ANNA).tree().join("new.txt"), "work\n").unwrap();
        browser.goto(format!("{page}/delete")).await?;
        assert!(text(&browser, "lost").await?.contains("new.txt"));
        screenshot(&browser, "delete").await?;
        click(&browser, "delete-now").await?;
        text(&browser, "typed-error").await?;
        browser.find(By::Id("typed")).await?.send_keys(ANNA).await?;
        click(&browser, "delete-now").await?;
        eventually(async || {
            browser
                .find(By::XPath("//h1[contains(text(), 'is deleted')]"))
                .await
                .map(drop)
        })
        .await?;
        click(&browser, "sign-out").await?;
        text(&browser, "code").await?;
        browser.goto(&page).await?;
        assert_eq!(browser.current_url().await?.path(), "/sign-in");
        Ok(())
    });
    let to_eve = sink.mails().iter().any(|mail| mail.contains("eve@"));
    assert!(!to_eve, "{:?}", sink.mails());
    let list = stage.json(&["list"]);
    assert_eq!(list.as_array().map(Vec::len), Some(0), "{list}");
}
