//! Which client a peer id stands for (BEP 20), for people to read. The id is the peer's word: it
//! decides nothing, and only letters and digits of it are shown.

use crate::types::PeerId;
use std::fmt::Write as _;

/// The client's name and version, or the id's first bytes with what cannot be printed escaped.
pub fn client_name(id: &PeerId) -> String {
    azureus(&id.0)
        .or_else(|| mainline(&id.0))
        .unwrap_or_else(|| id.0[..8].escape_ascii().to_string())
}

/// `-XX1234-`: two letters, then four digits (0-9, A-Z for 10 to 35, a-z for 36 to 61).
fn azureus(id: &[u8; 20]) -> Option<String> {
    let [b'-', a, b, version @ .., b'-'] = id.first_chunk::<8>()? else {
        return None;
    };
    let [d1, d2, d3, d4] = version.iter().map_while(|&c| digit(c)).collect::<Vec<_>>()[..] else {
        return None;
    };
    let code = [*a, *b];
    let code = str::from_utf8(&code).ok()?;
    if code.chars().any(|c| !c.is_ascii_alphanumeric() && c != '~') {
        return None;
    }
    let name = AZUREUS.iter().find(|(known, _)| *known == code).map_or(code, |(_, name)| name);
    let version = match code {
        // Transmission had two numbers until 3.00; the fourth letter tells builds apart.
        "TR" if d1 < 4 => format!("{d1}.{d2}{d3}"),
        // Two digits each: 01 02 is 1.2.
        "WW" | "WD" => format!("{}.{}", d1 * 10 + d2, d3 * 10 + d4),
        // The last one stands for the kind of build.
        "TR" | "UT" | "UM" | "UE" | "BT" => format!("{d1}.{d2}.{d3}"),
        _ if d4 == 0 => format!("{d1}.{d2}.{d3}"),
        _ => format!("{d1}.{d2}.{d3}.{d4}"),
    };
    Some(format!("{name} {version}"))
}

fn digit(c: u8) -> Option<u32> {
    match c {
        b'0'..=b'9' => Some(u32::from(c - b'0')),
        b'A'..=b'Z' => Some(u32::from(c - b'A') + 10),
        b'a'..=b'z' => Some(u32::from(c - b'a') + 36),
        _ => None,
    }
}

/// `M7-10-5-` and `A2-1-36-0-`: letters, then numbers with dashes between them.
fn mainline(id: &[u8; 20]) -> Option<String> {
    let (name, rest) = MAINLINE
        .iter()
        .find_map(|(code, name)| id.strip_prefix(code.as_bytes()).map(|rest| (*name, rest)))?;
    let mut version = String::new();
    for number in rest.split(|&c| c == b'-').take(3) {
        if number.is_empty() || number.len() > 3 || !number.iter().all(u8::is_ascii_digit) {
            break;
        }
        let dot = if version.is_empty() { "" } else { "." };
        write!(version, "{dot}{}", number.escape_ascii()).ok()?;
    }
    (!version.is_empty()).then(|| format!("{name} {version}"))
}

/// The first dash belongs to the code where the client writes one.
const MAINLINE: &[(&str, &str)] = &[("A2-", "aria2"), ("M", "BitTorrent"), ("Q", "Queen Bee")];

/// Codes of BEP 20, and of the clients that have come since.
const AZUREUS: &[(&str, &str)] = &[
    ("AG", "Ares"),
    ("A~", "Ares"),
    ("AL", "Althing"),
    ("AR", "Arctic"),
    ("AX", "BitPump"),
    ("AZ", "Vuze"),
    ("BC", "BitComet"),
    ("BF", "Bitflu"),
    ("BG", "BTG"),
    ("BI", "BiglyBT"),
    ("BR", "BitRocket"),
    ("BT", "BitTorrent"),
    ("CT", "CTorrent"),
    ("DE", "Deluge"),
    ("ES", "Electric Sheep"),
    ("FD", "Free Download Manager"),
    ("FL", "Folx"),
    ("FX", "Freebox"),
    ("GT", "anacrolix/torrent"),
    ("HL", "Halite"),
    ("KG", "KGet"),
    ("KT", "KTorrent"),
    ("LP", "Lphant"),
    ("LT", "libtorrent"),
    ("LW", "LimeWire"),
    ("MG", "MediaGet"),
    ("MO", "MonoTorrent"),
    ("MR", "Miro"),
    ("PI", "PicoTorrent"),
    ("QD", "QQDownload"),
    ("SD", "Xunlei"),
    ("SZ", "Shareaza"),
    ("TL", "Tribler"),
    ("TR", "Transmission"),
    ("TX", "Tixati"),
    ("UE", "µTorrent Embedded"),
    ("UM", "µTorrent Mac"),
    ("UT", "µTorrent"),
    ("UW", "µTorrent Web"),
    ("WD", "WebTorrent Desktop"),
    ("WW", "WebTorrent"),
    ("XL", "Xunlei"),
    ("lt", "rTorrent"),
    ("qB", "qBittorrent"),
    ("rQ", "rqbit"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(id: &[u8; 20], expected: &str) {
        assert_eq!(client_name(&PeerId(*id)), expected);
    }

    #[test]
    fn known_clients() {
        check(b"-AL0100-abcdefghijkl", "Althing 0.1.0");
        check(b"-qB4650-abcdefghijkl", "qBittorrent 4.6.5");
        check(b"-LT20B0-abcdefghijkl", "libtorrent 2.0.11");
        check(b"-TR2940-abcdefghijkl", "Transmission 2.94");
        check(b"-TR4050-abcdefghijkl", "Transmission 4.0.5");
        check(b"-UT355W-abcdefghijkl", "µTorrent 3.5.5");
        check(b"-WW0207-abcdefghijkl", "WebTorrent 2.7");
        check(b"-DE211s-abcdefghijkl", "Deluge 2.1.1.54");
        check(b"-lt0D80-abcdefghijkl", "rTorrent 0.13.8");
        check(b"-rQ9100-abcdefghijkl", "rqbit 9.1.0");
        check(b"A2-1-36-0-abcdefghij", "aria2 1.36.0");
        check(b"M7-10-5--abcdefghijk", "BitTorrent 7.10.5");
        check(b"-ZZ1234-abcdefghijkl", "ZZ 1.2.3.4");
    }

    #[test]
    fn the_rest_is_escaped() {
        check(b"-\x1b[0000-abcdefghijkl", "-\\x1b[0000-");
        check(b"-qB46\x000-abcdefghijkl", "-qB46\\x000-");
        check(&[0; 20], "\\x00".repeat(8).as_str());
        check(b"M\x1b-10-5--abcdefghijk", "M\\x1b-10-5-");
    }

    proptest! {
        #[test]
        fn never_anything_but_printable(id: [u8; 20]) {
            prop_assert!(client_name(&PeerId(id)).chars().all(|c| c == 'µ' || (' '..='~').contains(&c)));
        }
    }
}
