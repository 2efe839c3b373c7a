//! Who may do what on a host: the table, the host's rule and polkit's rules as one matrix; and what
//! cid asks polkit, held against a real polkitd on a bus of its own.

#![expect(clippy::disallowed_methods, reason = "tests set their own scene")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

#[path = "authz/people.rs"]
mod people;

#[path = "../../tests/src/skip.rs"]
mod skip;

#[path = "authz/bus.rs"]
mod bus;
#[path = "authz/guests.rs"]
mod guests;
#[path = "authz/matrix.rs"]
mod matrix;
#[path = "authz/mock.rs"]
mod mock;
#[path = "authz/polkit.rs"]
mod polkit;
