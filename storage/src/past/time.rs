//! Times as Postgres reads them.

/// `2026-11-20 14:03:07.000123+00`, of microseconds since 1970.
pub(super) fn timestamp(us: u64) -> String {
    let seconds = us / 1_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:06}+00", us % 1_000_000)
}

/// `20261120T140307Z`, of microseconds since 1970.
pub(crate) fn compact(us: u64) -> String {
    let text = timestamp(us);
    let digits: String = text.chars().take(19).filter(char::is_ascii_digit).collect();
    format!("{}T{}Z", &digits[..8], &digits[8..])
}

/// Year, month and day of a day since 1970 in the Gregorian calendar: counts in eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_and_leap_days_are_kept() {
        assert_eq!(timestamp(951_782_400_000_001), "2000-02-29 00:00:00.000001+00");
        assert_eq!(compact(951_782_461_000_001), "20000229T000101Z");
        assert_eq!(timestamp(1_735_689_599_999_999), "2024-12-31 23:59:59.999999+00");
    }
}
