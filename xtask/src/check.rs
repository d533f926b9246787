//! `cargo xtask check`: what a change has to pass besides its tests.

use crate::run::{Done, cargo, has_cargo, must};

/// Format, lints, documentation; licences, bans and sources where cargo-deny is installed.
pub(crate) fn run() -> Done {
    must(&mut cargo(["fmt", "--all", "--check"]))?;
    must(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    must(cargo(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    if has_cargo("deny") {
        return must(&mut cargo(["deny", "check", "licenses", "bans", "sources"]));
    }
    println!(
        "cargo-deny is not installed, so licences, bans and sources (deny.toml) are unchecked"
    );
    Ok(())
}
