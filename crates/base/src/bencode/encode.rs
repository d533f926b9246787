//! Writing canonical bencode.

/// Writes bencode into a buffer that it owns.
///
/// ```
/// use althing_base::bencode::Encoder;
///
/// let mut out = Encoder::new();
/// out.dict(|out| {
///     out.key(b"m").list(|out| out.int(1));
///     out.key(b"v").bytes(b"Althing");
/// });
/// assert_eq!(out.finish(), b"d1:mli1ee1:v7:Althinge");
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    /// The last key of each open dictionary, in debug builds, to assert the order.
    keys: Vec<Option<Vec<u8>>>,
}

impl Encoder {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// An integer.
    pub fn int(&mut self, value: i64) {
        self.out.push(b'i');
        self.out.extend_from_slice(value.to_string().as_bytes());
        self.out.push(b'e');
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        self.out.extend_from_slice(value.len().to_string().as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(value);
    }

    /// A value that is bencode already.
    pub fn raw(&mut self, value: &[u8]) {
        self.out.extend_from_slice(value);
    }

    /// A list of what `items` writes.
    pub fn list(&mut self, items: impl FnOnce(&mut Self)) {
        self.out.push(b'l');
        items(self);
        self.out.push(b'e');
    }

    /// A dictionary of what `entries` writes: alternately a [`key`](Self::key) and a value.
    pub fn dict(&mut self, entries: impl FnOnce(&mut Self)) {
        self.out.push(b'd');
        self.keys.push(None);
        entries(self);
        self.keys.pop();
        self.out.push(b'e');
    }

    /// A dictionary's next key; its value must follow. Keys are written in ascending order of
    /// their bytes, which debug builds assert.
    pub fn key(&mut self, key: &[u8]) -> &mut Self {
        if cfg!(debug_assertions)
            && let Some(last) = self.keys.last_mut()
        {
            debug_assert!(
                last.as_deref().is_none_or(|last| last < key),
                "bencode keys out of order: {:?}",
                key.escape_ascii().to_string()
            );
            *last = Some(key.to_vec());
        }
        self.bytes(key);
        self
    }
}
