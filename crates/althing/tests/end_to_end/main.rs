//! The program from outside, as scripts use it: exit codes, JSON that reads as the API's types, files
//! that arrive, processes that end.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see to be such")]

mod api;
mod demo;
mod documents;
mod exchange;
mod overlay;
mod watch;
mod world;
