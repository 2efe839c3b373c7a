use crate::{
    app::App,
    error::Problem,
    visitor::{client_of, session_of},
};
use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What the bounds count within.
const WINDOW: Duration = Duration::from_mins(1);
/// Forms from one IPv4 address, or one IPv6 network of 64 bits, of which one client has all.
pub const OF_CLIENT: usize = 60;
/// Forms from one IPv6 network of 48 bits, of which one customer has all.
pub const OF_SITE: usize = 240;
/// Forms in all of those who are not signed in, or sign in.
pub const IN_ALL: usize = 600;
/// So many clients are told apart.
const CLIENTS: usize = 20_000;

/// The forms that were submitted since the window began.
#[derive(Debug, Default)]
pub struct Rate(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    in_all: usize,
    of: HashMap<Option<IpAddr>, usize>,
    of_site: HashMap<Ipv6Addr, usize>,
}

impl Rate {
    /// Counts a form; with a session it does not count among those of strangers.
    ///
    /// # Errors
    /// There were too many: after so many seconds there may be more.
    pub fn count(&self, client: &str, has_session: bool, now: Instant) -> Result<(), u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = window.began.map(|began| now.duration_since(began));
        let age = match age.filter(|age| *age < WINDOW) {
            Some(age) => age,
            None => {
                *window = Window {
                    began: Some(now),
                    ..Window::default()
                };
                Duration::ZERO
            }
        };
        let client = network(client);
        let site = match client {
            Some(IpAddr::V6(ip)) => Some(Ipv6Addr::from_bits(ip.to_bits() >> 80 << 80)),
            _ => None,
        };
        let of = window.of.get(&client).copied().unwrap_or_default();
        let of_site = site.and_then(|site| window.of_site.get(&site)).copied();
        let is_full = (!has_session && window.in_all >= IN_ALL)
            || of >= OF_CLIENT
            || of_site.unwrap_or_default() >= OF_SITE
            || (of == 0 && window.of.len() >= CLIENTS);
        // A client that is refused uses up nothing of what others may do.
        if is_full {
            return Err((WINDOW - age).as_secs() + 1);
        }
        window.in_all += usize::from(!has_session);
        window.of.insert(client, of + 1);
        if let Some(site) = site {
            *window.of_site.entry(site).or_default() += 1;
        }
        Ok(())
    }
}

/// Refuses forms beyond the bounds before anything of them is read.
pub async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let client = client_of(request.headers());
    // A made-up session is good for nothing at the daemon, and for no attempt to sign in.
    let signs_in = ["/sign-in", "/ask-for-link"].contains(&request.uri().path());
    let has_session = !signs_in && session_of(request.headers()).is_some();
    match app.places.forms.count(&client, has_session, Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(pause) => Problem::TooMany(pause).into_response(),
    }
}

/// The client for whom requests count: an IPv4 address, or a network of IPv6.
pub fn network(client: &str) -> Option<IpAddr> {
    match client.parse().ok()? {
        IpAddr::V6(ip) => Some(match ip.to_ipv4_mapped() {
            Some(ip) => ip.into(),
            None => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        }),
        ip @ IpAddr::V4(_) => Some(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_holds_for_a_minute() {
        let (rate, now) = (Rate::default(), Instant::now());
        for number in 0..OF_CLIENT {
            let client = ["2001:db8::1", "2001:db8::2:3"][number % 2];
            rate.count(client, false, now).unwrap();
        }
        let later = now + Duration::from_secs(20);
        assert_eq!(rate.count("2001:db8::9", false, later), Err(41));
        assert_eq!(rate.count("192.0.2.1", false, later), Ok(()));
        for number in OF_CLIENT + 1..IN_ALL {
            let client = format!("10.0.{}.{}", number / 50, number % 50);
            rate.count(&client, false, later).unwrap();
        }
        assert!(rate.count("10.9.9.9", false, later).is_err());
        // Who is signed in goes on.
        assert_eq!(rate.count("10.9.9.9", true, later), Ok(()));
        assert_eq!(rate.count("2001:db8::9", false, now + WINDOW), Ok(()));
    }

    #[test]
    fn one_customers_many_networks_leave_the_others_theirs() {
        let (rate, now) = (Rate::default(), Instant::now());
        let of_one = |n: usize| rate.count(&format!("2001:db8:1:{n:x}::1"), false, now);
        assert_eq!((0..IN_ALL).filter(|n| of_one(*n).is_ok()).count(), OF_SITE);
        assert_eq!(rate.count("2001:db8:2::1", false, now), Ok(()));
    }
}
