//! Text whose lines may be joined again (RFC 3676).

/// Joins the lines of each paragraph. `deletes_space` tells that the space at a line's end only marks it (`DelSp`).
pub(super) fn joined(text: &str, deletes_space: bool) -> String {
    let mut joined = String::with_capacity(text.len());
    // The quoting of the line before, if it flows on into this one.
    let mut flowing: Option<usize> = None;
    for line in text.lines() {
        let (depth, content) = unquoted(line);
        if flowing != Some(depth) || content == "-- " {
            if !joined.is_empty() {
                joined.push('\n');
            }
            joined.extend(std::iter::repeat_n('>', depth));
            joined.push_str(if depth > 0 { " " } else { "" });
        }
        // The line before a signature is one of its own.
        let flows = content.ends_with(' ') && content != "-- ";
        joined.push_str(if flows && deletes_space { content.trim_end_matches(' ') } else { content });
        flowing = flows.then_some(depth);
    }
    joined
}

/// How often a line is quoted, and what it says. The marks should touch, but often do not.
fn unquoted(line: &str) -> (usize, &str) {
    let (mut depth, mut content) = (0, line);
    while let Some(rest) = content.strip_prefix('>') {
        depth += 1;
        content = rest.strip_prefix(' ').filter(|rest| rest.starts_with('>')).unwrap_or(rest);
    }
    (depth, content.strip_prefix(' ').unwrap_or(content))
}
