//! The services as a client meets them, on a made-up machine.

/// Builds whose commit leaves its branch.
mod astray;
mod builds;
mod doctor;
/// What the enforcing layer asks, refuses and writes down.
mod enforcing;
/// Deployments that fail, and what runs badly later.
mod failing;
/// Links that are asked for by mail.
mod mail;
/// What others are told of builds and deployments.
mod notices;
/// Who is shown what a job's commands wrote.
mod output;
mod packages;
mod people;
/// What follows from pushes.
mod pushes;
/// Requests that make no sense.
mod senseless;
/// The services behind the enforcing layer, and requests.
mod stage;
mod stages;
mod templates;
mod turned_away;
mod visits;
