//! The client's side of SOCKS5 (RFC 1928) with passwords (RFC 1929): the words that are exchanged
//! before a connection through a proxy carries anything, and the header of datagrams.
//!
//! A [`Handshake`] says what to send and how many bytes to read, never more than belong to it, so
//! that whatever the far end says first is left in the socket.

mod codec;
mod url;

pub use codec::{Target, datagram, read_datagram};
pub use url::{Credentials, ProxyUrl, ProxyUrlError};

use codec::{CONNECT, PASSWORD_VERSION, UDP_ASSOCIATE, VERSION};

/// What the proxy is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Connect to the target; from then on the connection is to that.
    Connect,
    /// Pass on datagrams, for as long as this connection stands; the answer says to where they are
    /// to be sent.
    UdpAssociate,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send this.
    Send(Vec<u8>),
    /// Read exactly so many bytes and [`feed`](Handshake::feed) them.
    Read(usize),
    /// The proxy has done it; where it did it from, or where datagrams go.
    Done(Target),
}

/// Why the proxy does not do it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Socks5Error {
    /// It speaks something else.
    #[error("the proxy does not speak SOCKS5")]
    NotSocks,
    /// It wants to know who we are.
    #[error("the proxy wants a user name and a password; put them into network.proxy")]
    WantsPassword,
    /// It does not know us.
    #[error("the proxy does not take the user name and password of network.proxy")]
    WrongPassword,
    /// It did not do it; RFC 1928, section 6.
    #[error("the proxy refused: {}", reason(*.0))]
    Refused(u8),
}

fn reason(code: u8) -> &'static str {
    match code {
        1 => "it failed",
        2 => "its rules do not allow it",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "nobody listens there",
        6 => "it took too long",
        7 => "it cannot do that",
        8 => "it knows no such addresses",
        _ => "it gives no reason",
    }
}

impl Socks5Error {
    /// Whether the proxy works and only this target could not be reached.
    pub fn is_about_the_target(self) -> bool {
        matches!(self, Socks5Error::Refused(3..=6))
    }
}

enum State {
    Greet,
    Method,
    Password,
    PasswordAnswer,
    Request,
    Reply,
    /// How many bytes its address and port have.
    ReplyAddress(Vec<u8>, usize),
    Done(Target),
}

/// The words before a connection through a proxy carries anything.
pub struct Handshake<'a> {
    credentials: Option<&'a Credentials>,
    command: Command,
    target: Target,
    state: State,
}

impl<'a> Handshake<'a> {
    /// Asks a proxy to do something.
    pub fn new(credentials: Option<&'a Credentials>, command: Command, target: Target) -> Self {
        Handshake { credentials, command, target, state: State::Greet }
    }

    /// What to do next. Each [`Step::Send`] comes once.
    pub fn next_step(&mut self) -> Step {
        match &self.state {
            State::Greet => {
                self.state = State::Method;
                Step::Send(match self.credentials {
                    // With a password first: a proxy takes the first it likes.
                    Some(_) => vec![VERSION, 2, codec::BY_PASSWORD, codec::OPEN],
                    None => vec![VERSION, 1, codec::OPEN],
                })
            }
            State::Password => {
                self.state = State::PasswordAnswer;
                Step::Send(self.credentials.map(Credentials::message).unwrap_or_default())
            }
            State::Request => {
                self.state = State::Reply;
                let command = match self.command {
                    Command::Connect => CONNECT,
                    Command::UdpAssociate => UDP_ASSOCIATE,
                };
                let mut request = vec![VERSION, command, 0];
                self.target.write(&mut request);
                Step::Send(request)
            }
            State::Method | State::PasswordAnswer => Step::Read(2),
            // Up to the first byte of the address, which says how long it is.
            State::Reply => Step::Read(5),
            State::ReplyAddress(_, rest) => Step::Read(*rest),
            State::Done(target) => Step::Done(target.clone()),
        }
    }

    /// Takes the bytes that [`Step::Read`] asked for.
    ///
    /// # Errors
    /// If the proxy refuses or speaks something else.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Socks5Error> {
        self.state = match (&mut self.state, bytes) {
            (State::Method, [VERSION, codec::OPEN]) => State::Request,
            (State::Method, [VERSION, codec::BY_PASSWORD]) if self.credentials.is_some() => {
                State::Password
            }
            (State::Method, [VERSION, _]) => {
                return Err(match self.credentials {
                    None => Socks5Error::WantsPassword,
                    Some(_) => Socks5Error::WrongPassword,
                });
            }
            (State::PasswordAnswer, [PASSWORD_VERSION, 0]) => State::Request,
            (State::PasswordAnswer, [PASSWORD_VERSION, _]) => {
                return Err(Socks5Error::WrongPassword);
            }
            (State::Reply, [VERSION, 0, _, kind, first]) => {
                let rest = codec::rest_of_address(*kind, *first).ok_or(Socks5Error::NotSocks)?;
                State::ReplyAddress(vec![*kind, *first], rest)
            }
            (State::Reply, [VERSION, code, ..]) => return Err(Socks5Error::Refused(*code)),
            (State::ReplyAddress(begun, rest), bytes) if bytes.len() == *rest => {
                begun.extend(bytes);
                let (target, _) = Target::read(begun).ok_or(Socks5Error::NotSocks)?;
                State::Done(target)
            }
            _ => return Err(Socks5Error::NotSocks),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a handshake against scripted answers; what was sent, and how it ended.
    fn run(
        credentials: Option<&Credentials>,
        target: &str,
        mut answers: &[u8],
    ) -> (Vec<Vec<u8>>, Result<Target, Socks5Error>) {
        let target = Target::parse(target, 80).expect("a host");
        let mut handshake = Handshake::new(credentials, Command::Connect, target);
        let mut sent = Vec::new();
        loop {
            match handshake.next_step() {
                Step::Send(bytes) => sent.push(bytes),
                Step::Read(len) => {
                    let (now, later) = answers.split_at(len.min(answers.len()));
                    answers = later;
                    if let Err(error) = handshake.feed(now) {
                        return (sent, Err(error));
                    }
                }
                Step::Done(target) => {
                    assert!(answers.is_empty(), "not all was read");
                    return (sent, Ok(target));
                }
            }
        }
    }

    fn credentials() -> Credentials {
        Credentials::new("anna", "s3cret").expect("both are short")
    }

    #[test]
    fn an_open_proxy_connects_by_name() {
        // As in RFC 1928; the proxy answers from 10.0.0.1:1080.
        let (sent, done) =
            run(None, "tracker.example", b"\x05\x00\x05\x00\x00\x01\x0a\x00\x00\x01\x04\x38");
        assert_eq!(
            sent,
            [b"\x05\x01\x00".to_vec(), b"\x05\x01\x00\x03\x0ftracker.example\x00\x50".to_vec()]
        );
        assert_eq!(done, Ok(Target::Addr("10.0.0.1:1080".parse().expect("an address"))));
    }

    #[test]
    fn a_password_goes_to_a_proxy_that_wants_it() {
        let mine = credentials();
        let (sent, done) =
            run(Some(&mine), "::1", b"\x05\x02\x01\x00\x05\x00\x00\x03\x01a\x00\x01");
        assert_eq!(sent[0], b"\x05\x02\x02\x00");
        assert_eq!(sent[1], b"\x01\x04anna\x06s3cret");
        assert_eq!(sent[2], b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50");
        assert_eq!(done, Ok(Target::Name("a".to_owned(), 1)));
    }

    #[test]
    fn refusals_are_told_apart() {
        let mine = credentials();
        assert_eq!(run(None, "a", b"\x05\xff").1, Err(Socks5Error::WantsPassword));
        assert_eq!(run(None, "a", b"\x05\x02").1, Err(Socks5Error::WantsPassword));
        assert_eq!(run(Some(&mine), "a", b"\x05\x02\x01\x01").1, Err(Socks5Error::WrongPassword));
        assert_eq!(run(None, "a", b"\x05\x00\x05\x05\x00\x01\x00").1, Err(Socks5Error::Refused(5)));
        assert_eq!(run(None, "a", b"HT").1, Err(Socks5Error::NotSocks));
        assert_eq!(run(None, "a", b"\x05\x00\x05\x00\x00\x09\x00").1, Err(Socks5Error::NotSocks));
        assert_eq!(run(None, "a", b"\x05").1, Err(Socks5Error::NotSocks));
    }
}
