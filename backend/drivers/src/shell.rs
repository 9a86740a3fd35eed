//! Commands as a person would type them: for those who read what a driver does.

/// A command on one line.
pub fn line<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    words.join(" ")
}

/// A word, in quotes where a shell would take it for more; `<name>`, which stands for what is not
/// shown, stays as it is.
fn quoted(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_=+/.,:@%<>".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
