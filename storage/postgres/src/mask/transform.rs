//! From a value to its replacement.

use super::digits::{permute, permute_within};
use super::words::{FIRST, LAST, LONGEST};
use super::{Key, Transformer};

/// Characters of the code that keeps replacements apart: 65 bits.
const CODE_CHARS: usize = 13;
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Hexadecimal digits of a hash, and the fewest that keep values apart.
const HASH_CHARS: usize = 32;
const LEAST_HASH_CHARS: usize = 16;
const HOSTS: [&str; 3] = ["example.com", "example.net", "example.org"];
const LONGEST_EMAIL: usize = LONGEST + 1 + CODE_CHARS + 1 + 11;
const SHORTEST_EMAIL: usize = CODE_CHARS + 1 + 11;

/// What a type's values look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text of some kind.
    Text,
    /// A number.
    Number,
    /// A UUID.
    Uuid,
    /// Anything else.
    Other,
}

/// How the values of a column, and of those that it shares them with, are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Method {
    pub(super) with: Transformer,
    pub(super) kind: Kind,
    /// Two values must not become one.
    pub(super) unique: bool,
    /// The longest value that fits, in characters.
    pub(super) max_chars: Option<usize>,
    /// The largest number that fits.
    pub(super) max_number: Option<u64>,
    /// Upper and lower case are one: `citext`.
    pub(super) folds: bool,
    /// Blanks at the end mean nothing: `char(n)`.
    pub(super) trims: bool,
}

impl Method {
    /// Says what speaks against it, as the end of a sentence that begins with the column's name.
    pub(super) fn objection(&self) -> Option<String> {
        let room = self.max_chars.unwrap_or(usize::MAX);
        let fits = |needs: usize| {
            (needs > room)
                .then(|| format!("takes {room} characters, and {} needs {needs}", self.with.as_str()))
        };
        let wrong_type = |is_right: bool, what: &str| {
            (!is_right)
                .then(|| format!("has a type that `{}` does not know: it takes {what}", self.with.as_str()))
        };
        match &self.with {
            // What speaks against the last two has to do with the table as a whole: `plan::entangled`.
            Transformer::Keep | Transformer::Null | Transformer::Shuffle | Transformer::Sql(_) => None,
            Transformer::Fixed(_) if self.unique => {
                Some("has to be unique, and a fixed value is not".to_owned())
            }
            Transformer::Fixed(text) => fits(text.chars().count()),
            Transformer::Hash => wrong_type(self.kind != Kind::Other, "text, numbers and UUIDs")
                .or_else(|| if self.kind == Kind::Text { fits(LEAST_HASH_CHARS) } else { None }),
            Transformer::FakeName => wrong_type(self.kind == Kind::Text, "text")
                .or_else(|| if self.unique { fits(LONGEST + 1 + CODE_CHARS) } else { None }),
            Transformer::FakeEmail => {
                wrong_type(self.kind == Kind::Text, "text").or_else(|| fits(SHORTEST_EMAIL))
            }
            Transformer::FakePhone => {
                wrong_type(matches!(self.kind, Kind::Text | Kind::Number), "text and numbers")
            }
        }
    }

    /// The replacement of `value`, which is not null; `None` for null.
    pub(super) fn apply(&self, key: &Key, value: &[u8]) -> Option<Vec<u8>> {
        let folded;
        let mut value = value;
        if self.trims {
            value = value.strip_suffix_blanks();
        }
        if self.folds {
            folded = String::from_utf8_lossy(value).to_lowercase();
            value = folded.as_bytes();
        }
        let is_text = self.kind == Kind::Text;
        Some(match &self.with {
            Transformer::Null => return None,
            Transformer::Fixed(text) => text.clone().into_bytes(),
            // Nothing is not personal.
            _ if value.is_empty() => Vec::new(),
            // The row, or the source, has replaced these.
            Transformer::Keep | Transformer::Shuffle | Transformer::Sql(_) => value.to_vec(),
            Transformer::Hash if is_text => {
                let chars = self.max_chars.unwrap_or(HASH_CHARS).min(HASH_CHARS);
                hex(&key.hash("hash", &[value]))[..chars].to_vec()
            }
            Transformer::Hash if self.kind == Kind::Uuid => uuid(key, value),
            Transformer::FakeName => self.name(key, value),
            Transformer::FakeEmail => self.email(key, value),
            Transformer::FakePhone if is_text => phone(key, value),
            Transformer::Hash | Transformer::FakePhone => self.number(key, value),
        })
    }

    fn name(&self, key: &Key, value: &[u8]) -> Vec<u8> {
        let hash = key.hash("name", &[value]);
        let is_short = !value.trim_ascii().iter().any(u8::is_ascii_whitespace);
        let mut name = FIRST[usize::from(hash[0]) % FIRST.len()].to_owned();
        if !is_short {
            name = format!("{name} {}", LAST[usize::from(hash[1]) % LAST.len()]);
        }
        if self.unique {
            name = format!("{name} {}", code(&hash[2..]));
        }
        name.truncate(self.max_chars.unwrap_or(usize::MAX));
        name.into_bytes()
    }

    fn email(&self, key: &Key, value: &[u8]) -> Vec<u8> {
        let hash = key.hash("email", &[value]);
        let code = code(&hash[3..]);
        let host = HOSTS[usize::from(hash[2]) % HOSTS.len()];
        if self.max_chars.is_some_and(|room| room < LONGEST_EMAIL) {
            return format!("{code}@{host}").into_bytes();
        }
        let (first, last) =
            (FIRST[usize::from(hash[0]) % FIRST.len()], LAST[usize::from(hash[1]) % LAST.len()]);
        format!("{}.{}.{code}@{host}", first.to_ascii_lowercase(), last.to_ascii_lowercase()).into_bytes()
    }

    /// A number with as many digits before and behind its point. `NaN` stays.
    fn number(&self, key: &Key, value: &[u8]) -> Vec<u8> {
        let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
        let has_point = value.contains(&b'.');
        let max = self.max_number.filter(|_| !has_point);
        let fits = |digits: &[u8]| {
            let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
            max.is_none_or(|max| number.is_some_and(|number| number <= max))
        };
        let permuted = match digits.split_first() {
            // `0.25`: what leads stays.
            Some((b'0', rest)) if !rest.is_empty() => [&b"0"[..], &permute(key, rest)].concat(),
            Some((_, [_, ..])) => permute_within(key, &digits, |digits| digits[0] != b'0' && fits(digits)),
            _ => permute(key, &digits),
        };
        in_place_of_digits(value, &permuted)
    }
}

trait Blanks {
    fn strip_suffix_blanks(&self) -> &[u8];
}

impl Blanks for [u8] {
    fn strip_suffix_blanks(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
        &self[..end]
    }
}

/// A number of the same form. Country code and leading zero stay. What is no telephone number becomes one.
fn phone(key: &Key, value: &[u8]) -> Vec<u8> {
    let is_phone = value.iter().all(|byte| byte.is_ascii_digit() || b" +()./-".contains(byte));
    let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
    if !is_phone || digits.is_empty() {
        let hash = key.hash("phone", &[value]);
        let number = u64::from_le_bytes(hash[..8].try_into().unwrap_or_default()) % 1_000_000_000_000;
        return format!("+999{number:012}").into_bytes();
    }
    let kept = match (value[0], digits[0], digits.len()) {
        (_, _, ..6) => 0,
        (b'+', b'1' | b'7', _) => 1,
        (b'+', _, _) => 2,
        (_, b'0', _) => 1,
        _ => 0,
    };
    let (kept, rest) = digits.split_at(kept);
    in_place_of_digits(value, &[kept, &permute(key, rest)].concat())
}

fn in_place_of_digits(value: &[u8], digits: &[u8]) -> Vec<u8> {
    let mut digits = digits.iter();
    value
        .iter()
        .map(|byte| if byte.is_ascii_digit() { *digits.next().unwrap_or(&b'0') } else { *byte })
        .collect()
}

/// A random UUID in form (version 4).
fn uuid(key: &Key, value: &[u8]) -> Vec<u8> {
    let mut hash = key.hash("uuid", &[value]);
    hash[6] = (hash[6] & 0x0f) | 0x40;
    hash[8] = (hash[8] & 0x3f) | 0x80;
    let digits = hex(&hash);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..32]];
    parts.join(&b'-')
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| b"0123456789abcdef"[usize::from(digit)])
        .collect()
}

fn code(bytes: &[u8]) -> String {
    bytes.iter().take(CODE_CHARS).map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn method(with: Transformer, kind: Kind) -> Method {
        let (max_chars, max_number) = (None, None);
        Method { with, kind, unique: true, max_chars, max_number, folds: false, trims: false }
    }

    fn text(method: &Method, value: &str) -> String {
        String::from_utf8(method.apply(&Key::from_bytes([1; 32]), value.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn replacements_keep_the_form_and_stay_unique() {
        let email = method(Transformer::FakeEmail, Kind::Text);
        let name = method(Transformer::FakeName, Kind::Text);
        let phone = method(Transformer::FakePhone, Kind::Text);
        let number = Method { max_number: Some(2_147_483_647), ..method(Transformer::Hash, Kind::Number) };
        let mut seen = HashSet::new();
        for n in 0..1_500_u32 {
            let masked = text(&email, &format!("person{n}@corp.test"));
            assert!(masked.contains("@example.") && masked.len() <= LONGEST_EMAIL, "{masked}");
            assert!(seen.insert(masked));
            assert!(seen.insert(text(&name, &format!("Person Number{n}"))));
            let masked = text(&phone, &format!("+49 (30) {:07}", n * 7));
            assert!(
                masked.starts_with("+49 (") && masked.len() == 16 && masked.as_bytes()[7] == b')',
                "{masked}"
            );
            assert!(seen.insert(masked));
            let masked = text(&number, &(2_147_483_647 - n).to_string());
            assert!(masked.len() == 10 && masked.parse::<i32>().is_ok(), "{masked}");
            assert!(seen.insert(masked));
        }
        assert_eq!(text(&name, "Bob").split(' ').count(), 2, "one word and the code");
        assert_eq!(text(&email, "a@b.c"), text(&email, "a@b.c"));
        assert_eq!(text(&email, ""), "");
        assert_eq!(text(&phone, "call Bob").len(), 16);
        assert!(text(&number, "-17").starts_with('-'));
        let decimal = text(&number, "12.50");
        assert!(decimal.len() == 5 && decimal.as_bytes()[2] == b'.', "{decimal}");
        let id = text(&method(Transformer::Hash, Kind::Uuid), "0b0ad2c9-6a3c-4a57-8e0e-3a8a0f2a9f11");
        assert!(id.len() == 36 && id.as_bytes()[14] == b'4', "{id}");
    }

    #[test]
    fn case_and_padding_mean_nothing_where_the_type_says_so() {
        let folds = Method { folds: true, trims: true, ..method(Transformer::Hash, Kind::Text) };
        assert_eq!(text(&folds, "Bob  "), text(&folds, "bob"));
        let plain = method(Transformer::Hash, Kind::Text);
        assert_ne!(text(&plain, "Bob"), text(&plain, "bob"));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let objection = |with, kind, max_chars, unique| {
            Method { unique, max_chars, ..method(with, kind) }.objection().unwrap_or_default()
        };
        assert!(objection(Transformer::FakeEmail, Kind::Text, Some(20), false).contains("needs 25"));
        assert!(objection(Transformer::FakeEmail, Kind::Number, None, false).contains("takes text"));
        assert!(objection(Transformer::Fixed("x".into()), Kind::Other, None, true).contains("unique"));
        assert_eq!(objection(Transformer::Fixed("x".into()), Kind::Other, None, false), "");
        assert_eq!(objection(Transformer::FakeEmail, Kind::Text, Some(25), true), "");
        let short = Method { max_chars: Some(25), ..method(Transformer::FakeEmail, Kind::Text) };
        assert_eq!(text(&short, "a@b.c").len(), 25);
    }
}
