//! SHA-1 and SHA-256 behind two small types, so that the backend is chosen in one place
//! (docs/decisions/0003-hash-backend.md), and the digests as types that cannot be mixed up.

use sha1::Digest as _;
use std::fmt;
use std::str::FromStr;

/// Declares a digest type: bytes, hexadecimal both ways, no accidental order of arguments.
macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;
            /// All bits zero.
            pub const ZERO: $name = $name([0; $len]);

            /// The digest in the first bytes of `bytes`, if they are exactly as many.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map($name)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseHexError;

            /// Reads lower- or upper-case hexadecimal of the exact length.
            fn from_str(text: &str) -> Result<Self, ParseHexError> {
                let mut bytes = [0; $len];
                decode_hex(text, &mut bytes)?;
                Ok($name(bytes))
            }
        }
    };
}

digest!(
    /// A SHA-1 digest: info-hash and piece hashes of BEP 3.
    Sha1Digest,
    20
);
digest!(
    /// A SHA-256 digest: info-hash and Merkle tree nodes of BEP 52.
    Sha256Digest,
    32
);

/// Text that is not hexadecimal of the length asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits")]
pub struct ParseHexError {
    /// How many digits would have been right.
    pub expected: usize,
}

fn decode_hex(text: &str, out: &mut [u8]) -> Result<(), ParseHexError> {
    let error = ParseHexError { expected: out.len() * 2 };
    if text.len() != out.len() * 2 {
        return Err(error);
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |c: u8| (c as char).to_digit(16);
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err(error);
        };
        *byte = (high << 4 | low) as u8;
    }
    Ok(())
}

/// A running SHA-1.
#[derive(Clone, Default)]
pub struct Sha1(sha1::Sha1);

impl Sha1 {
    /// A hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added.
    pub fn finish(self) -> Sha1Digest {
        Sha1Digest(self.0.finalize().into())
    }
}

/// A running SHA-256.
#[derive(Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// A hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added.
    pub fn finish(self) -> Sha256Digest {
        Sha256Digest(self.0.finalize().into())
    }
}

/// SHA-1 of `bytes`.
pub fn sha1(bytes: &[u8]) -> Sha1Digest {
    Sha1Digest(sha1::Sha1::digest(bytes).into())
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(sha2::Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_abc() {
        // FIPS 180-4, examples.
        assert_eq!(sha1(b"abc").to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            sha256(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn hex_goes_both_ways_and_refuses_the_rest() {
        let digest = sha1(b"abc");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for bad in [
            "",
            "a9",
            "z9993e364706816aba3e25717850c26c9cd0d89d",
            "+9993e364706816aba3e25717850c26c9cd0d89d",
        ] {
            assert_eq!(bad.parse::<Sha1Digest>(), Err(ParseHexError { expected: 40 }));
        }
    }
}
