//! `inspect`: what a torrent file or magnet link is, or why it is refused.

use super::get::{Source, read_source};
use super::list::version;
use crate::cli::Inspect;
use crate::exit::{Exit, Failure};
use crate::screen::table::{Align, Lines, lay_out};
use crate::screen::{Screen, text, units};
use althing_bittorrent::metainfo::{FollowLink, Magnet, Metainfo};
use althing_node::api;
use althing_node::api::limits::TORRENT_BYTES_MAX;
use althing_node::api::types::{ErrorCode, InspectReport};
use std::io::Read as _;

pub(super) async fn inspect(args: Inspect, screen: &Screen) -> Result<(), Failure> {
    let source =
        if args.source == "-" {
            let read = tokio::task::spawn_blocking(read_stdin).await;
            Source::File(read.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(
                |error| Failure::new(format!("standard input cannot be read: {error}"), ""),
            )?)
        } else {
            read_source(&args.source)?
        };
    let report = match source {
        Source::File(bytes) => match Metainfo::parse(&bytes) {
            Ok(metainfo) => api::inspect_torrent(&metainfo),
            Err(error) => return Err(refused(&error)),
        },
        Source::Link(link) if link.contains("://") => {
            return Err(Failure::new(
                "addresses of torrent files are not fetched here",
                "fetch it first, as in `curl -L ADDRESS | althing inspect -`",
            )
            .with_exit(Exit::Usage));
        }
        Source::Link(link) if link.parse::<FollowLink>().is_ok() => {
            return Err(Failure::new(
                "the link names a public key, under which another torrent may be published tomorrow",
                "`althing get` it; `althing dht get KEY` shows what is published now",
            )
            .with_exit(Exit::Usage));
        }
        Source::Link(link) => {
            let magnet: Result<Magnet, _> =
                if link.contains(':') { link.parse() } else { Magnet::from_info_hash(&link) };
            api::inspect_magnet(&magnet.map_err(|error| refused(&error))?)
        }
    };
    screen.value(&report, false);
    print(&report, screen);
    Ok(())
}

fn read_stdin() -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more, so that what is too long is seen to be.
    std::io::stdin().lock().take(TORRENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn refused(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        format!("refused: {}", text::escape(&error.to_string())),
        "it cannot be used as it is; ask whoever made it for another",
    )
    .with_code(ErrorCode::InvalidTorrent)
}

fn print(report: &InspectReport, screen: &Screen) {
    let mut lines = Lines::default();
    lines.add_some("name", report.name.as_ref());
    lines.add("kind", version(report.version));
    lines.add_some("v1 info-hash", report.info_hash_v1.as_ref());
    lines.add_some("v2 info-hash", report.info_hash_v2.as_ref());
    if let Some(size) = report.size_bytes {
        let pieces = units::counted(report.pieces.unwrap_or_default().into(), "piece");
        let piece = units::bytes(report.piece_length_bytes.unwrap_or_default().into());
        let files = units::counted(report.files.len() as u64, "file");
        lines.add("size", format!("{} in {files}, {pieces} of {piece}", units::bytes(size)));
    }
    if report.private {
        lines.add("private", "peers come from its trackers alone");
    }
    for (tier, urls) in report.trackers.iter().enumerate() {
        for url in urls {
            lines.add("tracker", format!("{url} (tier {})", tier + 1));
        }
    }
    report.web_seeds.iter().for_each(|url| lines.add("web seed", url));
    report.peers.iter().for_each(|peer| lines.add("peer", peer));
    lines.add_some("comment", report.comment.as_ref());
    lines.add_some("made by", report.created_by.as_ref());
    if !report.magnet.is_empty() && report.size_bytes.is_some() {
        lines.add("link", &report.magnet);
    }
    lines.print(screen);
    if report.files.is_empty() {
        return;
    }
    let rows: Vec<_> = report
        .files
        .iter()
        .map(|file| {
            let path = text::escape(&file.path);
            let path = match &file.symlink {
                Some(target) => format!("{path} -> {}", text::escape(target)),
                None => path.into_owned(),
            };
            [units::bytes(file.size_bytes), path]
        })
        .collect();
    screen.result("");
    let header = [("SIZE", Align::Right), ("FILE", Align::Left)];
    lay_out(&header, &rows).iter().for_each(|line| screen.result(line));
}
