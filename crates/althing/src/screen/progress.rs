//! Progress of long work: a bar that redraws on a terminal, a line now and then elsewhere.

use super::{Screen, units};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;
use tokio::time::Instant;

/// Time between two plain lines, …
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// … and before the first: what is done sooner needs none.
const FIRST_LINE_AFTER: Duration = Duration::from_secs(2);

/// How a bar looks where there is something to measure, and where there is not.
const MEASURED: &str = "{prefix} {bar:24.cyan/dim} {percent:>3} %  {msg}";
const UNMEASURED: &str = "{prefix} {msg}";

/// Progress of one piece of work.
pub(crate) struct Progress {
    screen: Screen,
    what: String,
    bar: Option<ProgressBar>,
    next_line: Instant,
}

impl Progress {
    /// Progress of `what`, a word or two.
    pub(crate) fn new(screen: &Screen, what: impl Into<String>) -> Self {
        let bar = screen.redraws().then(|| screen.bars().add(ProgressBar::new(0)));
        let mut progress = Progress {
            screen: screen.clone(),
            what: String::new(),
            bar,
            next_line: Instant::now() + FIRST_LINE_AFTER,
        };
        progress.name(what);
        progress
    }

    /// It is called so from now on.
    pub(crate) fn name(&mut self, what: impl Into<String>) {
        self.what = what.into();
        if let Some(bar) = &self.bar {
            bar.set_prefix(self.what.clone());
        }
    }

    /// So many bytes of so many are done; `rest` says more about it.
    pub(crate) fn update(&mut self, done: u64, total: u64, rest: &str) {
        if total == 0 {
            // Not counted yet.
            return;
        }
        let text = format!("{} of {}  {rest}", units::bytes(done), units::bytes(total));
        match &self.bar {
            Some(bar) => {
                bar.set_style(style(MEASURED));
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(text);
                bar.tick();
            }
            None => {
                let percent = units::percent(done, total);
                self.line(&format!("{} {percent:>3} %  {text}", self.what));
            }
        }
    }

    /// Nothing to measure yet, or any more.
    pub(crate) fn say(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_style(style(UNMEASURED));
                bar.set_message(text.to_owned());
                bar.tick();
            }
            None => self.line(&format!("{} {text}", self.what)),
        }
    }

    fn line(&mut self, text: &str) {
        let now = Instant::now();
        if now >= self.next_line && self.screen.shows_progress() {
            self.next_line = now + LINE_INTERVAL;
            self.screen.note(text.trim());
        }
    }

    /// Takes it off the screen.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            self.screen.bars().remove(&bar);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("both templates are right, as the test shows")
        .progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_right() {
        style(MEASURED);
        style(UNMEASURED);
    }
}
