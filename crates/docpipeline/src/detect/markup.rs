//! Kinds of text that are told by how they are marked up.

/// Whether a JSON text is a Jupyter notebook: its keys stand in order of the alphabet, so cells come first.
pub(super) fn is_notebook(json: &str, extension: &str) -> bool {
    extension == "ipynb"
        || json.contains("\"nbformat\"") && json.contains("\"metadata\"")
        || json.contains("\"cells\"") && json.contains("\"cell_type\"")
}

/// Whether a text without a telling name is reStructuredText: two marks of its own that no prose has.
pub(super) fn looks_like_rst(text: &str) -> bool {
    let mut marks = 0;
    for line in text.lines().take(200) {
        let directive = line.trim_start().strip_prefix(".. ").and_then(|rest| rest.split_once("::"));
        marks += usize::from(directive.is_some_and(|(name, _)| !name.is_empty() && !name.contains(' ')));
        marks += usize::from(line.starts_with(".. _") && line.contains(':'));
        let role = line.split_once(":`").and_then(|(before, _)| before.rsplit_once(':'));
        marks += usize::from(role.is_some_and(|(_, name)| !name.is_empty() && !name.contains(' ')));
    }
    marks >= 2
}
