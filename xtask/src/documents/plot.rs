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

    let mut body = String::new();
    let mut y = TOP;
    for set in sets {
        let _ = writeln!(body, r#"<text class="format" x="20" y="{:.1}">{}</text>"#, y + 19.0, escaped(set));
        y += HEADING;
        for row in rivals.iter().filter(|row| row.set == set) {
            body += &bar(row, &scale, y);
            y += ROW;
        }
    }
    let height = y + 20.0;
    let mut grid = String::new();
    for (at, label) in scale.marks() {
        let class = if at == 0 { "one" } else { "grid" };
        let x = scale.x(f64::from(at).exp2());
        let _ = writeln!(
            grid,
            r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="{:.1}" y2="{:.1}"/><text class="quiet" x="{x:.1}" y="{:.1}" text-anchor="middle">{label}</text>"#,
            TOP,
            y + 4.0,
            TOP - 6.0,
        );
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="CPU time of rivals as multiples of ours, by format">
<style>{STYLE}</style>
<rect class="ground" x="0.5" y="0.5" width="{:.1}" height="{:.1}" rx="8"/>
<text class="title" x="20" y="28">CPU time for the same files, as a multiple of {OURS}'s</text>
<text class="quiet" x="20" y="47">Logarithmic. Right of 1×: the rival needs more. Behind each bar: the multiple, files in common, F1 of the texts.</text>
{grid}{body}</svg>
"#,
        WIDTH - 1.0,
        height - 1.0,
    )
}

fn bar(row: &Comparison, scale: &Scale, y: f64) -> String {
    let (one, end) = (scale.x(1.0), scale.x(row.ratio));
    let (x, width) = (one.min(end), (end - one).abs().max(1.0));
    let class = if row.ratio >= 1.0 { "ahead" } else { "behind" };
    let figure = if row.ratio < 10.0 { format!("{:.1}×", row.ratio) } else { format!("{:.0}×", row.ratio) };
    format!(
        r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text><rect class="{class}" x="{x:.1}" y="{:.1}" width="{width:.1}" height="{BAR}" rx="2"/><text x="{:.1}" y="{:.1}">{figure}<tspan class="quiet" dx="6">{}, {:.3}</tspan></text>
"#,
        LEFT - 12.0,
        y + 12.0,
        escaped(row.rival),
        y + 1.0,
        one.max(end) + 6.0,
        y + 12.0,
        row.common,
        row.f1.median,
    )
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
    use super::*;

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
