//! Who is signed in at the front.

use super::names;
use jiff::Timestamp;
use serde::Serialize;

/// A link to sign in. The browser that opens it acts as the person with this address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The whole address to open.
    pub url: String,
    /// Instead of it, with the e-mail address, for another device.
    pub code: String,
    /// When both end.
    pub expires_at: Timestamp,
}

/// Someone who has proved an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The address.
    pub email: String,
    /// May do everything that the front offers, with every workspace.
    pub is_administrator: bool,
    /// May make workspaces for other addresses.
    pub may_create_for_others: bool,
}

/// Who visits the front, and what it asks of visitors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Who is signed in.
    pub person: Option<Person>,
    /// Whether visitors must sign in.
    pub sign_in: SignIn,
    /// Where people reach the front, where the daemon knows it.
    pub front_url: Option<String>,
    /// Visitors can have a link sent by mail.
    pub can_mail: bool,
}

/// Whether visitors of the front must sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// Nobody is asked who they are.
    Open,
    /// A visitor must prove an address first.
    Verified,
}

names!(SignIn {
    Open => "open",
    Verified => "verified",
});

/// The sessions of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignedIn {
    /// Whose.
    pub email: String,
    /// In how many browsers.
    pub sessions: u32,
    /// Since when, in the first of these.
    pub since: Timestamp,
    /// When last used; to ten minutes.
    pub used_at: Timestamp,
}

/// A web front that was switched on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnabledFront {
    /// Where people reach it.
    pub url: String,
    /// What keeps people from using it.
    pub remarks: Vec<String>,
}
