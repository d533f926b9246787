//! How large mail is, how long and by how many it is kept, and how far it is looked for. Each bound says its
//! unit, what happens past it and where it comes from.

use std::time::Duration;

/// Bytes to which what is sealed is filled up; the smallest that it fits. A carrier learns one of four
/// sizes and no more (guess: a few sentences, a page, a contract, one that has much in it).
pub const SIZES: [usize; 4] = [512, 2_048, 8_192, 15_872];

/// Bytes of what is sealed beside the message itself: sender, signature, time, token, kind, length.
pub const SEALED_OVERHEAD_BYTES: usize = 32 + 64 + 8 + 32 + 1 + 2;

/// Bytes of a message; a longer one is not sealed.
pub const BODY_BYTES_MAX: usize = SIZES[3] - SEALED_OVERHEAD_BYTES;

/// Bytes of an envelope beside what is filled up: version, tag, commitment, expiry, key, authentication, and
/// the number of the stamp.
pub const ENVELOPE_OVERHEAD_BYTES: usize = 1 + 32 + 32 + 8 + 32 + 16 + 8;

/// Bytes of the largest envelope.
pub const ENVELOPE_BYTES_MAX: usize = SIZES[3] + ENVELOPE_OVERHEAD_BYTES;

/// Seconds for which mail is kept, at most. What Bisq keeps messages between traders for.
pub const LIFETIME_MAX_S: i64 = 15 * 24 * 3_600;

/// Seconds by which mail may live longer than that by our clock: clocks that nobody sets differ by minutes.
pub const CLOCK_SLACK_S: i64 = 10 * 60;

/// Seconds for which the tag of a receiver stays the same. The mail that is alive at a time
/// has two tags, three for some minutes.
pub const TAG_PERIOD_S: i64 = LIFETIME_MAX_S;

/// Leading zero bits of the stamp of an envelope of the smallest size, and one more for each size: a second
/// of one core for a copy of 512 bytes that is kept for 15 days, eight for 16 KiB.
pub const WORK_BITS: u32 = 20;

/// Carriers that are wanted for one mail. Of eight, each of which is there a fourth of the time and one of ten
/// of which drops it, one at least is there nine times of ten; those who are there look for others besides.
pub const COPIES: usize = 8;

/// Fewer other carriers than these, and one that looks places further copies.
pub const COPIES_MIN: usize = 4;

/// Steps that a copy goes before it may be kept, drawn by its sender: the first says nothing of who it is.
pub const DEPOSIT_STEPS: (u8, u8) = (2, 4);

/// Further steps on which it looks for somebody who has room.
pub const DEPOSIT_DETOUR: u8 = 3;

/// Steps that a copy may have left; more are refused.
pub const DEPOSIT_STEPS_MAX: u8 = DEPOSIT_STEPS.1 + DEPOSIT_DETOUR;

/// Mails of one tag that a carrier keeps; past them the one with the least work gives way to one that has
/// more, or the new one goes elsewhere. Who floods one receiver fills the places of carriers that he
/// finds, and mail by others is somewhere else.
pub const TAG_MAILS_MAX: usize = 64;

/// Bytes of them.
pub const TAG_BYTES_MAX: usize = 256 * 1024;

/// Bytes that a carrier keeps unless it is told otherwise.
pub const CARRIED_BYTES: usize = 64 * 1024 * 1024;

/// Mails that a carrier keeps, whatever their size.
pub const CARRIED_MAX: usize = 65_536;

/// Receipts that are remembered; past them the one that expires first is forgotten. 140 bytes each.
pub const RECEIPTS_MAX: usize = 65_536;

/// Bytes of envelopes a second that one link may bring, and at once; past them they are dropped.
pub const LINK_BYTES_PER_S: (u64, u64) = (4 * 1024, 1024 * 1024);

/// Messages a second that the questions of one link may cause, and at once.
pub const LINK_ASKS_PER_S: (u64, u64) = (50, 2_048);

/// Messages that one question may cause, that which brings it included.
pub const BUDGET_MAX: u16 = 1_024;

/// Ways that one question may take at the same time.
pub const WIDTH_MAX: u8 = 64;

/// Messages with which a neighbour is asked next to whom somebody seems to have it.
pub const NEAR_BUDGET: u16 = 4;

/// Ways that questions and copies have gone, as far as they are known; past them the oldest is forgotten.
pub const WAYS_MAX: usize = 8_192;

/// Those of them that came on one link; past them a further one ends here, so that nobody makes us forget
/// others' ways.
pub const WAYS_OF_LINK_MAX: usize = 512;

/// How long they are known: until what is carried back and forth has been.
pub const WAY_TIME: Duration = Duration::from_secs(90);

/// Answers that are passed back on one way.
pub const HOLDERS_MAX: usize = 64;

/// Envelopes that one way carries back for who asked; past them it asks anew.
pub const WAY_MAILS_MAX: usize = 64;

/// Tags that one question is about: those of one receiver.
pub const TAGS_MAX: usize = 3;

/// Mails and receipts that one answer names, each.
pub const NAMED_MAX: usize = 64;

/// Mails that are asked for in one message.
pub const ASKED_MAX: usize = 8;

/// How who has mail to send looks for its receiver: messages, ways at a time, and how long is waited. Copies are
/// placed with the last.
pub const SEND_ROUNDS: [(u16, u8, Duration); 3] = [
    (60, 8, Duration::from_millis(1_200)),
    (300, 20, Duration::from_millis(2_500)),
    (600, 32, Duration::from_secs(6)),
];

/// How a receiver, or a carrier that wants to know who else is one, looks for carriers.
pub const FETCH_ROUNDS: [(u16, u8, Duration); 2] =
    [(60, 8, Duration::from_millis(1_500)), (300, 20, Duration::from_secs(5))];

/// How long after the first neighbour a receiver looks for mail: neighbours have told by then what is near.
pub const FETCH_FIRST: Duration = Duration::from_secs(4);

/// And how long after each time it looks again; the last stands for all after it.
pub const FETCH_AGAIN: [Duration; 4] = [
    Duration::from_secs(20),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
];

/// At the soonest so long after the last time it looks because a neighbour seems to know of some.
pub const NUDGE_AFTER: Duration = Duration::from_secs(20);

/// How long after each time a sender looks again for its receiver, and whether enough carriers are there.
pub const SEND_AGAIN: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(3_600),
    Duration::from_secs(3 * 3_600),
    Duration::from_secs(6 * 3_600),
];

/// How often a carrier looks whether there are others, for all mail of one tag, on average.
pub const CENSUS_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// And for how many tags: one in this time, so that who carries much asks no more than who carries little.
pub const CENSUS_GAP: Duration = Duration::from_secs(20);

/// At the soonest so long after it was started, or got mail back from its disk.
pub const CENSUS_FIRST: Duration = Duration::from_secs(10 * 60);

/// Mail that was asked for and does not come is asked of another after this time.
pub const GET_PATIENCE: Duration = Duration::from_secs(6);

/// Mails that are on their way to us, or being looked at; past them the next waits.
pub const COMING_MAX: usize = 64;

/// Those of them that one carrier says it has.
pub const COMING_OF_ONE_MAX: usize = 16;

/// Mails that turned out to be none, which are not asked for again; past them the oldest is forgotten.
pub const JUNK_MAX: usize = 4_096;

/// Peers that are believed to be the receiver, for one mail at a time: who lies gets a copy to carry.
pub const HOMES_TRIED_MAX: usize = 3;

/// Mails of our own that wait for their receivers; a further one is refused.
pub const SENDING_MAX: usize = 1_024;

/// Mails that a user has; past them none is taken in, and carriers keep it. Half of this, of the bytes and of what
/// is remembered is for those to whom the user has written.
pub const INBOX_MAX: usize = 8_192;

/// Bytes of their messages.
pub const INBOX_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Mails of one sender that the user has not read; past them none of his is taken in.
pub const OF_SENDER_UNREAD_MAX: usize = 100;

/// Mails of which it is remembered that they have come, until they would have expired; past them none is
/// taken in, for one that is forgotten could come again.
pub const SEEN_MAX: usize = 65_536;

/// Mails that a user has sent and not thrown away; past them none is sent.
pub const SENT_MAX: usize = 8_192;

/// What we are doing at a time; past it the next waits.
pub const ERRANDS_MAX: usize = 16;

const _: () = assert!(ENVELOPE_BYTES_MAX + 64 <= crate::limits::MESSAGE_BYTES_MAX);
const _: () = assert!(COPIES_MIN < COPIES && NAMED_MAX * 96 < crate::limits::MESSAGE_BYTES_MAX);
const _: () = assert!(TAG_MAILS_MAX <= NAMED_MAX);
