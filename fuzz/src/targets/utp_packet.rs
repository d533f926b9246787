//! Packets of uTP: what is read is written the same again, as far as we write it.

use althing_bittorrent::utp::packet::{Packet, Sack, is_utp};

/// Reads any bytes as a packet.
pub fn run(data: &[u8]) {
    let Ok(packet) = Packet::parse(data) else { return };
    assert!(is_utp(data[0]));
    assert!(packet.payload.start >= 20 && packet.payload.end == data.len());
    let payload = &data[packet.payload.clone()];
    let mask = match packet.sack {
        Some(sack) => {
            assert!(!sack.is_empty());
            let bits = sack.len() - 2;
            let mut mask = vec![0u8; bits.div_ceil(32) * 4];
            for bit in 0..bits {
                mask[bit / 8] |= u8::from(sack.has(bit + 2)) << (bit % 8);
            }
            assert!(!sack.has(0) && !sack.has(1) && !sack.has(sack.len()));
            mask
        }
        None => Vec::new(),
    };
    let mut written = Vec::new();
    if mask.is_empty() {
        packet.header.write(&mut written);
    } else if mask.len() < 256 {
        packet.header.write_with_sack(&mask, &mut written);
    } else {
        return;
    }
    written.extend_from_slice(payload);
    let again = Packet::parse(&written).expect("what was written can be read");
    assert_eq!(again.header, packet.header);
    assert_eq!(again.sack, (!mask.is_empty()).then(|| Sack::new(&mask)));
    assert_eq!(&written[again.payload], payload);
    let mut padded = Vec::new();
    let padding = packet.header.write_with_padding(data.len(), &mut padded);
    padded.extend_from_slice(payload);
    let again = Packet::parse(&padded).expect("padding can be read");
    assert_eq!(&padded[again.payload], payload);
    assert!(padding <= data.len());
}
