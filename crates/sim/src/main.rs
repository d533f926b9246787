//! `althing-sim`: runs scenarios of the simulator and prints what came of them.

use althing_sim::datagrams;
use althing_sim::figures;
use althing_sim::overlay;
use althing_sim::overlay::lab::{self, Format};
use althing_sim::scenario::{self, Entry, SCENARIOS};
use althing_sim::tables::{self, TABLES};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

const USAGE: &str = "\
Runs BitTorrent swarms on a simulated network; one number reproduces a run.

Usage: althing-sim [--seed N] [--scenario NAME|all] [--peers N] [--timeline] [--json]
       althing-sim [--seed N] [--peers N] --table NAME|all|--fairness
       althing-sim [--seed N] [--peers N] --table dht --svg FILE
       althing-sim [--seed N] [--nodes N] --overlay NAME|all

  --seed N         the number from which everything that is left to chance follows (default 1)
  --scenario NAME  which to run (default all)
  --peers N        how many hosts fetch, instead of the scenario's own number
  --table NAME|all print a table of docs/ instead, as Markdown: crowd, liars, lines, churn or play;
                   dht, dht-marks, dht-crawl or dht-manners (of the DHT, --peers being its nodes)
  --svg FILE       also write what the table dht or a scenario of the lab says as a picture
  --overlay NAME|all  print a table about the overlay, as Markdown: broadcast, failure, partition, rest,
                   busy or search; or run a scenario of the lab, by its name or its file
                   (`althing lab list` names them, and `althing lab overlays` runs them, too)
  --format FORMAT  how the lab's report is written: text, markdown (default), json, svg or html
  --nodes N        how many nodes it has (default 10000, or the scenario's own number)
  --fairness       print the table of docs/simulator.md about policies instead, as Markdown
  --timeline       also print how the run went, a line every 5 s of simulated time
  --json           print JSON, an object a line

Ends with 0 if every host that had to finish did and nothing happened that must not.
";

/// What the command line asks for.
struct Options {
    seed: Option<u64>,
    scenario: String,
    peers: Option<u32>,
    fairness: bool,
    table: Option<String>,
    overlay: Option<String>,
    format: Format,
    nodes: Option<usize>,
    svg: Option<String>,
    timeline: bool,
    json: bool,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        seed: None,
        scenario: "all".into(),
        peers: None,
        fairness: false,
        table: None,
        overlay: None,
        format: Format::Markdown,
        nodes: None,
        svg: None,
        timeline: false,
        json: false,
    };
    while let Some(arg) = args.next() {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        let mut value =
            || inline.clone().or_else(|| args.next()).ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--seed" => options.seed = Some(number(&name, &value()?)?),
            "--peers" => options.peers = Some(number(&name, &value()?)?),
            "--scenario" => options.scenario = value()?,
            "--table" => options.table = Some(value()?),
            "--overlay" => options.overlay = Some(value()?),
            "--format" => options.format = value()?.parse()?,
            "--nodes" => options.nodes = Some(number(&name, &value()?)?),
            "--svg" => options.svg = Some(value()?),
            "--fairness" => options.fairness = true,
            "--timeline" => options.timeline = true,
            "--json" => options.json = true,
            "-h" | "--help" => return Ok(None),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    Ok(Some(options))
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} needs a number, not \"{value}\""))
}

/// The names and what they stand for.
fn list() -> String {
    SCENARIOS.iter().fold(String::from("Scenarios:\n"), |mut text, entry| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:<16} {}", entry.name, entry.summary);
        text
    })
}

fn chosen(name: &str) -> Result<Vec<&'static Entry>, String> {
    let chosen: Vec<&Entry> =
        SCENARIOS.iter().filter(|entry| name == "all" || name == entry.name).collect();
    if chosen.is_empty() {
        return Err(format!("there is no scenario \"{name}\"\n\n{}", list()));
    }
    Ok(chosen)
}

/// Runs one and writes what came of it; whether it was good.
fn run(entry: &Entry, options: &Options) -> Result<bool, String> {
    let scenario = (entry.make)(options.peers);
    let mut report =
        scenario::run(&*scenario, options.seed.unwrap_or(1)).map_err(|error| error.to_string())?;
    let mut text = String::new();
    if options.json {
        if !options.timeline {
            report.timeline.clear();
        }
        text = serde_json::to_string(&report).map_err(|error| error.to_string())?;
        text.push('\n');
    } else {
        let _ = writeln!(text, "{report}");
        if options.timeline {
            let _ = writeln!(text, "      s  running  finished  progress  copied  sent MiB");
            for at in &report.timeline {
                let _ = writeln!(
                    text,
                    "  {:>5}  {:>7}  {:>8}  {:>7.1}%  {:>6}  {:>8}",
                    at.at_s,
                    at.running,
                    at.finished,
                    100.0 * at.mean_progress,
                    at.copied_pieces,
                    at.sent_bytes >> 20
                );
            }
        }
    }
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(report.is_good())
}

/// Prints what the DHT costs, and draws it.
fn draw_dht(path: &str, options: &Options) -> Result<bool, String> {
    let most = options.peers.map_or(usize::MAX, |nodes| nodes as usize);
    let costs = datagrams::tables::costs(options.seed.unwrap_or(1), most);
    std::fs::write(path, datagrams::tables::svg(&costs))
        .map_err(|error| format!("cannot write {path}: {error}"))?;
    let text = format!("dht\n\n{}\n", datagrams::tables::markdown(&costs));
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(true)
}

/// Prints a table about the overlay, or all.
fn print_overlay(name: &str, options: &Options) -> Result<bool, String> {
    let tables = overlay::tables::TABLES;
    let chosen = || tables.iter().filter(|(other, _)| name == "all" || name == *other);
    if chosen().next().is_none() {
        return run_lab(name, options);
    }
    for (title, make) in chosen() {
        let rows = make(options.seed.unwrap_or(1), options.nodes.unwrap_or(overlay::tables::NODES));
        let text = format!("{title}\n\n{rows}\n");
        std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(true)
}

/// Runs a scenario of the lab.
fn run_lab(name: &str, options: &Options) -> Result<bool, String> {
    let mut scenario = lab::load(name).map_err(|error| error.to_string())?;
    if let Some(nodes) = options.nodes {
        scenario.nodes = u64::try_from(nodes)
            .unwrap_or(0)
            .try_into()
            .map_err(|error: lab::ValueError| format!("--nodes: {error}"))?;
    }
    scenario.seed = options.seed.unwrap_or(scenario.seed);
    let report = lab::run(&scenario, &mut |what| {
        // Nowhere is left to say that standard error is closed.
        let _ = writeln!(std::io::stderr(), "{what}");
    });
    if let Some(path) = &options.svg {
        std::fs::write(path, report.write(Format::Svg))
            .map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    let text = report.write(options.format);
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(true)
}

/// Prints a table, or all.
fn print_tables(name: &str, options: &Options) -> Result<bool, String> {
    let chosen = || TABLES.iter().filter(|(other, _)| name == "all" || name == *other);
    if chosen().next().is_none() {
        let names: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no table \"{name}\", only {}", names.join(", ")));
    }
    let mut good = true;
    for (title, make) in chosen() {
        let rows = tables::table(*make, options.seed.unwrap_or(1), options.peers)
            .map_err(|error| error.to_string())?;
        good &= !rows.contains("FAILED");
        let text = format!("{title}\n\n{rows}\n");
        std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(good)
}

fn main() -> ExitCode {
    let result = parse(std::env::args().skip(1)).and_then(|options| {
        let Some(options) = options else {
            let text = format!("{USAGE}\n{}", list());
            std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
            return Ok(true);
        };
        if options.fairness {
            let leechers = options.peers.unwrap_or(100);
            let rows = figures::fairness(options.seed.unwrap_or(1), leechers)
                .map_err(|e| e.to_string())?;
            std::io::stdout().write_all(rows.as_bytes()).map_err(|error| error.to_string())?;
            return Ok(true);
        }
        if let Some(path) = options.svg.as_ref().filter(|_| options.overlay.is_none()) {
            if options.table.as_deref() != Some("dht") {
                return Err("--svg goes with --table dht or a scenario of the lab".to_owned());
            }
            return draw_dht(path, &options);
        }
        if let Some(name) = &options.overlay {
            return print_overlay(name, &options);
        }
        if let Some(name) = &options.table {
            return print_tables(name, &options);
        }
        let mut good = true;
        for entry in chosen(&options.scenario)? {
            good &= run(entry, &options)?;
        }
        Ok(good)
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // Nowhere is left to say that standard error is closed.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}
