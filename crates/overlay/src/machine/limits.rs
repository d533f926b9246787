//! How records are compared, and when. Each bound says its unit, what happens past it and where it comes
//! from.

use std::time::Duration;

/// Bytes of a step of reconciliation that we write.
pub const STEP_BYTES_MAX: usize = 8 * 1024;

/// Reconciliations at a time that we began; past them the next waits for chance.
pub const SESSIONS_MAX: usize = 4;

/// A reconciliation, or a question for records, that nobody answers is given up after this time.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(15);

/// Reconciliations that one link may begin in ten seconds, and at once (the bucket counts steps: 20 in each
/// of them); past them steps are not answered.
pub const STEPS_PER_S: (u64, u64) = (2, 200);

/// When a neighbour has died, records are compared with another after this time, and up to as much
/// longer: what the dead one was about to send has passed somewhere else by then.
pub const AFTER_DEATH: Duration = Duration::from_secs(2);

/// Records that are wanted of one link; past them further ones are found by the next reconciliation.
pub const WANTED_MAX: usize = 4_096;

/// Records that are asked for at a time: an answer of half a megabyte at the most.
pub const NEEDED_AT_ONCE: usize = 64;

/// Bytes of records a second that one link gets because it reconciled, and at once; past them it gets
/// none, and asks again later.
pub const NEED_SERVED_BYTES_PER_S: (u64, u64) = (256 * 1024, 4 * 1024 * 1024);

/// Others of whom it is remembered what their clocks said; past them the first is forgotten.
pub const CLOCKS_MAX: usize = 16;

/// How long that is remembered.
pub const CLOCK_REMEMBERED_FOR: Duration = Duration::from_secs(3_600);

/// What a record is worth to the standing of who brought it first.
pub const SCORE_FIRST: i32 = 1;

/// What a record that nobody signed, or none at all, costs.
pub const SCORE_INVALID: i32 = -20;

/// What a record without the work that is asked for costs. An honest peer has other authors for
/// known than we do.
pub const SCORE_IDLE_STAMP: i32 = -2;

/// What it costs to announce a record and not to send it.
pub const SCORE_UNKEPT: i32 = -1;

/// What it costs to send what was not asked for.
pub const SCORE_UNASKED: i32 = -5;

const _: () = assert!(NEEDED_AT_ONCE <= crate::wire::limits::ASKED_MAX);
