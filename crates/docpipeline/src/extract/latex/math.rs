//! Formulas: their source, as far as it can be made readable.

use super::symbols::symbol;

/// Labels of formulas are no longer than this.
const LONGEST_LABEL: usize = 200;

/// Symbols as characters, without what only sets them: sizes, spaces, fonts, numbers.
pub(super) fn readable(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find(['\\', '&', '~']) {
        text.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let Some(after) = rest.strip_prefix('\\') else {
            text.push(' ');
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        let length = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let length = if length == 0 { after.chars().next().map_or(0, char::len_utf8) } else { length };
        let (name, tail) = after.split_at(length);
        rest = tail;
        match name {
            "\\" | "cr" => text.push('\n'),
            "," | ";" | ":" | "!" | " " | "quad" | "qquad" | "\n" => text.push(' '),
            "{" | "}" | "$" | "%" | "#" | "_" | "|" => text.push_str(name),
            "label" | "tag" => {
                let near = rest.get(..rest.floor_char_boundary(LONGEST_LABEL)).unwrap_or_default();
                let end = near.starts_with('{').then(|| near.find('}')).flatten();
                rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or(rest);
            }
            "left" | "right" | "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "displaystyle"
            | "textstyle" | "nonumber" | "notag" | "limits" | "mathrm" | "mathbf" | "mathit" | "mathsf"
            | "mathtt" | "mathcal" | "mathbb" | "mathfrak" | "boldsymbol" | "text" | "textrm" | "textbf"
            | "textit" | "mbox" | "operatorname" | "hline" => {}
            name => {
                // Names of functions, and whatever a reader may know better than this table.
                let known = symbol(name);
                text.push_str(if known.is_some() { "" } else { "\\" });
                text.push_str(known.unwrap_or(name));
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn formulas_are_readable() {
        assert_eq!(readable(r"\alpha^2 \le \frac{1}{2}\,x \label{eq:a}"), r"α^2 ≤ \frac{1}{2} x ");
        assert_eq!(readable(r"a &= \left(b\right) \\ c"), "a  = (b) \n c");
        assert_eq!(readable(r"\sin 5\% \"), "\\sin 5% \\");
    }
}
