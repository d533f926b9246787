//! The peer protocol's bytes: handshake, messages, extensions.

mod message;

pub use message::{HashRequest, Message};
