//! Unix time as people and machines read it: `2026-11-22T19:08:59Z` (RFC 3339).

const DAY: u64 = 86_400;
/// Days in 400 years, after which the Gregorian calendar repeats.
const ERA: u64 = 146_097;
/// Days from 0000-03-01, where counting is easiest, to 1970-01-01.
const EPOCH: u64 = 719_468;
/// Seconds at 9999-12-31T23:59:59Z, the last that has a four-digit year.
const LAST: u64 = 253_402_300_799;

/// In UTC. What is beyond the year 9999 is said as a number.
pub(crate) fn utc(seconds: u64) -> String {
    if seconds > LAST {
        return format!("second {seconds}");
    }
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Now, as the system's clock says.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds in a text such as `90s`, `10m` or `2h`.
pub(crate) fn span(text: &str) -> Result<u64, String> {
    let wrong = || "a time is a number with s, m or h, as in 90s, 10m or 2h".to_owned();
    let unit = match text.chars().last().ok_or_else(wrong)? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong()),
    };
    let number = text.get(..text.len() - 1).and_then(|number| number.parse::<u64>().ok()).ok_or_else(wrong)?;
    number.checked_mul(unit).filter(|span| *span > 0).ok_or_else(wrong)
}

/// A number of seconds as people say it.
pub(crate) fn said(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / DAY),
    }
}

/// The Gregorian date of a day since 1970-01-01. Years are counted from March, so that the leap day is a year's last.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + EPOCH;
    let (era, of_era) = (day / ERA, day % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::{LAST, span, utc};

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(["90s", "10m", "2h"].map(span), [Ok(90), Ok(600), Ok(7200)]);
        assert!(
            ["", "10", "m", "0s", "-1m", "1d", "é", "99999999999999999999h", "9999999999999999999h"].iter().all(|text| span(text).is_err())
        );
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_800_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, text) in known {
            assert_eq!(utc(seconds), text);
        }
        assert_eq!(utc(LAST + 1), format!("second {}", LAST + 1));
    }
}
