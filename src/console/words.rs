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
    log_in_or: "or", "eller";
    log_in_with: "Log in with {}", "Log ind med {}";
    log_in_onward: "You are logged in: go on.", "Du er logget ind: fortsæt.";
    turned_stale: "This log-in was begun in another browser, was used already, or took longer than ten minutes. Nobody was logged in. Begin again.",
        "Dette login blev begyndt i en anden browser, er brugt allerede eller tog mere end ti minutter. Ingen er logget ind. Begynd forfra.";
    turned_declined: "{} did not log you in: it was broken off, or you may not use Varsel there. Try again, or ask whoever gives access there.",
        "{} loggede dig ikke ind: det blev afbrudt, eller du må ikke bruge Varsel der. Prøv igen, eller spørg dem, der giver adgang der.";
    turned_silent: "{} does not answer as it should. Try again in a moment. If it stays so, tell whoever runs Varsel: the reason is in its log.",
        "{} svarer ikke, som det skal. Prøv igen om et øjeblik. Bliver det ved, så sig det til dem, der driver Varsel: årsagen står i loggen.";
    turned_untrusted: "What {} says of you does not stand up to a check, and was not used. Tell whoever runs Varsel: the reason is in its log.",
        "Det, {} siger om dig, holder ikke til en kontrol og blev ikke brugt. Sig det til dem, der driver Varsel: årsagen står i loggen.";
    turned_no_role: "{} knows you, but none of your groups there gives you a role here. Ask for the group that your work needs, and log in again.",
        "{} kender dig, men ingen af dine grupper der giver dig en rolle her. Bed om den gruppe, dit arbejde kræver, og log ind igen.";
    turned_no_name: "{} tells no name of you that can be used here. Tell whoever runs Varsel.",
        "{} oplyser intet navn på dig, der kan bruges her. Sig det til dem, der driver Varsel.";
    turned_taken: "Your name is another user’s here already, and it is not taken over. Ask an administrator of Varsel to free it.",
        "Dit navn er allerede en anden brugers her, og det overtages ikke. Bed en administrator af Varsel om at frigive det.";
    turned_disabled: "You may not log in here any more. Ask an administrator of Varsel.",
        "Du må ikke logge ind her længere. Spørg en administrator af Varsel.";
    turned_often: "There were too many attempts from your address. Wait a few minutes and try again.",
        "Der har været for mange forsøg fra din adresse. Vent nogle minutter, og prøv igen.";
    user_name: "User name", "Brugernavn";
    password: "Password", "Adgangskode";
    // Words of the trade.
    low: "Low", "Lav";
    medium: "Medium", "Middel";
    high: "High", "Høj";
    critical: "Critical", "Kritisk";
    fraud: "Fraud", "Svindel";
    good: "Good", "I orden";
    undetermined: "Undetermined", "Uafklaret";
    unknown: "unknown", "ukendt";
    one_event: "{} event", "{} hændelse";
    events: "{} events", "{} hændelser";
    // The queue.
    open_cases: "Cases that wait for you", "Sager, der venter på dig";
    open_by_severity: "Open cases by severity", "Åbne sager efter alvor";
    search: "Search", "Søg";
    search_hint: "cardholder, alert id, merchant", "kortholder, alarm-id, forretning";
    severity: "Severity", "Alvor";
    pattern: "Pattern", "Mønster";
    claimed_by: "Claimed by", "Taget af";
    state: "State", "Status";
    state_open: "Open", "Åbne";
    state_closed: "Closed", "Lukkede";
    state_expired: "closed by itself", "lukket af sig selv";
    all: "All", "Alle";
    me: "Me", "Mig";
    nobody: "Nobody", "Ingen";
    filter: "Show", "Vis";
    clear: "Clear filters", "Ryd filtre";
    order_title: "How the cases are ordered", "Sådan er sagerne ordnet";
    order_text: "Expected loss = score / 1000 × the largest payment asked for from the day before the case began. It counts half for every 6 hours that the case has been without a new event, since money that was sent is harder to call back. Other currencies count by the rule book’s rates; where no amount is known, DKK 5,000 is assumed for the order.",
        "Forventet tab = score / 1000 × den største betaling, der er forsøgt siden dagen før sagen begyndte. Det tæller det halve for hver 6 timer uden en ny hændelse i sagen, for sendte penge er sværere at kalde tilbage. Andre valutaer tæller efter regelbogens kurser; kendes intet beløb, regnes rækkefølgen med 5.000 kr.";
    news: "The queue has changed", "Køen er ændret";
    none_found: "No case matches", "Ingen sag passer";
    none_open: "No case is open", "Ingen sag er åben";
    none_text: "New cases appear here by themselves, within a second or two.", "Nye sager kommer her af sig selv inden for et sekund eller to.";
    case: "Case", "Sag";
    expected_loss: "Expected loss", "Forventet tab";
    newest_event: "Newest event", "Seneste hændelse";
    waiting: "Waiting", "Har ventet";
    claim: "Claim", "Tag sagen";
    paging: "Pages of the queue", "Køens sider";
    first_page: "First page", "Første side";
    next_page: "Next page", "Næste side";
    // What happened, in a sentence.
    tell_declined: "{count} payments of {amount} to {merchant} were declined on {day} from {from} to {until} ({reasons}).",
        "{count} betalinger på {amount} til {merchant} blev afvist {day} fra {from} til {until} ({reasons}).";
    tell_declined_once: "One payment of {amount} to {merchant} was declined on {day} at {from} ({reasons}).",
        "En betaling på {amount} til {merchant} blev afvist {day} kl. {from} ({reasons}).";
    tell_ssl: "At least one of them was tried without 3-D Secure.", "Mindst én af dem blev forsøgt uden 3-D Secure.";
    tell_eid: "The eID was used from {places}, first on {time}.", "eID blev brugt fra {places}, først {time}.";
    tell_eid_done: "The eID login in the challenge came from {places}, first on {time}.",
        "eID-godkendelsen kom fra {places}, først {time}.";
    unknown_place: "a place that is not known", "et sted, der ikke kendes";
    tell_approved: "{amount} to {merchant} went through on {time}.", "{amount} til {merchant} gik igennem {time}.";
    tell_asked: "A payment of {amount} to {merchant} was asked for on {time}; how it ended is not known yet.",
        "En betaling på {amount} til {merchant} blev forsøgt {time}; udfaldet kendes ikke endnu.";
    tell_nothing: "{pattern}: see the reasons below. The events behind it are no payments, or are not kept here.",
        "{pattern}: se begrundelserne nedenfor. Hændelserne bag er ikke betalinger eller er ikke gemt her.";
    // Outcomes.
    code_approved: "approved", "godkendt";
    code_refused: "not honoured", "afvist uden grund";
    code_funds: "insufficient funds", "ikke dækning";
    code_limit: "over the amount limit", "over beløbsgrænsen";
    code_sca: "strong authentication required", "stærk godkendelse krævet";
    code_suspected: "suspected fraud", "mistanke om svindel";
    code_restricted: "card restricted", "kortet er begrænset";
    code_expired: "card expired", "kortet er udløbet";
    code_stolen: "card lost or stolen", "kortet er meldt tabt";
    code_pin: "wrong PIN", "forkert PIN";
    code_other: "declined, code {}", "afvist, kode {}";
    status_passed: "passed", "bestået";
    status_failed: "failed", "ikke bestået";
    status_challenge: "challenge", "godkendelse kræves";
    ssl_only: "without 3-D Secure", "uden 3-D Secure";
    done_sent: "sent", "sendt";
    done_delivered: "delivered", "leveret";
    done_failed: "failed", "mislykket";
    done_accepted: "accepted", "accepteret";
    done_rejected: "rejected", "afvist";
    done_expired: "expired", "udløbet";
    done_key_issued: "key asked for", "nøgle udbedt";
    done_key_accepted: "key accepted", "nøgle accepteret";
    done_key_rejected: "key rejected", "nøgle afvist";
    done_authenticated: "authenticated", "godkendt";
    done_activated: "app activated", "app aktiveret";
    what_payment: "Payment", "Betaling";
    what_undoing: "Reversal or refund", "Tilbageførsel";
    what_code: "SMS code", "Sms-kode";
    what_eid: "eID", "eID";
    what_enrolment: "Enrolment", "Tilmelding";
    what_card: "Card", "Kort";
    what_disposition: "Verdict", "Afgørelse";
    what_hold: "Hold", "Spærring";
    what_unknown: "Not kept here", "Ikke gemt her";
    action_allow: "allow", "tillad";
    action_step_up: "challenge", "kræv godkendelse";
    action_decline: "decline", "afvis";
    not_by: ", not by {}", ", ikke med {}";
    method_otp: "SMS code", "sms-kode";
    method_eid: "eID", "eID";
    method_code_card: "eID code card", "eID-nøglekort";
    method_app: "eID app", "eID-app";
    method_any: "any method", "nogen metode";
    // The case.
    crumbs: "Where you are", "Hvor du er";
    score: "Score", "Score";
    state_closed_case: "Closed", "Lukket";
    yours: "Yours", "Din";
    give_back: "Give back", "Giv fri";
    take_over: "Take it over", "Overtag";
    timeline: "Timeline", "Tidslinje";
    plot_title: "Timeline of the case", "Sagens tidslinje";
    plot_text: "The table of events below has every mark of this picture.", "Tabellen med hændelser nedenfor har alt, hvad billedet viser.";
    lane_codes: "SMS codes", "Sms-koder";
    lane_alerts: "Alerts", "Alarmer";
    lane_holds: "Holds", "Spærringer";
    legend_approved: "approved", "godkendt";
    legend_declined: "declined", "afvist";
    legend_asked: "challenge begun", "godkendelse begyndt";
    legend_passed: "challenge passed", "godkendelse bestået";
    legend_eid: "eID step, with country", "eID-trin, med land";
    legend_alert: "alert", "alarm";
    legend_hold: "hold", "spærring";
    axis_note: "Amounts on a logarithmic axis. Time is drawn together where nothing happened. Danish time.",
        "Beløb på en logaritmisk akse. Tiden er trukket sammen, hvor intet skete. Dansk tid.";
    why_title: "Why it was raised", "Hvorfor den blev rejst";
    beside_title: "Beside the cardholder’s own habit", "Holdt op mod kortholderens egne vaner";
    measure: "Measure", "Mål";
    in_case: "In this case", "I sagen";
    usually: "Usually", "Normalt";
    no_habits: "The cardholder’s habits cannot be read here right now: their record is scored by another instance or is being restored.",
        "Kortholderens vaner kan ikke læses her nu: de føres af en anden instans eller er ved at blive hentet.";
    largest_amount: "Largest payment", "Største betaling";
    usual_amounts: "{low} – {high}, median {median} (of {count})", "{low} – {high}, median {median} (af {count})";
    times_usual: "{} × the median", "{} × medianen";
    declined_payments: "Declined payments", "Afviste betalinger";
    known_before: "{} known of the day before them", "{} kendt fra døgnet før";
    within: "within {}", "inden for {}";
    eid_from: "eID used from", "eID brugt fra";
    unknown_title: "What is not known", "Hvad der ikke vides";
    unknown_text: "Rules asked for these and could not have them. Nothing was assumed in their place.",
        "Regler spurgte efter dette og kunne ikke få det. Intet er antaget i stedet.";
    unknown_none: "Every rule had what it asked for.", "Alle regler fik det, de spurgte efter.";
    events_title: "Events", "Hændelser";
    left_out_one: "{} earlier event is left out.", "{} tidligere hændelse er udeladt.";
    left_out: "{} earlier events are left out.", "{} tidligere hændelser er udeladt.";
    events_note: "Bold: the events that fed the case. From the day before it began. Times in", "Fed: de hændelser, der hører til sagen. Fra dagen før den begyndte. Tider i";
    time: "Time", "Tid";
    event: "Event", "Hændelse";
    amount: "Amount", "Beløb";
    detail: "Where and how", "Hvor og hvordan";
    outcome: "Outcome", "Udfald";
    told: "Score · bank was told", "Score · banken fik svar";
    of_case: "of the case", "i sagen";
    others_title: "Other cases of this cardholder", "Kortholderens andre sager";
    others_none: "None.", "Ingen.";
    still_open: "open", "åben";
    deeds: "Decide", "Afgør";
    decide_title: "Verdict", "Afgørelse";
    verdict: "What is it?", "Hvad er det?";
    fraud_text: "the cardholder did not do this", "kortholderen gjorde det ikke";
    good_text: "the cardholder did it; holds are released", "kortholderen gjorde det; spærringer ophæves";
    undetermined_text: "it cannot be told", "det kan ikke afgøres";
    reason_required: "Reason (required)", "Begrundelse (påkrævet)";
    dispose: "Record the verdict", "Registrér afgørelsen";
    may_not: "Your role may look, not decide.", "Din rolle må se, ikke afgøre.";
    holds_title: "Holds", "Spærringer";
    holds_none: "No hold was asked for.", "Der er ingen spærring.";
    hold_step_up: "Challenge required", "Godkendelse kræves";
    hold_decline: "Payments declined", "Betalinger afvises";
    hold_requested: "requested", "anmodet";
    hold_delivered: "delivered", "leveret";
    hold_acknowledged: "in force", "i kraft";
    hold_released: "released", "ophævet";
    hold_expired: "expired", "udløbet";
    card: "card", "kort";
    all_cards: "all cards", "alle kort";
    refuses: "not by", "ikke med";
    until: "until", "indtil";
    release: "Release …", "Ophæv …";
    release_hold: "Release the hold", "Ophæv spærringen";
    notes_title: "Notes", "Notater";
    note_label: "New note", "Nyt notat";
    keep_note: "Keep the note", "Gem notatet";
    ago: "{} ago", "for {} siden";
    alert_id: "Alert", "Alarm";
    cardholder: "Cardholder", "Kortholder";
    // The rules.
    rule_book: "Rule book", "Regelbog";
    other_book: "Another rule book is in force by now than the one whose text stands here:", "En anden regelbog er i kraft nu end den, hvis tekst står her:";
    days_one: "The newest day of the stream.", "Strømmens nyeste dag.";
    days_shown: "The newest {} days of the stream.", "Strømmens nyeste {} dage.";
    precision_text: "Precision is the share of fraud among verdicts of fraud and good, with Wilson’s 95% interval.",
        "Træfsikkerhed er andelen af svindel blandt afgørelserne svindel og i orden, med Wilsons 95 %-interval.";
    rule: "Rule", "Regel";
    rule_text: "Text of the rule", "Reglens tekst";
    adds: "adds to the score:", "lægger til scoren:";
    mode: "Mode", "Tilstand";
    live: "live", "i kraft";
    shadow: "shadow", "skygge";
    hits: "Hits", "Træf";
    cases: "Cases", "Sager";
    over_time: "Over time", "Over tid";
    spark: "{} in these days", "{} i disse dage";
    precision: "Precision", "Træfsikkerhed";
    no_verdict: "no verdict yet", "ingen afgørelse endnu";
    absorb_note: "Rules that wait for the outcome raise cases and are not part of a decision: their hits are their cases. Shadow rules raise none; their hits are outlined.",
        "Regler, der venter på udfaldet, rejser sager og indgår ikke i svaret til banken: deres træf er deres sager. Skyggeregler rejser ingen; deres træf er tegnet som omrids.";
    // The overview.
    open_now: "Open now", "Åbne nu";
    of_them_critical: "of them critical", "af dem kritiske";
    alerts: "Alerts", "Alarmer";
    cases_begun: "cases that began in these days", "sager begyndt i disse dage";
    prevented: "Prevented", "Forhindret";
    prevented_text: "largest declined payment of each fraud", "største afviste betaling i hver svindelsag";
    lost: "Lost", "Tabt";
    lost_text: "went through in cases of fraud", "gik igennem i svindelsager";
    lead_time: "Lead time", "Forspring";
    lead_text: "from alert to loss, on average,", "fra alarm til tab, i gennemsnit,";
    of_case_one: "of {} case", "af {} sag";
    of_cases: "of {} cases", "af {} sager";
    verdicts: "Verdicts", "Afgørelser";
    alerts_by_day: "Alerts by day and severity", "Alarmer efter dag og alvor";
    money_by_day: "Prevented and lost by day, in kroner", "Forhindret og tabt efter dag, i kroner";
    lead_by_day: "Lead time by day", "Forspring efter dag";
    lead_note: "The time that the team had: from the alert to the first payment that went through after it, in cases of fraud.",
        "Den tid, holdet havde: fra alarmen til den første betaling, der gik igennem efter den, i svindelsager.";
    in_numbers: "In numbers", "I tal";
    day: "Day", "Dag";
    // Health.
    all_well: "Ready", "Klar";
    not_well: "Not ready", "Ikke klar";
    events_scored: "Events scored", "Hændelser vurderet";
    since_start: "by this instance since it started", "af denne instans siden start";
    late_events: "Late events", "Sene hændelser";
    late_text: "behind their cardholder’s clock", "bag kortholderens ur";
    codes_unknown: "Unknown codes", "Ukendte koder";
    codes_text: "kept, and named where a rule wanted them", "gemt og nævnt, hvor en regel ville bruge dem";
    holds_waiting: "Holds unacknowledged", "Spærringer uden kvittering";
    holds_text: "requested or delivered, and not in force yet", "anmodet eller leveret, men ikke i kraft endnu";
    this_instance: "in force on this instance", "i kraft på denne instans";
    books: "Rule books in force", "Regelbøger i kraft";
    books_text: "As each instance announces it for the partitions that it scores.", "Som hver instans melder det for de partitioner, den bedømmer.";
    instance: "Instance", "Instans";
    partitions: "Partitions", "Partitioner";
    lag: "Lag", "Efterslæb";
    lag_text: "Records that are there and were not read yet.", "Poster, der ligger klar og ikke er læst endnu.";
    topic: "Topic", "Emne";
    records: "Records", "Poster";
    event_age: "Event age", "Hændelsers alder";
    age_text: "How old the newest record was when it was read.", "Hvor gammel den nyeste post var, da den blev læst.";
    age: "Age", "Alder";
    saves: "Checkpoints", "Sikkerhedskopier";
    saves_text: "Since each partition’s state was saved.", "Siden hver partitions tilstand blev gemt.";
    partition: "Partition", "Partition";
    outbox: "Messages to people", "Beskeder til mennesker";
    mail_queued: "on their way", "på vej";
    mail_failed: "given up within a day", "opgivet inden for et døgn";
    mail_waiting: "cases still to be told of", "sager, der mangler at blive fortalt";
    count: "Count", "Antal";
    rejects: "Refused records", "Afviste poster";
    rejects_text: "Of the last 7 days, by reason. They lie in the dead-letter topic.", "De seneste 7 dage, efter grund. De ligger i dead-letter-emnet.";
    reason: "Reason", "Grund";
    no_rejects: "None was refused.", "Ingen er afvist.";
    samples: "Samples of refused records, masked", "Eksempler på afviste poster, maskeret";
    nothing_yet: "Nothing yet.", "Intet endnu.";
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
