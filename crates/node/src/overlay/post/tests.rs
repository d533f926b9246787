//! Letters between two of them, and a disk that fails.

use super::*;
use althing_overlay::machine::Config;
use althing_overlay::mail::envelope::KIND_TEXT;
use std::path::Path;

const NOW: Instant = Instant::from_nanos(1_000_000_000_000);
const UNIX: UnixTime = UnixTime(1_800_000_000);

fn keys(n: u8) -> Keys {
    Keys::from_secret(&[n; 32])
}

fn post(n: u8) -> (Post, Side) {
    let network = NetworkKey::derive("ours");
    let mut mail = althing_overlay::mail::Config::off();
    mail.is_home = true;
    let seed = Seed::from_u64(n.into());
    let config = Config::new(seed.fork("machine", 0), keys(n).node(), network);
    let mut side = Side::new(NOW, keys(n), Config { mail, ..config }, Vec::new(), seed);
    side.clock(NOW, UNIX, None);
    (Post::new(keys(n), network, seed, true), side)
}

fn letter(to: u8, text: &str) -> Letter {
    Letter { receiver: keys(to).node(), kind: KIND_TEXT, body: text.as_bytes().to_vec() }
}

fn store(path: &Path) -> ShelfStore {
    ShelfStore::open(path).expect("it opens")
}

#[test]
fn what_one_seals_the_other_reads_once_and_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (mut sender, _) = post(1);
    let (mut receiver, mut side) = post(2);
    let sent = sender.seal(UNIX, letter(2, "hello")).expect("it is sealed");
    let again = sender.seal(UNIX, letter(2, "hello")).expect("it is sealed");
    assert_ne!(sent.envelope.id(), again.envelope.id());
    let mut disk = store(dir.path());
    receiver.arrived(NOW, UNIX, &sent.envelope, &mut side);
    let written = receiver.turn(NOW, UNIX, &mut side, &mut disk);
    assert!(matches!(&written.told[..], [(Told::Kept(_), Some(Told::Later(_)))]));
    disk.write().expect("it is written");
    receiver.written(NOW, written, true, &mut side);
    // The same comes again.
    receiver.arrived(NOW, UNIX, &sent.envelope, &mut side);
    assert!(receiver.turn(NOW, UNIX, &mut side, &mut disk).is_empty());
    assert_eq!(receiver.mailbox.received().len(), 1);
    let (mut receiver, mut side) = post(2);
    receiver.restore(NOW, UNIX, disk.load_mail().expect("it is read"), &mut side);
    receiver.arrived(NOW, UNIX, &sent.envelope, &mut side);
    let received = receiver.mailbox.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].letter.body, b"hello");
    assert_eq!(received[0].letter.sender, keys(1).node());
}

#[test]
fn what_cannot_be_written_has_not_come() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (mut sender, _) = post(1);
    let (mut receiver, mut side) = post(2);
    let sent = sender.seal(UNIX, letter(2, "hello")).expect("it is sealed");
    let mut disk = store(dir.path());
    receiver.arrived(NOW, UNIX, &sent.envelope, &mut side);
    let written = receiver.turn(NOW, UNIX, &mut side, &mut disk);
    receiver.written(NOW, written, false, &mut side);
    assert!(receiver.mailbox.received().is_empty());
    // Later there is room.
    receiver.arrived(NOW, UNIX, &sent.envelope, &mut side);
    assert!(!receiver.turn(NOW, UNIX, &mut side, &mut disk).is_empty());
    assert_eq!(receiver.mailbox.received().len(), 1);
}

#[test]
fn what_is_for_somebody_else_is_nothing() {
    let (mut sender, _) = post(1);
    let (mut stranger, mut side) = post(3);
    let sent = sender.seal(UNIX, letter(2, "hello")).expect("it is sealed");
    stranger.arrived(NOW, UNIX, &sent.envelope, &mut side);
    assert!(stranger.mailbox.received().is_empty() && stranger.waiting.is_empty());
    assert!(sender.seal(UNIX, letter(1, "to myself")).is_err());
    let nobody = Letter { receiver: NodeId([0; 32]), ..letter(2, "hello") };
    assert!(sender.seal(UNIX, nobody).is_err());
}
