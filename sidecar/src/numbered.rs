//! The order of files that people number.

use std::cmp::Ordering;

/// Compares names as people number them: `2_b` before `10_a`.
pub(crate) fn numbered(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (in_a, in_b) = (digits(a), digits(b));
        if in_a > 0 && in_b > 0 {
            let (x, y) = (a[..in_a].trim_start_matches('0'), b[..in_b].trim_start_matches('0'));
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| in_a.cmp(&in_b));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[in_a..], &b[in_b..]);
            continue;
        }
        let (mut letters, mut others) = (a.chars(), b.chars());
        match (letters.next(), others.next()) {
            (Some(x), Some(y)) if x == y => (a, b) = (letters.as_str(), others.as_str()),
            (x, y) => return x.cmp(&y),
        }
    }
}
