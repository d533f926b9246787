//! Name servers' answers, to a question that the first bytes choose.

use althing_net::dns::{Kind, Question, UDP_BYTES_MAX};
use althing_net::limits::ADDRESSES_MAX;

/// Reads any bytes as an answer.
pub fn run(data: &[u8]) {
    let id = data.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    for kind in [Kind::A, Kind::Aaaa] {
        let question = Question::new(id, "www.example.com", kind).expect("a name");
        assert!(question.packet().len() <= UDP_BYTES_MAX);
        if let Ok(found) = question.answer(data) {
            assert!(found.len() <= ADDRESSES_MAX);
            assert!(found.iter().all(|ip| ip.is_ipv4() == (kind == Kind::A)));
        }
    }
    if let Ok(text) = str::from_utf8(data)
        && let Ok(question) = Question::new(id, text, Kind::A)
    {
        // A question is no answer to itself, and makes a packet.
        assert!(question.answer(&question.packet()).is_err());
        assert!(question.packet().len() <= UDP_BYTES_MAX);
    }
}
