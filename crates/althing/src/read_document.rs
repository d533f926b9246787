//! `althing read-document FORMAT`: what a daemon calls to have a document read, and nobody types.
//!
//! It reads the document from standard input and answers with its title on the first line and then its text. It
//! first takes from itself what a hostile document could use: memory, processor time, files. It is looked at
//! before all else, so that no thread runs and nothing is open.

use althing_index::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_CPU_S, DOCUMENT_MEMORY_BYTES};
use althing_index::read::{Format, read};
use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

/// The name of the command.
const COMMAND: &str = "read-document";

/// Does it, if that is what the command line says.
pub(crate) fn run(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let _program = arguments.next();
    if arguments.next()? != COMMAND {
        return None;
    }
    let format = arguments.next()?.to_str().and_then(Format::from_name);
    let result = match format {
        Some(format) => answer(format),
        None => Err("no such format".to_owned()),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // An error means that nobody listens any more.
            let _ = writeln!(io::stderr(), "{reason}");
            ExitCode::FAILURE
        }
    })
}

fn answer(format: Format) -> Result<(), String> {
    bound().map_err(|error| format!("cannot be bounded: {error}"))?;
    let mut bytes = Vec::new();
    let from = io::stdin().lock();
    from.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let document = read(format, &bytes).map_err(|error| error.to_string())?;
    let answer = format!("{}\n{}", document.title, document.text);
    io::stdout().lock().write_all(answer.as_bytes()).map_err(|error| error.to_string())
}

/// Bounds what this process may use from here on, and lets others go first.
#[cfg(unix)]
fn bound() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, nice, setrlimit};
    let bounds = [
        (Resource::As, DOCUMENT_MEMORY_BYTES),
        (Resource::Cpu, DOCUMENT_CPU_S),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        // Standard input and output, and no more.
        (Resource::Nofile, 3),
    ];
    for (resource, most) in bounds {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    // Whoever may not is read at its usual turn.
    let _ = nice(15);
    Ok(())
}

#[cfg(not(unix))]
fn bound() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_commands_are_not_for_it() {
        let run = |words: &[&str]| run(words.iter().map(OsString::from)).is_some();
        assert!(!run(&["althing"]));
        assert!(!run(&["althing", "status"]));
        assert!(run(&["althing", "read-document", "nonsense"]));
    }
}
