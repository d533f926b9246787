//! A profile: how an author wants to be called.

use super::reader::Reader;
use super::{RecordError, Text};
use crate::limits::{ABOUT_BYTES_MAX, NAME_BYTES_MAX};

/// Who an author is. It stands in the slot of zeros, so that an author has one. Nobody checks the name:
/// two may have the same, and only the key tells them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    name: Text<NAME_BYTES_MAX>,
    about: Text<ABOUT_BYTES_MAX>,
}

impl Profile {
    /// The version that is written and read.
    pub const VERSION: u8 = 1;

    /// A profile.
    ///
    /// # Errors
    /// The name is empty.
    pub fn new(
        name: Text<NAME_BYTES_MAX>,
        about: Text<ABOUT_BYTES_MAX>,
    ) -> Result<Self, RecordError> {
        if name.is_empty() { Err(RecordError::NoName) } else { Ok(Profile { name, about }) }
    }

    /// How the author wants to be called; not empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the author says of himself; often empty.
    pub fn about(&self) -> &str {
        &self.about
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != Profile::VERSION {
            return Err(RecordError::Version { version });
        }
        let length = reader.u8()?;
        let name = Text::from_bytes(reader.bytes(length.into())?)?;
        let length = reader.u16()?;
        let about = Text::from_bytes(reader.bytes(length.into())?)?;
        reader.end()?;
        Profile::new(name, about)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![Profile::VERSION, self.name.len() as u8];
        bytes.extend(self.name.bytes());
        bytes.extend((self.about.len() as u16).to_be_bytes());
        bytes.extend(self.about.bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_as_it_was_written() {
        let profile =
            Profile::new(Text::new("Ada").unwrap(), Text::new("Hello.").unwrap()).unwrap();
        let bytes = profile.encode();
        assert_eq!(bytes, b"\x01\x03Ada\x00\x06Hello.");
        assert_eq!(Profile::parse(&bytes), Ok(profile));
        assert_eq!(Profile::parse(b"\x01\x00\x00\x00"), Err(RecordError::NoName));
        assert_eq!(Profile::parse(b"\x01\x03Ada\x00"), Err(RecordError::Truncated));
    }
}
