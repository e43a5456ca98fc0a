//! The picture: for each format and rival a bar from 1, as long as the rival's CPU time is times ours.

use std::fmt::Write;

use super::OURS;
use super::compare::Comparison;

const WIDTH: f64 = 860.0;
/// Where bars may start and end; names stand left of them, figures right of each.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 740.0;
const ROW: f64 = 22.0;
const BAR: f64 = 14.0;
const TOP: f64 = 74.0;
/// With fewer files, or texts less alike, a multiple says little: its bar is pale.
const FEW: usize = 10;
const UNLIKE: f64 = 0.95;
/// Above each format's rows, for its name.
const HEADING: f64 = 30.0;

/// Follows the reader's theme; the panel brings its own ground, so that it can be read on any page.
const STYLE: &str = "
  .ground { fill: #ffffff; stroke: #d0d7de; }
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .format { font-weight: 600; }
  .quiet { fill: #57606a; font-size: 12px; }
  .grid { stroke: #d8dee4; }
  .one { stroke: #57606a; stroke-width: 1.5; }
  .ahead { fill: #1a7f64; }
  .behind { fill: #bf5b17; }
  .weak { fill-opacity: 0.4; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #30363d; }
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .grid { stroke: #262c34; }
    .one { stroke: #9198a1; }
    .ahead { fill: #3fb68f; }
    .behind { fill: #e08a3c; }
  }
";

/// `documents.svg`.
pub(super) fn picture(comparisons: &[Comparison]) -> String {
    let rivals: Vec<_> = comparisons.iter().filter(|row| !row.rival.starts_with(OURS)).collect();
    let scale = Scale::over(rivals.iter().map(|row| row.ratio));
    let mut sets: Vec<&str> = rivals.iter().map(|row| row.set.as_str()).collect();
    sets.dedup();

    let mut rows = String::new();
    let mut y = TOP;
    for set in sets {
        rows += &label(20.0, y + 19.0, "format", "start", &escaped(set));
        y += HEADING;
        for row in rivals.iter().filter(|row| row.set == set) {
            rows += &bar(row, &scale, y);
            y += ROW;
        }
    }
    let height = y + 20.0;
    let mut grid = String::new();
    for (at, name) in scale.marks() {
        let (x, class) = (scale.x(f64::from(at).exp2()), if at == 0 { "one" } else { "grid" });
        let (top, bottom) = (TOP, y + 4.0);
        let _ = writeln!(
            grid,
            r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="{top:.1}" y2="{bottom:.1}"/>"#
        );
        grid += &label(x, TOP - 6.0, "quiet", "middle", &name);
    }
    let title = format!("CPU time for the same files, as a multiple of {OURS}'s");
    let legend = format!(
        "Logarithmic; right of 1× the rival needs more. Behind a bar: the multiple, files in common, F1 of the \
         texts. Pale: fewer than {FEW} files or F1 below {UNLIKE}."
    );
    let head = label(20.0, 28.0, "title", "start", &title) + &label(20.0, 47.0, "quiet", "start", &legend);
    let size = format!(r#"viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}""#);
    let (right, bottom) = (WIDTH - 1.0, height - 1.0);
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">
<style>{STYLE}</style>
<rect class="ground" x="0.5" y="0.5" width="{right:.1}" height="{bottom:.1}" rx="8"/>
{head}{grid}{rows}</svg>
"#
    )
}

/// A rival's name, its bar, and its figures.
fn bar(row: &Comparison, scale: &Scale, y: f64) -> String {
    let (one, end) = (scale.x(1.0), scale.x(row.ratio));
    let (x, width, top) = (one.min(end), (end - one).abs().max(1.0), y + 1.0);
    let side = if row.ratio >= 1.0 { "ahead" } else { "behind" };
    let weight = if row.common < FEW || row.f1.median < UNLIKE { " weak" } else { "" };
    let multiple =
        if row.ratio < 10.0 { format!("{:.1}×", row.ratio) } else { format!("{:.0}×", row.ratio) };
    let figures =
        format!(r#"{multiple}<tspan class="quiet" dx="6">{}, {:.3}</tspan>"#, row.common, row.f1.median);
    let place = format!(r#"x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{BAR}" rx="2""#);
    label(LEFT - 12.0, y + 12.0, "name", "end", &escaped(row.rival))
        + &format!("<rect class=\"{side}{weight}\" {place}/>\n")
        + &label(one.max(end) + 6.0, y + 12.0, "figures", "start", &figures)
}

/// A line of text; what it says is SVG already.
fn label(x: f64, y: f64, class: &str, anchor: &str, text: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n")
}

/// Powers of two, from left to right.
struct Scale {
    least: i32,
    most: i32,
}

impl Scale {
    /// Wide enough for all ratios and for 1.
    fn over(ratios: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (0, 1);
        for ratio in ratios.filter(|ratio| ratio.is_finite() && *ratio > 0.0) {
            #[allow(clippy::cast_possible_truncation, reason = "powers of two of a ratio are small")]
            let (floor, ceiling) = (ratio.log2().floor() as i32, ratio.log2().ceil() as i32);
            (least, most) = (least.min(floor), most.max(ceiling));
        }
        Self { least, most }
    }

    fn x(&self, ratio: f64) -> f64 {
        let share = (ratio.log2() - f64::from(self.least)) / f64::from(self.most - self.least);
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// At most a dozen powers of two, 1 among them.
    fn marks(&self) -> impl Iterator<Item = (i32, String)> {
        let step = (self.most - self.least) / 12 + 1;
        (self.least..=self.most).filter(move |at| at % step == 0).map(|at| {
            let label = if at < 0 { format!("1/{}×", 1_i64 << -at) } else { format!("{}×", 1_i64 << at) };
            (at, label)
        })
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::compare::{Side, Spread};
    use super::*;

    #[test]
    fn a_bar_is_pale_where_little_is_known_and_the_texts_differ() {
        let side = Side {
            cpu_seconds: 1.0,
            documents_per_cpu_minute: 60.0,
            p50: 1.0,
            p90: 1.0,
            p99: 1.0,
            failures: 0,
        };
        let row = |common, median| Comparison {
            set: "pdf".to_owned(),
            rival: "other",
            common,
            ours: side,
            theirs: side,
            ratio: 2.0,
            usual_ratio: 2.0,
            f1: Spread { median, worst: 0.5 },
        };
        let pale = |row| picture(&[row]).contains(r#"class="ahead weak""#);
        assert_eq!([pale(row(60, 0.99)), pale(row(9, 0.99)), pale(row(60, 0.9))], [false, true, true]);
    }

    #[test]
    fn the_scale_holds_every_ratio_and_one() {
        let scale = Scale::over([0.3, 90.0].into_iter());
        assert_eq!((scale.least, scale.most), (-2, 7));
        assert!((scale.x(0.25) - LEFT).abs() < 1e-9);
        assert!((scale.x(128.0) - RIGHT).abs() < 1e-9);
        assert!(scale.x(1.0) > LEFT && scale.x(1.0) < scale.x(2.0));
        assert!(scale.marks().any(|(at, label)| at == 0 && label == "1×"));
    }
}
