//! Packets that nobody asked for change nothing and cost little.

use super::world::{Path, World, ms};
use crate::utp::limits::{
    INCOMING_PER_SOURCE_MAX, RESETS_PER_S, SYN_ANSWERS_PER_S, SYN_ANSWERS_PER_SOURCE_PER_S,
};
use crate::utp::packet::{Header, Kind, Packet};
use crate::utp::{Config, Input, Output, Seq, Utp};
use althing_base::{Instant, Machine as _, Rng, Seed};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

fn packet(kind: Kind, connection: u16, seq: u16, ack: u16) -> Vec<u8> {
    let header = Header {
        kind,
        connection,
        timestamp: 5,
        delay: 0,
        window: 1 << 20,
        seq: Seq(seq),
        ack: Seq(ack),
    };
    let mut packet = Vec::new();
    header.write(&mut packet);
    packet
}

fn give(utp: &mut Utp, now: Instant, from: SocketAddr, data: Vec<u8>) -> Vec<Output> {
    let stride = data.len();
    utp.handle_input(now, Input::Datagrams { from, data: data.into(), stride });
    std::iter::from_fn(|| utp.poll_output()).collect()
}

/// The headers of all that is sent.
fn sent(outputs: &[Output]) -> Vec<Header> {
    let mut headers = Vec::new();
    for output in outputs {
        if let Output::Send(run) = output {
            headers.extend(run.packets().map(|packet| Packet::parse(packet).unwrap().header));
        }
    }
    headers
}

fn start() -> (Utp, Instant) {
    let now = Instant::ORIGIN + Duration::from_secs(5_000);
    (Utp::new(Config::default(), Seed::from_u64(1)), now)
}

fn address(number: u32) -> SocketAddr {
    SocketAddr::from((number.to_be_bytes(), 999))
}

#[test]
fn an_opening_is_answered_without_being_remembered() {
    let (mut utp, now) = start();
    let answer = sent(&give(&mut utp, now, address(7), packet(Kind::Syn, 100, 5, 0)));
    let [answer] = answer[..] else { panic!("{answer:?}") };
    assert_eq!((answer.kind, answer.connection, answer.ack), (Kind::State, 100, Seq(5)));
    assert_eq!((utp.stats().connections, utp.poll_timeout()), (0, None));
    // Asked again, the same is answered; who asks otherwise gets another answer.
    let again = sent(&give(&mut utp, now, address(7), packet(Kind::Syn, 100, 5, 0)));
    assert_eq!(again[0].seq, answer.seq);
    let other = sent(&give(&mut utp, now, address(8), packet(Kind::Syn, 100, 5, 0)));
    assert_ne!(other[0].seq, answer.seq);

    // What acknowledges another number than that of the answer opens nothing.
    let ack = answer.seq.minus(1).0;
    for off in [1u16, 2, 1000, 40_000] {
        let mut wrong = packet(Kind::Data, 101, 6, ack.wrapping_add(off));
        wrong.push(1);
        let outputs = give(&mut utp, now, address(7), wrong);
        assert!(sent(&outputs).iter().all(|header| header.kind == Kind::Reset));
        assert_eq!(utp.stats().connections, 0);
    }
    let mut right = packet(Kind::Data, 101, 6, ack);
    right.extend_from_slice(b"hello");
    let outputs = give(&mut utp, now + ms(300), address(7), right.clone());
    let Some(Output::Incoming { conn, from }) = outputs.first() else { panic!("{outputs:?}") };
    assert_eq!(*from, address(7));
    assert_eq!(outputs[1], Output::Received { conn: *conn, data: Bytes::from_static(b"hello") });

    // Broken off, it is not opened again by what is still on its way; by another opening it is.
    utp.handle_input(now, Input::Abort { conn: *conn });
    let reset: Vec<_> = std::iter::from_fn(|| utp.poll_output()).collect();
    assert_eq!(sent(&reset)[0].kind, Kind::Reset);
    let outputs = give(&mut utp, now + ms(400), address(7), right.clone());
    assert!(!matches!(outputs.first(), Some(Output::Incoming { .. })), "{outputs:?}");
    // Not even if the opening packet comes once more.
    give(&mut utp, now + ms(500), address(7), packet(Kind::Syn, 100, 5, 0));
    let outputs = give(&mut utp, now + ms(600), address(7), right);
    assert!(!matches!(outputs.first(), Some(Output::Incoming { .. })), "{outputs:?}");
    let answer = give(&mut utp, now + ms(700), address(7), packet(Kind::Syn, 100, 9, 0));
    let mut anew = packet(Kind::Data, 101, 10, sent(&answer)[0].seq.minus(1).0);
    anew.push(1);
    let outputs = give(&mut utp, now + ms(800), address(7), anew);
    assert!(matches!(outputs.first(), Some(Output::Incoming { .. })), "{outputs:?}");
}

#[test]
fn an_answer_does_not_count_for_ever() {
    let (mut utp, now) = start();
    let answer = sent(&give(&mut utp, now, address(7), packet(Kind::Syn, 100, 5, 0)));
    let mut data = packet(Kind::Data, 101, 6, answer[0].seq.minus(1).0);
    data.push(1);
    let outputs = give(&mut utp, now + Duration::from_secs(200), address(7), data);
    assert_eq!(utp.stats().connections, 0, "{outputs:?}");
}

#[test]
fn floods_of_openings_are_answered_within_bounds() {
    let (mut utp, now) = start();
    let mut answers = 0;
    for number in 0..20_000u32 {
        answers +=
            sent(&give(&mut utp, now, address(number << 8), packet(Kind::Syn, 1, 5, 0))).len();
    }
    assert_eq!(answers as u64, SYN_ANSWERS_PER_S);
    assert_eq!((utp.stats().connections, utp.poll_timeout()), (0, None));

    // One that floods has no more than its part, and others are still answered.
    let (mut utp, now) = start();
    let mut answers = 0;
    for number in 0..5_000 {
        answers += sent(&give(&mut utp, now, address(7), packet(Kind::Syn, number, 5, 0))).len();
    }
    assert_eq!(answers, usize::from(SYN_ANSWERS_PER_SOURCE_PER_S));
    assert_eq!(sent(&give(&mut utp, now, address(8), packet(Kind::Syn, 1, 5, 0))).len(), 1);
}

#[test]
fn one_address_does_not_take_all_places() {
    let (mut utp, now) = start();
    let mut opened = 0;
    for number in 0..200u16 {
        let now = now + Duration::from_secs(u64::from(number) / 20);
        let id = number * 3;
        let answer = sent(&give(&mut utp, now, address(7), packet(Kind::Syn, id, 5, 0)));
        let mut data = packet(Kind::Data, id + 1, 6, answer[0].seq.minus(1).0);
        data.push(1);
        let outputs = give(&mut utp, now, address(7), data);
        opened += usize::from(matches!(outputs.first(), Some(Output::Incoming { .. })));
    }
    assert_eq!(opened, usize::from(INCOMING_PER_SOURCE_MAX));
}

#[test]
fn strays_are_told_now_and_then_and_resets_never() {
    let (mut utp, now) = start();
    let mut answers = Vec::new();
    for number in 0..5_000u32 {
        let stray = packet(Kind::Data, 77, number as u16, 0);
        answers.extend(sent(&give(&mut utp, now, address(number << 8), stray)));
    }
    // By luck one or two of them may have the number that opens a connection.
    answers.retain(|header| header.kind == Kind::Reset);
    assert!(answers.len() as u64 <= RESETS_PER_S && answers.len() as u64 > RESETS_PER_S - 3);
    assert!(answers.iter().all(|header| header.connection == 77));
    let (mut utp, now) = start();
    assert_eq!(give(&mut utp, now, address(7), packet(Kind::Reset, 77, 1, 1)), []);
}

/// Whoever can send from any address, but does not see what is sent to it, cannot disturb a
/// connection but by luck; here it does not have it.
#[test]
fn forged_packets_change_nothing() {
    let run = |forge: bool| {
        let mut world = World::new(9);
        let (a, b) = world.pair(Path::of(ms(20)), Path::of(ms(20)));
        world.connect(a, b, 3_000_000);
        world.run_for(ms(300));
        let from = world.hosts[a].addr;
        let mut rng = Rng::new(Seed::from_u64(3));
        let kinds = [Kind::Data, Kind::Fin, Kind::State, Kind::Reset, Kind::Syn];
        for round in 0..2_000 {
            if forge {
                let kind = kinds[round % 5];
                let [id, seq, ack] = [0; 3].map(|_| rng.next_u32() as u16);
                let mut forged = packet(kind, id, seq, ack);
                forged.extend_from_slice(b"not from a");
                world.inject(b, from, forged);
            }
            world.run_for(ms(1));
        }
        assert!(world.run_while(Duration::from_secs(60), |world| world.received(b) < 3_000_000));
        assert_eq!(world.hosts[b].streams.len(), 1);
        world.received(b)
    };
    assert_eq!(run(true), run(false));
}

/// The same by who knows the connection's id: wrong numbers are still not believed.
#[test]
fn packets_with_wrong_numbers_change_nothing() {
    let (mut utp, now) = start();
    let answer = sent(&give(&mut utp, now, address(7), packet(Kind::Syn, 100, 5, 0)));
    let ack = answer[0].seq.minus(1).0;
    let mut data = packet(Kind::Data, 101, 6, ack);
    data.push(1);
    give(&mut utp, now, address(7), data);
    let state = format!("{utp:?}");
    for kind in [Kind::Data, Kind::Fin, Kind::State, Kind::Reset, Kind::Syn] {
        for (seq, wrong) in [
            (7, ack.wrapping_add(1)),
            (7, ack.wrapping_add(5_000)),
            (7, ack.wrapping_sub(5_000)),
            (6 + 1_100, ack.wrapping_add(1)),
        ] {
            if kind == Kind::Reset && wrong == ack.wrapping_add(1) {
                // Of the packet that we would send next: who names that has seen ours.
                continue;
            }
            // An opening packet has the other id.
            let id = if kind == Kind::Syn { 100 } else { 101 };
            let mut forged = packet(kind, id, seq, wrong);
            forged.push(1);
            assert_eq!(give(&mut utp, now, address(7), forged), [], "{kind:?} {seq} {wrong}");
        }
    }
    for kind in [Kind::Data, Kind::Fin, Kind::State] {
        let mut forged = packet(kind, 101, 6 + 1_100, ack);
        forged.push(1);
        assert_eq!(give(&mut utp, now, address(7), forged), []);
    }
    // But for the counters of datagrams nothing is different.
    let after = format!("{utp:?}");
    let counters = |text: &str| text.rfind("stats: ").unwrap();
    let (state, after) = (&state[..counters(&state)], &after[..counters(&after)]);
    let differs = state.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    assert!(state == after, "{} became {}", &state[differs - 40..], &after[differs - 40..]);
}
