//! A file of `NAME=VALUE` lines, as those in `/etc/default` that systemd and shells read. Lines that are empty or begin with `#` are
//! comments; a value may stand in quotes; ` #` behind a value without quotes begins a comment too, as in a shell.

use crate::settings::BadConfig;
use std::fs;
use std::path::Path;

/// The variables in a file, in its order.
///
/// # Errors
/// It cannot be read, or a line is none of these; the message names the line.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, BadConfig> {
    let bad = |why| BadConfig { source: path.display().to_string(), key: String::new(), why };
    let text = fs::read_to_string(path).map_err(|why| bad(format!("cannot be read ({why}); make it readable text")))?;
    parse(&text).map_err(|line| bad(format!("line {line} is no NAME=VALUE; write it so, or put # before it")))
}

/// The variables in a text; the number of the first line that is none.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let assignments = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    assignments.map(|(number, line)| assignment(line).ok_or(number)).collect()
}

fn assignment(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(letter)).then(|| (name.to_owned(), plain(value.trim())))
}

fn plain(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inside.to_owned();
        }
    }
    let end = value.find([' ', '\t']).filter(|&at| value[at..].trim_start().starts_with('#'));
    value[..end.unwrap_or(value.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    #[test]
    fn comments_quotes_and_blanks_are_those_of_a_shell() {
        let text =
            "# per camera\n\nSEGMENT_SEC=20\n FPS = 15  # a second\nURL=\"http://cam/#a b\"\nexport X='y # z'\nE=\n";
        let expected = [("SEGMENT_SEC", "20"), ("FPS", "15"), ("URL", "http://cam/#a b"), ("X", "y # z"), ("E", "")];
        assert_eq!(pairs(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(pairs("A=http://cam/#x y")[0].1, "http://cam/#x y");
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        assert_eq!(parse("A=1\n\nsegment twenty\n"), Err(3));
        assert_eq!(parse("A B=1"), Err(1));
        assert_eq!(parse("=1"), Err(1));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("seg-cam1"), "FPS\n").unwrap();
        let message = read(&dir.path().join("seg-cam1")).unwrap_err().to_string();
        assert!(message.contains("seg-cam1: line 1 is no NAME=VALUE"), "{message}");
    }
}
