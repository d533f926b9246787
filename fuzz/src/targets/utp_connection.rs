//! Two machines of uTP and between them somebody who loses, delays, repeats and breaks their packets,
//! and makes up his own. What is not broken arrives, in order, each byte once; nothing panics, and
//! nothing grows beyond its bounds.

use althing_base::time::Duration;
use althing_base::{Instant, Machine as _, Seed};
use althing_bittorrent::utp::{Config, ConnId, Input, Output, Utp};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;

const WINDOW: u32 = 20_000;
const CALLER: ConnId = ConnId(1);
/// Of so many datagrams one can still be chosen.
const HELD_MAX: usize = 64;

struct Side {
    utp: Utp,
    addr: SocketAddr,
    conn: Option<ConnId>,
    credit: u64,
    written: u64,
    received: u64,
    unconsumed: usize,
    /// Datagrams for it that are under way.
    coming: VecDeque<Vec<u8>>,
    closed: bool,
}

/// The byte at a place of the stream.
fn byte(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn drain(sides: &mut [Side; 2], from: usize, honest: bool) {
    while let Some(output) = sides[from].utp.poll_output() {
        match output {
            Output::Send(run) => {
                assert!(run.data.len() <= 65_507 && run.stride > 0);
                for packet in run.packets() {
                    assert!(packet.len() >= 20);
                    if run.to == sides[1 - from].addr && sides[1 - from].coming.len() < HELD_MAX {
                        sides[1 - from].coming.push_back(packet.to_vec());
                    }
                }
            }
            Output::Connected { conn } => assert!(from == 0 && conn == CALLER),
            Output::Incoming { conn, .. } => {
                assert!(conn.is_incoming());
                // Somebody who sees all packets can open connections of his own; and long after the
                // end a stray may have the right number by luck.
                assert!(!honest || sides[from].conn.is_none() || sides[from].closed);
                sides[from].conn.get_or_insert(conn);
            }
            Output::Received { conn, data } => {
                let side = &mut sides[from];
                if side.conn != Some(conn) {
                    continue;
                }
                assert!(!data.is_empty());
                if honest {
                    let expected = (side.received..).map(byte);
                    assert!(data.iter().copied().eq(expected.take(data.len())));
                }
                side.received += data.len() as u64;
                side.unconsumed += data.len();
                assert!(side.unconsumed <= WINDOW as usize + 65_507);
            }
            Output::Writable { conn, bytes } => {
                if sides[from].conn == Some(conn) {
                    sides[from].credit += bytes;
                }
            }
            Output::Finished { .. } => {}
            Output::Closed { conn, .. } => {
                if sides[from].conn == Some(conn) {
                    sides[from].closed = true;
                    sides[from].credit = 0;
                }
            }
        }
    }
}

/// The first byte says whether somebody makes up packets; each pair after it is a step.
pub fn run(data: &[u8]) {
    let Some((first, steps)) = data.split_first() else { return };
    let honest = first & 1 == 0;
    let config = Config {
        datagram_bytes_max: 9_000,
        receive_window: WINDOW,
        receive_window_near: WINDOW / 2,
        ..Config::default()
    };
    let side = |number: u8| Side {
        utp: Utp::new(config.clone(), Seed::from_u64(u64::from(*first) << 8 | u64::from(number))),
        addr: SocketAddr::from(([10, 0, 0, number], 7716)),
        conn: (number == 0).then_some(CALLER),
        credit: 0,
        written: 0,
        received: 0,
        unconsumed: 0,
        coming: VecDeque::new(),
        closed: false,
    };
    let mut sides = [side(0), side(1)];
    let mut now = Instant::ORIGIN + Duration::from_secs(1_000);
    let to = sides[1].addr;
    sides[0].utp.handle_input(now, Input::Connect { conn: CALLER, to });
    drain(&mut sides, 0, honest);
    for step in steps.chunks_exact(2) {
        let (kind, value) = (step[0], step[1]);
        let at = usize::from(kind >> 7);
        match kind & 0x0f {
            0..=4 => {
                let place = usize::from(value) % sides[at].coming.len().max(1);
                // Mostly in order.
                let place = if kind & 0x0f < 4 { 0 } else { place };
                let Some(mut datagram) = sides[at].coming.remove(place) else { continue };
                if !honest && kind & 0x40 != 0 {
                    let which = usize::from(value) % datagram.len();
                    datagram[which] ^= 1 << (kind & 7);
                }
                let (from, stride) = (sides[1 - at].addr, datagram.len());
                let data = Bytes::from(datagram);
                sides[at].utp.handle_input(now, Input::Datagrams { from, data, stride });
            }
            5 => drop(sides[at].coming.pop_front()),
            6 => {
                let again = sides[at].coming.front().cloned();
                if sides[at].coming.len() < HELD_MAX {
                    sides[at].coming.extend(again);
                }
            }
            7 | 8 => {
                now += Duration::from_millis(u64::from(value) * u64::from(value));
                for side in &mut sides {
                    side.utp.handle_timeout(now);
                }
            }
            9..=11 => {
                let side = &mut sides[at];
                let len = (u64::from(value) * 37).min(side.credit);
                if let Some(conn) = side.conn
                    && len > 0
                    && !side.closed
                {
                    let data: Vec<u8> = (side.written..side.written + len).map(byte).collect();
                    side.written += len;
                    side.credit -= len;
                    side.utp.handle_input(now, Input::Write { conn, data: data.into() });
                }
            }
            12 | 13 => {
                let side = &mut sides[at];
                let bytes = std::mem::take(&mut side.unconsumed);
                if let Some(conn) = side.conn {
                    side.utp.handle_input(now, Input::Consumed { conn, bytes });
                }
            }
            14 => {
                let to = sides[1 - at].addr;
                let fits = (value & 1 == 0).then_some(u16::from(value) * 40);
                sides[at].utp.handle_input(now, Input::TooBig { to, fits });
            }
            _ => {
                let side = &mut sides[at];
                if let Some(conn) = side.conn
                    && value < 16
                {
                    side.closed = true;
                    side.credit = 0;
                    let abort = value < 4;
                    let input = if abort { Input::Abort { conn } } else { Input::Close { conn } };
                    side.utp.handle_input(now, input);
                }
            }
        }
        for at in [0, 1] {
            drain(&mut sides, at, honest);
        }
    }
    if honest {
        assert!(sides[1].received <= sides[0].written && sides[0].received <= sides[1].written);
        finish(&mut sides, now);
    }
}

/// On a path that is whole again, all that was written arrives, unless somebody has given up.
fn finish(sides: &mut [Side; 2], mut now: Instant) {
    for _ in 0..20_000 {
        let settled = sides.iter().any(|side| side.closed)
            || sides[1].conn.is_none()
            || (sides[1].received == sides[0].written && sides[0].received == sides[1].written);
        if settled {
            return;
        }
        let mut quiet = true;
        for at in [0, 1] {
            while let Some(datagram) = sides[at].coming.pop_front() {
                quiet = false;
                let (from, stride) = (sides[1 - at].addr, datagram.len());
                let data = Bytes::from(datagram);
                sides[at].utp.handle_input(now, Input::Datagrams { from, data, stride });
            }
            if let Some(conn) = sides[at].conn {
                let bytes = std::mem::take(&mut sides[at].unconsumed);
                sides[at].utp.handle_input(now, Input::Consumed { conn, bytes });
            }
            drain(sides, at, true);
        }
        if quiet {
            let wakes = sides.iter().filter_map(|side| side.utp.poll_timeout());
            let Some(at) = wakes.map(|(at, _)| at).min() else { return };
            now = now.max(at);
            for at in [0, 1] {
                sides[at].utp.handle_timeout(now);
                drain(sides, at, true);
            }
        }
        now += Duration::from_millis(10);
    }
    panic!("it has come to a standstill");
}
