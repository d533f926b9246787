//! The figures as bars.

use crate::report::short;
use crate::results::Row;
use althing_sim::chart::Colour;
use althing_sim::chart::bars::{self, Bar, Group, SINGLE, Scale};

/// One part of the picture: an axis, and bars of one or two parts.
#[derive(Clone, Debug)]
pub(crate) struct Panel(bars::Panel);

impl Panel {
    /// A bar of one part for each row that has the figure.
    pub(crate) fn one(
        title: &'static str,
        unit: &'static str,
        rows: &[Row],
        figure: &str,
    ) -> Panel {
        let bar = |row: &Row| {
            let value = row.median(figure);
            let parts = vec![(Colour::new(0), value)];
            Bar { parts, value: format!("{} {unit}", short(value)) }
        };
        Panel::of(title, Vec::new(), groups(rows, figure, bar))
    }

    /// A bar of two parts for each row that has the first figure.
    pub(crate) fn two(
        title: &'static str,
        unit: &'static str,
        rows: &[Row],
        figures: [(&'static str, &str); 2],
    ) -> Panel {
        let [(first, figure), (second, other)] = figures;
        let bar = |row: &Row| {
            let (one, two) = (row.median(figure), row.median(other));
            let parts = vec![(Colour::new(0), one), (Colour::new(1), two)];
            Bar { parts, value: format!("{} + {} {unit}", short(one), short(two)) }
        };
        let legend = vec![(Colour::new(0), first.to_owned()), (Colour::new(1), second.to_owned())];
        Panel::of(title, legend, groups(rows, figure, bar))
    }

    fn of(title: &str, legend: Vec<(Colour, String)>, groups: Vec<Group>) -> Panel {
        Panel(bars::Panel { title: title.to_owned(), legend, scale: Scale::Axis, groups })
    }
}

/// A bar for each row that has a figure.
fn groups(rows: &[Row], figure: &str, bar: impl Fn(&Row) -> Bar) -> Vec<Group> {
    let rows = rows.iter().filter(|row| row.figures.contains_key(figure));
    let group =
        |row: &Row| Group { label: row.label.clone(), is_own: row.is_own(), bars: vec![bar(row)] };
    rows.map(group).collect()
}

/// The panels below each other.
pub(crate) fn svg(label: &str, panels: &[Panel]) -> String {
    let panels: Vec<_> = panels.iter().map(|Panel(panel)| panel.clone()).collect();
    bars::svg(label, &SINGLE, &panels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_bar_in_every_panel() {
        let row = |peer: &str, wall_s: f64| Row {
            label: format!("{peer} 1.0"),
            peer: peer.to_owned(),
            other: String::new(),
            figures: [("wall_s".to_owned(), vec![wall_s]), ("cpu_s".to_owned(), vec![1.0])].into(),
        };
        let rows = [row("althing", 2.0), row("other", 4.0)];
        let panels = [
            Panel::one("Time", "s", &rows, "wall_s"),
            Panel::two("Both", "s", &rows, [("one", "wall_s"), ("two", "cpu_s")]),
        ];
        let svg = svg("Time", &panels);
        assert_eq!(svg.matches("other 1.0").count(), 2);
        assert_eq!(svg.matches("class=\"f0\" x=\"190.0\"").count(), 4);
        // The axis ends at 4 s: 560 units; ours takes half of them.
        assert!(svg.contains("width=\"280.0\"") && svg.contains("width=\"560.0\""), "{svg}");
        let Panel(none) = Panel::one("None", "s", &rows, "no_s");
        assert!(none.groups.is_empty());
    }
}
