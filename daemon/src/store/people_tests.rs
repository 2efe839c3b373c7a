use super::*;

fn hash(text: &str) -> Hash {
    Hash(text.to_owned())
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A link for anna that is good from second 0 to 900.
fn link(token: &str) -> NewLink {
    NewLink {
        token: hash(token),
        code: hash(&format!("code of {token}")),
        email: email("anna@example.com"),
        purpose: Purpose::SignIn,
        made_at: at(0),
        expires_at: at(900),
    }
}

fn session(token: &str, now: i64) -> NewSession {
    NewSession {
        token: hash(token),
        made_at: at(now),
        expires_at: at(now + 2_592_000),
    }
}

/// The folder goes with it.
struct Ledger(
    Store,
    #[expect(dead_code, reason = "kept until the end")] tempfile::TempDir,
);

impl Ledger {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        Self(store, dir)
    }

    async fn redeem(&self, proof: Proof, made: &str, now: i64) -> Result<Email, Refused> {
        let session = session(made, now);
        self.0
            .redeem(proof, Purpose::SignIn, session)
            .await
            .unwrap()
    }

    async fn whose(&self, token: &str, now: i64) -> Option<Email> {
        let until = at(now + 2_592_000);
        self.0.session(hash(token), at(now), until).await.unwrap()
    }
}

fn token(text: &str) -> Proof {
    Proof::Token(hash(text))
}

fn code(email_: &str, text: &str) -> Proof {
    Proof::Code(email(email_), hash(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_hundred_that_race_for_a_link_wins() {
    let ledger = Ledger::new();
    for proof in [token("t"), code("anna@example.com", "code of t")] {
        ledger.0.add_link(link("t")).await.unwrap().unwrap();
        let race = (0..100).map(|number| {
            let (store, proof) = (ledger.0.clone(), proof.clone());
            tokio::spawn(async move {
                let session = session(&format!("{proof:?} {number}"), 1);
                store.redeem(proof, Purpose::SignIn, session).await.unwrap()
            })
        });
        let ends = futures::future::join_all(race).await;
        let won = ends.into_iter().filter(|end| end.as_ref().unwrap().is_ok());
        assert_eq!(won.count(), 1);
    }
    let all = ledger.0.signed_in(at(1)).await.unwrap();
    assert_eq!(all[0].count, 2);
}

#[tokio::test]
async fn a_link_is_good_once_in_its_time_and_for_its_own_address() {
    let ledger = Ledger::new();
    ledger.0.add_link(link("t")).await.unwrap().unwrap();
    for wrong in [
        token("T"),
        token(""),
        token("code of t"),
        code("anna@example.com", "t"),
        code("ben@example.com", "code of t"),
    ] {
        assert_eq!(ledger.redeem(wrong, "s", 1).await, Err(Refused::Wrong));
    }
    // A clock that went far back must not make it good again.
    for late in [900, 5000, -301] {
        let good = ledger.redeem(token("t"), "s", late).await;
        assert_eq!(good, Err(Refused::Wrong), "{late}");
        ledger.0.add_link(link("t2")).await.unwrap().unwrap();
        assert!(ledger.0.has_link(hash("t2")).await.unwrap());
        ledger
            .0
            .end_sessions_of(email("anna@example.com"))
            .await
            .unwrap();
        ledger.0.add_link(link("t")).await.unwrap().unwrap();
    }
    ledger.0.add_link(link("other")).await.unwrap().unwrap();
    let anna = ledger.redeem(token("t"), "s", 899).await.unwrap();
    assert_eq!(anna, email("anna@example.com"));
    for used in [
        token("t"),
        token("other"),
        code("anna@example.com", "code of t"),
    ] {
        assert_eq!(ledger.redeem(used, "s2", 899).await, Err(Refused::Wrong));
    }
    assert_eq!(ledger.whose("s", 899).await, Some(anna));
    assert_eq!(ledger.whose("s2", 899).await, None);
}

#[tokio::test]
async fn a_session_lasts_while_it_is_used_and_ends_when_told() {
    const MONTH: i64 = 2_592_000;
    let ledger = Ledger::new();
    let anna = email("anna@example.com");
    ledger.0.add_link(link("t")).await.unwrap().unwrap();
    ledger.redeem(token("t"), "s", 0).await.unwrap();
    assert!(ledger.whose("s", MONTH - 1).await.is_some());
    assert!(ledger.whose("s", 2 * MONTH - 2).await.is_some());
    assert!(ledger.whose("s", 3 * MONTH - 2).await.is_none());
    // A clock that went back by years is refused; by a minute it is not.
    assert!(ledger.whose("s", 2 * MONTH - 60).await.is_some());
    assert!(ledger.whose("s", MONTH).await.is_none());
    ledger.0.end_session(hash("s")).await.unwrap();
    assert!(ledger.whose("s", 2 * MONTH - 2).await.is_none());
    for number in 0..3 {
        ledger.0.add_link(link("t")).await.unwrap().unwrap();
        let made = format!("s{number}");
        ledger.redeem(token("t"), &made, number).await.unwrap();
    }
    ledger.0.add_link(link("unused")).await.unwrap().unwrap();
    let all = ledger.0.signed_in(at(5)).await.unwrap();
    let [Sessions { email, count, .. }] = &all[..] else {
        panic!("{all:?}");
    };
    assert_eq!((email, *count), (&anna, 3));
    assert_eq!(ledger.0.end_sessions_of(anna).await.unwrap(), 3);
    assert!(ledger.0.signed_in(at(5)).await.unwrap().is_empty());
    assert!(ledger.whose("s1", 5).await.is_none());
    assert!(!ledger.0.has_link(hash("unused")).await.unwrap());
}

#[tokio::test]
async fn links_and_sessions_are_bounded_and_expired_ones_go() {
    let ledger = Ledger::new();
    let add = |name: String, made: i64| {
        let link = NewLink {
            made_at: at(made),
            expires_at: at(made + 900),
            ..link(&name)
        };
        ledger.0.add_link(link)
    };
    for number in 0..LINKS_OF_ADDRESS.most {
        add(format!("t{number}"), 0).await.unwrap().unwrap();
    }
    let over = add("over".into(), 899).await.unwrap();
    assert_eq!(over, Err(Refused::OfAddress));
    add("later".into(), 900).await.unwrap().unwrap();
    assert!(!ledger.0.has_link(hash("t0")).await.unwrap());
    for number in 0..SESSIONS_OF_ADDRESS.most + 3 {
        let name = format!("u{number}");
        ledger.0.end_session(hash("none")).await.unwrap();
        let _ = add(name.clone(), 1000).await.unwrap();
        let made = format!("s{number}");
        ledger.redeem(token(&name), &made, 1000).await.unwrap();
    }
    let all = ledger.0.signed_in(at(1000)).await.unwrap();
    assert_eq!(all[0].count, SESSIONS_OF_ADDRESS.most);
    assert!(ledger.whose("s0", 1000).await.is_none());
    assert!(ledger.whose("s3", 1000).await.is_some());
}
