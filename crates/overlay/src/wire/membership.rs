//! Who speaks, and who else there is.

use super::ParseError;
use super::limits::{LEANS_MAX, SHUFFLE_CONTACTS_MAX, WALK_STEPS_MAX};
use super::reader::Reader;
use crate::id::{Contact, NodeId};
use althing_base::UnixTime;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Who speaks: the first message on every link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hello {
    /// The version of the protocol: 1.
    pub version: u8,
    /// What the peer can do besides, a bit each; bits that are not known mean nothing.
    pub features: u64,
    /// The port where it can be called, at the address that the link comes from; none if nobody
    /// can call it, because of a NAT for instance.
    pub port: Option<u16>,
    /// It indexes for others.
    pub is_super: bool,
    /// What its clock says.
    pub time: UnixTime,
}

/// Somebody who indexes for others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Indexer {
    /// Who, and where.
    pub contact: Contact,
    /// How many leaned on it when it last said so; none if it never did.
    pub leaves: Option<u16>,
}

/// Version, features, port, flags, time.
pub(super) const HELLO_BYTES: usize = 1 + 8 + 2 + 1 + 8;

/// The flag of those who index for others.
const SUPER: u8 = 1;

pub(super) fn hello(from: &mut Reader<'_>) -> Result<Hello, ParseError> {
    let version = from.u8()?;
    let features = from.u64()?;
    let port = from.u16()?;
    let flags = from.u8()?;
    if flags & !SUPER != 0 {
        return Err(from.invalid("a flag that is not known"));
    }
    let port = (port != 0).then_some(port);
    let time = from.u64()?;
    let time = UnixTime(i64::try_from(time).map_err(|_| from.invalid("no time that ever comes"))?);
    Ok(Hello { version, features, port, is_super: flags & SUPER != 0, time })
}

pub(super) fn put_hello(hello: &Hello, out: &mut Vec<u8>) {
    out.push(hello.version);
    out.extend(hello.features.to_be_bytes());
    out.extend(hello.port.unwrap_or(0).to_be_bytes());
    out.push(if hello.is_super { SUPER } else { 0 });
    out.extend(hello.time.0.max(0).to_be_bytes());
}

pub(super) fn ttl(from: &mut Reader<'_>) -> Result<u8, ParseError> {
    let ttl = from.u8()?;
    if ttl > WALK_STEPS_MAX { Err(from.invalid("too long a walk")) } else { Ok(ttl) }
}

/// Whether somebody could be called there. What is said of this machine, of everybody or of nobody
/// is not.
pub fn is_sound(addr: &SocketAddr) -> bool {
    let ip = addr.ip();
    let is_nobody = match ip {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some(),
    };
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_nobody
}

pub(super) fn contact(from: &mut Reader<'_>) -> Result<Contact, ParseError> {
    let node = NodeId(from.array()?);
    let ip = match from.u8()? {
        4 => IpAddr::from(Ipv4Addr::from(from.array::<4>()?)),
        6 => IpAddr::from(Ipv6Addr::from(from.array::<16>()?)),
        _ => return Err(from.invalid("an address of no known family")),
    };
    let addr = SocketAddr::new(ip, from.u16()?);
    if is_sound(&addr) {
        Ok(Contact { node, addr })
    } else {
        Err(from.invalid("an address where nobody can be"))
    }
}

pub(super) fn put_contact(contact: &Contact, out: &mut Vec<u8>) {
    out.extend_from_slice(&contact.node.0);
    match contact.addr.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend(ip.octets());
        }
    }
    out.extend(contact.addr.port().to_be_bytes());
}

pub(super) fn contact_len(contact: &Contact) -> usize {
    32 + 1 + if contact.addr.is_ipv4() { 4 } else { 16 } + 2
}

/// Contacts up to the end of the message.
pub(super) fn contacts(from: &mut Reader<'_>) -> Result<Vec<Contact>, ParseError> {
    let mut contacts = Vec::new();
    while !from.is_empty() {
        if contacts.len() == SHUFFLE_CONTACTS_MAX {
            return Err(from.invalid("too many contacts"));
        }
        contacts.push(contact(from)?);
    }
    Ok(contacts)
}

pub(super) fn put_contacts(contacts: &[Contact], out: &mut Vec<u8>) {
    contacts.iter().for_each(|contact| put_contact(contact, out));
}

pub(super) fn contacts_len(contacts: &[Contact]) -> usize {
    contacts.iter().map(contact_len).sum()
}

pub(super) fn others(from: &mut Reader<'_>) -> Result<u8, ParseError> {
    let others = from.u8()?;
    if others > LEANS_MAX { Err(from.invalid("too many to lean on")) } else { Ok(others) }
}

/// What is written if it is not known how many lean on somebody.
const LEAVES_UNKNOWN: u16 = u16::MAX;

/// Those who index, up to the end of the message.
pub(super) fn indexers(from: &mut Reader<'_>) -> Result<Vec<Indexer>, ParseError> {
    let mut indexers = Vec::new();
    while !from.is_empty() {
        if indexers.len() == SHUFFLE_CONTACTS_MAX {
            return Err(from.invalid("too many contacts"));
        }
        let contact = contact(from)?;
        let leaves = Some(from.u16()?).filter(|leaves| *leaves != LEAVES_UNKNOWN);
        indexers.push(Indexer { contact, leaves });
    }
    Ok(indexers)
}

pub(super) fn put_indexers(indexers: &[Indexer], out: &mut Vec<u8>) {
    for Indexer { contact, leaves } in indexers {
        put_contact(contact, out);
        out.extend(leaves.unwrap_or(LEAVES_UNKNOWN).to_be_bytes());
    }
}

pub(super) fn indexers_len(indexers: &[Indexer]) -> usize {
    indexers.iter().map(|indexer| contact_len(&indexer.contact) + 2).sum()
}
