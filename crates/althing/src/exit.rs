//! How the program ends: its exit codes, and errors that say what happened, what it means and what
//! to do.

use althing_node::api::types::{ErrorBody, ErrorCode, ErrorReply};
use std::fmt;

/// An exit code; `althing --help` and docs/guide.md list them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// It did not work.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The torrent or link is not valid.
    InvalidTorrent = 3,
    /// No daemon answers, or it does not let us in.
    NoDaemon = 4,
    /// No torrent is called that, or several are.
    NoSuchTorrent = 5,
    /// Interrupted before it was done (128 + SIGINT).
    Interrupted = 130,
}

/// Why a command did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: ErrorBody,
}

impl Failure {
    /// A plain failure: what happened, and what to do.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure {
            exit: Exit::Failed,
            error: ErrorBody {
                code: ErrorCode::Failed,
                message: without_numbers(&message.into()),
                hint: hint.into(),
            },
        }
    }

    /// An error whose sentence says what to do after its last semicolon.
    pub(crate) fn sentence(error: &dyn fmt::Display) -> Self {
        let sentence = error.to_string();
        match sentence.rsplit_once("; ") {
            Some((message, hint)) => Failure::new(message, hint),
            None => Failure::new(sentence, ""),
        }
    }

    pub(crate) fn with_code(mut self, code: ErrorCode) -> Self {
        self.error.code = code;
        self.exit = exit_of(code);
        self
    }

    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The user stopped it before it was done.
    pub(crate) fn interrupted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::new(message, hint).with_exit(Exit::Interrupted)
    }

    /// Whether it is about a torrent that is not there.
    pub(crate) fn is_no_such_torrent(&self) -> bool {
        self.error.code == ErrorCode::NotFound
    }

    /// As `--json` prints it.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(&ErrorReply { error: self.error.clone() })
            .expect("an error has only string keys")
    }
}

/// The system's words about an error without the number that the standard library adds: it says
/// nothing that the words do not.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                plain.push_str(rest);
            }
            _ => {
                plain.push_str(" (os error ");
                plain.push_str(part);
            }
        }
    }
    plain
}

fn exit_of(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::InvalidTorrent => Exit::InvalidTorrent,
        ErrorCode::Unauthorized | ErrorCode::HostNotAllowed | ErrorCode::Stopping => Exit::NoDaemon,
        ErrorCode::NotFound | ErrorCode::Ambiguous => Exit::NoSuchTorrent,
        _ => Exit::Failed,
    }
}

impl From<ErrorBody> for Failure {
    fn from(error: ErrorBody) -> Self {
        Failure { exit: exit_of(error.code), error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error.message)?;
        if !self.error.hint.is_empty() {
            write!(f, "\n  {}", self.error.hint)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_stand_without_numbers() {
        for (text, plain) in [
            ("x: File exists (os error 17)", "x: File exists"),
            ("a (os error 1), b (os error 2); c", "a, b; c"),
            ("a (os error x) (os error", "a (os error x) (os error"),
        ] {
            assert_eq!(without_numbers(text), plain);
        }
    }

    #[test]
    fn sentences_fall_into_what_happened_and_what_to_do() {
        let failure = Failure::sentence(&"it broke; b; mend it");
        assert_eq!(failure.to_string(), "it broke; b\n  mend it");
        assert_eq!(Failure::sentence(&"it broke").to_string(), "it broke");
        assert_eq!(failure.exit, Exit::Failed);
        assert_eq!(failure.with_code(ErrorCode::InvalidTorrent).exit, Exit::InvalidTorrent);
    }
}
