//! `cargo xtask dev`: a peer to try things on.

use crate::run::{Done, cargo, must, target};

/// Builds the debug binary and runs `althing up` with a folder of its own.
pub(crate) fn run(arguments: &[String]) -> Done {
    let folder = target().join("dev");
    println!(
        "a peer from this tree, in {}: its own folder, API at 127.0.0.1:7727, peers at port 7726, \
         so that a peer you use beside it is left alone; it ends with Ctrl-C and keeps its folder",
        folder.display()
    );
    must(
        cargo(["run", "--package", "althing", "--", "--dir"])
            .arg(&folder)
            .args(["up", "--api-listen", "127.0.0.1:7727", "--listen", "7726"])
            .args(arguments)
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "debug".to_owned())),
    )
}
