//! What a mail says: a case or a pile of cases, set in templates of two languages, as text and as HTML.
//!
//! The built-in templates are in `templates/`; a folder of the bank's may hold others of the same names, so they are
//! read at run time (minijinja) and not compiled in (askama, which the console will use). All are tried at the start.
//! No card, no cardholder and no amount is given to them: what they are not given they cannot show.

use crate::config::Language;
use crate::domain::codes::Severity;
use crate::domain::time::Moment;
use crate::store::alerts::Story;
use chrono::{DateTime, FixedOffset};
use minijinja::{Environment, Value as Shown, context};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// The built-in templates. The first line of a `.txt` is the subject.
const TEMPLATES: [(&str, &str); 8] = [
    ("case.en.txt", include_str!("templates/case.en.txt")),
    ("case.en.html", include_str!("templates/case.en.html")),
    ("case.da.txt", include_str!("templates/case.da.txt")),
    ("case.da.html", include_str!("templates/case.da.html")),
    ("pile.en.txt", include_str!("templates/pile.en.txt")),
    ("pile.en.html", include_str!("templates/pile.en.html")),
    ("pile.da.txt", include_str!("templates/pile.da.txt")),
    ("pile.da.html", include_str!("templates/pile.da.html")),
];
/// The longest subject, in characters.
const MAX_SUBJECT: usize = 150;
/// The most bytes of a template file.
const MAX_TEMPLATE: u64 = 256 * 1024;
/// How much work a template may do; a case takes some hundreds.
const FUEL: u64 = 200_000;

/// A case to be told, and why now.
#[derive(Debug, Clone, Copy)]
pub struct Case<'c> {
    /// The episode.
    pub story: &'c Story,
    /// The word of a [`crate::store::waiting::Why`].
    pub why: &'c str,
}

/// Many cases in one mail.
#[derive(Debug, Clone, Copy)]
pub struct Pile<'p> {
    /// The worst of them.
    pub cases: &'p [Case<'p>],
    /// How many there are of each severity, the worst first.
    pub counts: &'p [(Severity, i64)],
    /// How many there are.
    pub count: i64,
}

/// What a mail says, without its receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// Plain.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// The id of the message that this one follows.
    #[serde(default)]
    pub follows: Option<String>,
}

impl Text {
    /// As it is kept in the outbox.
    pub fn to_body(&self, follows: Option<&str>) -> String {
        let text = Self {
            follows: follows.map(str::to_owned),
            ..self.clone()
        };
        serde_json::to_string(&text).unwrap_or_default()
    }
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the template `{name}`: {why}\n  = help: compare it with the built-in one of that name, or remove it"
)]
pub struct PressError {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub why: String,
}

/// Sets mails in a language.
#[derive(Debug)]
pub struct Press {
    environment: Environment<'static>,
    language: Language,
    link: Option<String>,
    local: fn(i64) -> DateTime<FixedOffset>,
}

impl Press {
    /// With the built-in templates and those of a folder; `local` says how a time is written here.
    ///
    /// # Errors
    /// The first template that cannot be read or set.
    pub fn open(
        language: Language,
        link: Option<&str>,
        folder: Option<&Path>,
        local: fn(i64) -> DateTime<FixedOffset>,
    ) -> Result<Self, PressError> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        for (name, built_in) in TEMPLATES {
            let fault = |why: String| PressError {
                name: name.to_owned(),
                why,
            };
            let own = match folder {
                Some(folder) => own(&folder.join(name)).map_err(fault)?,
                None => None,
            };
            let text = own.unwrap_or_else(|| built_in.to_owned());
            let added = environment.add_template_owned(name, text);
            added.map_err(|error| fault(error.to_string()))?;
        }
        let press = Self {
            environment,
            language,
            link: link.map(str::to_owned),
            local,
        };
        press.try_all()?;
        Ok(press)
    }

    /// Sets an example in each template, so that a faulty one is told at the start.
    fn try_all(&self) -> Result<(), PressError> {
        let story = Story {
            id: "0".repeat(32),
            first_at_ms: 0,
            severity: Severity::High,
            line: r#"{"id":"0","at":"2018-03-05T15:47:26.000Z","pattern":"p","reasons":[{"code":"c","text":"t"}]}"#.to_owned(),
            holds: vec![r#"{"kind":"step_up","state":"requested","until":"2018-03-05T15:47:26.000Z","methods_refused":["any"]}"#.to_owned()],
        };
        let case = Case {
            story: &story,
            why: "new",
        };
        let pile = Pile {
            cases: &[case],
            counts: &[(Severity::High, 1)],
            count: 1,
        };
        for (name, _) in TEMPLATES {
            let data = if name.starts_with("case") {
                self.of_case(&case)
            } else {
                self.of_pile(&pile)
            };
            let set = self.set(name, &data);
            set.map_err(|error| PressError {
                name: name.to_owned(),
                why: error.to_string(),
            })?;
        }
        Ok(())
    }

    /// A mail about one case.
    pub fn case(&self, case: &Case<'_>) -> Text {
        self.text("case", &self.of_case(case))
    }

    /// A mail about many cases.
    pub fn pile(&self, pile: &Pile<'_>) -> Text {
        self.text("pile", &self.of_pile(pile))
    }

    fn set(&self, name: &str, data: &Shown) -> Result<String, minijinja::Error> {
        self.environment.get_template(name)?.render(data)
    }

    fn text(&self, what: &str, data: &Shown) -> Text {
        let code = self.language.code();
        let one = |kind: &str| {
            let name = format!("{what}.{code}.{kind}");
            self.set(&name, data).unwrap_or_else(|error| {
                // They were all tried at the start; what fails on one case must not keep it from being told.
                tracing::error!(%name, %error, "a template fails on a case");
                format!("Varsel: {what}\nThe template `{name}` failed on this. Open Varsel.")
            })
        };
        let (text, html) = (one("txt"), one("html"));
        let (subject, text) = text.split_once('\n').unwrap_or((&text, ""));
        Text {
            subject: line(subject),
            text: text.trim_start_matches('\n').to_owned(),
            html,
            follows: None,
        }
    }

    fn of_case(&self, case: &Case<'_>) -> Shown {
        let shown = self.shown(case);
        context! { case => shown, why => case.why, link => &self.link }
    }

    fn of_pile(&self, pile: &Pile<'_>) -> Shown {
        let cases: Vec<Shown> = pile.cases.iter().map(|case| self.shown(case)).collect();
        let counts: Vec<Shown> = pile
            .counts
            .iter()
            .map(|(severity, count)| context! { severity => severity.word(), count })
            .collect();
        let listed = i64::try_from(pile.cases.len()).unwrap_or(0);
        context! { cases, counts, count => pile.count, more => pile.count - listed, link => &self.link }
    }

    /// What templates are given of a case.
    fn shown(&self, case: &Case<'_>) -> Shown {
        let story = case.story;
        let line: Value = serde_json::from_str(&story.line).unwrap_or_default();
        let texts = |list: &str, field: &str| -> Vec<String> {
            let list = line.get(list).and_then(Value::as_array);
            let texts = list
                .into_iter()
                .flatten()
                .filter_map(|one| one.get(field)?.as_str());
            texts.map(str::to_owned).collect()
        };
        let holds: Vec<Shown> = story.holds.iter().map(|hold| self.hold(hold)).collect();
        let in_force = holds
            .iter()
            .any(|hold| hold.get_attr("over").is_ok_and(|over| !over.is_true()));
        context! {
            id => &story.id,
            short => story.id.get(..8),
            severity => story.severity.word(),
            pattern => text(&line, "pattern"),
            status => text(&line, "status"),
            score => line.get("score").and_then(Value::as_i64),
            count => line.get("count").and_then(Value::as_i64),
            why => case.why,
            began => self.time(story.first_at_ms),
            changed => self.time_of(&line, "at"),
            reasons => texts("reasons", "text"),
            rules => texts("rules", "id"),
            holds,
            is_held => in_force,
            link => self.link.as_ref().map(|link| format!("{link}/console/cases/{}", story.id)),
        }
    }

    fn hold(&self, line: &str) -> Shown {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        let state = text(&line, "state");
        let refused = line.get("methods_refused").and_then(Value::as_array);
        let refused: Vec<String> = refused
            .into_iter()
            .flatten()
            .filter_map(|method| method.as_str().map(str::to_owned))
            .collect();
        context! {
            kind => text(&line, "kind"),
            over => matches!(state, "released" | "expired"),
            state,
            until => self.time_of(&line, "until"),
            refused,
            all_cards => line.get("card").is_none_or(Value::is_null),
        }
    }

    fn time_of(&self, line: &Value, field: &str) -> String {
        Moment::parse(text(line, field)).map_or_else(String::new, |at| self.time(at.ms))
    }

    fn time(&self, ms: i64) -> String {
        (self.local)(ms)
            .format("%Y-%m-%d %H:%M:%S (UTC%:z)")
            .to_string()
    }
}

fn text<'v>(line: &'v Value, field: &str) -> &'v str {
    line.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn own(path: &Path) -> Result<Option<String>, String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
        Ok(about) if about.len() > MAX_TEMPLATE => {
            Err(format!("it has more than {MAX_TEMPLATE} bytes"))
        }
        Ok(_) => std::fs::read_to_string(path)
            .map(Some)
            .map_err(|error| error.to_string()),
    }
}

/// One line that no header can be put into: without control characters, and not too long.
fn line(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let clean: String = clean.take(MAX_SUBJECT).collect();
    clean.trim().to_owned()
}
