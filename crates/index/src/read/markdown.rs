//! Markdown (CommonMark), as far as it matters for finding: marks and addresses go, words stay.

use super::Document;

/// Reads a document: the first heading is its title.
pub(super) fn read(source: &str) -> Document {
    let mut document = Document::default();
    let mut lines = source.lines().peekable();
    // What some programs put before the text, between two lines of dashes.
    if lines.peek().is_some_and(|first| first.trim_end() == "---") {
        let head = lines.clone().skip(1).take(100).position(|line| line.trim_end() == "---");
        if let Some(length) = head {
            lines.nth(length + 1);
        }
    }
    let mut is_code = false;
    for line in lines {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            is_code = !is_code;
            continue;
        }
        let text = if is_code { trimmed.to_owned() } else { plain(trimmed) };
        if !is_code && document.title.is_empty() && trimmed.starts_with('#') {
            document.title = text.trim().to_owned();
        }
        document.text.push_str(&text);
        document.text.push('\n');
    }
    document
}

/// A line without marks.
fn plain(line: &str) -> String {
    let line = line.trim_start_matches(['#', '>']).trim_start();
    let line = line.trim_end().trim_end_matches('#');
    if !line.is_empty()
        && line.chars().all(|c| matches!(c, '-' | '=' | '*' | '_' | '|' | ':' | ' '))
    {
        return String::new();
    }
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    // Of a link stays what is shown of it.
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.retain(|c| !matches!(c, '*' | '`' | '[' | ']' | '|'));
    text
}
