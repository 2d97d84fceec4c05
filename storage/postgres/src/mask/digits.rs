//! Digits become other digits, as many of them, and never two numbers the same one.
//!
//! A Feistel network over decimal halves, as format-preserving encryption has it (NIST SP 800-38G, FF1), with our own round
//! function. It is a permutation of the numbers with as many digits.

use std::fmt::Write as _;

use super::Key;

const ROUNDS: u8 = 10;
/// Digits that are permuted at once: two halves that fit 64 bits.
const PIECE: usize = 36;
/// How often a result that is not wanted is permuted again. Half of all results are wanted at the least, so that none is left
/// over in practice.
const MOST_WALKS: usize = 256;

/// Permutes `digits`, ASCII digits of any number. Longer ones are permuted in pieces, each in a way that depends on those before.
pub(super) fn permute(key: &Key, digits: &[u8]) -> Vec<u8> {
    let mut done: Vec<u8> = Vec::with_capacity(digits.len());
    for piece in digits.chunks(PIECE) {
        let permuted = permute_piece(key, &done, piece);
        done.extend(permuted);
    }
    done
}

/// As [`permute`], but again and again until `wanted` holds, which it must for `digits`: a permutation of those for which it does.
pub(super) fn permute_within(key: &Key, digits: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut result = permute(key, digits);
    for _ in 0..MOST_WALKS {
        if wanted(&result) {
            break;
        }
        result = permute(key, &result);
    }
    result
}

fn permute_piece(key: &Key, before: &[u8], piece: &[u8]) -> Vec<u8> {
    let (left, right) = piece.split_at(piece.len() / 2);
    let widths = [left.len(), right.len()];
    let (mut a, mut b) = (number(left), number(right));
    for round in 0..ROUNDS {
        let width = widths[usize::from(round % 2)];
        let modulus = 10_u64.pow(width as u32);
        let hash = key.hash("digits", &[before, &[piece.len() as u8, round], &b.to_le_bytes()]);
        let addend = u64::from_le_bytes(hash[..8].try_into().unwrap_or_default()) % modulus;
        let sum = (u128::from(a) + u128::from(addend)) % u128::from(modulus);
        (a, b) = (b, sum as u64);
    }
    let mut text = String::with_capacity(piece.len());
    for (value, width) in [(a, widths[0]), (b, widths[1])] {
        if width > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{value:0width$}");
        }
    }
    text.into_bytes()
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_of_each_length_are_permuted() {
        let key = Key::from_bytes([3; 32]);
        for width in 1..=4_usize {
            let all = 10_usize.pow(width as u32);
            let results: HashSet<_> =
                (0..all).map(|number| permute(&key, format!("{number:0width$}").as_bytes())).collect();
            assert_eq!(results.len(), all);
            assert!(
                results.iter().all(|digits| digits.len() == width && digits.iter().all(u8::is_ascii_digit))
            );
        }
        let long = [b'7'; 90];
        assert_eq!(permute(&key, &long).len(), 90);
        assert_ne!(permute(&key, &long), long);
        assert_eq!(permute(&key, b""), b"");
    }

    #[test]
    fn a_permutation_within_a_set_stays_within_it() {
        let key = Key::from_bytes([4; 32]);
        let wanted = |digits: &[u8]| digits[0] != b'0';
        let results: HashSet<_> = (100..1000)
            .map(|number: u32| permute_within(&key, number.to_string().as_bytes(), wanted))
            .collect();
        assert_eq!(results.len(), 900);
        assert!(results.iter().all(|digits| wanted(digits)));
    }
}
