//! Moments as people write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot_postgres::Lsn;

use crate::failure::{Failure, Result};
use crate::{sys, timestamp};

/// What `--at` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Microseconds since 1970.
    Time(u64),
    /// A position in the WAL.
    Lsn(Lsn),
    /// The name of a snapshot.
    Snapshot(String),
}

/// Reads a moment; `now` is what `ago` and `yesterday` count from.
///
/// # Errors
/// Names the forms that are known.
pub(super) fn parse(text: &str, now: SystemTime) -> Result<When> {
    let text = text.trim();
    let unknown = || {
        Failure::user(format!("`{text}` is no moment")).hint(
            "Write `2026-11-20T14:03:07Z`, `2026-11-20 14:03`, `yesterday 14:00`, `10 minutes ago`, a position such as `0/16B3748`, `@SNAPSHOT`, or a git commit.",
        )
    };
    if let Some(name) = text.strip_prefix('@').filter(|name| !name.is_empty()) {
        return Ok(When::Snapshot(name.to_owned()));
    }
    if let Ok(lsn) = text.parse() {
        return Ok(When::Lsn(lsn));
    }
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = match text.strip_suffix(" ago") {
        Some(span) => ago(span).and_then(|span| since.checked_sub(span)),
        None if text == "now" => Some(since),
        None => date_and_time(text, since),
    };
    let us = time.and_then(|time| u64::try_from(time.as_micros()).ok()).ok_or_else(unknown)?;
    if us > since.as_micros() as u64 {
        let failure = Failure::user(format!("{} is no moment yet", timestamp::local(us)));
        return Err(failure.hint("A branch of now is made without `--at`."));
    }
    Ok(When::Time(us))
}

/// `10 minutes`, `1.5 h`, `an hour`.
fn ago(span: &str) -> Option<Duration> {
    let span = span.trim();
    let unit_at = span.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = match span.split_at(unit_at) {
        ("", words) => {
            let (article, unit) = words.split_once(' ')?;
            matches!(article, "a" | "an" | "one").then_some((1.0, unit))?
        }
        (number, unit) => (number.parse::<f64>().ok()?, unit),
    };
    let seconds = match unit.trim() {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// `2026-11-20T14:03:07.25+01:00`, `2026-11-20 14:03`, `yesterday 14:00`; without a zone of this machine's.
fn date_and_time(text: &str, now: Duration) -> Option<Duration> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let days_back = match date {
        "today" => Some(0),
        "yesterday" => Some(1),
        _ => None,
    };
    let [year, month, day] = match days_back {
        Some(days) => {
            let [year, month, day, ..] = sys::local_time(now.as_secs() as i64);
            // Noon, so that a day of 23 hours is one.
            let noon = sys::from_local_time([year, month, day, 12, 0, 0])?;
            let [year, month, day, ..] = sys::local_time(noon - days * 86_400);
            [year, month, day]
        }
        None => numbers(date, '-')?,
    };
    let (clock, zone) = split_zone(time.trim())?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hour, minute, second] = numbers(clock, ':').or_else(|| numbers(&format!("{clock}:00"), ':'))?;
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return None;
    }
    let civil = [year, month, day, hour, minute, second];
    let seconds = match zone {
        Some(offset) => timestamp::from_utc(civil)? - offset,
        None => sys::from_local_time(civil)?,
    };
    let us = if fraction.is_empty() { 0 } else { micros(fraction)? };
    Some(Duration::from_secs(u64::try_from(seconds).ok()?) + Duration::from_micros(us))
}

/// The time without its zone, and the zone's offset in seconds.
fn split_zone(time: &str) -> Option<(&str, Option<i64>)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock.trim_end(), Some(0)));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, None)) };
    let (clock, zone) = time.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = match zone[1..].split_once(':') {
        Some(parts) => parts,
        None if zone.len() == 5 => zone[1..].split_at(2),
        None => (&zone[1..], "0"),
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60)
        .then(|| (clock.trim_end(), Some(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))))
}

fn numbers(text: &str, separator: char) -> Option<[i32; 3]> {
    let parts: Vec<i32> = text.split(separator).map(number).collect::<Option<_>>()?;
    parts.try_into().ok()
}

fn number(text: &str) -> Option<i32> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Microseconds of a fraction of a second; what is finer is cut off.
fn micros(fraction: &str) -> Option<u64> {
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
    if digits { six.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 22:50:00 UTC.
    const NOW: u64 = 1_795_301_400;

    fn us(text: &str) -> u64 {
        match parse(text, UNIX_EPOCH + Duration::from_secs(NOW)) {
            Ok(When::Time(us)) => us,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn times_with_a_zone_are_exact_to_the_microsecond() {
        let second = 1_000_000;
        assert_eq!(us("2026-11-21T22:50:00Z"), NOW * second);
        assert_eq!(us("2026-11-21 23:49:59.000001+01:00"), (NOW - 1) * second + 1);
        assert_eq!(us("2026-11-21T17:20-05:30"), NOW * second);
        assert_eq!(us("2024-02-29T00:00:00.5Z"), 1_709_164_800_500_000);
    }

    #[test]
    fn times_without_a_zone_are_of_this_machine() {
        for text in ["2026-11-20 14:03", "2026-11-20T14:03:00"] {
            assert!(timestamp::local(us(text)).starts_with("2026-11-20 14:03:00"), "{text}");
        }
        assert!(timestamp::local(us("yesterday 14:00")).ends_with(" 14:00:00"));
        assert!(us("yesterday 14:00") < NOW * 1_000_000);
    }

    #[test]
    fn spans_count_back_from_now() {
        for (text, seconds) in
            [("10 minutes ago", 600), ("1.5h ago", 5400), ("an hour ago", 3600), ("2 days ago", 172_800)]
        {
            assert_eq!(us(text), (NOW - seconds) * 1_000_000, "{text}");
        }
    }

    #[test]
    fn positions_and_snapshots_are_moments_too() {
        let now = SystemTime::now();
        assert_eq!(parse("0/16B3748", now).unwrap(), When::Lsn(Lsn(0x16b_3748)));
        assert_eq!(parse("@before-split", now).unwrap(), When::Snapshot("before-split".into()));
    }

    #[test]
    fn what_is_no_moment_is_told_with_what_is() {
        for text in [
            "",
            "@",
            "soon",
            "2026-02-30T00:00Z",
            "2026-11-20 25:00",
            "10 parsecs ago",
            "minutes ago",
            "2026-11-20T14:03:07X",
        ] {
            let failure = parse(text, SystemTime::now()).unwrap_err();
            assert!(failure.to_string().contains("is no moment"), "{text}: {failure}");
        }
        let ahead = parse("2026-11-21T22:50:01Z", UNIX_EPOCH + Duration::from_secs(NOW)).unwrap_err();
        assert!(ahead.to_string().ends_with("is no moment yet"), "{ahead}");
    }
}
