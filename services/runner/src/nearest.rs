//! Which known name somebody meant who wrote an unknown one: the nearest, by the number of letters that differ.

/// The known name that needs the fewest letters put in, left out or changed; none if nothing is known.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|name| distance(word, name))
}

/// How many letters must be put in, left out or changed to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_are_counted() {
        for (one, other, n) in [("host", "host", 0), ("hots", "host", 2), ("", "abc", 3), ("kitten", "sitting", 3)] {
            assert_eq!((distance(one, other), distance(other, one)), (n, n), "{one} {other}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_finds_its_way() {
        let known = ["motion", "camera-online", "camera-offline"];
        assert_eq!(nearest("moton", known), Some("motion"));
        assert_eq!(nearest("camera_online", known), Some("camera-online"));
        assert_eq!(nearest("x", []), None);
    }
}
