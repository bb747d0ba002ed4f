//! Every word of the console, in Danish and English: one table, so that neither language can lack one.
//!
//! A `{}` in a text is where a page puts a name or number. The rules' own sentences come from the rule book, in the
//! language that its authors write.

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// English.
    #[default]
    English,
    /// Danish.
    Danish,
}

impl Lang {
    /// The code in HTML, forms and cookies.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Danish => "da",
        }
    }

    /// Reads a code; nothing for another language.
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::English),
            "da" => Some(Self::Danish),
            _ => None,
        }
    }

    /// The other language.
    pub fn other(self) -> Self {
        match self {
            Self::English => Self::Danish,
            Self::Danish => Self::English,
        }
    }

    /// What a browser's `Accept-Language` asks for first of the two; English where neither.
    pub fn of_browser(header: &str) -> Self {
        let codes = header
            .split(',')
            .map(|part| part.trim().get(..2).unwrap_or_default());
        codes.filter_map(Self::parse).next().unwrap_or_default()
    }

    /// Its words.
    pub fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Danish => &DANISH,
        }
    }

    /// What stands between groups of three digits.
    pub fn group(self) -> char {
        match self {
            Self::English => ',',
            Self::Danish => '.',
        }
    }

    /// What stands before decimals.
    pub fn point(self) -> char {
        match self {
            Self::English => '.',
            Self::Danish => ',',
        }
    }
}

macro_rules! words {
    ($($name:ident: $english:literal, $danish:literal;)*) => {
        /// The words of one language.
        #[derive(Debug)]
        #[expect(missing_docs, reason = "the texts beside the names say what they mean")]
        pub struct Words {
            pub months: [&'static str; 12],
            $(pub $name: &'static str,)*
        }

        static ENGLISH: Words = Words {
            months: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
            $($name: $english,)*
        };

        static DANISH: Words = Words {
            months: [
                "jan.", "feb.", "mar.", "apr.", "maj", "jun.", "jul.", "aug.", "sep.", "okt.", "nov.", "dec.",
            ],
            $($name: $danish,)*
        };

        #[cfg(test)]
        const PAIRS: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $danish),)*];
    };
}

words! {
    // Spans.
    unit_day: "d", "d";
    unit_hour: "h", "t";
    unit_minute: "min", "min";
    unit_second: "s", "s";
    // What a deed came to.
    said_claimed: "The case is yours.", "Sagen er din.";
    said_given_back: "The case is free again.", "Sagen er fri igen.";
    said_taken_by: "{} already has this case.", "{} har allerede sagen.";
    said_released: "The hold is released.", "Spærringen er ophævet.";
    said_disposed: "Your verdict is recorded.", "Din afgørelse er registreret.";
    said_noted: "The note is kept.", "Notatet er gemt.";
    said_no_reason: "A reason is needed: nothing was changed.", "Der mangler en begrundelse: intet er ændret.";
    said_not_logged_in: "Name or password is wrong, or there were too many attempts. Wait a minute and try again.",
        "Navn eller adgangskode er forkert, eller der har været for mange forsøg. Vent et minut, og prøv igen.";
    said_logged_out: "You are logged out.", "Du er logget ud.";
    said_not_allowed: "Your role does not allow this: nothing was changed.", "Din rolle tillader det ikke: intet er ændret.";
    said_failed: "It did not work: {}", "Det lykkedes ikke: {}";
    // The frame.
    skip: "Skip to the content", "Gå til indholdet";
    nav: "Pages", "Sider";
    queue: "Queue", "Kø";
    rules: "Rules", "Regler";
    health: "Health", "Drift";
    overview: "Overview", "Overblik";
    mails: "Demo mails", "Demoens mails";
    log_out: "Log out", "Log ud";
    language: "Dansk", "English";
    theme_system: "Colours: system", "Farver: system";
    theme_light: "Colours: light", "Farver: lyse";
    theme_dark: "Colours: dark", "Farver: mørke";
    logged_in_as: "Logged in as", "Logget ind som";
    keys_title: "Keyboard shortcuts", "Tastaturgenveje";
    keys_next: "next case", "næste sag";
    keys_previous: "previous case", "forrige sag";
    keys_open: "open the case", "åbn sagen";
    keys_search: "search", "søg";
    keys_pages: "queue, overview, rules, health", "kø, overblik, regler, drift";
    keys_help: "this list", "denne liste";
    keys_close: "Close", "Luk";
    // What is not shown or not done.
    fault_logged_out: "You are not logged in", "Du er ikke logget ind";
    fault_log_in: "Log in to go on.", "Log ind for at fortsætte.";
    fault_not_done: "Not done", "Ikke udført";
    fault_foreign: "This form is not of your session any more: open the page anew. Nothing was changed.",
        "Formularen hører ikke til din session længere: åbn siden igen. Intet er ændret.";
    fault_unreadable: "What was sent cannot be read.", "Det, der blev sendt, kan ikke læses.";
    fault_not_found: "Not found", "Ikke fundet";
    fault_nothing_here: "There is nothing of this name here.", "Der er intet med det navn her.";
    fault_busy: "Too much to do", "For travlt";
    fault_store: "The store does not answer", "Databasen svarer ikke";
    fault_ours: "A fault of ours", "En fejl hos os";
    fault_again: "Try again in a moment.", "Prøv igen om et øjeblik.";
    // Log-in.
    log_in: "Log in", "Log ind";
    log_in_lead: "Card fraud monitoring for the bank's analysts.", "Overvågning af kortsvindel for bankens analytikere.";
    user_name: "User name", "Brugernavn";
    password: "Password", "Adgangskode";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_there_in_both_languages_with_the_same_places() {
        for (name, english, danish) in PAIRS {
            assert!(!english.is_empty() && !danish.is_empty(), "{name}");
            let places = |text: &str| text.matches("{}").count();
            assert_eq!(places(english), places(danish), "{name}");
        }
    }

    #[test]
    fn a_browser_that_asks_for_neither_language_gets_english() {
        assert_eq!(Lang::of_browser("de-DE,de;q=0.9,da;q=0.8"), Lang::Danish);
        assert_eq!(Lang::of_browser("en-GB,da;q=0.5"), Lang::English);
        assert_eq!(Lang::of_browser("fr"), Lang::English);
        assert_eq!(Lang::of_browser(""), Lang::English);
    }
}
