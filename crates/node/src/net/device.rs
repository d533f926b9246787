//! Interfaces and their addresses, and sockets that are bound to them.
//!
//! An address alone does not hold a socket to its interface: when the address goes away, the system
//! sends what is left by whatever way there is. So where the system lets us, sockets are bound to the
//! interface itself, and what it cannot carry is not sent.

use if_addrs::{IfAddr, IfOperStatus, Interface};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An interface of this machine. When one goes and comes back, its number is another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    index: Option<u32>,
}

/// Where a socket is bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Local {
    /// Its address; unspecified if the system may choose.
    pub(crate) ip: IpAddr,
    /// Its interface, if it is to be no other.
    pub(crate) device: Option<Device>,
}

/// What an interface is good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// There is none of that name.
    Missing,
    /// It is switched off or not connected.
    Down,
    /// It has no address that others could answer to.
    NoAddress,
    /// Its addresses: at least one.
    Up { v4: Option<Local>, v6: Option<Local> },
}

impl Local {
    /// Whatever the system chooses.
    pub(crate) fn any(v6: bool) -> Self {
        let ip = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        Local { ip, device: None }
    }
}

/// The interfaces of this machine with one address each.
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    if_addrs::get_if_addrs()
}

/// The addresses of this machine that packets to others can leave from, in order: those of loopback and
/// those that mean something on one cable only are left out. Of one interface, if it is named.
pub(crate) fn own(of: Option<&str>) -> io::Result<Vec<IpAddr>> {
    let mut own: Vec<IpAddr> = interfaces()?
        .iter()
        .filter(|one| of.is_none_or(|name| one.name == name))
        .filter(|one| works(one) && !one.is_loopback())
        .filter(|one| one.ip().is_ipv4() || !one.is_link_local())
        .map(|one| one.ip())
        .collect();
    own.sort_unstable();
    own.dedup();
    Ok(own)
}

/// The largest packet that goes out by an interface other than loopback, in bytes; by the one that is
/// named, if one is. What Ethernet takes if that cannot be known.
pub(crate) fn mtu_max(of: Option<&str>) -> u32 {
    const ETHERNET: u32 = 1500;
    let all = interfaces().unwrap_or_default();
    let chosen = all.iter().filter(|one| match of {
        Some(name) => one.name == name,
        None => works(one) && !one.is_loopback(),
    });
    chosen.filter_map(|one| mtu(&one.name)).max().unwrap_or(ETHERNET)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn mtu(name: &str) -> Option<u32> {
    if name.contains('/') {
        return None;
    }
    let path = std::path::Path::new("/sys/class/net").join(name).join("mtu");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn mtu(_name: &str) -> Option<u32> {
    None
}

/// Looks for an interface by its name.
pub(crate) fn find(name: &str) -> io::Result<Found> {
    let all = interfaces()?;
    let of_name: Vec<&Interface> = all.iter().filter(|one| one.name == name).collect();
    if of_name.is_empty() {
        // One without any address is not listed.
        return Ok(if exists(name) { Found::NoAddress } else { Found::Missing });
    }
    if !of_name.iter().any(|one| works(one)) {
        return Ok(Found::Down);
    }
    let local = |one: &Interface| Local { ip: one.ip(), device: Some(device(one)) };
    let v4 = of_name.iter().find(|one| one.ip().is_ipv4()).map(|one| local(one));
    // An address that means something on one cable only answers nobody else's packets.
    let v6 = of_name.iter().filter(|one| one.ip().is_ipv6() && !one.is_link_local());
    // One that is known beyond the user's own network, if there is one (RFC 4193).
    let v6 = v6.min_by_key(|one| matches!(one.ip(), IpAddr::V6(ip) if ip.is_unique_local()));
    let v6 = v6.map(|one| local(one));
    Ok(if v4.is_none() && v6.is_none() { Found::NoAddress } else { Found::Up { v4, v6 } })
}

/// Whether it is switched on and connected. Unix systems say so or say nothing.
fn works(interface: &Interface) -> bool {
    match interface.oper_status {
        IfOperStatus::Up => true,
        IfOperStatus::Down => false,
        _ => cfg!(windows),
    }
}

/// The interface that has an address.
pub(crate) fn of_address(ip: IpAddr) -> Option<Device> {
    interfaces().ok()?.iter().find(|one| one.ip() == ip).map(device)
}

/// Whether packets to `ip` stay on this machine.
pub(crate) fn is_here(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || interfaces().is_ok_and(|all| all.iter().any(|one| one.ip() == ip))
}

/// Whether `ip` is on a network that one of these machine's interfaces is part of.
pub(crate) fn is_near(ip: IpAddr, all: &[Interface]) -> bool {
    let ip = ip.to_canonical();
    all.iter().any(|one| match (&one.addr, ip) {
        (IfAddr::V4(own), IpAddr::V4(ip)) => {
            let mask = own.netmask.to_bits();
            own.ip.to_bits() & mask == ip.to_bits() & mask
        }
        (IfAddr::V6(own), IpAddr::V6(ip)) => {
            let mask = own.netmask.to_bits();
            own.ip.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
    })
}

pub(crate) fn device(interface: &Interface) -> Device {
    Device { name: interface.name.clone(), index: interface.index }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn exists(name: &str) -> bool {
    !name.contains('/') && std::path::Path::new("/sys/class/net").join(name).exists()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn exists(_name: &str) -> bool {
    false
}

/// A socket bound to `local` and `port`.
///
/// # Errors
/// If the interface is gone or has lost the address: there is no socket then.
pub(crate) fn open(local: &Local, port: u16, kind: Type) -> io::Result<Socket> {
    let addr = SocketAddr::new(local.ip, port);
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    if let Some(device) = &local.device {
        bind_device(&socket, device, addr.is_ipv6())?;
    }
    // Without it a restart would wait until the old connections are forgotten. On Windows it means
    // something else, and what is meant here is the default.
    #[cfg(not(windows))]
    if kind == Type::STREAM && port != 0 {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// Holds a socket to an interface.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn bind_device(socket: &Socket, device: &Device, _v6: bool) -> io::Result<()> {
    socket.bind_device(Some(device.name.as_bytes()))
}

/// Holds a socket to an interface.
#[cfg(any(target_os = "macos", target_os = "ios"))]
pub(crate) fn bind_device(socket: &Socket, device: &Device, v6: bool) -> io::Result<()> {
    let index = device.index.and_then(std::num::NonZeroU32::new);
    let index = index.ok_or(io::ErrorKind::AddrNotAvailable)?;
    match v6 {
        false => socket.bind_device_by_index_v4(Some(index)),
        true => socket.bind_device_by_index_v6(Some(index)),
    }
}

/// Here the address alone has to do.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios"
)))]
pub(crate) fn bind_device(_socket: &Socket, _device: &Device, _v6: bool) -> io::Result<()> {
    Ok(())
}

/// Whether [`bind_device`] does something.
pub(crate) const BINDS_DEVICES: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "ios"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_and_what_is_not_there_is_not() {
        let all = interfaces().expect("a machine has interfaces");
        let own = all.iter().find(|one| one.is_loopback()).expect("every machine has loopback");
        let ip = "127.0.0.1".parse().expect("an address");
        let found = find(&own.name).expect("they can be listed");
        assert!(matches!(found, Found::Up { v4: Some(local), .. } if local.ip == IpAddr::from(ip)));
        assert_eq!(find("no-such-if").expect("they can be listed"), Found::Missing);
        assert_eq!(of_address(IpAddr::V4(ip)).map(|device| device.name), Some(own.name.clone()));
        assert!(is_near("127.9.9.9".parse().expect("an address"), &all));
        assert!(!is_near("192.0.2.1".parse().expect("an address"), &[]));
        assert!(is_here(IpAddr::V4(ip)) && !is_here("192.0.2.1".parse().expect("an address")));
    }

    #[test]
    fn a_socket_for_an_interface_that_is_gone_is_not_opened() {
        if !BINDS_DEVICES {
            return;
        }
        let device = Device { name: "no-such-if".into(), index: Some(4_000_000) };
        let local = Local { ip: Ipv4Addr::LOCALHOST.into(), device: Some(device) };
        assert!(open(&local, 0, Type::DGRAM).is_err());
    }
}
