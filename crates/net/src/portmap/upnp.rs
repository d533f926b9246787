//! The words of UPnP's gateways (IGD 1 and 2): finding one (SSDP), its description, and the calls
//! that map a port (SOAP). What is read is written by strangers and by routers of all ages, so it is
//! looked for and not parsed: a few elements of XML, wherever they stand.

use super::Protocol;
use crate::limits::{DESCRIPTION_BYTES_MAX, GATEWAY_PATH_BYTES_MAX, SSDP_BYTES_MAX};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Where gateways are searched for.
pub const SEARCH_ADDR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900);

/// What a gateway's service that maps ports is called; the first that is there is used.
const SERVICES: [&str; 3] = ["WANIPConnection:2", "WANIPConnection:1", "WANPPPConnection:1"];

/// What is searched for: devices answer to all versions up to their own.
const SEARCHED: [&str; 2] = [
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
];

/// Where on the gateway something is to be asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Address and port.
    pub addr: SocketAddrV4,
    /// Path and query, with the slash: only what a URL may hold.
    pub path: String,
}

/// The service that maps ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Where it is called.
    pub place: Place,
    /// Its whole name.
    pub name: String,
}

/// A call of the service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// What is the address on the other side?
    ExternalAddress,
    /// Map a port.
    Add {
        /// TCP or UDP.
        protocol: Protocol,
        /// The port on the gateway.
        external: u16,
        /// The port on this machine.
        internal: u16,
        /// This machine.
        client: Ipv4Addr,
        /// For how long, in seconds; 0 is for ever.
        lifetime_s: u32,
    },
    /// Give a mapping up.
    Delete {
        /// TCP or UDP.
        protocol: Protocol,
        /// The port on the gateway.
        external: u16,
    },
}

/// The packets that search for gateways.
pub fn searches() -> Vec<Vec<u8>> {
    let search = |what: &str| {
        format!(
            "M-SEARCH * HTTP/1.1\r\nHOST: {SEARCH_ADDR}\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\n\
             ST: {what}\r\n\r\n"
        )
        .into_bytes()
    };
    SEARCHED.into_iter().map(search).collect()
}

/// Where the description of a gateway is that answered from `from`; `None` if it is none, or is said
/// to be anywhere else: a gateway speaks for itself alone.
pub fn location(packet: &[u8], from: Ipv4Addr) -> Option<Place> {
    let text = str::from_utf8(packet.get(..packet.len().min(SSDP_BYTES_MAX))?).ok()?;
    let mut lines = text.lines();
    let status = lines.next()?;
    let fine = status.starts_with("HTTP/1.") && status.split(' ').nth(1) == Some("200");
    if !fine || !text.contains("InternetGatewayDevice") {
        return None;
    }
    let value = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("location").then_some(value.trim())
    })?;
    place(value).filter(|place| *place.addr.ip() == from)
}

/// An absolute URL of a place at an address.
fn place(url: &str) -> Option<Place> {
    let rest = url.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let rest = url.get(rest?.len()..)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let addr = match host.parse::<SocketAddrV4>() {
        Ok(addr) => addr,
        Err(_) => SocketAddrV4::new(host.parse().ok()?, 80),
    };
    let path = if path.is_empty() { "/" } else { path };
    let can_be = addr.port() != 0 && is_path(path);
    can_be.then(|| Place { addr, path: path.to_owned() })
}

fn is_path(path: &str) -> bool {
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    path.starts_with('/') && path.len() <= GATEWAY_PATH_BYTES_MAX && plain
}

/// The service that maps ports, from the description that lay at `at`. `None` if there is none, or
/// if it is said to be elsewhere.
pub fn service(description: &[u8], at: &Place) -> Option<Service> {
    let text = description.get(..description.len().min(DESCRIPTION_BYTES_MAX))?;
    let text = String::from_utf8_lossy(text);
    for wanted in SERVICES {
        for service in elements(&text, "service") {
            let name = elements(service, "serviceType").next().map(str::trim);
            let Some(name) = name.filter(|name| name.ends_with(wanted)) else { continue };
            let url = elements(service, "controlURL").next().map(str::trim)?.replace("&amp;", "&");
            let place = match place(&url) {
                Some(place) if place.addr.ip() == at.addr.ip() => place,
                Some(_) => return None,
                None => {
                    let path = if url.starts_with('/') { url } else { format!("/{url}") };
                    if !is_path(&path) || path.contains("://") {
                        return None;
                    }
                    Place { addr: at.addr, path }
                }
            };
            let plain =
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-._".contains(&byte));
            return plain.then(|| Service { place, name: name.to_owned() });
        }
    }
    None
}

/// The insides of all elements of this name, whatever their prefix; of nested ones the outer's.
fn elements<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find('<')?;
            let tag = rest.get(at + 1..)?;
            let end = tag.find('>')?;
            let (head, inside) = (tag.get(..end)?, tag.get(end + 1..)?);
            rest = inside;
            if !is_called(head, name) || head.ends_with('/') {
                continue;
            }
            let close = closing(inside, name)?;
            rest = inside.get(close..)?;
            return inside.get(..close);
        }
    })
}

fn is_called(head: &str, name: &str) -> bool {
    let word = head.split(|c: char| c.is_ascii_whitespace() || c == '/').next().unwrap_or(head);
    word.rsplit(':').next() == Some(name)
}

/// Where the end tag of `name` begins.
fn closing(text: &str, name: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find("</")?;
        let tag = text.get(at + 2..)?;
        let end = tag.find('>')?;
        if is_called(tag.get(..end)?.trim_end(), name) {
            return Some(at);
        }
        from = at + 2;
    }
}

impl Call {
    fn name(&self) -> &'static str {
        match self {
            Call::ExternalAddress => "GetExternalIPAddress",
            Call::Add { .. } => "AddPortMapping",
            Call::Delete { .. } => "DeletePortMapping",
        }
    }

    /// The value of the header `SOAPAction`.
    pub fn action(&self, service: &Service) -> String {
        format!("\"{}#{}\"", service.name, self.name())
    }

    /// The body of the request.
    pub fn body(&self, service: &Service) -> String {
        let arguments = match self {
            Call::ExternalAddress => String::new(),
            Call::Add { protocol, external, internal, client, lifetime_s } => format!(
                "<NewRemoteHost></NewRemoteHost><NewExternalPort>{external}</NewExternalPort>\
                 <NewProtocol>{protocol}</NewProtocol><NewInternalPort>{internal}</NewInternalPort>\
                 <NewInternalClient>{client}</NewInternalClient><NewEnabled>1</NewEnabled>\
                 <NewPortMappingDescription>Althing</NewPortMappingDescription>\
                 <NewLeaseDuration>{lifetime_s}</NewLeaseDuration>"
            ),
            Call::Delete { protocol, external } => format!(
                "<NewRemoteHost></NewRemoteHost><NewExternalPort>{external}</NewExternalPort>\
                 <NewProtocol>{protocol}</NewProtocol>"
            ),
        };
        let name = self.name();
        format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope \
             xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
             <u:{name} xmlns:u=\"{}\">{arguments}</u:{name}></s:Body></s:Envelope>\r\n",
            service.name
        )
    }
}

/// The address that a gateway answered with.
pub fn external_address(answer: &[u8]) -> Option<Ipv4Addr> {
    let text = String::from_utf8_lossy(answer.get(..answer.len().min(DESCRIPTION_BYTES_MAX))?);
    elements(&text, "NewExternalIPAddress").next()?.trim().parse().ok()
}

/// The code of a refusal.
pub fn error_code(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer.get(..answer.len().min(DESCRIPTION_BYTES_MAX))?);
    elements(&text, "errorCode").next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    fn answer(location: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n\
             ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\
             Location: {location}\r\nEXT:\r\n\r\n"
        )
        .into_bytes()
    }

    fn here() -> Place {
        Place { addr: SocketAddrV4::new(GATEWAY, 5000), path: "/rootDesc.xml".into() }
    }

    #[test]
    fn a_gateway_speaks_for_itself_alone() {
        let found = |url: &str| location(&answer(url), GATEWAY);
        assert_eq!(found("http://192.168.1.1:5000/rootDesc.xml"), Some(here()));
        assert_eq!(found("http://192.168.1.1").map(|place| place.path), Some("/".into()));
        for elsewhere in [
            "http://192.168.1.2:5000/rootDesc.xml",
            "http://127.0.0.1:7717/api",
            "http://router.example/rootDesc.xml",
            "https://192.168.1.1/rootDesc.xml",
            "http://192.168.1.1:5000@10.0.0.1/",
            "http://192.168.1.1:5000/a b",
        ] {
            assert_eq!(found(elsewhere), None, "{elsewhere}");
        }
    }

    fn description(service: &str, control: &str) -> Vec<u8> {
        format!(
            "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device>\
             <serviceList><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1\
             </serviceType><controlURL>/l3f</controlURL></service></serviceList><deviceList>\
             <device><u:service a=\"b\">\n<u:serviceType>{service}</u:serviceType>\n\
             <u:controlURL> {control} </u:controlURL></u:service></device></deviceList></device></root>"
        )
        .into_bytes()
    }

    #[test]
    fn the_service_is_found_wherever_it_stands() {
        let name = "urn:schemas-upnp-org:service:WANIPConnection:1";
        let path = |control: &str| {
            service(&description(name, control), &here()).map(|service| service.place.path)
        };
        assert_eq!(path("/ctl/IPConn"), Some("/ctl/IPConn".into()));
        assert_eq!(path("ctl?a=1&amp;b=2"), Some("/ctl?a=1&b=2".into()));
        assert_eq!(path("http://192.168.1.1:5001/x"), Some("/x".into()));
        assert_eq!(path("http://10.0.0.1:5001/x"), None);
        assert_eq!(path("https://10.0.0.1/x"), None);
        assert_eq!(path("/a\r\nHost: b"), None);
        assert_eq!(service(&description("urn:x:WANCommon:1", "/x"), &here()), None);
        let odd = "urn:x\"><evil/>:WANIPConnection:1";
        assert_eq!(service(&description(odd, "/x"), &here()), None);
    }

    #[test]
    fn answers_are_read() {
        let body = b"<s:Body><u:R xmlns:u=\"x\"><NewExternalIPAddress>203.0.113.7\
            </NewExternalIPAddress></u:R></s:Body>";
        assert_eq!(external_address(body), Some(Ipv4Addr::new(203, 0, 113, 7)));
        assert_eq!(error_code(b"<UPnPError><errorCode>725</errorCode></UPnPError>"), Some(725));
        assert_eq!(error_code(b"<errorCode>725"), None);
        assert_eq!(error_code(b"<errorCode/><errorCode>7</errorCode>"), Some(7));
    }
}
