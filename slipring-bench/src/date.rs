//! The date, for people who find a report later.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, as `2026-11-30 03:59 UTC`.
pub fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    text(since.as_secs())
}

/// Seconds since 1970, in the Gregorian calendar.
fn text(seconds: u64) -> String {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut days, mut year, mut month) = (seconds / 86_400, 1970, 1);
    loop {
        let length = match month {
            2 => 28 + u64::from(is_leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if days < length {
            break;
        }
        days -= length;
        (year, month) = (year + month / 12, month % 12 + 1);
    }
    let (day, hour, minute) = (days + 1, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn dates_as_date_prints_them() {
        assert_eq!(text(0), "1970-01-01 00:00 UTC");
        assert_eq!(text(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(text(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(text(1_798_761_599), "2026-12-31 23:59 UTC");
        assert_eq!(text(4_107_542_400), "2100-03-01 00:00 UTC");
    }
}
