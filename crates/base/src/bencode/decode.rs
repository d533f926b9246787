//! Parsing: bytes into a flat list of tokens.

use std::fmt;
use std::ops::Range;

/// How much of a stranger's text is looked at. One token costs 12 bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lists and dictionaries within one another.
    pub depth: usize,
    /// Values and keys in all.
    pub tokens: usize,
}

impl Limits {
    /// Lists and dictionaries within one another; libtorrent's default.
    pub const DEPTH_MAX: usize = 100;
    /// Values and keys in one text: 24 MB of tokens; libtorrent's default.
    pub const TOKENS_MAX: usize = 2_000_000;

    /// For messages of a few kilobytes: a packet or an extension message.
    pub const MESSAGE: Limits = Limits { depth: 16, tokens: 10_000 };
}

impl Default for Limits {
    fn default() -> Self {
        Limits { depth: Self::DEPTH_MAX, tokens: Self::TOKENS_MAX }
    }
}

/// Why a text is not bencode, and where (byte offset from the start).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text ends inside a value.
    #[error("the data ends in the middle of a value (byte {at})")]
    Truncated {
        /// Length of the text.
        at: usize,
    },
    /// A byte that cannot stand here.
    #[error("unexpected byte 0x{byte:02x} at byte {at}")]
    UnexpectedByte {
        /// Where.
        at: usize,
        /// What stands there.
        byte: u8,
    },
    /// A number with leading zeros, a minus zero, or one that does not fit `i64`.
    #[error("invalid number at byte {at}")]
    InvalidNumber {
        /// Where the number starts.
        at: usize,
    },
    /// A dictionary key that is not a string, or a key without a value.
    #[error("invalid dictionary entry at byte {at}")]
    InvalidEntry {
        /// Where.
        at: usize,
    },
    /// Nested deeper than [`Limits::depth`].
    #[error("nested deeper than {limit} levels (byte {at})")]
    TooDeep {
        /// Where the level opens.
        at: usize,
        /// The limit.
        limit: usize,
    },
    /// More values than [`Limits::tokens`].
    #[error("more than {limit} values (byte {at})")]
    TooManyTokens {
        /// Where the first value too many starts.
        at: usize,
        /// The limit.
        limit: usize,
    },
    /// Bytes after the root value.
    #[error("{extra} bytes after the end of the data (byte {at})")]
    TrailingData {
        /// Where the root value ended.
        at: usize,
        /// How many bytes follow.
        extra: usize,
    },
    /// Longer than offsets can say (4 GiB).
    #[error("longer than 4 GiB")]
    TooLong,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Int,
    /// A byte string.
    Bytes,
    /// A list.
    List,
    /// A dictionary.
    Dict,
}

/// One value: where it starts, where its payload starts, and the index of the token after it.
#[derive(Clone, Copy)]
struct Token {
    start: u32,
    /// Bytes from `start` to the payload: a string's length prefix, else 1. Kind in the top bits.
    header_and_kind: u32,
    next: u32,
}

const KIND_SHIFT: u32 = 30;
const HEADER_MASK: u32 = (1 << KIND_SHIFT) - 1;

impl Token {
    fn new(start: usize, header: usize, kind: Kind) -> Self {
        let kind_bits = match kind {
            Kind::Int => 0,
            Kind::Bytes => 1,
            Kind::List => 2,
            Kind::Dict => 3,
        };
        Token {
            start: start as u32,
            header_and_kind: header as u32 | kind_bits << KIND_SHIFT,
            next: 0,
        }
    }

    fn kind(self) -> Kind {
        match self.header_and_kind >> KIND_SHIFT {
            0 => Kind::Int,
            1 => Kind::Bytes,
            2 => Kind::List,
            _ => Kind::Dict,
        }
    }

    fn payload(self) -> usize {
        self.start as usize + (self.header_and_kind & HEADER_MASK) as usize
    }
}

/// A checked bencode text.
#[derive(Clone)]
pub struct Document<'a> {
    text: &'a [u8],
    /// The values in order of their start, and one last token that marks the end.
    tokens: Vec<Token>,
    canonical: bool,
}

/// An open list or dictionary while parsing.
struct Open {
    token: usize,
    /// In a dictionary: the last key, for the order; `None` before the first.
    last_key: Option<(usize, usize)>,
    /// In a dictionary: a key has been read and waits for its value.
    awaits_value: bool,
    is_dict: bool,
}

impl<'a> Document<'a> {
    /// Checks all of `text` as one value.
    ///
    /// # Errors
    /// Says what is wrong and at which byte; see [`Error`].
    pub fn parse(text: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let (document, used) = Self::parse_prefix(text, limits)?;
        if used < text.len() {
            return Err(Error::TrailingData { at: used, extra: text.len() - used });
        }
        Ok(document)
    }

    /// Checks the value that `text` starts with, and says how many bytes it takes
    /// (BEP 9's metadata messages have the payload right behind it).
    ///
    /// # Errors
    /// As [`parse`](Self::parse), but for what follows the value.
    pub fn parse_prefix(text: &'a [u8], limits: &Limits) -> Result<(Self, usize), Error> {
        if u32::try_from(text.len()).is_err() {
            return Err(Error::TooLong);
        }
        let mut parser =
            Parser { text, at: 0, tokens: Vec::new(), open: Vec::new(), canonical: true };
        parser.run(limits)?;
        let Parser { at, mut tokens, canonical, .. } = parser;
        tokens.push(Token::new(at, 0, Kind::Int));
        Ok((Document { text: &text[..at], tokens, canonical }, at))
    }

    /// The value that the text is.
    pub fn root(&self) -> Value<'_> {
        Value { document: self, index: 0 }
    }

    /// Whether every dictionary's keys are sorted and unique, as BEP 3 wants them.
    pub fn is_canonical(&self) -> bool {
        self.canonical
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    open: Vec<Open>,
    canonical: bool,
}

impl Parser<'_> {
    fn byte(&self) -> Result<u8, Error> {
        self.text.get(self.at).copied().ok_or(Error::Truncated { at: self.text.len() })
    }

    fn run(&mut self, limits: &Limits) -> Result<(), Error> {
        loop {
            let byte = self.byte()?;
            if byte == b'e' && !self.open.is_empty() {
                self.close()?;
            } else {
                if self.tokens.len() >= limits.tokens {
                    return Err(Error::TooManyTokens { at: self.at, limit: limits.tokens });
                }
                self.expect_key_or_value(byte)?;
                match byte {
                    b'i' => self.int()?,
                    b'0'..=b'9' => self.string()?,
                    b'l' | b'd' => {
                        if self.open.len() >= limits.depth {
                            return Err(Error::TooDeep { at: self.at, limit: limits.depth });
                        }
                        let is_dict = byte == b'd';
                        let kind = if is_dict { Kind::Dict } else { Kind::List };
                        self.open.push(Open {
                            token: self.tokens.len(),
                            last_key: None,
                            awaits_value: false,
                            is_dict,
                        });
                        self.tokens.push(Token::new(self.at, 1, kind));
                        self.at += 1;
                    }
                    _ => return Err(Error::UnexpectedByte { at: self.at, byte }),
                }
            }
            if self.open.is_empty() {
                return Ok(());
            }
        }
    }

    /// In a dictionary, a key must be a string; what follows a key is its value.
    fn expect_key_or_value(&mut self, byte: u8) -> Result<(), Error> {
        if let Some(open) = self.open.last_mut().filter(|open| open.is_dict) {
            if !open.awaits_value && !byte.is_ascii_digit() {
                return Err(Error::InvalidEntry { at: self.at });
            }
            open.awaits_value = !open.awaits_value;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let next = self.tokens.len() as u32;
        if let Some(open) = self.open.pop() {
            if open.awaits_value {
                return Err(Error::InvalidEntry { at: self.at });
            }
            self.tokens[open.token].next = next;
        }
        self.at += 1;
        Ok(())
    }

    fn int(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += 1;
        let negative = self.byte()? == b'-';
        self.at += usize::from(negative);
        let digits_at = self.at;
        let mut value = 0i64;
        loop {
            let byte = self.byte()?;
            if byte == b'e' {
                break;
            }
            if !byte.is_ascii_digit() {
                return Err(Error::UnexpectedByte { at: self.at, byte });
            }
            let digit = i64::from(byte - b'0');
            let grown = value
                .checked_mul(10)
                .and_then(|v| if negative { v.checked_sub(digit) } else { v.checked_add(digit) });
            value = grown.ok_or(Error::InvalidNumber { at: start })?;
            self.at += 1;
        }
        let digits = self.at - digits_at;
        let leading_zero = self.text[digits_at] == b'0' && digits > 1;
        if digits == 0 || leading_zero || (negative && value == 0) {
            return Err(Error::InvalidNumber { at: start });
        }
        self.at += 1;
        self.push_leaf(Token::new(start, 1, Kind::Int));
        Ok(())
    }

    fn string(&mut self) -> Result<(), Error> {
        let start = self.at;
        let mut len = 0usize;
        loop {
            let byte = self.byte()?;
            if byte == b':' {
                break;
            }
            if !byte.is_ascii_digit() {
                return Err(Error::UnexpectedByte { at: self.at, byte });
            }
            // Ten digits say more than any text we accept holds, and cannot overflow.
            if self.at - start >= 10 {
                return Err(Error::InvalidNumber { at: start });
            }
            len = len * 10 + usize::from(byte - b'0');
            self.at += 1;
        }
        if self.text[start] == b'0' && self.at - start > 1 {
            return Err(Error::InvalidNumber { at: start });
        }
        let payload = self.at + 1;
        if len > self.text.len() - payload {
            return Err(Error::Truncated { at: self.text.len() });
        }
        self.at = payload + len;
        self.note_key(payload, len);
        self.push_leaf(Token::new(start, payload - start, Kind::Bytes));
        Ok(())
    }

    /// Compares a key with the one before it.
    fn note_key(&mut self, payload: usize, len: usize) {
        let text = self.text;
        // `awaits_value` was just turned on if this string is a key.
        if let Some(open) = self.open.last_mut().filter(|open| open.is_dict && open.awaits_value) {
            if let Some((at, last_len)) = open.last_key {
                self.canonical &= text[at..at + last_len] < text[payload..payload + len];
            }
            open.last_key = Some((payload, len));
        }
    }

    fn push_leaf(&mut self, mut token: Token) {
        token.next = self.tokens.len() as u32 + 1;
        self.tokens.push(token);
    }
}

/// A value in a [`Document`].
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    index: usize,
}

impl<'d> Value<'d> {
    fn token(self) -> Token {
        self.document.tokens[self.index]
    }

    /// One past the last byte of this value.
    fn end(self) -> usize {
        let next = self.token().next as usize;
        let next_start = self.document.tokens[next].start as usize;
        // Between this value and the next token stand only the `e`s of enclosing containers.
        match self.kind() {
            Kind::Bytes => self.payload_end(),
            Kind::Int => {
                let digits = &self.document.text[self.token().payload()..next_start];
                let len = digits.iter().position(|&b| b == b'e').unwrap_or(digits.len());
                self.token().payload() + len + 1
            }
            Kind::List | Kind::Dict => self.container_end(),
        }
    }

    fn payload_end(self) -> usize {
        let token = self.token();
        let prefix = &self.document.text[token.start as usize..token.payload() - 1];
        let len = prefix.iter().fold(0, |len, digit| len * 10 + usize::from(digit - b'0'));
        token.payload() + len
    }

    /// One `e` after the end of the last value within.
    fn container_end(self) -> usize {
        // Walk down to the last leaf, counting the containers on the way: each adds one `e`.
        let mut value = self;
        let mut closing = 0;
        loop {
            closing += 1;
            let mut last = None;
            let stop = value.token().next as usize;
            let mut child = value.index + 1;
            while child < stop {
                last = Some(child);
                child = self.document.tokens[child].next as usize;
            }
            match last {
                None => return value.token().payload() + closing,
                Some(index) => {
                    value = Value { document: self.document, index };
                    if matches!(value.kind(), Kind::Int | Kind::Bytes) {
                        return value.end() + closing;
                    }
                }
            }
        }
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.token().kind()
    }

    /// The exact bytes of the value, as they stand in the text.
    pub fn raw(self) -> &'d [u8] {
        &self.document.text[self.token().start as usize..self.end()]
    }

    /// Where the value stands in the text, in bytes.
    pub fn span(self) -> Range<usize> {
        self.token().start as usize..self.end()
    }

    /// The integer, if it is one.
    pub fn as_int(self) -> Option<i64> {
        if self.kind() != Kind::Int {
            return None;
        }
        let digits = &self.document.text[self.token().payload()..self.end() - 1];
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The byte string, if it is one.
    pub fn as_bytes(self) -> Option<&'d [u8]> {
        (self.kind() == Kind::Bytes)
            .then(|| &self.document.text[self.token().payload()..self.payload_end()])
    }

    /// The byte string as UTF-8, if it is both.
    pub fn as_str(self) -> Option<&'d str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The list, if it is one.
    pub fn as_list(self) -> Option<List<'d>> {
        (self.kind() == Kind::List).then(|| List {
            document: self.document,
            next: self.index + 1,
            stop: self.token().next as usize,
        })
    }

    /// The dictionary, if it is one.
    pub fn as_dict(self) -> Option<Dict<'d>> {
        (self.kind() == Kind::Dict).then_some(Dict { value: self })
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::Int => write!(f, "{}", self.as_int().unwrap_or_default()),
            Kind::Bytes => write!(f, "\"{}\"", self.as_bytes().unwrap_or_default().escape_ascii()),
            Kind::List => f.debug_list().entries(self.as_list().into_iter().flatten()).finish(),
            Kind::Dict => f
                .debug_map()
                .entries(
                    self.as_dict()
                        .into_iter()
                        .flat_map(|dict| dict.iter())
                        .map(|(key, value)| (key.escape_ascii().to_string(), value)),
                )
                .finish(),
        }
    }
}

/// The values of a list, in order.
#[derive(Clone, Copy)]
pub struct List<'d> {
    document: &'d Document<'d>,
    next: usize,
    stop: usize,
}

impl<'d> Iterator for List<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        if self.next >= self.stop {
            return None;
        }
        let value = Value { document: self.document, index: self.next };
        self.next = value.token().next as usize;
        Some(value)
    }
}

/// A dictionary.
#[derive(Clone, Copy)]
pub struct Dict<'d> {
    value: Value<'d>,
}

impl<'d> Dict<'d> {
    /// Keys and values in the order of the text.
    pub fn iter(self) -> DictIter<'d> {
        DictIter(List {
            document: self.value.document,
            next: self.value.index + 1,
            stop: self.value.token().next as usize,
        })
    }

    /// The value of `key` (the first one, should the key be repeated). Takes time linear in the
    /// number of entries.
    pub fn get(self, key: &[u8]) -> Option<Value<'d>> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// The integer under `key`.
    pub fn int(self, key: &[u8]) -> Option<i64> {
        self.get(key)?.as_int()
    }

    /// The byte string under `key`.
    pub fn bytes(self, key: &[u8]) -> Option<&'d [u8]> {
        self.get(key)?.as_bytes()
    }

    /// The UTF-8 string under `key`.
    pub fn str(self, key: &[u8]) -> Option<&'d str> {
        self.get(key)?.as_str()
    }

    /// The list under `key`.
    pub fn list(self, key: &[u8]) -> Option<List<'d>> {
        self.get(key)?.as_list()
    }

    /// The dictionary under `key`.
    pub fn dict(self, key: &[u8]) -> Option<Dict<'d>> {
        self.get(key)?.as_dict()
    }

    /// The exact bytes of the dictionary.
    pub fn raw(self) -> &'d [u8] {
        self.value.raw()
    }

    /// Where the dictionary stands in the text, in bytes.
    pub fn span(self) -> Range<usize> {
        self.value.span()
    }
}

/// Entries of a dictionary.
#[derive(Clone, Copy)]
pub struct DictIter<'d>(List<'d>);

impl<'d> Iterator for DictIter<'d> {
    type Item = (&'d [u8], Value<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next()?.as_bytes()?;
        Some((key, self.0.next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Encoder;
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &[u8]) -> Result<String, Error> {
        Document::parse(text, &Limits::default()).map(|doc| format!("{:?}", doc.root()))
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text.as_bytes()).as_deref(), Ok(expected), "{text}");
    }

    fn refuse(text: &str, expected: Error) {
        assert_eq!(parse(text.as_bytes()), Err(expected), "{text}");
    }

    #[test]
    fn values() {
        check("i0e", "0");
        check("i-12e", "-12");
        check("i9223372036854775807e", "9223372036854775807");
        check("i-9223372036854775808e", "-9223372036854775808");
        check("0:", "\"\"");
        check("4:spam", "\"spam\"");
        check("le", "[]");
        check("l4:spami3elee", "[\"spam\", 3, []]");
        check("de", "{}");
        check("d3:cow3:moo4:spamd1:ai1eee", "{\"cow\": \"moo\", \"spam\": {\"a\": 1}}");
    }

    #[test]
    fn refusals() {
        refuse("", Error::Truncated { at: 0 });
        refuse("i12", Error::Truncated { at: 3 });
        refuse("5:spam", Error::Truncated { at: 6 });
        refuse("l", Error::Truncated { at: 1 });
        refuse("ie", Error::InvalidNumber { at: 0 });
        refuse("i-e", Error::InvalidNumber { at: 0 });
        refuse("i-0e", Error::InvalidNumber { at: 0 });
        refuse("i03e", Error::InvalidNumber { at: 0 });
        refuse("03:abc", Error::InvalidNumber { at: 0 });
        refuse("i9223372036854775808e", Error::InvalidNumber { at: 0 });
        refuse("99999999999:a", Error::InvalidNumber { at: 0 });
        refuse("i1ee", Error::TrailingData { at: 3, extra: 1 });
        refuse("e", Error::UnexpectedByte { at: 0, byte: b'e' });
        refuse("di1ei2ee", Error::InvalidEntry { at: 1 });
        refuse("d1:ae", Error::InvalidEntry { at: 4 });
        refuse("i1x", Error::UnexpectedByte { at: 2, byte: b'x' });
    }

    #[test]
    fn a_hundred_thousand_nested_lists_end_at_the_limit() {
        let text = vec![b'l'; 100_000];
        assert_eq!(parse(&text), Err(Error::TooDeep { at: 100, limit: 100 }));
        let limits = Limits { depth: 100, tokens: 50 };
        let many = Document::parse(&b"l".repeat(60), &limits).map(|_| ());
        assert_eq!(many, Err(Error::TooManyTokens { at: 50, limit: 50 }));
    }

    #[test]
    fn order_and_repetition_are_seen_and_the_first_key_counts() {
        let canonical =
            |text: &[u8]| Document::parse(text, &Limits::default()).map(|doc| doc.is_canonical());
        assert_eq!(canonical(b"d1:ai1e1:bi2ee"), Ok(true));
        assert_eq!(canonical(b"d1:bi1e1:ai2ee"), Ok(false));
        assert_eq!(canonical(b"d1:ai1e1:ai2ee"), Ok(false));
        let doc = Document::parse(b"d1:ai1e1:ai2ee", &Limits::default()).expect("bencode");
        assert_eq!(doc.root().as_dict().and_then(|d| d.int(b"a")), Some(1));
    }

    #[test]
    fn raw_is_the_exact_slice() {
        let text = b"d4:infod1:xl1:yli5eleeee5:outeri1ee";
        let doc = Document::parse(text, &Limits::default()).expect("bencode");
        let info = doc.root().as_dict().and_then(|d| d.get(b"info")).expect("there");
        assert_eq!(info.raw(), b"d1:xl1:yli5eleeee");
        assert_eq!(doc.root().raw(), text);
    }

    #[test]
    fn prefix_says_where_the_value_ends() {
        let (doc, used) =
            Document::parse_prefix(b"d1:ai1eepayload", &Limits::MESSAGE).expect("bencode");
        assert_eq!(used, 8);
        assert_eq!(doc.root().raw(), b"d1:ai1ee");
    }

    /// A value of any shape, as the canonical text of it.
    fn any_text() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|n| {
                let mut e = Encoder::new();
                e.int(n);
                e.finish()
            }),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(|b| {
                let mut e = Encoder::new();
                e.bytes(&b);
                e.finish()
            }),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(|items| {
                    let mut e = Encoder::new();
                    e.list(|e| items.iter().for_each(|item| e.raw(item)));
                    e.finish()
                }),
                proptest::collection::btree_map(
                    proptest::collection::vec(any::<u8>(), 0..6),
                    inner,
                    0..8
                )
                .prop_map(|entries| {
                    let mut e = Encoder::new();
                    e.dict(|e| {
                        entries.iter().for_each(|(key, value)| {
                            e.key(key);
                            e.raw(value);
                        });
                    });
                    e.finish()
                }),
            ]
        })
    }

    /// Writes a parsed value again.
    fn rewrite(value: Value<'_>, out: &mut Encoder) {
        match value.kind() {
            Kind::Int => out.int(value.as_int().expect("an int")),
            Kind::Bytes => out.bytes(value.as_bytes().expect("bytes")),
            Kind::List => {
                out.list(|out| value.as_list().expect("a list").for_each(|v| rewrite(v, out)));
            }
            Kind::Dict => out.dict(|out| {
                value.as_dict().expect("a dict").iter().for_each(|(key, v)| {
                    out.key(key);
                    rewrite(v, out);
                });
            }),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in any_text()) {
            let doc = Document::parse(&text, &Limits::default()).expect("canonical text");
            prop_assert!(doc.is_canonical());
            prop_assert_eq!(doc.root().raw(), &text[..]);
            let mut out = Encoder::new();
            rewrite(doc.root(), &mut out);
            prop_assert_eq!(out.finish(), text);
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(text in proptest::collection::vec(
            prop_oneof![Just(b'l'), Just(b'd'), Just(b'e'), Just(b'i'), Just(b':'), Just(b'1'), Just(b'0'), any::<u8>()], 0..64)
        ) {
            if let Ok(doc) = Document::parse(&text, &Limits::default()) {
                prop_assert_eq!(doc.root().raw(), &text[..]);
            }
        }
    }
}
