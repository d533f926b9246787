//! Althing running: tokio drivers for the machines.

pub mod clock;
pub mod config;
pub mod entropy;
pub mod limits;
pub mod paths;
pub mod session;

pub use config::Config;
pub use session::Session;
