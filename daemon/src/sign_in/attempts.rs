//! How often signing in may be tried: by one address, by one client, and in all.

use crate::{domain::Email, error::Error};
use cid_protocol::budget::{
    ASKS, ASKS_OF_ADDRESS, ASKS_OF_CLIENT, ATTEMPTS, ATTEMPTS_OF_ADDRESS, ATTEMPTS_OF_CLIENT,
    Budget,
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What the budgets count within.
const WINDOW: Duration = Duration::from_mins(15);

/// A network of 48 bits may try so many times as often as a client.
const OF_SITE: usize = 4;

/// What was tried since the window began. There are never more than two keys for each attempt in all.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Window>);

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    in_all: usize,
    of: HashMap<Key, usize>,
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Address(Email),
    Client(Option<IpAddr>),
    /// An IPv6 network of 48 bits.
    Site(Ipv6Addr),
}

impl Key {
    /// The network of 48 bits that an IPv6 client is in, of which one customer has all.
    fn site(&self) -> Option<Self> {
        match self {
            Self::Client(Some(IpAddr::V6(ip))) => {
                let bits = ip.to_bits() >> 80 << 80;
                Some(Self::Site(Ipv6Addr::from_bits(bits)))
            }
            _ => None,
        }
    }
}

impl Attempts {
    /// Counts an attempt of a client, and in all.
    ///
    /// # Errors
    /// There were too many.
    pub(super) fn of_client(&self, client: &str) -> Result<(), Error> {
        self.count(
            Some(&ATTEMPTS),
            Key::Client(network(client)),
            &ATTEMPTS_OF_CLIENT,
            Instant::now(),
        )
    }

    /// Counts an attempt to guess a code of this address.
    ///
    /// # Errors
    /// There were too many.
    pub(super) fn of_address(&self, email: &Email) -> Result<(), Error> {
        self.count(
            None,
            Key::Address(email.clone()),
            &ATTEMPTS_OF_ADDRESS,
            Instant::now(),
        )
    }

    /// Counts a link that a client asks for, and in all. Not to be mixed with attempts.
    ///
    /// # Errors
    /// There were too many.
    pub(super) fn asks_of_client(&self, client: &str) -> Result<(), Error> {
        let key = Key::Client(network(client));
        self.count(Some(&ASKS), key, &ASKS_OF_CLIENT, Instant::now())
    }

    /// Counts a link that is asked for this address.
    ///
    /// # Errors
    /// There were too many.
    pub(super) fn asks_of_address(&self, email: &Email) -> Result<(), Error> {
        let key = Key::Address(email.clone());
        self.count(None, key, &ASKS_OF_ADDRESS, Instant::now())
    }

    fn count(
        &self,
        in_all: Option<&'static Budget>,
        key: Key,
        budget: &'static Budget,
        now: Instant,
    ) -> Result<(), Error> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window
            .began
            .is_none_or(|began| now.duration_since(began) >= WINDOW)
        {
            *window = Window {
                began: Some(now),
                ..Window::default()
            };
        }
        // A client that is refused uses up nothing of what others may try.
        let bounds = [
            key.site().map(|site| (site, OF_SITE * budget.most)),
            Some((key, budget.most)),
        ];
        let is_full = in_all.is_some_and(|all| window.in_all >= all.most);
        let tried = |key: &Key| window.of.get(key).copied().unwrap_or_default();
        if is_full
            || bounds
                .iter()
                .flatten()
                .any(|(key, most)| tried(key) >= *most)
        {
            return Err(too_many());
        }
        window.in_all += usize::from(in_all.is_some());
        for (key, _) in bounds.into_iter().flatten() {
            *window.of.entry(key).or_default() += 1;
        }
        Ok(())
    }
}

/// The same words whichever bound it was: they say nothing about an address.
fn too_many() -> Error {
    Error::Exhausted {
        message: "there were too many attempts to sign in".into(),
        hint: Some("try again in a quarter of an hour".into()),
    }
}

/// A client's IPv4 address, or its IPv6 network of 64 bits, of which one client has all.
fn network(client: &str) -> Option<IpAddr> {
    match client.parse().ok()? {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none() => {
            let bits = ip.to_bits() & !u128::from(u64::MAX);
            Some(Ipv6Addr::from_bits(bits).into())
        }
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map(IpAddr::V4),
        ip @ IpAddr::V4(_) => Some(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_holds_until_the_window_ends() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let client = |ip: &str, now| {
            attempts.count(
                Some(&ATTEMPTS),
                Key::Client(network(ip)),
                &ATTEMPTS_OF_CLIENT,
                now,
            )
        };
        let all_of = |ips: [&str; 2]| {
            for number in 0..ATTEMPTS_OF_CLIENT.most {
                client(ips[number % 2], now).unwrap();
            }
            client(ips[0], now).unwrap_err();
            client(ips[1], now).unwrap_err();
        };
        all_of(["192.0.2.1", "::ffff:192.0.2.1"]);
        all_of(["2001:db8::1", "2001:db8::ffff:2"]);
        all_of(["", "unix"]);
        client("192.0.2.2", now).unwrap();
        client("2001:db8:0:1::1", now).unwrap();
        client("192.0.2.1", now + WINDOW).unwrap();
    }

    #[test]
    fn in_all_there_are_only_so_many_clients() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let mut client = 0_u32;
        let mut next = || {
            client += 1;
            let key = Key::Client(Some(IpAddr::from(client.to_be_bytes())));
            attempts.count(Some(&ATTEMPTS), key, &ATTEMPTS_OF_CLIENT, now)
        };
        for _ in 0..ATTEMPTS.most {
            next().unwrap();
        }
        next().unwrap_err();
        assert_eq!(attempts.0.lock().unwrap().of.len(), ATTEMPTS.most);
    }

    #[test]
    fn a_client_that_is_refused_uses_up_nothing_of_the_others() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let client = |ip: &str| {
            attempts.count(
                Some(&ATTEMPTS),
                Key::Client(network(ip)),
                &ATTEMPTS_OF_CLIENT,
                now,
            )
        };
        let of_one = (0..2 * ATTEMPTS.most).filter(|_| client("192.0.2.1").is_ok());
        assert_eq!(of_one.count(), ATTEMPTS_OF_CLIENT.most);
        client("192.0.2.2").unwrap();
    }

    #[test]
    fn one_customers_many_networks_leave_the_others_theirs() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let client = |ip: String| {
            let key = Key::Client(network(&ip));
            attempts.count(Some(&ATTEMPTS), key, &ATTEMPTS_OF_CLIENT, now)
        };
        let tried = (0..ATTEMPTS.most).filter(|n| client(format!("2001:db8:1:{n:x}::1")).is_ok());
        assert_eq!(tried.count(), OF_SITE * ATTEMPTS_OF_CLIENT.most);
        client("2001:db8:2::1".into()).unwrap();
        client("192.0.2.1".into()).unwrap();
    }

    #[test]
    fn an_address_is_tried_only_so_often_whoever_tries() {
        let attempts = Attempts::default();
        let (anna, ben) = ("anna@example.com", "ben@example.com");
        let [anna, ben] = [anna, ben].map(|text| Email::parse(text).unwrap());
        for _ in 0..ATTEMPTS_OF_ADDRESS.most {
            attempts.of_address(&anna).unwrap();
        }
        attempts.of_address(&anna).unwrap_err();
        attempts.of_address(&ben).unwrap();
    }
}
