//! Numbers of bytes, as people write and read them.

/// `20GB`, `1.5 TiB`, `4096`: a number and perhaps a unit, of a thousand or, with an `i`, of 1,024.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let (base, power) = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => (1000_u64, 0),
        "k" | "kb" => (1000, 1),
        "m" | "mb" => (1000, 2),
        "g" | "gb" => (1000, 3),
        "t" | "tb" => (1000, 4),
        "kib" => (1024, 1),
        "mib" => (1024, 2),
        "gib" => (1024, 3),
        "tib" => (1024, 4),
        _ => return None,
    };
    let unit = base.pow(power);
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(unit),
        // A fraction of a byte is none.
        Err(_) => number
            .parse::<f64>()
            .ok()
            .map(|value| value * unit as f64)
            .filter(|bytes| power > 0 && *bytes < 1e18)
            .map(|bytes| bytes as u64),
    }
}

/// Two or three digits and a unit: `1.2 KB`, `99 GB`.
pub(crate) fn show(count: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    // Whole numbers alone: a list shows a thousand of them.
    let (mut unit, mut name) = (1000, UNITS[0]);
    for next in &UNITS[1..] {
        if count < unit * 999 + unit / 2 {
            break;
        }
        (unit, name) = (unit * 1000, next);
    }
    let tenths = count.saturating_add(unit / 20) / (unit / 10);
    if tenths < 100 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", count.saturating_add(unit / 2) / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_two_or_three_digits() {
        let shown: Vec<_> =
            [0, 999, 1000, 1234, 9_949, 9_950, 99_600, 999_499, 999_600, 1_500_000_000, u64::MAX]
                .map(show)
                .to_vec();
        assert_eq!(
            shown,
            [
                "0 B", "999 B", "1.0 KB", "1.2 KB", "9.9 KB", "10 KB", "100 KB", "999 KB", "1.0 MB",
                "1.5 GB", "18446 PB"
            ]
        );
    }

    #[test]
    fn bytes_are_read_with_and_without_a_unit() {
        for (text, bytes) in [
            ("4096", 4096),
            ("20GB", 20_000_000_000),
            ("1.5 tb", 1_500_000_000_000),
            ("2 GiB", 2 << 30),
            (" 7b ", 7),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in
            ["", "GB", "-1", "1e9", "5 apples", "1.5", "1.2.3GB", "99999999999999999999", "99999999TB"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
