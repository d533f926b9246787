//! What no peer can beat: the file by `sendfile` to one socket, received, hashed piece by piece
//! and written by one thread, with no protocol at all.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;

use sha1::{Digest as _, Sha1};

use crate::measure::PIECE_BYTES;

/// How much is received at once, bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// The most that one `sendfile` is asked for, bytes.
const SEND_BYTES: usize = 1 << 20;

/// Waits for one connection, sends the file over it and ends.
pub(crate) fn send(address: &str, file: &str) -> Result<(), String> {
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    println!("ready");
    let failed = |error: std::io::Error| format!("{file}: {error}");
    let (stream, _) = listener.accept().map_err(failed)?;
    let file = File::open(file).map_err(failed)?;
    loop {
        let sent = rustix::fs::sendfile(stream.as_fd(), file.as_fd(), None, SEND_BYTES)
            .map_err(|error| failed(error.into()))?;
        if sent == 0 {
            return Ok(());
        }
    }
}

/// Connects, writes what comes to the file, hashes each piece, and says when it is all there.
pub(crate) fn receive(address: &str, file: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{file}: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    let mut out = File::create(file).map_err(failed)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut pieces = Pieces::default();
    loop {
        let count = stream.read(&mut buffer).map_err(failed)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        pieces.take(bytes);
        out.write_all(bytes).map_err(failed)?;
    }
    // The digests are printed so that no compiler leaves the hashing out.
    println!("{:02x?}", pieces.end());
    println!("complete");
    Ok(())
}

/// SHA-1 of each piece of a stream, folded into one word.
#[derive(Default)]
struct Pieces {
    hasher: Sha1,
    filled: usize,
    folded: [u8; 20],
}

impl Pieces {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.filled));
            self.hasher.update(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == PIECE_BYTES {
                self.fold();
            }
        }
    }

    fn fold(&mut self) {
        let digest = self.hasher.finalize_reset();
        for (folded, byte) in self.folded.iter_mut().zip(digest) {
            *folded ^= byte;
        }
        self.filled = 0;
    }

    fn end(mut self) -> [u8; 20] {
        if self.filled > 0 {
            self.fold();
        }
        self.folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_hashed_alike_however_they_arrive() {
        let bytes: Vec<u8> = (0..PIECE_BYTES * 2 + 77).map(|at| (at % 251) as u8).collect();
        let fold = |step: usize| {
            let mut pieces = Pieces::default();
            bytes.chunks(step).for_each(|chunk| pieces.take(chunk));
            pieces.end()
        };
        let whole = bytes
            .chunks(PIECE_BYTES)
            .map(|piece| <[u8; 20]>::from(Sha1::digest(piece)))
            .fold([0; 20], |sum: [u8; 20], digest| std::array::from_fn(|at| sum[at] ^ digest[at]));
        assert_eq!(fold(bytes.len()), whole);
        assert_eq!(fold(65_537), whole);
    }
}
