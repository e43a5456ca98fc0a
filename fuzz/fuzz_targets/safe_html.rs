//! Any markup: what comes out holds nothing dangerous by a reader of its own, and cleaned again it holds no more.

#![no_main]

use buttress_validate::SafeHtml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|markup: &str| {
    for clean in [SafeHtml::text_only, SafeHtml::inline, SafeHtml::article, SafeHtml::mail] {
        let Ok(mut html) = clean(markup) else { continue };
        check(html.as_str());
        // Markup that is not nested as it may be moves when it is read again; soon nothing moves.
        for _ in 0..16 {
            let Ok(next) = clean(html.as_str()) else { return };
            check(next.as_str());
            if next == html {
                break;
            }
            html = next;
        }
    }
});

/// Tags as a serialiser writes them: a name, attributes in double quotes.
fn check(html: &str) {
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once('<') {
        let tag = tag.strip_prefix('/').unwrap_or(tag);
        let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        assert!(!name.is_empty() && name.len() <= 10, "{html}");
        for bad in [
            "script", "style", "iframe", "svg", "math", "form", "object", "embed", "base", "link", "meta",
            "template",
        ] {
            assert_ne!(name, bad, "{html}");
        }
        rest = &tag[name.len()..];
        while let Some(attribute) = rest.strip_prefix(' ') {
            let (name, value) = attribute.split_once("=\"").expect("attributes have quotes");
            let (value, after) = value.split_once('"').expect("quotes are closed");
            assert!(!name.starts_with("on") && name != "name" && name != "srcdoc", "{html}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{html}");
            if name == "href" || name == "src" {
                let plain: String = value.chars().filter(|c| *c > ' ').collect::<String>().to_lowercase();
                assert!(!plain.starts_with("javascript:") && !plain.starts_with("vbscript:"), "{html}");
                assert!(name == "src" || !plain.starts_with("data:"), "{html}");
            }
            rest = after;
        }
        assert!(rest.starts_with('>'), "{html}");
        rest = &rest[1..];
    }
}
