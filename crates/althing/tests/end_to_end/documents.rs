//! The process that reads documents for the daemon.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// What it makes of a document.
fn read(format: &str, document: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_althing"))
        .args(["read-document", format])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it was asked for");
    // An error means that it has read enough.
    let _ = stdin.write_all(document);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn documents_are_read_by_a_process_of_their_own() {
    let output = read("html", b"<title>The sea</title><p>is <b>wi</b>de");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "The sea\nis wide");
    for (format, document) in [("pdf", &b"%PDF-1.4 and no more"[..]), ("epub", b"PK"), ("exe", b"")]
    {
        let output = read(format, document);
        assert!(!output.status.success() && output.stdout.is_empty(), "{format}: {output:?}");
        assert!(!output.stderr.is_empty(), "{format}");
    }
}
