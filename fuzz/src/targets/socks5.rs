//! What a proxy says during a handshake, its datagrams, and the URLs that name one.

use althing_net::socks5::{
    Command, Credentials, Handshake, ProxyUrl, Step, Target, datagram, read_datagram,
};

/// Reads any bytes as a proxy's words.
pub fn run(data: &[u8]) {
    let credentials = Credentials::new("anna", "secret").expect("both are short");
    for credentials in [None, Some(&credentials)] {
        let target = Target::Name("tracker.example".to_owned(), 80);
        let mut handshake = Handshake::new(credentials, Command::Connect, target);
        let mut rest = data;
        // Each reading takes some bytes, so that it ends.
        loop {
            match handshake.next_step() {
                Step::Send(bytes) => assert!(!bytes.is_empty()),
                Step::Read(len) => {
                    assert!((1..=257).contains(&len));
                    let Some((now, later)) = rest.split_at_checked(len) else { break };
                    rest = later;
                    if handshake.feed(now).is_err() {
                        break;
                    }
                }
                Step::Done(_) => break,
            }
        }
    }
    if let Some((target, payload)) = read_datagram(data) {
        let again = datagram(&target, payload);
        assert_eq!(read_datagram(&again), Some((target, payload)));
    }
    if let Ok(text) = str::from_utf8(data)
        && let Ok(url) = text.parse::<ProxyUrl>()
    {
        assert!(!url.host().is_empty() && url.port() != 0);
        if url.credentials().is_none() {
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }
}
