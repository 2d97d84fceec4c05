//! From Postgres's positions to lines and columns of a file.

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In bytes from the start.
    pub offset: usize,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Column in UTF-16 units, from 0, as language servers count.
    pub utf16: u32,
}

/// The place of a byte offset; one beyond the end, or inside of a character, is moved back.
pub fn place_of_offset(text: &str, offset: usize) -> Place {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let before = &text[start..offset];
    Place {
        offset,
        line: text[..start].bytes().filter(|byte| *byte == b'\n').count() as u32 + 1,
        column: before.chars().count() as u32 + 1,
        utf16: before.encode_utf16().count() as u32,
    }
}

/// The place in a file of an error's `position`, which Postgres counts in characters from 1 in the query that it got.
///
/// `start` is where that query starts in the file, in bytes; 0 if the whole file was sent at once.
pub fn place_of_position(text: &str, start: usize, position: u32) -> Place {
    let query = text.get(start..).unwrap_or_default();
    let within =
        query.char_indices().nth(position.saturating_sub(1) as usize).map_or(query.len(), |(at, _)| at);
    place_of_offset(text, start + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_of_the_statement() {
        let text = "select 1;\nselect '😀é', wrong;\n";
        let start = text.find("select '").unwrap();
        let place = place_of_position(text, start, 14);
        assert_eq!((place.line, place.column, place.utf16), (2, 14, 14));
        assert!(text[place.offset..].starts_with("wrong") || text[place.offset..].starts_with(" wrong"));
    }

    #[test]
    fn beyond_the_end_is_the_end() {
        assert_eq!(place_of_position("a\n", 0, 99).line, 2);
        assert_eq!(place_of_position("", 5, 1).line, 1);
    }
}
