//! Reading DNS packets (RFC 1035, section 4).

use crate::limits::NAME_BYTES_MAX;

/// A packet, and how far it has been read.
pub(super) struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

pub(super) struct Head {
    pub(super) id: u16,
    pub(super) is_answer: bool,
    pub(super) truncated: bool,
    pub(super) code: u8,
    pub(super) questions: u16,
    pub(super) answers: u16,
}

/// A resource record of class IN; of other classes the kind is 0.
pub(super) struct Record {
    pub(super) name: Vec<u8>,
    pub(super) kind: u16,
    pub(super) data: Vec<u8>,
    /// The name it points to, if it is a CNAME.
    pub(super) alias: Option<Vec<u8>>,
}

const CNAME: u16 = 5;
const CLASS_IN: u16 = 1;

impl<'a> Reader<'a> {
    pub(super) fn new(packet: &'a [u8]) -> Self {
        Reader { packet, at: 0 }
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.packet.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    pub(super) fn head(&mut self) -> Option<Head> {
        let id = self.u16()?;
        let flags = self.u16()?;
        let (questions, answers) = (self.u16()?, self.u16()?);
        self.take(4)?;
        let is_answer = flags & 0x8000 != 0;
        let truncated = flags & 0x0200 != 0;
        Some(Head { id, is_answer, truncated, code: (flags & 0x0f) as u8, questions, answers })
    }

    /// Name and kind.
    pub(super) fn question(&mut self) -> Option<(Vec<u8>, u16)> {
        let name = self.name()?;
        let kind = self.u16()?;
        (self.u16()? == CLASS_IN).then_some((name, kind))
    }

    pub(super) fn record(&mut self) -> Option<Record> {
        let name = self.name()?;
        let (kind, class) = (self.u16()?, self.u16()?);
        self.take(4)?;
        let len = usize::from(self.u16()?);
        let start = self.at;
        let data = self.take(len)?.to_vec();
        let kind = if class == CLASS_IN { kind } else { 0 };
        let alias = match kind {
            CNAME => Some(Reader { packet: self.packet, at: start }.name()?),
            _ => None,
        };
        Some(Record { name, kind, data, alias })
    }

    /// A name, its pointers followed, in lower case. Pointers lead backwards only, so that they end.
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut end = None;
        let mut at = self.at;
        loop {
            let len = *self.packet.get(at)?;
            match len {
                0 => {
                    name.push(0);
                    self.at = end.unwrap_or(at + 1);
                    return Some(name);
                }
                1..=63 => {
                    let next = at + 1 + usize::from(len);
                    let label = self.packet.get(at + 1..next)?;
                    if name.len() + label.len() > NAME_BYTES_MAX {
                        return None;
                    }
                    name.push(len);
                    name.extend(label.iter().map(u8::to_ascii_lowercase));
                    at = next;
                }
                0xc0..=0xff => {
                    let low = *self.packet.get(at + 1)?;
                    let to = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                    end.get_or_insert(at + 2);
                    if to >= at {
                        return None;
                    }
                    at = to;
                }
                _ => return None,
            }
        }
    }
}
