//! The front against a fake daemon: requests in, answers out, no browser.

#[cfg(test)]
mod administering;
#[cfg(test)]
mod away;
#[cfg(test)]
mod delivering;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod front;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod signing_in;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod visiting;
#[cfg(test)]
mod working;
