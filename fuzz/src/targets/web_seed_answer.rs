//! What web servers answer: whatever it is, no more is taken than was asked for, and from where it is.

use althing_base::time::Duration;
use althing_base::{Instant, Machine as _, Seed};
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::webseed::{ContentRange, Head, Input, Output, WebSeeds};
use althing_bittorrent::{BlockRef, PieceIndex};
use std::collections::VecDeque;
use std::sync::Arc;

const BLOCK: u32 = 16 * 1024;

/// One file of four pieces of two blocks.
fn torrent() -> Metainfo {
    let (pieces, size) = ("x".repeat(80), 8 * BLOCK);
    let info =
        format!("d6:lengthi{size}e4:name1:a12:piece lengthi{}e6:pieces80:{pieces}e", 2 * BLOCK);
    let torrent = format!("d4:info{info}8:url-list9:http://h/e");
    Metainfo::parse(torrent.as_bytes()).expect("a torrent")
}

/// Reads lines as a status and header values: one answer after the other, of seven lines each.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n').map(str::to_owned);
    let now = Instant::ORIGIN + Duration::from_secs(1);
    let mut machine = WebSeeds::new(1, Seed::from_u64(1));
    let mut inputs = VecDeque::from([Input::Start { metainfo: Arc::new(torrent()) }]);
    let mut wanted = 0;
    while let Some(input) = inputs.pop_front() {
        machine.handle_input(now, input);
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Open { conn, .. } => {
                    let blocks = (2..6).map(|n| BlockRef {
                        piece: PieceIndex(n / 2),
                        begin: n % 2 * BLOCK,
                        len: BLOCK,
                    });
                    inputs.push_back(Input::Requests { conn, blocks: blocks.collect() });
                    wanted = u64::from(4 * BLOCK);
                }
                Output::Fetch { fetch, range, .. } => {
                    assert!(range.start >= u64::from(2 * BLOCK));
                    assert_eq!(range.end, u64::from(6 * BLOCK));
                    let Some(status) = lines.next() else { return };
                    let head = head(&status, || lines.next().filter(|line| !line.is_empty()));
                    inputs.push_back(Input::Head { fetch, head });
                }
                Output::Take { fetch, skip, len, .. } => {
                    assert!(len > 0 && len <= wanted && skip < u64::from(6 * BLOCK));
                    wanted -= len;
                    inputs.push_back(Input::Delivered { fetch });
                }
                _ => {}
            }
        }
    }
}

fn head(status: &str, mut value: impl FnMut() -> Option<String>) -> Head {
    let content_range = value();
    if let Some(text) = &content_range
        && let Some(ContentRange { range, total }) = ContentRange::parse(text)
    {
        assert!(range.is_some() || total.is_some());
        let (first, end) = range.unwrap_or((0, 1));
        assert!(first < end && total.is_none_or(|total| range.is_none() || end <= total));
    }
    Head {
        status: status.parse().unwrap_or(206),
        content_range,
        content_length: value().and_then(|length| length.parse().ok()),
        content_encoding: value(),
        retry_after: value(),
        date: value(),
    }
}
