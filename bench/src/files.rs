//! `bench files`: one large file, one seed, one leecher.

use std::path::Path;
use std::process::Command;

use althing_tests::payload::write_random;
use althing_tests::tools;
use althing_tests::torrent::{PYTHON, SCRIPT};

use crate::measure::{Figures, PIECE_BYTES, Payload, tracker_url, transfer};
use crate::peers::{self, Peer};
use crate::report::{self, Row};
use crate::{Options, root, target};

/// Measures every peer in turn, round after round, and reports the medians.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if let Some(why) = tools::obstacle(&["opentracker", "python3-libtorrent"]) {
        return Err(format!("{why}; `cargo xtask test` installs what is missing, as root"));
    }
    let folder = target().join("bench");
    let peers = peers::all(&options.only);
    if peers.is_empty() {
        return Err("no peer is left to measure".to_owned());
    }
    let payload = payload(&folder, options.mebibytes)?;
    let mut measured: Vec<Vec<Figures>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        for (peer, figures) in peers.iter().zip(&mut measured) {
            let figure = transfer(peer.as_ref(), &payload, &folder.join("run"));
            println!(
                "round {round} {:<12} {:>6.2} s, leecher {:>5.2} s, seed {:>5.2} s of processor time",
                peer.name(),
                figure.wall.as_secs_f64(),
                figure.leecher.cpu.as_secs_f64(),
                figure.seed.cpu.as_secs_f64(),
            );
            figures.push(figure);
        }
    }
    let rows: Vec<Row> = peers
        .iter()
        .zip(&measured)
        .filter_map(|(peer, figures)| row(peer.as_ref(), figures))
        .collect();
    let text = report::text(&rows, payload.bytes, options.rounds);
    println!("\n{text}");
    if options.report {
        report::write(&root().join("docs"), &text, &rows)?;
    }
    Ok(())
}

fn row(peer: &dyn Peer, figures: &[Figures]) -> Option<Row> {
    Row::new(peer.name(), &peer.version(), figures)
}

/// The file and its torrent; kept between runs, since writing them takes longer than a transfer.
fn payload(folder: &Path, mebibytes: u64) -> Result<Payload, String> {
    let data = folder.join("data");
    let failed = |error: std::io::Error| format!("{}: {error}", data.display());
    let (file, bytes) = (data.join(format!("payload-{mebibytes}-mib.bin")), mebibytes << 20);
    if file.metadata().map_or(0, |meta| meta.len()) != bytes {
        println!("writing {}", file.display());
        std::fs::create_dir_all(&data).map_err(failed)?;
        write_random(&file, bytes, 20).map_err(failed)?;
    }
    let torrent = folder.join("payload.torrent");
    let output = Command::new(PYTHON)
        .args(["-Wignore", SCRIPT, "make"])
        .args([&file, &torrent])
        .args(["--format", "v1", "--piece", &PIECE_BYTES.to_string(), "--tracker", &tracker_url()])
        .output()
        .map_err(failed)?;
    let made: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("no torrent: {}", String::from_utf8_lossy(&output.stderr)))?;
    let info_hash = made["v1"].as_str().unwrap_or_default().to_owned();
    Ok(Payload { file, bytes, torrent, info_hash })
}
