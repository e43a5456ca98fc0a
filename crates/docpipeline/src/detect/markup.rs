//! Kinds of text that are told by how they are marked up.

/// Whether a JSON text is a Jupyter notebook: its keys stand in order of the alphabet, so cells come first.
pub(super) fn is_notebook(json: &str, extension: &str) -> bool {
    extension == "ipynb"
        || json.contains("\"nbformat\"") && json.contains("\"metadata\"")
        || json.contains("\"cells\"") && json.contains("\"cell_type\"")
}
