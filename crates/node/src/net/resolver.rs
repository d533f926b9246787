//! Names into addresses without leaving by another way.
//!
//! The system's own resolver asks name servers from sockets of its own, over whatever interface it
//! likes, so it is used only where nothing is bound. Elsewhere name servers are asked directly, from
//! sockets that are bound like all others. Behind a proxy nothing is looked up here at all, but for
//! the proxy's own name.

use super::way::Way;
use crate::config::Reach;
use crate::limits::{
    ADDRESSES_PER_HOST_MAX, DNS_ANSWER_BYTES_MAX, DNS_TRIES, DNS_TRY_TIMEOUT, LOOKUP_TIMEOUT,
};
use althing_bittorrent::tracker::Family;
use althing_net::dns::{self, DnsError, Kind, Question};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Where systems list their name servers: first as programs use them, then those behind a server
/// on this machine (systemd-resolved), which would itself ask by any way it likes.
const SYSTEM_LISTS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The addresses of `host`; at least one, at most [`ADDRESSES_PER_HOST_MAX`].
pub(super) async fn lookup(way: &Way, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let with_port = |ip: IpAddr| SocketAddr::new(ip, port);
    // An address needs no lookup, and a lookup of one would be told to a name server by some systems.
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![with_port(ip)]);
    }
    let looking = async {
        if way.is_bound() {
            // RFC 6761, section 6.3.
            if host.eq_ignore_ascii_case("localhost") {
                return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
            }
            if way.reach() == Reach::Loopback {
                return Err(io::Error::from(io::ErrorKind::NetworkUnreachable));
            }
            return ask(way, host).await;
        }
        let found = tokio::net::lookup_host((host, port)).await?;
        Ok(found.map(|addr| addr.ip()).collect())
    };
    let found: Vec<IpAddr> = tokio::time::timeout(LOOKUP_TIMEOUT, looking)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if found.is_empty() {
        return Err(other("its name has no address"));
    }
    Ok(found.into_iter().map(with_port).take(ADDRESSES_PER_HOST_MAX).collect())
}

/// Asks the name servers one after the other, for both kinds of address at once.
async fn ask(way: &Way, host: &str) -> io::Result<Vec<IpAddr>> {
    let look = way.look();
    if let Some(blocked) = look.blocked {
        return Err(io::Error::new(io::ErrorKind::NetworkUnreachable, blocked));
    }
    let servers = servers(way);
    let mut last = other(
        "no name server can be asked through the interface or address that network.interface or \
         network.bind names; put one into network.dns",
    );
    for server in servers {
        let v4 = ask_for(way, server, host, Kind::A, look.of(Family::V4).is_some());
        let v6 = ask_for(way, server, host, Kind::Aaaa, look.of(Family::V6).is_some());
        match tokio::join!(v4, v6) {
            (Err(error), Err(_)) if is_final(&error) => return Err(error),
            (Err(error), Err(_)) => last = error,
            (v4, v6) => {
                let mut found = v4.unwrap_or_default();
                found.extend(v6.unwrap_or_default());
                return Ok(found);
            }
        }
    }
    Err(last)
}

/// Whether other servers would say the same.
fn is_final(error: &io::Error) -> bool {
    let said = error.get_ref().and_then(|inner| inner.downcast_ref::<DnsError>());
    matches!(said, Some(DnsError::NoSuchName | DnsError::BadName))
}

fn servers(way: &Way) -> Vec<IpAddr> {
    if !way.dns().is_empty() {
        return way.dns().to_vec();
    }
    let lists = SYSTEM_LISTS.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let lists = lists.map(|text| {
        let mut servers = dns::servers(&text);
        servers.retain(|ip| !ip.is_loopback());
        servers
    });
    lists.into_iter().find(|servers| !servers.is_empty()).unwrap_or_default()
}

async fn ask_for(
    way: &Way,
    server: IpAddr,
    host: &str,
    kind: Kind,
    wanted: bool,
) -> io::Result<Vec<IpAddr>> {
    if !wanted {
        return Ok(Vec::new());
    }
    let id = getrandom::u32().map_err(|error| other(&error.to_string()))?;
    // Two of its bytes.
    let question = Question::new(id as u16, host, kind).map_err(io::Error::other)?;
    let server = SocketAddr::new(server, dns::PORT);
    let mut outcome = Err(io::Error::from(io::ErrorKind::TimedOut));
    for _ in 0..DNS_TRIES {
        let asking = over_udp(way, server, &question);
        match tokio::time::timeout(DNS_TRY_TIMEOUT, asking).await {
            Ok(answer) => {
                outcome = answer;
                break;
            }
            Err(_) => continue,
        }
    }
    let truncated = |error: &io::Error| {
        let said = error.get_ref().and_then(|inner| inner.downcast_ref::<DnsError>());
        said == Some(&DnsError::Truncated)
    };
    match outcome {
        Err(error) if truncated(&error) => over_tcp(way, server, &question).await,
        outcome => outcome,
    }
}

async fn over_udp(way: &Way, server: SocketAddr, question: &Question) -> io::Result<Vec<IpAddr>> {
    let socket = way.datagrams_to(server.ip())?;
    socket.connect(server).await?;
    socket.send(&question.packet()).await?;
    let mut packet = [0; dns::UDP_BYTES_MAX];
    loop {
        let len = socket.recv(&mut packet).await?;
        match question.answer(&packet[..len]) {
            // Anybody may have sent it: the true answer may still come.
            Err(DnsError::Foreign) => {}
            answer => return answer.map_err(io::Error::other),
        }
    }
}

async fn over_tcp(way: &Way, server: SocketAddr, question: &Question) -> io::Result<Vec<IpAddr>> {
    let mut stream = way.connect_directly(server).await?;
    let packet = question.packet();
    // A question has at most 255 bytes of name.
    stream.write_u16(packet.len() as u16).await?;
    stream.write_all(&packet).await?;
    let len = usize::from(stream.read_u16().await?);
    let mut answer = vec![0; len.min(DNS_ANSWER_BYTES_MAX)];
    stream.read_exact(&mut answer).await?;
    question.answer(&answer).map_err(io::Error::other)
}

fn other(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(settings: &str) -> Way {
        Way::new(&toml::from_str(settings).expect("valid settings"))
    }

    #[tokio::test]
    async fn addresses_and_this_machine_are_not_asked_about() {
        let way = way("bind = ['127.0.0.1']\ndns = ['127.0.0.1']");
        let ip: SocketAddr = "192.0.2.1:80".parse().expect("an address");
        assert_eq!(way.lookup("192.0.2.1", 80).await.expect("an address"), [ip]);
        let own = way.lookup("LocalHost", 80).await.expect("this machine");
        assert!(own.iter().all(|addr| addr.ip().is_loopback()) && own.len() == 2);
    }

    #[tokio::test]
    async fn nobody_is_asked_while_the_interface_is_missing() {
        let way = way("interface = 'no-such-if'\ndns = ['127.0.0.1']");
        let error = way.lookup("tracker.example", 80).await.expect_err("no way");
        assert!(error.to_string().contains("is not there"), "{error}");
    }
}
