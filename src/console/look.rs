//! What every page is made with: the language, the colours, who looks, and the token that their forms carry.
//!
//! Numbers, amounts and times are written here in the language's form, times in Europe/Copenhagen with the zone named.
//! Who may do what is decided at the door; here a button is only shown or left out.

use super::words::{Lang, Words};
use crate::domain::codes::Severity;
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::store::StoreError;
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, TimeZone, Timelike, Weekday};

/// Why a page is not shown.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// There is none of that id.
    #[error("there is nothing of this name here")]
    NotFound,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A template.
    #[error("the page cannot be written: {0}")]
    Template(#[from] askama::Error),
}

/// The colours wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// As the reader's system has it.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The word in forms and cookies.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Reads a word; anything else is the system's choice.
    pub fn parse(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }
}

/// What a deed came to, said at the top of the page that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The case is the reader's now.
    Claimed,
    /// The case is nobody's now.
    GivenBack,
    /// Another had it first: who.
    TakenBy(String),
    /// The hold is released, or its release is in the log and will show.
    Released,
    /// The verdict is in the log.
    Disposed,
    /// The note is kept.
    Noted,
    /// A reason is needed.
    NoReason,
    /// Name or password are wrong, or there were too many tries: one answer for all.
    NotLoggedIn,
    /// The session has ended.
    LoggedOut,
    /// The reader may not do this.
    NotAllowed,
    /// It was refused or did not work: what was said.
    Failed(String),
}

impl Said {
    /// Whether it is bad news.
    pub fn is_bad(&self) -> bool {
        match self {
            Self::Claimed
            | Self::GivenBack
            | Self::Released
            | Self::Disposed
            | Self::Noted
            | Self::LoggedOut => false,
            Self::TakenBy(_)
            | Self::NoReason
            | Self::NotLoggedIn
            | Self::NotAllowed
            | Self::Failed(_) => true,
        }
    }
}

/// What a page is made with.
#[derive(Debug, Clone)]
pub struct Look {
    /// The language.
    pub lang: Lang,
    /// The colours.
    pub theme: Theme,
    /// Who looks: the user's name; empty where nobody is logged in.
    pub user: String,
    /// The user's role, as it is shown.
    pub role: String,
    /// Whether the user may claim, release, dispose and note.
    pub may_decide: bool,
    /// The session's token for forms.
    pub csrf: String,
    /// Path and query of this page, where a choice of language or colours leads back to.
    pub path: String,
    /// What the deed before came to.
    pub said: Option<Said>,
    /// Wall time, in milliseconds.
    pub now_ms: i64,
    /// Whether the demo's mails are to be linked.
    pub is_demo: bool,
}

/// The zone of every time on a page.
fn copenhagen(ms: i64) -> (DateTime<FixedOffset>, &'static str) {
    let (hours, zone) = if is_summer(ms) {
        (2, "CEST")
    } else {
        (1, "CET")
    };
    let offset = FixedOffset::east_opt(hours * 3_600);
    let moment = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    match offset {
        Some(offset) => (offset.from_utc_datetime(&moment.naive_utc()), zone),
        None => (moment.fixed_offset(), "UTC"),
    }
}

/// Summer time in Denmark: from the last Sunday of March to that of October, 01:00 UTC (directive 2000/84/EC; the same
/// rule since 1996).
fn is_summer(ms: i64) -> bool {
    let year = DateTime::from_timestamp_millis(ms).map_or(1970, |moment| moment.year());
    let turn = |month: u32| {
        let last = NaiveDate::from_ymd_opt(year, month, 31)?;
        let back = last.weekday().days_since(Weekday::Sun);
        let sunday = last.checked_sub_days(chrono::Days::new(u64::from(back)))?;
        Some(sunday.and_hms_opt(1, 0, 0)?.and_utc().timestamp_millis())
    };
    match (turn(3), turn(10)) {
        (Some(from), Some(to)) => (from..to).contains(&ms),
        _ => false,
    }
}

impl Look {
    /// The words of its language.
    pub fn words(&self) -> &'static Words {
        self.lang.words()
    }

    /// The colours that the button asks for: each in turn.
    pub fn next_theme(&self) -> Theme {
        match self.theme {
            Theme::System => Theme::Light,
            Theme::Light => Theme::Dark,
            Theme::Dark => Theme::System,
        }
    }

    /// The colours in force, in words.
    pub fn theme_name(&self) -> &'static str {
        match self.theme {
            Theme::System => self.words().theme_system,
            Theme::Light => self.words().theme_light,
            Theme::Dark => self.words().theme_dark,
        }
    }

    /// A whole number, in groups of three.
    pub fn number(&self, number: i64) -> String {
        let digits = number.unsigned_abs().to_string();
        let mut text = String::new();
        if number < 0 {
            text.push('\u{2212}');
        }
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(self.lang.group());
            }
            text.push(digit);
        }
        text
    }

    /// An amount of a currency with two decimals, such as `33.882,11 kr.` or `DKK 33,882.11`.
    pub fn amount(&self, minor: i64, currency: &str) -> String {
        let whole = self.number(minor / 100);
        let (point, cents) = (self.lang.point(), minor.unsigned_abs() % 100);
        match (self.lang, currency) {
            (Lang::Danish, "DKK") => format!("{whole}{point}{cents:02}\u{a0}kr."),
            (Lang::Danish, _) => format!("{whole}{point}{cents:02}\u{a0}{currency}"),
            (Lang::English, _) => format!("{currency}\u{a0}{whole}{point}{cents:02}"),
        }
    }

    /// An amount without its minor units: for axes and sums.
    pub fn round_amount(&self, minor: i64, currency: &str) -> String {
        let whole = self.number((minor + 50) / 100);
        match (self.lang, currency) {
            (Lang::Danish, "DKK") => format!("{whole}\u{a0}kr."),
            (Lang::Danish, _) => format!("{whole}\u{a0}{currency}"),
            (Lang::English, _) => format!("{currency}\u{a0}{whole}"),
        }
    }

    /// A share in percent with one decimal.
    pub fn percent(&self, per_mille: i64) -> String {
        let (whole, part) = (per_mille / 10, per_mille % 10);
        let point = self.lang.point();
        match self.lang {
            Lang::Danish => format!("{whole}{point}{part}\u{a0}%"),
            Lang::English => format!("{whole}{point}{part}%"),
        }
    }

    /// Day and time with the zone: `5. mar. 2018 kl. 17.47.26 CET`.
    pub fn time(&self, ms: i64) -> String {
        let (_, zone) = copenhagen(ms);
        let (day, clock) = (self.day(ms), self.clock(ms));
        match self.lang {
            Lang::Danish => format!("{day} kl. {clock} {zone}"),
            Lang::English => format!("{day}, {clock} {zone}"),
        }
    }

    /// The time of day, without its zone.
    pub fn clock(&self, ms: i64) -> String {
        let (at, _) = copenhagen(ms);
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        match self.lang {
            Lang::Danish => format!("{hour:02}.{minute:02}.{second:02}"),
            Lang::English => format!("{hour:02}:{minute:02}:{second:02}"),
        }
    }

    /// Hour and minute.
    pub fn minute(&self, ms: i64) -> String {
        self.clock(ms).chars().take(5).collect()
    }

    /// The day: `5. mar. 2018`, `5 Mar 2018`.
    pub fn day(&self, ms: i64) -> String {
        let (at, _) = copenhagen(ms);
        format!("{} {}", self.short_day(ms), at.year())
    }

    /// The day without its year.
    pub fn short_day(&self, ms: i64) -> String {
        let (at, _) = copenhagen(ms);
        let months = &self.words().months;
        let place = usize::try_from(at.month0()).unwrap_or(0);
        let month = months.get(place).copied().unwrap_or_default();
        match self.lang {
            Lang::Danish => format!("{}. {month}", at.day()),
            Lang::English => format!("{} {month}", at.day()),
        }
    }

    /// The zone in force then.
    pub fn zone(&self, ms: i64) -> &'static str {
        copenhagen(ms).1
    }

    /// A span in its two largest units: `2 t 14 min`, `3 d 1 h`.
    pub fn span(&self, ms: i64) -> String {
        let words = self.words();
        let units = [
            (DAY_MS, words.unit_day),
            (HOUR_MS, words.unit_hour),
            (MINUTE_MS, words.unit_minute),
            (SECOND_MS, words.unit_second),
        ];
        let ms = ms.max(0);
        let first = units.iter().position(|(unit, _)| ms >= *unit).unwrap_or(3);
        let mut text = Vec::new();
        let mut left = ms;
        for (unit, name) in units.iter().skip(first).take(2) {
            let count = left / unit;
            left %= unit;
            if count > 0 || text.is_empty() {
                text.push(format!("{}\u{a0}{name}", self.number(count)));
            }
        }
        text.join(" ")
    }

    /// How long ago a wall time is.
    pub fn age(&self, since_ms: i64) -> String {
        self.span(self.now_ms - since_ms)
    }

    /// A severity in words.
    pub fn severity(&self, severity: Severity) -> &'static str {
        let words = self.words();
        match severity {
            Severity::Low => words.low,
            Severity::Medium => words.medium,
            Severity::High => words.high,
            Severity::Critical => words.critical,
        }
    }

    /// A verdict in words.
    pub fn verdict(&self, verdict: &str) -> &'static str {
        let words = self.words();
        match verdict {
            "fraud" => words.fraud,
            "good" => words.good,
            _ => words.undetermined,
        }
    }

    /// A name of the rule book as words: `over-balance-transfers`, `Over balance transfers`.
    pub fn plain(&self, name: &str) -> String {
        let word = |word: &str| match word {
            "ssl" | "otp" | "pin" | "mcc" | "sms" | "ip" => word.to_uppercase(),
            "eid" => "eID".to_owned(),
            other => other.to_owned(),
        };
        let words: Vec<String> = name.split(['-', '_']).map(word).collect();
        let spaced = words.join(" ");
        if spaced.starts_with("eID") {
            return spaced;
        }
        let mut letters = spaced.chars();
        match letters.next() {
            Some(first) => first.to_uppercase().chain(letters).collect(),
            None => String::new(),
        }
    }

    /// A count with its noun; the noun's `{}` is the number.
    pub fn count(&self, count: i64, one: &str, many: &str) -> String {
        let noun = if count == 1 { one } else { many };
        noun.replace("{}", &self.number(count))
    }

    /// A score as a share: 0.92.
    pub fn share(&self, per_mille: i64) -> String {
        format!(
            "{}{}{:02}",
            per_mille / 1000,
            self.lang.point(),
            per_mille % 1000 / 10
        )
    }

    /// A time for machines.
    pub fn iso(&self, ms: i64) -> String {
        crate::domain::time::rfc3339(ms)
    }

    /// Whether what is said at the top is bad news.
    pub fn is_bad(&self) -> bool {
        self.said.as_ref().is_some_and(Said::is_bad)
    }

    /// What the deed before came to, in words.
    pub fn told(&self) -> Option<String> {
        let words = self.words();
        let text = match self.said.as_ref()? {
            Said::Claimed => words.said_claimed,
            Said::GivenBack => words.said_given_back,
            Said::TakenBy(who) => return Some(words.said_taken_by.replace("{}", who)),
            Said::Released => words.said_released,
            Said::Disposed => words.said_disposed,
            Said::Noted => words.said_noted,
            Said::NoReason => words.said_no_reason,
            Said::NotLoggedIn => words.said_not_logged_in,
            Said::LoggedOut => words.said_logged_out,
            Said::NotAllowed => words.said_not_allowed,
            Said::Failed(why) => return Some(words.said_failed.replace("{}", why)),
        };
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(lang: Lang) -> Look {
        Look {
            lang,
            theme: Theme::System,
            user: "anna".to_owned(),
            role: "analyst".to_owned(),
            may_decide: true,
            csrf: String::new(),
            path: "/console/queue".to_owned(),
            said: None,
            now_ms: 0,
            is_demo: false,
        }
    }

    #[test]
    fn times_are_those_of_copenhagen_in_winter_and_summer() {
        let english = look(Lang::English);
        // 2018-03-05T15:44:56Z, and the first second of that year's summer time.
        assert_eq!(english.time(1_520_264_696_000), "5 Mar 2018, 16:44:56 CET");
        assert_eq!(english.time(1_521_939_599_000), "25 Mar 2018, 01:59:59 CET");
        assert_eq!(
            english.time(1_521_939_600_000),
            "25 Mar 2018, 03:00:00 CEST"
        );
        assert_eq!(
            look(Lang::Danish).time(1_520_264_696_000),
            "5. mar. 2018 kl. 16.44.56 CET"
        );
    }

    #[test]
    fn numbers_and_spans_have_the_form_of_the_language() {
        let (danish, english) = (look(Lang::Danish), look(Lang::English));
        assert_eq!(danish.amount(3_388_211, "DKK"), "33.882,11\u{a0}kr.");
        assert_eq!(english.amount(3_388_211, "DKK"), "DKK\u{a0}33,882.11");
        assert_eq!(english.number(-1_234_567), "\u{2212}1,234,567");
        assert_eq!(danish.percent(987), "98,7\u{a0}%");
        assert_eq!(
            danish.span(2 * HOUR_MS + 14 * MINUTE_MS + 5),
            "2\u{a0}t 14\u{a0}min"
        );
        assert_eq!(english.span(0), "0\u{a0}s");
    }
}
