//! The HTTP API under `/api/v1`: what the command line, scripts and pages use to speak with the
//! daemon. JSON both ways, one shape for every error, server-sent events for what changes, an
//! OpenAPI document made from the same definitions, and `/metrics` for Prometheus.
//!
//! A request passes, in this order: the limits of the listener (`serve`), the door (`guard`: host,
//! origin, token), a time limit, the size limit of its route, and then its handler in `routes`.
//! Handlers do little: they read a [`types`] value, ask the session, and answer with another.

mod app;
mod change;
mod convert;
mod error;
mod extract;
mod fetch;
mod guard;
mod jobs;
pub mod limits;
mod live;
mod range;
mod routes;
mod server;
mod source;
mod streams;
pub mod token;
mod torznab;
pub mod types;

pub use convert::{inspect_magnet, inspect_torrent};
pub use error::ApiError;
pub use guard::ExposureError;
pub use routes::{PREFIX, openapi};
pub use server::{ADDR_FILE, Server, ServerError, read_addr};
