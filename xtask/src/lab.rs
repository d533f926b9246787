//! `cargo xtask lab`: the reports of the lab that stand in `docs/lab/`, tables and pictures.

use crate::run::{Done, cargo, must, root};
use std::fs::File;
use std::path::Path;

/// Takes 6 GB by itself.
const LARGE: &str = "growth";

/// Runs scenarios and writes what has come of them.
pub(crate) fn run(names: &[String]) -> Done {
    let folder = root().join("docs/lab");
    std::fs::create_dir_all(&folder).map_err(|error| said(&folder, &error))?;
    let names = if names.is_empty() { shipped()? } else { names.to_vec() };
    for name in &names {
        let (table, picture) =
            (folder.join(format!("{name}.md")), folder.join(format!("{name}.svg")));
        let out = File::create(&table).map_err(|error| said(&table, &error))?;
        must(
            cargo(["run", "--quiet", "--release", "--package", "althing-sim", "--"])
                .args(["--overlay", name, "--format", "markdown", "--svg"])
                .arg(&picture)
                .stdout(out),
        )?;
    }
    Ok(())
}

/// The scenarios that come with the program.
fn shipped() -> Result<Vec<String>, String> {
    let folder = root().join("crates/sim/scenarios");
    let files = std::fs::read_dir(&folder).map_err(|error| said(&folder, &error))?;
    let names = files.filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.filter(|name| name != LARGE).collect();
    names.sort();
    Ok(names)
}

fn said(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
