//! Charts as SVG that reads on light and on dark pages: [`bars`] and [`lines`], one below the other. The benchmarks,
//! the lab and the tables about the DHT all draw with this.

pub mod bars;
pub mod lines;

use std::fmt::Write as _;

/// How wide a picture is, in its own units.
pub const WIDTH: f64 = 860.0;

/// What stands above the bars or lines of a panel.
const TITLE: f64 = 34.0;

/// One colour a meaning, each of a lightness that stands out from white and from black.
const COLOURS: [&str; 5] = ["#3b82c4", "#d9822b", "#3a9d5d", "#8250df", "#9aa4af"];

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}\
.title{font-weight:600}.own{font-weight:600}.small{font-size:11px;fill:#57606a}\
.grid{stroke:#d0d7de;stroke-width:1;fill:none}\
.line{fill:none;stroke-width:2}";

const DARK: &str = "\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.grid{stroke:#3d444d}}";

/// Which of the colours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Colour(u8);

impl Colour {
    /// One of the colours; there are five, and after the last comes the first.
    pub fn new(number: usize) -> Colour {
        Colour((number % COLOURS.len()) as u8)
    }
}

/// A picture that is so wide and high, with this in it.
fn picture(label: &str, (width, height): (f64, f64), body: &str) -> String {
    let mut style = STYLE.to_owned();
    for (number, colour) in COLOURS.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(style, ".f{number}{{fill:{colour}}}.s{number}{{stroke:{colour}}}");
    }
    let label = escape(label);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height:.0}\" role=\"img\" \
         aria-label=\"{label}\"><style>{style}{DARK}</style>\n{body}</svg>\n"
    )
}

fn title(svg: &mut String, top: f64, text: &str) {
    let text = escape(text);
    let _ = writeln!(svg, "<text class=\"title\" x=\"0\" y=\"{:.1}\">{text}</text>", top + 20.0);
}

/// Text as it stands in a page or a picture.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// With a comma between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The distance of the ticks of an axis: 1, 2 or 5 times a power of ten, so that there are at most so many.
fn tick_step(most: f64, ticks: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let magnitude = 10_f64.powf((most / ticks).log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| most / (factor * magnitude) <= ticks);
    factor.unwrap_or(10.0) * magnitude
}

/// A tick with the decimals that it needs.
fn tick_text(tick: f64, step: f64) -> String {
    // Compared with some slack: 0.1 as a power of ten may be a little less.
    let decimals = [1.0, 0.1].iter().filter(|unit| step < *unit * 0.99).count();
    format!("{tick:.decimals$}")
}

/// The ticks of an axis, from 0 to its end, which is the last of them.
fn ticks(most: f64, step: f64) -> impl Iterator<Item = f64> {
    let count = (most / step).ceil().max(1.0) as u32;
    (0..=count).map(move |number| f64::from(number) * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        for (most, step) in [(9.6, 1.0), (10.1, 2.0), (0.45, 0.05), (2_600.0, 500.0), (0.0, 1.0)] {
            let got = tick_step(most, 10.0);
            assert!((got - step).abs() < step / 1e6, "{most}: {got}, not {step}");
        }
        assert!((tick_step(22.0, 6.0) - 5.0).abs() < 1e-9);
        assert_eq!(ticks(22.0, 5.0).last(), Some(25.0));
    }

    #[test]
    fn ticks_have_the_decimals_they_need() {
        assert_eq!(tick_text(20.0, 10.0), "20");
        assert_eq!(tick_text(0.5, 0.1), "0.5");
        assert_eq!(tick_text(0.15, 0.05), "0.15");
    }

    #[test]
    fn numbers_and_words_are_readable() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(100_000), "100,000");
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(escape("a < b & \"c\""), "a &lt; b &amp; &quot;c&quot;");
    }
}
