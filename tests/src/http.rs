//! As much of an HTTP/1.1 client as the other clients' control ports and the trackers need: one
//! request a connection, made inside a host.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::net::Host;

/// How long a control port may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most of an answer that is read, bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header lines as they came, one a line.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The body as text, whatever bytes it has.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks `GET path` of a server, from inside `host`.
///
/// # Errors
/// A sentence that says what failed: connecting, or an answer that is not HTTP.
pub fn get(host: &Host, server: SocketAddr, path: &str) -> Result<Answer, String> {
    send(host, server, &format!("GET {path} HTTP/1.1\r\n"), "", b"")
}

/// As [`get`], with headers: whole lines, each ended by CRLF.
///
/// # Errors
/// As [`get`].
pub fn get_with(
    host: &Host,
    server: SocketAddr,
    path: &str,
    headers: &str,
) -> Result<Answer, String> {
    send(host, server, &format!("GET {path} HTTP/1.1\r\n"), headers, b"")
}

/// Sends `POST path` with a body; `headers` are whole lines, each ended by CRLF.
///
/// # Errors
/// As [`get`].
pub fn post(
    host: &Host,
    server: SocketAddr,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Result<Answer, String> {
    send(host, server, &format!("POST {path} HTTP/1.1\r\n"), headers, body)
}

/// As [`post`], with `PUT`.
///
/// # Errors
/// As [`get`].
pub fn put(
    host: &Host,
    server: SocketAddr,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Result<Answer, String> {
    send(host, server, &format!("PUT {path} HTTP/1.1\r\n"), headers, body)
}

fn send(
    host: &Host,
    server: SocketAddr,
    request_line: &str,
    headers: &str,
    body: &[u8],
) -> Result<Answer, String> {
    let mut request = format!(
        "{request_line}Host: {server}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let connect = || TcpStream::connect_timeout(&server, TIMEOUT);
    let mut stream = host.run(connect).map_err(|error| format!("{server}: {error}"))?;
    let answer = stream
        .set_read_timeout(Some(TIMEOUT))
        .and_then(|()| stream.write_all(&request))
        .and_then(|()| read(&mut stream))
        .map_err(|error| format!("{server}: {error}"))?;
    parse(&answer).ok_or_else(|| format!("{server}: not HTTP: {:?}", answer.escape_ascii()))
}

/// Reads until the length that the head names is there, or the end: some servers keep the
/// connection open although they are asked not to.
fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut part = [0; 16 * 1024];
    while answer.len() < ANSWER_BYTES_MAX && !is_whole(&answer) {
        match stream.read(&mut part)? {
            0 => break,
            count => answer.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
    }
    Ok(answer)
}

fn is_whole(answer: &[u8]) -> bool {
    parse(answer).is_some_and(|answer| {
        let length = answer.header("Content-Length").and_then(|length| length.parse().ok());
        length.is_some_and(|length: usize| answer.body.len() >= length)
    })
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let (status_line, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status_line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: answer.get(end + 4..)?.to_vec() })
}

/// `bytes` as a query's value: every byte that is not a letter or a digit becomes `%XX`.
pub fn percent(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse(b"HTTP/1.1 409 Conflict\r\nX-Session: abc\r\n\r\nno\r\n\r\n")
            .expect("this is an answer");
        assert_eq!(answer.status, 409);
        assert_eq!(answer.header("x-session"), Some("abc"));
        assert_eq!(answer.header("cookie"), None);
        assert_eq!(answer.body, b"no\r\n\r\n");
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n\r\n").map(|answer| answer.status), Some(200));
    }

    #[test]
    fn the_length_in_the_head_is_the_end() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nheyr";
        assert!(is_whole(answer));
        assert!(!is_whole(&answer[..answer.len() - 1]));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\n\r\nheyr"), "it ends when the connection does");
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for bytes in
            [&b""[..], b"\r\n\r\n", b"HTTP/1.1 2", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 \r\n\r\n"]
        {
            assert!(parse(bytes).is_none(), "{:?}", bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn a_query_value_is_escaped() {
        assert_eq!(percent(b"a1\x00\xff &"), "a1%00%FF%20%26");
    }
}
