//! Hostile peers at volume: what an honest peer notices of them, and what they cost whom they attack.
//! The strangers are this program's own (`attack`), each with an address of its own.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use althing_tests::net::Host;
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::wait::{now, poll};

use crate::attack::{AWAY, Kind};
use crate::daemon::Daemon;
use crate::install;
use crate::measure::{END_LIMIT, Payload, compare, folder, mebibytes, network, payload, settle};
use crate::options::{Options, Sizes};
use crate::report::{Column, Page, median, short, table};
use crate::results::{Figures, Job, Results, Row};

/// How long an honest peer may take.
const HONEST_LIMIT: Duration = Duration::from_secs(60);

/// How long what is attacked is left alone before its memory is looked at again.
const CALM: Duration = Duration::from_secs(2);

/// How often the daemon is asked for the torrent's state.
const ASKED_EVERY: Duration = Duration::from_millis(20);

/// Where Althing listens.
const PORT: u16 = 7716;

/// Rows of the table that one round takes: more than one would take too long.
const ROUNDS: usize = 1;

pub(super) fn measure(options: &Options) -> Result<Results, String> {
    let program = install::althing()?;
    let v1 = payload(options.sizes.hostile_mib, "v1")?;
    let v2 = payload(options.sizes.hostile_mib, "v2")?;
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let wanted = |kind: Kind| kind == Kind::None || options.wants(kind.name());
    // Nobody attacks: a seed and a leecher, each to be compared with those that are attacked.
    let mut cases: Vec<(Kind, bool)> = vec![(Kind::None, false), (Kind::None, true)];
    let attacks = Kind::ALL.into_iter().filter(|kind| *kind != Kind::None);
    cases.extend(attacks.map(|kind| (kind, kind.is_after_leechers())));
    for (kind, leeches) in cases.into_iter().filter(|(kind, _)| wanted(*kind)) {
        let count = kind.count() / options.sizes.hostile_part;
        let label = match kind {
            Kind::None => kind.words().to_owned(),
            _ => format!("{count} {}", kind.words()),
        };
        let payload = if kind.needs_v2() { &v2 } else { &v1 };
        let case = Case { program: &program, kind, count, leeches, payload };
        let whom = if leeches { "leecher" } else { "seed" };
        jobs.push(Job {
            label,
            peer: kind.name().to_owned(),
            other: whom.to_owned(),
            measure: Box::new(move || case.run(&options.sizes)),
        });
    }
    let sizes = [
        ("mib", v1.mebibytes()),
        ("warm_up_s", options.sizes.hostile_warm_up_s as f64),
        ("limit_s", HONEST_LIMIT.as_secs_f64()),
    ];
    Ok(Results::measure(ROUNDS, &sizes, &mut jobs))
}

/// One attack.
struct Case<'a> {
    program: &'a Path,
    kind: Kind,
    count: usize,
    /// Whether what is attacked fetches; else it seeds.
    leeches: bool,
    payload: &'a Payload,
}

/// What was seen of the attacked daemon meanwhile.
#[derive(Default)]
struct Seen {
    /// How long each answer took, milliseconds.
    answers_ms: Vec<f64>,
    unanswered: usize,
    peak_bytes: u64,
}

impl Case<'_> {
    fn run(&self, sizes: &Sizes) -> Result<Figures, String> {
        let mut network = network();
        let attacked = network.host("attacked");
        let (strangers, honest) = (network.host("strangers"), network.host("honest"));
        // All addresses of a network are the strangers' own, without being put down one by one; and
        // what is sent to addresses that nobody has gets lost there.
        strangers.configure(&["route", "add", "local", "10.78.0.0/16", "dev", "lo"]);
        let via = strangers.ip().to_string();
        for far in ["10.78.0.0/16", "198.18.0.0/15"] {
            attacked.configure(&["route", "add", far, "via", &via]);
        }
        let scratch = Scratch::at(folder().join("run"));
        rustix::fs::sync();

        // The honest one is not to be met before it is let in.
        let settings = "[network]\nlsd = false\n";
        let daemon = Daemon::start(self.program, &attacked, &scratch.dir("attacked"), settings);
        daemon.until_up();
        let copy = scratch.dir("copy");
        let data = self.payload.file.parent().unwrap_or_else(|| Path::new("/"));
        let mut adding = daemon.command();
        adding.arg("get").arg(&self.payload.torrent);
        adding.arg("-o").arg(if self.leeches { &copy } else { data });
        let adding = Process::start("get", adding, scratch.path());
        let there = || {
            let session = daemon.session().ok()?;
            let what = if self.leeches { "torrents" } else { "seeding" };
            (session[what] == 1).then_some(())
        };
        if poll(END_LIMIT, there).is_none() {
            return Err(format!("it does not begin\n{}{}", adding.tail(), daemon.process.tail()));
        }
        let seed = self.leeches.then(|| self.honest_seed(&honest, &scratch));
        settle(&daemon.process);
        let before = daemon.process.memory().resident_bytes;

        let stop = AtomicBool::new(false);
        let watched = std::thread::scope(|scope| {
            let watching = scope.spawn(|| self.watch(&daemon, &stop));
            let done = self.attack(sizes, &daemon, &strangers, &honest, &scratch, &copy);
            stop.store(true, Ordering::Relaxed);
            let seen = watching.join().map_err(|_| "the watch broke off".to_owned());
            done.and_then(|figures| Ok((figures, seen?)))
        });
        let (mut figures, mut seen) = watched?;
        std::thread::sleep(CALM);
        let after = daemon.process.memory().resident_bytes;
        seen.answers_ms.sort_by(f64::total_cmp);
        let rank = |part: f64| {
            let last = seen.answers_ms.len().saturating_sub(1);
            seen.answers_ms.get((last as f64 * part) as usize).copied().unwrap_or(0.0)
        };
        figures.extend([
            ("before_mib", mebibytes(before)),
            ("peak_mib", mebibytes(seen.peak_bytes)),
            ("after_mib", mebibytes(after)),
            ("answer_p50_ms", rank(0.5)),
            ("answer_p99_ms", rank(0.99)),
            ("answer_worst_ms", rank(1.0)),
            ("unanswered", seen.unanswered as f64),
        ]);
        drop((adding, seed));
        daemon.stop()?;
        Ok(figures)
    }

    /// The attack, and the honest peer in the middle of it.
    fn attack(
        &self,
        sizes: &Sizes,
        daemon: &Daemon,
        strangers: &Host,
        honest: &Host,
        scratch: &Scratch,
        copy: &Path,
    ) -> Result<Figures, String> {
        let to = format!("10.77.0.1:{PORT}");
        let (start, cpu) = (now(), daemon.process.usage().cpu);
        let attack = (self.kind != Kind::None).then(|| {
            let program = std::env::current_exe().unwrap_or_default();
            let mut command = strangers.command(program);
            command.args(["attack", self.kind.name(), &to]).arg(&self.payload.torrent);
            command.arg(self.count.to_string());
            let attack = Process::start("attack", command, scratch.path());
            std::thread::sleep(Duration::from_secs(sizes.hostile_warm_up_s));
            attack
        });
        let before = attack.as_ref().map(did);
        let begun = now();
        let mut fetcher = None;
        let took = if self.leeches {
            let seed = format!("{}:{PORT}", honest.ip());
            let path = format!("/api/v1/torrents/{}/peers", self.payload.info_hash);
            daemon.post(&path, &format!("{{\"peers\":[\"{seed}\"]}}"))?;
            poll(HONEST_LIMIT, || {
                let session = daemon.session().ok()?;
                (session["seeding"] == 1).then(|| begun.elapsed())
            })
        } else {
            let mut command = honest.command(self.program);
            command.arg("--dir").arg(scratch.dir("honest")).arg("get").arg(&self.payload.torrent);
            command.arg("-o").arg(copy).args(["--peer", &to]);
            let process = fetcher.insert(Process::start("honest", command, scratch.path()));
            poll(HONEST_LIMIT, || process.output().contains("Done: ").then(|| begun.elapsed()))
        };
        if took.is_some() {
            compare(self.payload, copy, &daemon.process);
        }
        let lasted = start.elapsed().as_secs_f64();
        let used = daemon.process.usage().cpu.saturating_sub(cpu).as_secs_f64();
        let mut figures = vec![("cpu_percent", used / lasted * 100.0)];
        figures.extend(took.map(|took| ("honest_s", took.as_secs_f64())));
        if let (Some(attack), Some(_)) = (&attack, before) {
            if attack.has_ended() {
                return Err(format!("the attack broke off\n{}", attack.tail()));
            }
            let [connected, open, sent, came, seconds] = did(attack);
            figures.extend([
                ("connected", connected),
                ("connected_per_s", connected / seconds.max(0.1)),
                ("open", open),
                ("sent_mb", sent / 1e6),
                ("came_mb", came / 1e6),
            ]);
        }
        Ok(figures)
    }

    /// A seed that waits to be called.
    fn honest_seed(&self, host: &Host, scratch: &Scratch) -> Process {
        let mut command = host.command(self.program);
        command.arg("--dir").arg(scratch.dir("seed")).arg("get").arg(&self.payload.torrent);
        command.arg("-o").args(self.payload.file.parent()).arg("--seed");
        let seed = Process::start("seed", command, scratch.path());
        seed.wait_for("sign that it has the file", END_LIMIT, |output| {
            output.contains("there already").then_some(())
        });
        seed
    }

    /// Asks the daemon for the torrent's state, which its shard has to answer, until told to stop.
    fn watch(&self, daemon: &Daemon, stop: &AtomicBool) -> Seen {
        let mut seen = Seen::default();
        let path = format!("/api/v1/torrents/{}", self.payload.info_hash);
        while !stop.load(Ordering::Relaxed) {
            let asked = now();
            match daemon.get(&path) {
                Ok(_) => seen.answers_ms.push(asked.elapsed().as_secs_f64() * 1e3),
                Err(_) => seen.unanswered += 1,
            }
            seen.peak_bytes = seen.peak_bytes.max(daemon.process.memory().resident_bytes);
            std::thread::sleep(ASKED_EVERY);
        }
        seen
    }
}

/// What an attack says that it has done: connections, those that stand, bytes sent and come, seconds.
fn did(attack: &Process) -> [f64; 5] {
    let output = attack.output();
    let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let line = whole.lines().rev().find_map(|line| line.strip_prefix("did "));
    let mut numbers = line.unwrap_or_default().split(' ').map(|word| word.parse().unwrap_or(0.0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0.0))
}

pub(super) fn page(results: &Results) -> Page {
    let limit = results.size("limit_s");
    let honest = |row: &Row| match row.figures.contains_key("honest_s") {
        true => short(row.median("honest_s")),
        false => format!("over {limit}"),
    };
    let calm =
        |row: &Row| results.pair("none", &row.other).map_or(0.0, |row| row.median("honest_s"));
    let beside = |row: &Row| match row.figures.contains_key("honest_s") && calm(row) > 0.0 {
        true => short(row.median("honest_s") / calm(row)),
        false => String::new(),
    };
    let memory = |row: &Row| {
        let [before, peak, after] =
            ["before_mib", "peak_mib", "after_mib"].map(|name| short(row.median(name)));
        format!("{before} / {peak} / {after}")
    };
    let answers = |row: &Row| {
        let [half, most] = ["answer_p50_ms", "answer_p99_ms"].map(|name| short(row.median(name)));
        match row.median("unanswered") {
            0.0 => format!("{half} / {most}"),
            unanswered => format!("{half} / {most} ({unanswered} failed)"),
        }
    };
    let columns: [Column<'_>; 9] = [
        ("(attacked)", &|row: &Row| row.other.clone()),
        ("connections made", &median("connected")),
        ("they sent, MB", &median("sent_mb")),
        ("they got, MB", &median("came_mb")),
        ("honest peer done after, s", &honest),
        ("× without attack", &beside),
        ("(resident MiB before / peak / after)", &memory),
        ("CPU, % of a core", &median("cpu_percent")),
        ("(state asked, ms: half / 99 % within)", &answers),
    ];
    let how = format!(
        "A daemon with its default settings, but without local discovery, and a torrent of {} MiB. The strangers have 10,000 addresses \
         of one network of 65,536, come as fast as they can, come again {} ms after they were hung up \
         on, and are one process on the same machine, so they share its cores. The honest peer comes {} s \
         after them from another network: it fetches everything from the attacked seed, or gives \
         everything to the attacked leecher. CPU is the attacked daemon's, that of serving the honest \
         peer included; memory after is that of {} s after the attack. Meanwhile the state of the torrent \
         is asked for over HTTP about {} times a second",
        results.size("mib"),
        AWAY.as_millis(),
        results.size("warm_up_s"),
        CALM.as_secs(),
        1000 / ASKED_EVERY.as_millis(),
    );
    Page {
        text: table(results, "strangers", &columns, &how),
        charts: Vec::new(),
        marks: Vec::new(),
    }
}
