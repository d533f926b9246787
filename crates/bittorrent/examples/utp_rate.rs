//! What the machine of uTP itself costs: two of them hand each other datagrams in memory.
//!
//! ```text
//! cargo run --release -p althing-bittorrent --example utp_rate
//! ```
//!
//! For packets as Ethernet, jumbo frames and the loopback interface take them, it prints bytes a second
//! through both machines in one thread; what comes is copied nowhere, as in the driver. For users'
//! CPU-seconds of a transfer, take half for each end.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use althing_base::{Instant, Machine as _, Seed};
use althing_bittorrent::utp::{Config, ConnId, Input, Output, Utp};
use bytes::Bytes;
use std::net::SocketAddr;

const BYTES: u64 = 1 << 30;
const BLOCK: usize = 16 * 1024 + 13;

fn main() {
    for datagram in [1_472, 8_972, 65_507] {
        let began = std::time::Instant::now();
        let (packets, runs) = transfer(datagram);
        let took = began.elapsed().as_secs_f64();
        println!(
            "{datagram:>6} bytes: {:>5.0} MB/s, {packets} packets in {runs} runs, {:.0} ns a packet",
            BYTES as f64 / took / 1e6,
            took * 1e9 / packets as f64
        );
    }
}

/// Sends a GiB; says in how many packets and runs of packets, both ways.
fn transfer(datagram: u16) -> (u64, u64) {
    let config = Config { datagram_bytes_max: datagram, ..Config::default() };
    let addrs: [SocketAddr; 2] =
        ["10.0.0.1:1", "10.0.0.2:1"].map(|addr| addr.parse().expect("valid"));
    let mut utps = [1, 2].map(|seed| Utp::new(config.clone(), Seed::from_u64(seed)));
    let block = Bytes::from(vec![7; BLOCK]);
    let mut now = Instant::from_nanos(1 << 40);
    let conn = ConnId(1);
    utps[0].handle_input(now, Input::Connect { conn, to: addrs[1] });
    let (mut credit, mut written, mut received, mut packets, mut runs) = (0u64, 0u64, 0u64, 0, 0);
    while received < BYTES {
        let mut idle = true;
        for at in [0, 1] {
            now = Instant::from_nanos(now.as_nanos() + 20_000);
            let mut sent = Vec::new();
            let mut consumed = Vec::new();
            while let Some(output) = utps[at].poll_output() {
                idle = false;
                match output {
                    Output::Send(run) => sent.push(run),
                    Output::Received { conn, data } => {
                        received += data.len() as u64;
                        consumed.push((conn, data.len()));
                    }
                    Output::Writable { bytes, .. } if at == 0 => credit += bytes,
                    _ => {}
                }
            }
            for (conn, bytes) in consumed {
                utps[at].handle_input(now, Input::Consumed { conn, bytes });
            }
            for run in sent {
                runs += 1;
                packets += run.packets().count() as u64;
                let (data, stride) = (Bytes::from(run.data), run.stride);
                let from = addrs[at];
                utps[1 - at].handle_input(now, Input::Datagrams { from, data, stride });
            }
            while at == 0 && credit >= BLOCK as u64 && written < BYTES {
                credit -= BLOCK as u64;
                written += BLOCK as u64;
                utps[0].handle_input(now, Input::Write { conn, data: block.clone() });
            }
        }
        if idle {
            let wakes = utps.iter().filter_map(Utp::poll_timeout);
            let Some(at) = wakes.map(|(at, _)| at).min() else { break };
            now = now.max(at);
            for utp in &mut utps {
                utp.handle_timeout(now);
            }
        }
    }
    (packets, runs)
}
