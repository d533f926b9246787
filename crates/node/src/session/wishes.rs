//! What is wanted of a torrent: from the settings, and before it is known which files there are from
//! the link (BEP 53).

use super::TorrentId;
use super::settings::in_force;
use super::shared::Shared;
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::limits::FILE_COUNT_MAX;
use althing_bittorrent::metainfo::{FileIndex, Magnet, Metainfo};
use althing_bittorrent::swarm::{FilePriorities, PickerKind, Source};
use althing_store::records::TorrentSettings;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The files that a link wants; all if it names none.
pub(super) fn of_link(magnet: &Magnet) -> FilePriorities {
    if magnet.select.is_empty() {
        return FilePriorities::default();
    }
    let last = FILE_COUNT_MAX as u32 - 1;
    let ranges = magnet.select.iter();
    // A set, because ranges may overlap.
    let files: BTreeSet<FileIndex> =
        ranges.flat_map(|range| *range.start()..=(*range.end()).min(last)).map(FileIndex).collect();
    FilePriorities::only(files)
}

/// Sees to it that none of a torrent's files is wanted at first.
pub(super) fn want_none(source: &mut Source, settings: &mut TorrentSettings) {
    match source {
        Source::Metainfo(metainfo) => {
            settle(&FilePriorities::all(Priority::Skip), metainfo, settings);
        }
        // A file that no torrent has: the link is written down and says so after a restart as well.
        Source::Magnet(magnet) => magnet.select = vec![u32::MAX..=u32::MAX],
    }
}

/// How much each file is wanted: as the settings say, and where they say nothing as the link does.
pub(crate) fn wanted(link: &FilePriorities, settings: &TorrentSettings) -> FilePriorities {
    let mut wanted = link.clone();
    for (file, priority) in &settings.priorities {
        wanted.set(*file, *priority);
    }
    wanted.set_pieces(settings.pieces.clone());
    wanted
}

/// The order in which pieces are fetched.
pub(crate) fn order(settings: &TorrentSettings) -> PickerKind {
    if settings.sequential { PickerKind::Sequential } else { PickerKind::RarestFirst }
}

/// Puts what a link wants into the settings, now that it is known which files there are.
fn settle(link: &FilePriorities, metainfo: &Metainfo, settings: &mut TorrentSettings) {
    for (n, file) in (0..).zip(metainfo.files()) {
        let priority = link.of(FileIndex(n));
        if priority != Priority::default() && !file.is_pad() {
            settings.priorities.entry(FileIndex(n)).or_insert(priority);
        }
    }
}

/// What a magnet link stands for has become known: it is written down, and what the link wants.
pub(crate) fn metainfo_known(
    shared: &Arc<Shared>,
    id: TorrentId,
    metainfo: &Arc<Metainfo>,
    link: FilePriorities,
) {
    let files = Arc::clone(metainfo);
    let settle = move |settings: &mut TorrentSettings| settle(&link, &files, settings);
    shared.persist.metainfo(id, Arc::clone(metainfo), settle, in_force(shared, id));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_before_the_link() {
        let link = "magnet:?xt=urn:btih:0123456789012345678901234567890123456789&so=1-2,2,4";
        let link = of_link(&link.parse().expect("a link"));
        let mut settings = TorrentSettings::default();
        settings.priorities.insert(FileIndex(2), Priority::High);
        settings.priorities.insert(FileIndex(3), Priority::Low);
        let wanted = wanted(&link, &settings);
        let expected = [
            Priority::Skip,
            Priority::Normal,
            Priority::High,
            Priority::Low,
            Priority::Normal,
            Priority::Skip,
        ];
        let found: Vec<_> = (0..6).map(|n| wanted.of(FileIndex(n))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_link_that_wants_nothing_says_so_when_it_is_read_again() {
        let link = "magnet:?xt=urn:btih:0123456789012345678901234567890123456789";
        let magnet: Magnet = link.parse().expect("a link");
        assert!(of_link(&magnet).wants_all());
        let mut source = Source::Magnet(magnet);
        want_none(&mut source, &mut TorrentSettings::default());
        let Source::Magnet(magnet) = source else { panic!("it was one") };
        let again: Magnet = magnet.to_string().parse().expect("a link");
        assert_eq!(of_link(&again), FilePriorities::all(Priority::Skip));
    }
}
