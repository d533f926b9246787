//! Asking a router for a port, so that peers from outside can connect: PCP (RFC 6887), its
//! predecessor NAT-PMP (RFC 6886) and UPnP, tried in that order.
//!
//! [`Mapper`] is a machine: it is told what arrives from the gateway and says what to send there, and
//! nowhere else. A mapping is renewed at half of its lifetime, made again when the gateway says that
//! it has lost its memory, and given up at the end.

mod mapper;
pub mod pcp;
pub mod upnp;

pub use mapper::{Input, Mapper, Output, Reason, RequestId, Settings};

use std::fmt;
use std::net::Ipv4Addr;

/// What a port is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Its number (RFC 5237).
    pub(crate) fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }

    pub(crate) fn of_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        })
    }
}

/// How a gateway is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// UPnP's IGD, version 1 or 2.
    Upnp,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Pcp => "PCP",
            Method::NatPmp => "NAT-PMP",
            Method::Upnp => "UPnP",
        })
    }
}

/// How it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// Nobody has answered yet.
    Asking,
    /// The port is mapped.
    Mapped {
        /// By which protocol.
        method: Method,
        /// The address on the other side, if the gateway told it.
        external_ip: Option<Ipv4Addr>,
        /// The port on the other side.
        external_port: u16,
    },
    /// It is not, and will be tried again later; why, as a user should read it.
    Failed(String),
}
