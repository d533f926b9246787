//! Lists of addresses to keep out, whatever is in them.

use althing_net::filter::IpFilter;
use std::net::IpAddr;

/// Reads any bytes as a list.
pub fn run(data: &[u8]) {
    let (filter, report) = IpFilter::parse(data);
    assert!(filter.len() <= report.ranges);
    assert_eq!(report.first_skipped.is_some(), report.skipped > 0);
    let lines = data.split(|byte| *byte == b'\n').count();
    assert!(report.ranges + report.allowed + report.skipped <= lines);
    // Line by line it keeps out the same, but for a mark at a list's beginning.
    let marked = data.windows(3).any(|window| window == b"\xef\xbb\xbf");
    let each: Vec<IpFilter> =
        data.split(|byte| *byte == b'\n').take(64).map(|line| IpFilter::parse(line).0).collect();
    for chunk in data.chunks_exact(4).take(16) {
        let ip = IpAddr::from([chunk[0], chunk[1], chunk[2], chunk[3]]);
        if lines <= 64 && !marked {
            assert_eq!(filter.blocks(ip), each.iter().any(|one| one.blocks(ip)), "{ip}");
        }
    }
}
