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

/// Whether a text without a telling name is LaTeX.
pub(super) fn looks_like_latex(text: &str) -> bool {
    let says = |mark: &str| text.contains(mark);
    let begins =
        text.lines().find(|line| !line.trim_start().is_empty() && !line.trim_start().starts_with('%'));
    begins.is_some_and(|line| line.trim_start().starts_with("\\documentclass"))
        || says("\\begin{document}") && says("\\usepackage")
        || says("\\section{") && says("\\label{")
}

/// Whether a text without a telling name is Org: a setting or a block, and a headline or a drawer.
pub(super) fn looks_like_org(text: &str) -> bool {
    let settings = [
        "#+title:",
        "#+author:",
        "#+startup:",
        "#+options:",
        "#+begin_src",
        "#+begin_example",
        "#+begin_quote",
    ];
    let (mut set, mut structured) = (0, 0);
    for line in text.lines().take(200) {
        let lower = line.get(..line.floor_char_boundary(20)).unwrap_or_default().to_ascii_lowercase();
        set += usize::from(settings.iter().any(|setting| lower.starts_with(setting)));
        structured +=
            usize::from(line.starts_with("* ") || line.starts_with("** ") || lower.trim() == ":properties:");
    }
    set >= 2 || set >= 1 && structured >= 1
}
