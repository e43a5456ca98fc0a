//! What a document says of its pictures, for those who do not see them.

/// The description of a picture as it stands in the text; `None` where it says nothing: writers put in the name of the
/// file where their user put in nothing.
pub(in crate::extract) fn described(description: &str) -> Option<String> {
    const FILES: [&str; 9] = [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".svg", ".wmf", ".emf", ".tif"];
    let description = description.trim();
    let lower = description.to_lowercase();
    let is_file = FILES.iter().any(|extension| lower.ends_with(extension)) || lower.starts_with("http");
    (!description.is_empty() && !is_file).then(|| format!("[{description}]"))
}

#[cfg(test)]
mod tests {
    use super::described;

    #[test]
    fn names_of_files_are_no_descriptions() {
        assert_eq!(described(" A cat. ").as_deref(), Some("[A cat.]"));
        assert_eq!(described(r"C:\images\cat.PNG"), None);
        assert_eq!(described(""), None);
    }
}
