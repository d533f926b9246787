//! Reads a list of addresses as the daemon does, for an instruction counter or a clock around it:
//! `valgrind --tool=cachegrind target/release/examples/ip_filter LIST`. Without a list it makes one of
//! 300,000 ranges, packed, at the path that is given with `--make PATH`.

use althing_net::filter::{IpFilter, unpack};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [word, path] if word == "--make" => make(path),
        [path] => {
            let file = std::fs::read(path)?;
            let list = unpack(&file).map_err(io::Error::other)?;
            let (filter, report) = IpFilter::parse(&list);
            writeln!(io::stdout(), "{} ranges, {} merged", report.ranges, filter.len())
        }
        _ => Err(io::Error::other("usage: ip_filter LIST, or ip_filter --make PATH")),
    }
}

fn make(path: &str) -> io::Result<()> {
    let mut out = GzEncoder::new(std::fs::File::create(path)?, Compression::default());
    for number in 0..300_000u32 {
        let [a, b, c, _] = ((number * 2) << 8).to_be_bytes();
        writeln!(out, "Some company of the year {number}:{a}.{b}.{c}.0-{a}.{b}.{c}.255")?;
    }
    out.finish().map(drop)
}
