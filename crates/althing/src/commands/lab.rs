//! `lab`: the simulator, for anyone: what the overlay does among thousands of peers.

use crate::cli::{Lab, LabCommand, LabFormat, LabOverlays};
use crate::exit::{Exit, Failure};
use crate::screen::progress::Progress;
use crate::screen::{Screen, units};
use crate::signals::Signals;
use althing_sim::overlay::lab::{self, Bounded, Format, Pulse, Report, Scenario, ValueError, Way};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often somebody who waits is told how far it is.
const SHOWN_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn lab(args: Lab, screen: &Screen, signals: Signals) -> Result<(), Failure> {
    match args.what {
        LabCommand::Overlays(args) => overlays(args, screen, signals).await,
        LabCommand::List => list(screen),
        LabCommand::Show { name } => show(&name, screen),
    }
}

#[derive(Serialize)]
struct Listed {
    name: String,
    nodes: usize,
    about: String,
}

fn list(screen: &Screen) -> Result<(), Failure> {
    let mut all = Vec::new();
    for (name, _) in lab::SHIPPED {
        let scenario = load(name)?;
        let Scenario { name, nodes, about, .. } = scenario;
        all.push(Listed { name, nodes: nodes.get(), about });
    }
    screen.value(&all, false);
    let rows = all.iter().map(|listed| format!("{:<14} {}", listed.name, listed.about));
    screen.result(&rows.collect::<Vec<_>>().join("\n"));
    Ok(())
}

fn show(name: &str, screen: &Screen) -> Result<(), Failure> {
    let Some((name, text)) = lab::SHIPPED.iter().find(|(other, _)| *other == name) else {
        return Err(Failure::new(
            format!("there is no scenario \"{name}\""),
            "`althing lab list` names those that come with the program",
        )
        .with_exit(Exit::Usage));
    };
    screen.value(&serde_json::json!({ "name": name, "toml": text }), false);
    screen.result(text.trim_end());
    Ok(())
}

fn load(name: &str) -> Result<Scenario, Failure> {
    lab::load(name).map_err(|error| Failure::sentence(&error).with_exit(Exit::Usage))
}

/// The scenario that the command line means.
fn scenario(args: &LabOverlays) -> Result<Scenario, Failure> {
    let usage = |what: &str, error: &ValueError| {
        Failure::sentence(&format!("{what}: {error}")).with_exit(Exit::Usage)
    };
    let mut scenario = load(&args.scenario)?;
    if let Some(nodes) = args.nodes {
        scenario.nodes = Bounded::try_from(nodes).map_err(|error| usage("--nodes", &error))?;
    }
    if let Some(via) = &args.via {
        scenario.via = Way::list(via).map_err(|error| usage("--via", &error))?;
    }
    if let Some(questions) = args.questions {
        let questions = Bounded::try_from(questions);
        scenario.questions = questions.map_err(|error| usage("--questions", &error))?;
    }
    if let Some(part) = args.kill {
        scenario.kill(part);
    }
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    Ok(scenario)
}

async fn overlays(args: LabOverlays, screen: &Screen, mut signals: Signals) -> Result<(), Failure> {
    let scenario = scenario(&args)?;
    let format = match args.format {
        _ if screen.json() => Format::Json,
        LabFormat::Text => Format::Text,
        LabFormat::Markdown => Format::Markdown,
        LabFormat::Json => Format::Json,
        LabFormat::Svg => Format::Svg,
        LabFormat::Html => Format::Html,
    };
    let begun = Instant::now();
    let (told, mut tell) = mpsc::unbounded_channel();
    let pulse = Arc::new(Pulse::default());
    let beats = Arc::clone(&pulse);
    let mut running = tokio::task::spawn_blocking(move || {
        lab::run_watched(&scenario, &beats, &mut |what| {
            // Whoever has been interrupted reads no more.
            let _ = told.send(what.to_owned());
        })
    });
    let mut progress = Progress::new(screen, "");
    let mut shown = interval(SHOWN_EVERY);
    shown.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let report: Report = loop {
        tokio::select! {
            biased;
            Some(what) = tell.recv() => {
                let passed = units::duration(begun.elapsed());
                screen.note(&format!("{passed:>8}  {what}"));
            }
            _ = shown.tick() => {
                let passed = units::duration(begun.elapsed());
                progress.say(&format!(
                    "{passed:>8}  {} simulated, {:.1} million things have happened",
                    units::duration(pulse.simulated()),
                    pulse.events() as f64 / 1e6
                ));
            }
            done = &mut running => break done.map_err(|error| {
                Failure::new(format!("the simulation has ended early: {error}"), "")
            })?,
            () = signals.interrupted() => {
                return Err(Failure::interrupted("interrupted; there is no report", ""));
            }
        }
    };
    progress.clear();
    let passed = begun.elapsed();
    screen.note(&format!(
        "{} things happened in {} ({:.2} million a second)",
        report.events,
        units::duration(passed),
        report.events as f64 / passed.as_secs_f64() / 1e6
    ));
    let text = report.write(format);
    match &args.out {
        Some(path) => write(path, &text, screen),
        None if screen.json() => {
            screen.value(&report, false);
            Ok(())
        }
        None => {
            screen.result(text.trim_end());
            Ok(())
        }
    }
}

fn write(path: &Path, text: &str, screen: &Screen) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::new(
            format!("cannot write {}: {error}", path.display()),
            "name a file in a folder that is there",
        )
    })?;
    screen.note(&format!("The report is in {}.", path.display()));
    Ok(())
}
