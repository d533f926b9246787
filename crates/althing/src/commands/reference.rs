//! `completions` and `man`: made of the same definitions that parse the command line.

use crate::cli::Cli;
use crate::exit::Failure;
use crate::screen::Screen;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::path::PathBuf;

pub(super) fn completions(shell: Shell, screen: &Screen) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "althing", &mut script);
    screen.result(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

pub(super) fn man(dir: Option<PathBuf>, screen: &Screen) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            format!("the manual pages cannot be written: {error}"),
            "name a folder that is there and writable",
        )
    };
    match dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(failed)?;
            screen.result(String::from_utf8_lossy(&page).trim_end());
        }
        Some(dir) => {
            std::fs::create_dir_all(&dir).map_err(failed)?;
            clap_mangen::generate_to(Cli::command(), &dir).map_err(failed)?;
            screen.note(&format!("The pages are in {}.", dir.display()));
        }
    }
    Ok(())
}
