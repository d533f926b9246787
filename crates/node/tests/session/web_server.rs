//! A web server that does as it is told: right, wrong, or what no server does.

use crate::support::Files;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How a request is dealt with.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// As the specification has it.
    Right,
    /// The whole file, whatever was asked for.
    NoRanges,
    /// The range, in chunks, without its length.
    Chunked,
    /// The range, with one byte changed.
    Wrong,
    /// A range that begins a byte later than was asked for.
    OtherRange,
    /// Half of what the head says, then the end.
    Short,
    /// What was asked for, and then more for as long as anyone listens.
    Endless,
    /// A head without end.
    EndlessHead,
    /// Nothing at all, with the connection open.
    Silent,
    /// The first bytes of a head, with the connection open.
    StallsInHead,
    /// The head and half of what it says, with the connection open.
    StallsInBody,
    /// The range in parts of so many bytes, each when the one before has left.
    Drips(usize),
    /// This answer, word for word.
    Says(String),
}

/// What a server was asked for, and what it does with that.
#[derive(Clone)]
pub(crate) struct WebServer {
    pub(crate) addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl WebServer {
    /// Serves `files` in the folder `name`; `manner` says how for each path and number of request.
    pub(crate) async fn start(
        name: &str,
        files: &Files,
        manner: impl Fn(&str, usize) -> Manner + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
        let addr = listener.local_addr().expect("it listens");
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(path, bytes)| (format!("/{name}/{path}"), bytes.clone())).collect();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let server = WebServer { addr, asked: Arc::clone(&asked) };
        let shared = Arc::new((files, manner));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, asked) = (Arc::clone(&shared), Arc::clone(&asked));
                tokio::spawn(async move {
                    // Who hangs up has heard enough.
                    let _ = serve(stream, &shared.0, &shared.1, &asked).await;
                });
            }
        });
        server
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    /// The requests so far: path and range.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    manner: &(impl Fn(&str, usize) -> Manner + Send + Sync),
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut waiting = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = waiting.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            let mut buffer = [0; 4096];
            let len = stream.read(&mut buffer).await?;
            if len == 0 {
                return Ok(());
            }
            waiting.extend_from_slice(&buffer[..len]);
        };
        let head = String::from_utf8_lossy(&waiting[..end]).into_owned();
        waiting.drain(..end + 4);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
        let range = range.expect("it asks for ranges").to_owned();
        let number = {
            let mut asked = asked.lock().expect("nobody panics with it");
            asked.push(format!("{path} {range}"));
            asked.len()
        };
        let (first, last) = range.split_once('-').expect("two numbers");
        let (first, last): (usize, usize) =
            (first.parse().expect("a number"), last.parse().expect("a number"));
        let Some(bytes) = files.get(&path) else {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await?;
            continue;
        };
        let part = &bytes[first..=last];
        let head = |status: &str, length: usize, more: &str| {
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}\r\n")
        };
        let total = bytes.len();
        let said =
            |first: usize, last: usize| format!("Content-Range: bytes {first}-{last}/{total}\r\n");
        let partial = head("206 Partial Content", part.len(), &said(first, last));
        match manner(&path, number) {
            Manner::Right => {
                stream.write_all(partial.as_bytes()).await?;
                stream.write_all(part).await?;
            }
            Manner::NoRanges => {
                stream.write_all(head("200 OK", total, "").as_bytes()).await?;
                stream.write_all(bytes).await?;
            }
            Manner::Chunked => {
                let chunked = "Transfer-Encoding: chunked\r\n";
                let head =
                    format!("HTTP/1.1 206 Partial Content\r\n{chunked}{}\r\n", said(first, last));
                stream.write_all(head.as_bytes()).await?;
                for chunk in part.chunks(1000) {
                    stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
                    stream.write_all(chunk).await?;
                    stream.write_all(b"\r\n").await?;
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            Manner::Wrong => {
                let mut part = part.to_vec();
                part[0] ^= 1;
                stream.write_all(partial.as_bytes()).await?;
                stream.write_all(&part).await?;
            }
            Manner::OtherRange => {
                let shifted = head("206 Partial Content", part.len(), &said(first + 1, last + 1));
                stream.write_all(shifted.as_bytes()).await?;
                stream.write_all(part).await?;
            }
            Manner::Short => {
                stream.write_all(partial.as_bytes()).await?;
                return stream.write_all(&part[..part.len() / 2]).await;
            }
            Manner::Endless => {
                let head = format!("HTTP/1.1 206 Partial Content\r\n{}\r\n", said(first, last));
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(part).await?;
                loop {
                    stream.write_all(&[0x55; 16 * 1024]).await?;
                }
            }
            Manner::EndlessHead => {
                stream.write_all(b"HTTP/1.1 206 Partial Content\r\nX-Long: ").await?;
                loop {
                    stream.write_all(&[b'x'; 16 * 1024]).await?;
                }
            }
            Manner::Silent => std::future::pending::<()>().await,
            Manner::StallsInHead => {
                stream.write_all(&partial.as_bytes()[..20]).await?;
                std::future::pending::<()>().await;
            }
            Manner::StallsInBody => {
                stream.write_all(partial.as_bytes()).await?;
                stream.write_all(&part[..part.len() / 2]).await?;
                std::future::pending::<()>().await;
            }
            Manner::Drips(bytes) => {
                stream.write_all(partial.as_bytes()).await?;
                for drop in part.chunks(bytes) {
                    stream.write_all(drop).await?;
                    stream.flush().await?;
                    tokio::task::yield_now().await;
                }
            }
            Manner::Says(answer) => stream.write_all(answer.as_bytes()).await?,
        }
    }
}
