//! Through a SOCKS5 proxy (RFC 1928): connections, and datagrams if it carries them.

use super::way::Way;
use crate::limits::{CONNECT_TIMEOUT, PROXY_HANDSHAKE_TIMEOUT};
use althing_net::socks5::{self, Command, Handshake, ProxyUrl, Socks5Error, Step, Target};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// Connects to `target` through the proxy.
pub(super) async fn connect(
    way: &Way,
    url: &ProxyUrl,
    target: Target,
) -> io::Result<(TcpStream, Target)> {
    let (stream, _, bound) = ask(way, url, Command::Connect, target).await?;
    Ok((stream, bound))
}

/// Has the proxy do something: the connection, the proxy's address, and its answer.
pub(crate) async fn ask(
    way: &Way,
    url: &ProxyUrl,
    command: Command,
    target: Target,
) -> io::Result<(TcpStream, SocketAddr, Target)> {
    let (mut stream, addr) = reach(way, url).await?;
    let shaking = async {
        let mut handshake = Handshake::new(url.credentials(), command, target);
        loop {
            match handshake.next_step() {
                Step::Send(bytes) => stream.write_all(&bytes).await?,
                Step::Read(len) => {
                    let mut bytes = vec![0; len];
                    stream.read_exact(&mut bytes).await?;
                    handshake.feed(&bytes).map_err(in_words)?;
                }
                Step::Done(bound) => return Ok::<_, io::Error>(bound),
            }
        }
    };
    let bound = tokio::time::timeout(PROXY_HANDSHAKE_TIMEOUT, shaking)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok((stream, addr, bound))
}

/// The proxy as an HTTP client takes it: it is to be given names, not addresses.
pub(crate) fn for_http(url: &ProxyUrl) -> reqwest::Result<reqwest::Proxy> {
    let encoded =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let who = url.credentials().map(|credentials| {
        let (user, password) = credentials.parts();
        format!("{}:{}@", encoded(user), encoded(password))
    });
    let host = match url.host().contains(':') {
        true => format!("[{}]", url.host()),
        false => url.host().to_owned(),
    };
    let text = format!("socks5h://{}{host}:{}", who.unwrap_or_default(), url.port());
    reqwest::Proxy::all(text)
}

/// A connection to the proxy itself.
async fn reach(way: &Way, url: &ProxyUrl) -> io::Result<(TcpStream, SocketAddr)> {
    let connecting = async {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for addr in way.lookup(url.host(), url.port()).await? {
            match way.connect_directly(addr).await {
                Ok(stream) => return Ok((stream, addr)),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
    let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    connected.map_err(|error| {
        io::Error::new(error.kind(), format!("the proxy {url} cannot be reached: {error}"))
    })
}

/// A proxy that passes datagrams on, for as long as its connection stands.
pub(crate) struct Relay {
    control: TcpStream,
    socket: UdpSocket,
}

impl Relay {
    /// Asks the proxy to pass datagrams on.
    pub(crate) async fn open(way: Way) -> io::Result<Relay> {
        let none = || io::Error::from(io::ErrorKind::Unsupported);
        let url = way.proxy().ok_or_else(none)?;
        // From where they will come is not known yet (RFC 1928, section 4).
        let nowhere = Target::Addr(SocketAddr::from(([0, 0, 0, 0], 0)));
        let (control, proxy, bound) = ask(&way, url, Command::UdpAssociate, nowhere).await?;
        let relay = match bound {
            // Some do not know their own address.
            Target::Addr(addr) if addr.ip().is_unspecified() => {
                SocketAddr::new(proxy.ip(), addr.port())
            }
            Target::Addr(addr) => addr,
            Target::Name(_, port) => SocketAddr::new(proxy.ip(), port),
        };
        let socket = way.datagrams_to(relay.ip())?;
        // Nobody else is heard from then on.
        socket.connect(relay).await?;
        Ok(Relay { control, socket })
    }

    /// Sends a datagram, or loses it as networks do.
    pub(crate) fn send(&self, target: &Target, payload: &[u8]) -> io::Result<()> {
        self.socket.try_send(&socks5::datagram(target, payload)).map(drop)
    }

    /// Waits for a datagram: who sent it, and what. An error means that the proxy passes none on any
    /// more.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(Target, Vec<u8>)> {
        let mut word = [0];
        loop {
            tokio::select! {
                received = self.socket.recv(buffer) => {
                    let len = received?;
                    if let Some((from, payload)) = socks5::read_datagram(&buffer[..len]) {
                        return Ok((from, payload.to_vec()));
                    }
                }
                ready = self.control.readable() => {
                    ready?;
                    match self.control.try_read(&mut word) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        // It has nothing to say here.
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }
}

fn in_words(error: Socks5Error) -> io::Error {
    io::Error::other(error)
}
