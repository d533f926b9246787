//! Tables in plain text: columns as wide as they need, numbers to the right.

use super::{Screen, text};

/// Which way a column leans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Lays `rows` out under `header`. Cells may hold terminal colours.
pub(crate) fn lay_out<T: AsRef<str>, R: AsRef<[String]>>(
    header: &[(T, Align)],
    rows: &[R],
) -> Vec<String> {
    let titles: Vec<&str> = header.iter().map(|(title, _)| title.as_ref()).collect();
    let mut widths: Vec<usize> = titles.iter().map(|title| width(title)).collect();
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row.as_ref()) {
            *widest = (*widest).max(width(cell));
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (column, ((cell, widest), (_, align))) in cells.zip(&widths).zip(header).enumerate() {
            let space = " ".repeat(widest.saturating_sub(width(cell)));
            if column > 0 {
                line.push_str("  ");
            }
            match align {
                Align::Left => line.extend([cell, &space]),
                Align::Right => line.extend([&space, cell]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    };
    let head = line(&mut titles.iter().copied());
    let body = rows.iter().map(|row| line(&mut row.as_ref().iter().map(String::as_str)));
    std::iter::once(head).chain(body).collect()
}

fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// Lines of a name and a value, the values under each other.
#[derive(Default)]
pub(crate) struct Lines(Vec<(&'static str, String)>);

impl Lines {
    pub(crate) fn add(&mut self, name: &'static str, value: impl AsRef<str>) {
        self.0.push((name, text::escape(value.as_ref()).into_owned()));
    }

    pub(crate) fn add_some(&mut self, name: &'static str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    pub(crate) fn print(&self, screen: &Screen) {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in &self.0 {
            screen.result(&format!("{name:width$}  {value}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_seen() {
        let rows = [
            ["日本".to_owned(), "7".to_owned()],
            ["\x1b[1mabc\x1b[0m".to_owned(), "1,204".to_owned()],
        ];
        let table = lay_out(&[("NAME", Align::Left), ("N", Align::Right)], &rows);
        assert_eq!(table, ["NAME      N", "日本      7", "\x1b[1mabc\x1b[0m   1,204"]);
    }
}
