//! How far one side of a handshake has come: what both sides do alike with their different steps.

use super::{Established, MseError};

/// Where a side stands; `S` are the steps of its own.
pub(super) enum Progress<S> {
    /// Under way.
    At(S),
    /// Both sides have come to something.
    Done(Established),
    /// An error was returned, or the outcome taken.
    Over,
}

/// What becomes of a step.
pub(super) enum Turn<S> {
    /// It is done; this one is next.
    Next(S),
    /// It is this one still: what it waits for is not there.
    Wait(S),
    /// It was the last one.
    Done(Established),
}

/// A side of the handshake.
pub(super) trait Steps {
    /// What it may be at.
    type Step;

    /// Where it stands.
    fn progress(&mut self) -> &mut Progress<Self::Step>;

    /// Does `step`, if what it needs is there.
    ///
    /// # Errors
    /// If what is there cannot be right.
    fn step(&mut self, step: Self::Step) -> Result<Turn<Self::Step>, MseError>;

    /// Does all steps for which there is what they need. After an error it is over.
    ///
    /// # Errors
    /// Those of the steps.
    fn advance(&mut self) -> Result<(), MseError> {
        loop {
            let step = match self.progress().take() {
                Progress::At(step) => step,
                other => {
                    *self.progress() = other;
                    return Ok(());
                }
            };
            let (progress, goes_on) = match self.step(step)? {
                Turn::Next(step) => (Progress::At(step), true),
                Turn::Wait(step) => (Progress::At(step), false),
                Turn::Done(established) => (Progress::Done(established), false),
            };
            *self.progress() = progress;
            if !goes_on {
                return Ok(());
            }
        }
    }
}

impl<S> Progress<S> {
    /// Where it stood; it is over unless it is put back.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Progress::Over)
    }

    /// What both sides have come to, once.
    pub(super) fn finish(&mut self) -> Option<Established> {
        match self.take() {
            Progress::Done(established) => Some(established),
            other => {
                *self = other;
                None
            }
        }
    }
}
