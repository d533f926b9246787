//! How far questions go, how much of neighbours' indexes is kept, and how often it is told. Each bound says
//! its unit, what happens past it and where it comes from.

use std::time::Duration;

/// Bytes of a word; a longer one is cut, by whoever asks and whoever answers alike (guess: the longest
/// words of a dictionary have some 30 letters).
pub const WORD_BYTES_MAX: usize = 32;

/// Words of a question; one with more is refused, ours are cut.
pub const QUERY_WORDS_MAX: usize = 8;

/// Words by which one listing is found: those of its name come first. It bounds what somebody gains who
/// puts a dictionary in a description.
pub const WORDS_OF_LISTING_MAX: usize = 64;

/// Bytes of the path of a file in a torrent, as an answer says it; what is longer is not said (guess).
pub const PATH_BYTES_MAX: usize = 1_024;

/// Bytes of what stands around the words in a page (guess: three lines).
pub const SNIPPET_BYTES_MAX: usize = 512;

/// Questions of others that are being looked for in the index on disk at a time; past them it is not asked.
pub const CONSULTS_MAX: usize = 16;

/// How long the index on disk has time; what it finds later is given to nobody.
pub const CONSULT_WAIT: Duration = Duration::from_secs(1);

/// Questions a second for which the index on disk is asked, and at once, all links together (guess: a
/// hundredth of a core).
pub const CONSULTS_PER_S: (u64, u64) = (20, 60);

/// Listings that a node offers from memory; one more is refused. The index on disk is not bound by it.
pub const OFFERED_MAX: usize = 16_384;

/// Listings that are looked at for one question; past them the question is taken for answered.
pub const LOOKED_AT_MAX: usize = 512;

/// Terms of one message of an index: 8 KiB at the most.
pub const TERMS_PER_MESSAGE_MAX: usize = 4_096;

/// Terms of a neighbour's own index, and of the one of its neighbours: 256 KiB and 1 MiB of memory. Past
/// them it is parted with, and of our own the rest is not told.
pub const TERMS_MAX: [usize; 2] = [65_536, 262_144];

/// How long changes of one's own index, and of the neighbours', are gathered before they are told. A
/// neighbour that comes and goes is told of once or not at all.
pub const TELL_AFTER: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// Terms a second that one link may tell, and at once; past them the link is closed. Whoever keeps to
/// [`TELL_AFTER`] and shares what people share stays far below.
pub const TERMS_PER_S: (u64, u64) = (16_384, 1_048_576);

/// Messages that one question may cause, that which brings it included.
pub const BUDGET_MAX: u16 = 1_024;

/// Ways that one question may take at the same time.
pub const WIDTH_MAX: u8 = 64;

/// Messages a second that the questions of one link may cause, and at once; past them a question goes less
/// far, and then nowhere. It is what a neighbour is worth that asks all the time.
pub const BUDGET_PER_S: (u64, u64) = (100, 4_096);

/// Messages with which a neighbour is asked of whose neighbours one seems to know: itself, the one it
/// means, and two for indexes that say too much.
pub const NEAR_BUDGET: u16 = 4;

/// Questions whose way back is known; past them the oldest is forgotten.
pub const SEEN_MAX: usize = 4_096;

/// How long it is known.
pub const SEEN_TIME: Duration = Duration::from_secs(60);

/// Answers that are passed back for one question; past them there are enough.
pub const ANSWERS_PASSED_MAX: usize = 64;

/// Answers that one node gives to one question, and records in one message of them.
pub const ANSWERS_OF_NODE_MAX: usize = 16;

/// Pages of one listing that are passed back for one question; past them there are enough.
pub const PAGES_OF_RECORD_MAX: usize = 4;

/// Questions of our own at a time; past them the oldest is given up.
pub const ASKING_MAX: usize = 64;

/// Distinct answers that are wanted at the most.
pub const WANTED_MAX: u8 = 64;

/// How long after a link is made its peer is tested for the first time: whether it says that it has heard a
/// question. Every neighbour's first test is over before it matters.
pub const TEST_FIRST: Duration = Duration::from_secs(8);

/// How long it has to say so: a line whose queues hold seconds gets over it.
pub const TEST_WAIT: Duration = Duration::from_secs(4);

/// How often it is tested, if it does. A test and its answer are 35 bytes.
pub const TEST_EVERY: Duration = Duration::from_secs(600);

/// And how soon after it did not, twice as late each time. Until it does it gets no questions.
pub const TEST_RETRY: Duration = Duration::from_secs(30);

/// Questions that were given to a neighbour to walk on without any answer, after which others come first. One
/// in ten questions or so is answered through a given neighbour, so that of those who do their part one in
/// thirty is wronged, and no more than in that it is chosen last (guess).
pub const BRINGS_NOTHING_AFTER: u32 = 32;

/// Questions after which those before count for half.
pub const TESTED_ALIKE: u32 = 256;

/// Different questions that came by lately and are kept in mind, so that it is seen who has an answer to everything.
pub const RECENT_MAX: usize = 64;

/// Those of them that one link brought: who asks a neighbour of ours for all that it has does not make it look as
/// if it had everything.
pub const RECENT_OF_LINK_MAX: usize = 16;

/// Fewer of them say nothing of anybody.
pub const RECENT_LEAST: usize = 16;

/// Who has an answer to one in so many of them is in doubt (guess: what one node of a hundred has is common, and a
/// quarter of all that anybody looks for is with nobody but in small groups).
pub const DOUBTFUL_FROM: usize = 4;

/// And until it is fewer than one in so many.
pub const DOUBTFUL_UNTIL: usize = 8;

/// Neighbours who offer anything; if there are as many, what they all have is common, and nobody is in doubt for it.
pub const ALIKE_LEAST: usize = 4;

/// Neighbours in doubt that are asked directly for a question of our own.
pub const DOUBTFUL_ASKED: usize = 2;

/// And one is for one in so many questions of others: more answers that are in doubt help nobody.
pub const DOUBTFUL_ASKED_ONE_OF: u64 = 4;

/// Doubtful answers that are passed back for one question; further ones are dropped.
pub const DOUBTFUL_PASSED_MAX: usize = 16;

/// Answers of one author that are passed back for one question, and of one link: neither takes all places.
pub const PASSED_OF_AUTHOR_MAX: usize = 16;

/// See [`PASSED_OF_AUTHOR_MAX`].
pub const PASSED_OF_LINK_MAX: usize = 48;

/// Of what is wanted so great a part, and one at least, counts that one author has signed, that one link brought (if
/// there are so many), that was said by strangers whom the DHT named; and so great a part, or none, that is in doubt. The
/// rest is shown, and ends no search.
pub const COUNTS_ONE_OF: usize = 4;

/// How long a question that may go other ways, too, waits for what comes by way of the DHT before it does: a
/// look into the DHT takes a second (half of them, 0.2 s: Jimenez 2011), a call and a question half a second.
pub const DHT_PATIENCE: Duration = Duration::from_secs(4);

/// Words of a question of which the DHT is asked who has them, the rarest first; the second only if nobody
/// was found by the first.
pub const KEYS_OF_QUESTION_MAX: usize = 2;

/// How long the DHT has time to name anybody; past it the key is taken for one at which nobody is.
pub const TERM_WAIT: Duration = Duration::from_secs(12);

/// Addresses that the DHT names for one question; further ones are not looked at.
pub const CANDIDATES_MAX: usize = 1_024;

/// Those of them that are called for one question, chosen by chance; past them it is taken for answered.
pub const VISITS_OF_QUESTION: usize = 24;

/// Those of them that are called at the same time, and no more than one beyond what is wanted; who does not
/// answer for [`VISIT_PATIENCE`] does not count.
pub const VISITS_AT_ONCE: usize = 6;

/// See [`VISITS_AT_ONCE`].
pub const VISIT_PATIENCE: Duration = Duration::from_millis(1_200);

/// Those of one network (/24, or /48 of IPv6) that are called: who has one address has its neighbours, and
/// can have each of them named.
pub const VISITS_OF_NETWORK: usize = 2;

/// How long somebody has who is called, until there is a link, and who is asked, until he answers.
pub const VISIT_CALL: Duration = Duration::from_secs(7);

/// See [`VISIT_CALL`]. It is longer than his index on disk has.
pub const VISIT_ANSWER: Duration = Duration::from_secs(3);

/// How long somebody who has answered is waited for because there may be more, if more is wanted.
pub const VISIT_LINGER: Duration = Duration::from_millis(1_500);

/// Addresses that are not called for some time because nobody answered there, or nothing; past them the
/// oldest is forgotten.
pub const BARREN_MAX: usize = 256;

/// See [`BARREN_MAX`].
pub const BARREN_TIME: Duration = Duration::from_secs(600);

/// Questions of one visitor; further ones on the same link are not answered. Several may have been waiting
/// for the link.
pub const VISITOR_QUESTIONS_MAX: u8 = 4;

/// Visitors at a time whose questions are counted; a further one is not answered. There are no more links
/// of this kind.
pub const VISITORS_MAX: usize = 32;

/// Words for which a node has itself named in a DHT that belongs to everybody: some fourteen calls each, every
/// half hour, is one in four seconds (guess).
pub const ANNOUNCED_RARE_MAX: usize = 32;

/// Of so many neighbours that offer a word, or lead to somebody who does, it is still rare: with some thirty
/// nodes around, of a word that one node of a hundred has nearly all say so, and of one that one of three has one in
/// a hundred. In a group of a hundred, of whom two have something, both may be neighbours.
pub const RARE_SEEN_MAX: usize = 2;

/// Words of one listing among them, the rarest.
pub const WORDS_OF_LISTING_ANNOUNCED: usize = 2;

/// Words for which a node has itself named in a DHT of a group's own.
pub const ANNOUNCED_ALL_MAX: usize = 4_096;

/// Listings whose words are looked at for that.
pub const ANNOUNCED_OF_LISTINGS: usize = 4_096;

/// How long after something is offered, or neighbours have told what they have, it is looked at which words
/// are to be announced: by then most have told.
pub const ANNOUNCE_AFTER: Duration = Duration::from_secs(45);

/// And how long until it is looked at again.
pub const ANNOUNCE_EVERY: Duration = Duration::from_secs(600);

/// How long after something is offered it is announced in a DHT of a group's own: what is offered at
/// once, after a start, is announced together.
pub const ANNOUNCE_ALL_AFTER: Duration = Duration::from_millis(300);

/// And how long until it is looked at again there.
pub const ANNOUNCE_ALL_EVERY: Duration = Duration::from_secs(2);

/// Messages of a question for each other node that is known, after which all of them have been asked, as long as
/// all that were ever heard of are known: then it is not asked again with more. By chance alone twelve nodes
/// have all been asked after some 35 messages; questions look for nodes where they have not been.
pub const ENOUGH_FOR_EACH: u64 = 8;

/// How long the last answers to such a question are waited for: an index on disk has [`CONSULT_WAIT`].
pub const LAST_WAIT: Duration = Duration::from_millis(1_300);

/// How a question goes out: so many messages, on so many ways, and so long is waited before the next time, if
/// it is not answered. What is near or common is found by the first. Few
/// ways, that go far, find more than many: whatever spreads around who asks has been there before (of single
/// copies among 10,000 nodes 99 % with these widths, and 67 % with up to 255 ways).
pub const ROUNDS: [(u16, u8, Duration); 5] = [
    (40, 8, Duration::from_millis(900)),
    (120, 12, Duration::from_millis(1_500)),
    (360, 24, Duration::from_millis(2_000)),
    (680, 32, Duration::from_millis(2_800)),
    (680, 32, Duration::from_millis(2_800)),
];

const _: () = assert!(LAST_WAIT.as_millis() > CONSULT_WAIT.as_millis());
const _: () = assert!(ANSWERS_OF_NODE_MAX <= ANSWERS_PASSED_MAX);
const _: () = assert!(ANSWERS_OF_NODE_MAX <= PASSED_OF_AUTHOR_MAX);
const _: () = assert!(PASSED_OF_LINK_MAX < ANSWERS_PASSED_MAX);
const _: () = assert!(DOUBTFUL_PASSED_MAX < ANSWERS_PASSED_MAX);
const _: () = assert!(DOUBTFUL_FROM < DOUBTFUL_UNTIL && RECENT_LEAST <= RECENT_MAX);
const _: () = assert!(BRINGS_NOTHING_AFTER < TESTED_ALIKE / 2);
const _: () = assert!(VISITS_AT_ONCE <= VISITS_OF_QUESTION);
const _: () = assert!(WORDS_OF_LISTING_ANNOUNCED <= ANNOUNCED_RARE_MAX);
const _: () = assert!(TERMS_MAX[0] <= TERMS_MAX[1]);
