//! Bars, alone or in groups, of one part or several.

use super::{Colour, TITLE, WIDTH, escape, picture, tick_step, tick_text, ticks, title};
use std::fmt::Write as _;

/// The most ticks of an axis.
const TICKS: f64 = 10.0;

/// What stands below an axis.
const BELOW: f64 = 30.0;

/// How much room what takes, in the picture's own units.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// What stands before the bars.
    pub labels: f64,
    /// What stands behind the longest.
    pub values: f64,
    /// How high a bar is.
    pub bar: f64,
    /// From one to the next of a group.
    pub step: f64,
    /// Between groups, besides.
    pub gap: f64,
    /// How much wider than usual the picture is, for long values.
    pub beyond: f64,
}

/// Bars that each have a label of their own.
pub const SINGLE: Sizes =
    Sizes { labels: 190.0, values: 110.0, bar: 18.0, step: 26.0, gap: 0.0, beyond: 0.0 };

/// Bars that belong together under a label.
pub const GROUPED: Sizes =
    Sizes { labels: 250.0, values: 110.0, bar: 12.0, step: 15.0, gap: 9.0, beyond: 50.0 };

/// One part of the picture.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What is shown, with its unit.
    pub title: String,
    /// What the colours are, if there are several.
    pub legend: Vec<(Colour, String)>,
    /// How long the bars are.
    pub scale: Scale,
    /// The bars, from above.
    pub groups: Vec<Group>,
}

/// How long bars are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Their lengths are parts of what there is room for: 0 to 1.
    Parts,
    /// Their lengths are values, which are read on an axis.
    Axis,
}

/// Bars that belong together.
#[derive(Clone, Debug)]
pub struct Group {
    /// What stands before them.
    pub label: String,
    /// Whether it stands out.
    pub is_own: bool,
    /// The bars.
    pub bars: Vec<Bar>,
}

/// A bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its parts, from the left: their colour, and how long they are.
    pub parts: Vec<(Colour, f64)>,
    /// What stands behind it.
    pub value: String,
}

impl Panel {
    fn height(&self, sizes: &Sizes) -> f64 {
        let group = |group: &Group| group.bars.len() as f64 * sizes.step + sizes.gap;
        let below = if self.scale == Scale::Axis { BELOW } else { 0.0 };
        TITLE + self.groups.iter().map(group).sum::<f64>() + below
    }
}

/// The panels below each other.
pub fn svg(label: &str, sizes: &Sizes, panels: &[Panel]) -> String {
    let mut body = String::new();
    let mut top = 0.0;
    for panel in panels {
        draw(&mut body, sizes, panel, top);
        top += panel.height(sizes);
    }
    picture(label, (WIDTH + sizes.beyond, top + 8.0), &body)
}

fn draw(svg: &mut String, sizes: &Sizes, panel: &Panel, top: f64) {
    let Sizes { labels, values, bar: height, step, gap, .. } = *sizes;
    title(svg, top, &panel.title);
    legend(svg, top + 20.0, &panel.legend);
    let mut y = top + TITLE;
    let room = WIDTH - labels - values;
    let scale = match panel.scale {
        Scale::Parts => room,
        Scale::Axis => room / axis(svg, sizes, panel, y),
    };
    for Group { label, is_own, bars } in &panel.groups {
        let own = if *is_own { " class=\"own\"" } else { "" };
        let middle = y + bars.len() as f64 * step / 2.0 + 4.5;
        let label = escape(label);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text{own} x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{label}</text>",
            labels - 10.0
        );
        for bar in bars {
            let (mut x, top) = (labels, y + (step - height) / 2.0);
            for (Colour(colour), length) in &bar.parts {
                let width = (length * scale).clamp(0.0, room);
                let _ = write!(
                    svg,
                    "<rect class=\"f{colour}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
                     height=\"{height}\"/>"
                );
                x += width;
            }
            let _ = writeln!(
                svg,
                "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 6.0,
                top + height / 2.0 + 4.0,
                escape(&bar.value)
            );
            y += step;
        }
        y += gap;
    }
}

/// Draws the axis of a panel. Where it ends.
fn axis(svg: &mut String, sizes: &Sizes, panel: &Panel, top: f64) -> f64 {
    let bars = || panel.groups.iter().flat_map(|group| &group.bars);
    let length = |bar: &Bar| bar.parts.iter().map(|(_, length)| length).sum::<f64>();
    let most = bars().map(length).fold(0.0, f64::max);
    let step = tick_step(most, TICKS);
    let end = ticks(most, step).last().unwrap_or(step);
    let bottom = top + panel.height(sizes) - TITLE - BELOW;
    for tick in ticks(most, step) {
        let x = sizes.labels + tick / end * (WIDTH - sizes.labels - sizes.values);
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>\
             <text class=\"small\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 15.0,
            tick_text(tick, step)
        );
    }
    end
}

fn legend(svg: &mut String, y: f64, names: &[(Colour, String)]) {
    let mut x = WIDTH - 90.0 * names.len() as f64;
    for (Colour(colour), name) in names {
        let _ = writeln!(
            svg,
            "<rect class=\"f{colour}\" x=\"{x}\" y=\"{:.1}\" width=\"10\" height=\"10\"/>\
             <text class=\"small\" x=\"{}\" y=\"{y:.1}\">{}</text>",
            y - 9.0,
            x + 15.0,
            escape(name)
        );
        x += 90.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_they_should_be() {
        let bar = |lengths: &[f64]| Bar {
            parts: lengths.iter().enumerate().map(|(n, l)| (Colour::new(n), *l)).collect(),
            value: "some".into(),
        };
        let group = |label: &str, bars| Group { label: label.into(), is_own: false, bars };
        let panel = |scale, groups| Panel { title: "Time".into(), legend: vec![], scale, groups };
        // The axis ends at 4: 560 units.
        let groups = vec![group("one", vec![bar(&[1.0, 1.0])]), group("two", vec![bar(&[4.0])])];
        let axis = svg("Time", &SINGLE, &[panel(Scale::Axis, groups)]);
        assert_eq!(axis.matches("width=\"140.0\"").count(), 2, "{axis}");
        assert!(axis.contains("width=\"560.0\"") && axis.contains("prefers-color-scheme:dark"));
        let groups = vec![group("a < b", vec![bar(&[0.5]), bar(&[7.0])])];
        let parts = svg("Found", &GROUPED, &[panel(Scale::Parts, groups)]);
        assert!(parts.contains("width=\"250.0\"") && parts.contains("width=\"500.0\""), "{parts}");
        assert!(parts.contains("a &lt; b") && !parts.contains("class=\"grid\""), "{parts}");
    }
}
