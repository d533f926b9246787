//! `bench files`: runs the sections, keeps what they measured and writes the report.

use crate::options::Options;
use crate::results::{Results, caught};
use crate::sections::Section;
use crate::{report, root};
use althing_tests::tools;

/// Runs the sections asked for, one after the other. One that fails stops no other.
///
/// # Errors
/// A sentence a failed section.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut failed = Vec::new();
    // What a failure has to say is kept where it is caught.
    std::panic::set_hook(Box::new(|_| {}));
    if options.measure {
        if let Some(why) = tools::obstacle(&["opentracker", "python3-libtorrent"]) {
            return Err(format!("{why}; `cargo xtask test` installs what is missing, as root"));
        }
        for section in &options.sections {
            println!("\n{}:", section.name());
            if let Err(why) = section_run(*section, options) {
                println!("{} failed: {why}", section.name());
                failed.push(section.name());
            }
        }
    }
    if options.keep || !options.measure {
        let kept: Vec<(Section, Results)> = Section::ALL
            .into_iter()
            .filter_map(|section| Some((section, Results::kept(section.name())?)))
            .collect();
        report::write(&root().join("docs"), &kept)?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn section_run(section: Section, options: &Options) -> Result<(), String> {
    let results = caught(|| section.measure(options))?;
    let page = section.page(&results);
    println!("\n{}", page.text);
    print!("{}", report::marks(&page.marks));
    if results.rows.is_empty() {
        return Err("nothing could be measured".to_owned());
    }
    if options.keep { results.keep(section.name()) } else { Ok(()) }
}
