//! The client library and `cictl` against a daemon that is made up.

#[cfg(test)]
mod cictl;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod resuming;
