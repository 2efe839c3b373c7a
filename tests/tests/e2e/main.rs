//! The built programs end to end, each test in a sandbox of its own.
//!
//! One program for all of them, because linking takes longer than most of the tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by failing where it is"
)]

mod bad_input;
mod boundaries;
mod builds;
mod crash;
mod create_delete;
mod delivery;
mod deploy;
mod doctor;
mod engines;
mod faults;
mod file_system;
mod files;
mod floods;
mod from_env;
mod front;
mod git_connections;
mod git_server;
mod gone;
mod guard;
mod health;
mod hooks;
mod https;
mod jobs;
mod kinds;
mod looks;
mod notify;
mod parallel;
mod project_file;
mod project_site;
mod pushes;
mod quota;
mod sandbox_life;
mod shell;
mod sign_in;
mod sleep;
mod stage;
mod stage_tls;
mod stages;
mod tls;
mod turns;
mod verbs;
mod visitors;
mod web;
