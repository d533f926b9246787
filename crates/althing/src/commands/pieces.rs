//! `pieces`: which of a torrent's pieces are wanted more or less than their files.

use super::choose::priority_word;
use crate::cli::{Global, Pieces, PiecesArg};
use crate::client::torrent_path;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::Screen;
use crate::screen::table::{Align, lay_out};
use althing_node::api::types::{ChangeRequest, FilePriority, PieceRange, TorrentDetail};

pub(super) async fn pieces(global: &Global, args: Pieces, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    let path = torrent_path(&args.torrent.id, "");
    let wishes: [(&[PiecesArg], Option<FilePriority>); 5] = [
        (&args.as_files, None),
        (&args.skip, Some(FilePriority::Skip)),
        (&args.low, Some(FilePriority::Low)),
        (&args.normal, Some(FilePriority::Normal)),
        (&args.high, Some(FilePriority::High)),
    ];
    let pieces: Vec<PieceRange> = wishes
        .iter()
        .flat_map(|(ranges, priority)| {
            ranges.iter().map(|range| PieceRange {
                first: range.first,
                last: range.last,
                priority: *priority,
            })
        })
        .collect();
    let detail: TorrentDetail = if pieces.is_empty() {
        client.get(&path).await?
    } else {
        let change = ChangeRequest { pieces, ..ChangeRequest::default() };
        client.patch(&path, &change).await?
    };
    let ranges = &detail.settings.pieces;
    screen.value(ranges, false);
    let (count, done) = (detail.torrent.pieces, detail.torrent.pieces_done);
    screen.note(&format!("{done} of {count} pieces are here."));
    if ranges.is_empty() {
        screen.note("All of them are wanted as their files are.");
        return Ok(());
    }
    let rows: Vec<_> = ranges
        .iter()
        .map(|range| {
            let pieces = match range.first == range.last {
                true => range.first.to_string(),
                false => format!("{}-{}", range.first, range.last),
            };
            [pieces, range.priority.map_or("as files", priority_word).to_owned()]
        })
        .collect();
    let header = [("PIECES", Align::Right), ("WANTED", Align::Left)];
    lay_out(&header, &rows).iter().for_each(|line| screen.result(line));
    Ok(())
}
