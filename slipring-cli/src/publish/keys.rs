//! Lines that are changes of a board: a field is the key, the others are the value.

use slipring::board::{Publisher, SetError};

use crate::failure::Failure;

/// How a key is found in a line.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// Counted from 1.
    pub field: usize,
    /// It stands between two fields; otherwise any number of blanks does.
    pub delimiter: Option<char>,
}

impl Keys {
    /// Sets the key of a line, or removes it if the line has nothing else. `number` is that of the
    /// line, from 1.
    pub fn publish(&self, board: &mut Publisher, line: &[u8], number: u64) -> Result<(), Failure> {
        let Some((key, value)) = self.split(line) else {
            return Err(Failure::failed(format!(
                "line {number} has no field {} that could be a key",
                self.field
            )));
        };
        let changed = match value {
            Some(value) => board.set(&key, &value).map(drop),
            None => board.remove(&key).map(drop),
        };
        changed.map_err(|error| {
            let cure = match error {
                SetError::Full { max_keys } => format!(
                    "the board is full: it has {max_keys} keys; raise --max-keys, or remove one \
                     by a line with nothing but its key"
                ),
                SetError::ValueTooLong { len, max } => {
                    format!("the value has {len} bytes, and {max} are the most; raise --max-value")
                }
                SetError::KeyTooLong { len, max } => format!(
                    "the key has {len} bytes, and {max} are the most; choose another --key-field"
                ),
                other => other.to_string(),
            };
            Failure::failed(format!("line {number}: {cure}"))
        })
    }

    /// The key and the value, if there is one beside it. `None`: there is no such field.
    fn split(&self, line: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let delimiter = self.delimiter.map(String::from).unwrap_or_default();
        let delimiter = delimiter.as_bytes();
        let mut fields: Vec<&[u8]> = match self.delimiter {
            Some(_) => split_at(line, delimiter),
            None => {
                let words = line.split(u8::is_ascii_whitespace);
                words.filter(|word| !word.is_empty()).collect()
            }
        };
        if fields.len() < self.field || fields[self.field - 1].is_empty() {
            return None;
        }
        let key = fields.remove(self.field - 1).to_vec();
        let between: &[u8] = if delimiter.is_empty() {
            b" "
        } else {
            delimiter
        };
        Some((key, (!fields.is_empty()).then(|| fields.join(between))))
    }
}

/// The parts of a line between delimiters, which have a byte at least.
fn split_at<'a>(mut line: &'a [u8], delimiter: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let find = |line: &[u8]| {
        line.windows(delimiter.len())
            .position(|part| part == delimiter)
    };
    while let Some(end) = find(line) {
        parts.push(&line[..end]);
        line = &line[end + delimiter.len()..];
    }
    parts.push(line);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(
        field: usize,
        delimiter: Option<char>,
        line: &str,
    ) -> Option<(String, Option<String>)> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let keys = Keys { field, delimiter };
        let (key, value) = keys.split(line.as_bytes())?;
        Some((text(key), value.map(text)))
    }

    fn pair(key: &str, value: &str) -> Option<(String, Option<String>)> {
        Some((key.to_owned(), Some(value.to_owned())))
    }

    #[test]
    fn a_field_is_the_key_and_the_others_are_the_value() {
        assert_eq!(split(1, None, "a 1 2"), pair("a", "1 2"));
        assert_eq!(split(2, None, "  1   a\t2 "), pair("a", "1 2"));
        assert_eq!(split(3, None, "1 2 a"), pair("a", "1 2"));
        assert_eq!(split(1, Some(','), "a b,1,,2"), pair("a b", "1,,2"));
        assert_eq!(split(2, Some('→'), "1→a→2"), pair("a", "1→2"));
        assert_eq!(split(1, Some(','), "a,"), pair("a", ""));
    }

    #[test]
    fn a_line_with_nothing_else_has_no_value() {
        assert_eq!(split(1, None, " a "), Some(("a".to_owned(), None)));
        assert_eq!(split(1, Some(','), "a"), Some(("a".to_owned(), None)));
    }

    #[test]
    fn a_line_without_the_field_has_no_key() {
        for (field, delimiter, line) in [(2, None, "a"), (1, None, "  "), (1, Some(','), ",1")] {
            assert_eq!(split(field, delimiter, line), None, "{line}");
        }
    }
}
