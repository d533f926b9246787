//! Text that strangers write and users read: bounded, and without characters that change how what is
//! around them is shown.

use std::fmt;
use std::ops::Deref;

/// UTF-8 of at most `MAX` bytes without control characters, line ends included, and without those that
/// turn the direction of writing (U+202A to U+202E, U+2066 to U+2069), with which `exe.fdp` is made to
/// look like `pdf.exe` the other way round.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<const MAX: usize>(String);

/// Why something is no [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// More bytes than fit.
    #[error("text of {bytes} bytes, where {max} are the most")]
    TooLong {
        /// How many they are.
        bytes: usize,
        /// How many they may be.
        max: usize,
    },
    /// It is not UTF-8.
    #[error("text that is not UTF-8")]
    NotUtf8,
    /// A character that is not let through.
    #[error("the character U+{:04X} in a text", u32::from(*character))]
    Character {
        /// Which.
        character: char,
    },
}

/// Whether a character may stand in a text.
fn may_stand(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize> Text<MAX> {
    /// Takes a text as it is.
    ///
    /// # Errors
    /// It is too long, or has a character that may not stand in it.
    pub fn new(text: &str) -> Result<Self, TextError> {
        if text.len() > MAX {
            return Err(TextError::TooLong { bytes: text.len(), max: MAX });
        }
        match text.chars().find(|&character| !may_stand(character)) {
            Some(character) => Err(TextError::Character { character }),
            None => Ok(Text(text.to_owned())),
        }
    }

    /// Takes bytes as they are.
    ///
    /// # Errors
    /// As [`new`](Text::new); or they are not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TextError> {
        if bytes.len() > MAX {
            return Err(TextError::TooLong { bytes: bytes.len(), max: MAX });
        }
        Text::new(std::str::from_utf8(bytes).map_err(|_| TextError::NotUtf8)?)
    }

    /// Makes a text of any: what may not stand in it becomes a space, and what does not fit is cut off at
    /// the end of a character.
    pub fn cleaned(text: &str) -> Self {
        let mut cleaned = String::new();
        for character in text.chars() {
            let character = if may_stand(character) { character } else { ' ' };
            if cleaned.len() + character.len_utf8() > MAX {
                break;
            }
            cleaned.push(character);
        }
        Text(cleaned)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_refused_or_cleaned() {
        assert_eq!(Text::<5>::new("größe").unwrap_err(), TextError::TooLong { bytes: 7, max: 5 });
        assert_eq!(Text::<7>::new("größe").unwrap().as_str(), "größe");
        assert_eq!(Text::<7>::from_bytes(b"gr\xf6").unwrap_err(), TextError::NotUtf8);
        for bad in ['\0', '\n', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{202e}', '\u{2066}'] {
            let text = format!("a{bad}b");
            let error = TextError::Character { character: bad };
            assert_eq!(Text::<9>::new(&text), Err(error));
            assert_eq!(Text::<9>::cleaned(&text).as_str(), "a b");
        }
        assert_eq!(Text::<6>::cleaned("größe").as_str(), "größ");
    }
}
