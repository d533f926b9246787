//! Running programs, and finding them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a task comes to: nothing, or a sentence that says what failed.
pub(crate) type Done = Result<(), String>;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// The folder for what is built: `CARGO_TARGET_DIR`, or `target`.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => root().join(path),
        None => root().join("target"),
    }
}

/// A folder under `target` for this program's own files, made if need be.
pub(crate) fn own_folder() -> Result<PathBuf, String> {
    let path = target().join("xtask");
    std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// The cargo that runs this program, in the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    command
}

/// Says what is run, runs it, and fails if it does.
pub(crate) fn must(command: &mut Command) -> Done {
    let line = line(command);
    println!("$ {line}");
    let status = command.status().map_err(|error| format!("`{line}` could not be run: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed ({status})")) }
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let name =
        |word: &OsStr| Path::new(word).file_name().unwrap_or(word).to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name(command.get_program())).chain(words).collect::<Vec<_>>().join(" ")
}

/// Whether a command ends well; it prints nothing.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether `cargo NAME` is installed.
pub(crate) fn has_cargo(name: &str) -> bool {
    works(&mut cargo([name, "--version"]))
}

/// Whether a program is on the path, or at a path of its own.
pub(crate) fn has_program(name: &str) -> bool {
    if name.starts_with('/') {
        return Path::new(name).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(name).is_file())
}

/// Whether this runs as root.
#[cfg(unix)]
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Whether this runs as root.
#[cfg(not(unix))]
pub(crate) fn is_root() -> bool {
    false
}
