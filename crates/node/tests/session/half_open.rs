//! Ten thousand strangers who begin to shake hands and do not go on: honest peers get what they came
//! for, and what the strangers hold stays what one moment's share of them holds.

use crate::support::{Node, PATIENCE, gauge, noise, torrent_of_file};
use althing_bittorrent::metainfo::Format;
use althing_node::limits::{HALF_OPEN_MAX, HALF_OPEN_PER_IP_MAX};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

const STRANGERS: usize = 10_000;

/// Sockets that the strangers keep open together: more than the session does, and fewer than what a
/// process may have.
const OPEN_MAX: usize = 3 * HALF_OPEN_MAX / 2;

/// How many have come before the first honest peer does: several crowds, one after the other.
const CROWD: usize = 3000;

/// Memory that they may take of this process, what they themselves need for their sockets included.
const MEMORY_MAX: u64 = 16 << 20;

/// What a stranger says before it falls silent.
fn opening(number: usize) -> Vec<u8> {
    let plain = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0";
    match number % 6 {
        // Nothing; half a handshake; one of a torrent that is not here, by and by.
        0 => Vec::new(),
        1 => plain[..11].to_vec(),
        2 => [&plain[..], &[7; 19]].concat(),
        // All but the last byte of a key; a key; a key and padding.
        3 => vec![0x55; 95],
        4 => vec![0x55; 96],
        _ => vec![0x55; 600],
    }
}

async fn stranger(number: usize, to: SocketAddr) -> Option<TcpStream> {
    let address = (number / HALF_OPEN_PER_IP_MAX) as u16;
    let [high, low] = address.to_be_bytes();
    let socket = TcpSocket::new_v4().ok()?;
    let from = IpAddr::V4(Ipv4Addr::new(127, 1, high, low));
    socket.bind(SocketAddr::new(from, 0)).expect("all of 127/8 is here");
    let mut stream = socket.connect(to).await.ok()?;
    // One that has given way is closed already.
    let _ = stream.write_all(&opening(number)).await;
    Some(stream)
}

/// What the system says this process has in memory, in bytes.
fn resident_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

#[tokio::test]
async fn ten_thousand_half_open_handshakes_keep_nobody_out() {
    let bytes = noise(12, 8 << 20);
    let metainfo = torrent_of_file("file.bin", Format::V1, &bytes, 256 * 1024);
    let seeder = Node::start().await;
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("file.bin"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, Default::default()).await;
    seeder.complete(id).await;
    let addr = seeder.addr();

    let before = resident_bytes();
    let mut open = std::collections::VecDeque::new();
    let mut most = 0;
    let mut served = Vec::new();
    let mut grown = None;
    for number in 0..STRANGERS {
        open.extend(stranger(number, addr).await);
        if let Some(stream) = open.front_mut()
            && number % 3 == 0
        {
            // It trickles: that does not keep it its place.
            let _: Result<usize, _> = stream.try_write(b"\x13");
        }
        if open.len() > OPEN_MAX {
            open.pop_front();
        }
        if number == CROWD {
            grown =
                resident_bytes().zip(before).map(|(after, before)| after.saturating_sub(before));
        }
        if number >= CROWD && number % 1000 == 500 {
            most = most.max(gauge(&seeder, "althing_connections_half_open"));
            let leecher = Node::start().await;
            leecher.fetch(&metainfo, &[addr]).await;
            served.push(leecher);
        }
    }
    assert!(most <= HALF_OPEN_MAX as u64, "{most} half-open");
    assert!(most >= HALF_OPEN_MAX as u64 / 2, "only {most} were half-open: no crowd at all");
    for leecher in &served {
        leecher.complete(id).await;
        let copy = std::fs::read(leecher.downloads().join("file.bin")).expect("a file");
        assert!(copy == bytes);
    }
    eprintln!("{most} half-open at most, {grown:?} bytes more in memory after {CROWD}");
    assert!(grown.is_none_or(|grown| grown < MEMORY_MAX), "{grown:?} bytes more than before");
    drop(open);
    let emptied = async {
        while gauge(&seeder, "althing_connections_half_open") > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, emptied).await.expect("all places are given back");
}
