//! Bytes of which nobody says in which encoding they are, as text.

use super::ReadError;
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Bytes at the beginning in which none may be zero: in text there is none, but in UTF-16, which says so first.
const LOOKED_AT: usize = 4_096;

/// The text: in UTF-8 or UTF-16 if a mark at its beginning says so; else in UTF-8 if it can be; else in
/// what is declared; else in Windows-1252, in which all bytes mean something.
pub(super) fn decode(bytes: &[u8], declared: Option<&str>) -> Result<String, ReadError> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let rest = bytes.get(mark..).unwrap_or_default();
        return Ok(encoding.decode_without_bom_handling(rest).0.into_owned());
    }
    if bytes.iter().take(LOOKED_AT).any(|&byte| byte == 0) {
        return Err(ReadError::damaged("it is no text"));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    let declared = declared.and_then(|name| Encoding::for_label(name.as_bytes()));
    // What says of itself that it is in UTF-8 and is not was mostly put together from several.
    let encoding = declared.filter(|&encoding| encoding != UTF_8).unwrap_or(WINDOWS_1252);
    Ok(encoding.decode_without_bom_handling(bytes).0.into_owned())
}
