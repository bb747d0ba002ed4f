//! A small world for the tests of checkpoints: a book made by hand and a stream of busy cardholders.
//! It looks for no realism; it wants every kind of state to be open at some time.

use crate::domain::codes::{
    Action, Advice, AuthorizationKind, Channel, EventType, HoldKind, Message, ResponseGroup,
    Security, Severity, TransStatus,
};
use crate::domain::country::Country;
use crate::domain::currency::{Currency, RateTable};
use crate::domain::event::{
    Authorization, Body, CardChange, Eid, Event, HoldStep, Merchant, Otp, Threeds,
};
use crate::domain::ids::Fingerprint;
use crate::domain::outcome::{Decision, Effect, Refusals};
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::engine::book::{
    Aggregate, Band, Book, Filter, HoldPlan, MccGroups, Mode, Of, Op, Phase, Policy, Rule,
    Sequence, Step,
};
use crate::engine::class::ClassField;
use crate::engine::prepared::Prepared;
use crate::engine::{Engine, Outcome, order, vocabulary};
use crate::expr::{Field, Program, Scheme, Symbols, Type, Unit, compile};
use std::sync::Arc;

const AUTH: u16 = 1 << 1;
/// When streams begin.
pub const START_MS: i64 = 1_520_000_000_000;

/// A way to make a book: groups in an order, aggregates in an order, with or without the sequence.
pub struct Plan {
    pub groups: &'static [&'static str],
    pub aggregates: &'static [&'static str],
    pub sequences: bool,
}

pub const PLAN: Plan = Plan {
    groups: &["transfer", "crypto", "other"],
    aggregates: &[
        "declined_30d",
        "spent_7d",
        "groups_30d",
        "transfers_10m",
        "transfers_30d",
    ],
    sequences: true,
};

fn aggregate(name: &str, groups: &[&str]) -> Aggregate {
    let transfer = groups
        .iter()
        .position(|g| *g == "transfer")
        .map_or(0, |i| 1 << (i + 1));
    let response = |group: ResponseGroup| 1_u64 << group.code();
    let (op, of, test, span_ms) = match name {
        "declined_30d" => (
            Op::Count,
            Of::Event,
            Some((ClassField::Response, response(ResponseGroup::Insufficient))),
            30 * DAY_MS,
        ),
        "spent_7d" => (
            Op::Sum,
            Of::Amount,
            Some((ClassField::Response, response(ResponseGroup::Approved))),
            7 * DAY_MS,
        ),
        "groups_30d" => (Op::Distinct, Of::MccGroup, None, 30 * DAY_MS),
        "transfers_10m" => (
            Op::Count,
            Of::Event,
            Some((ClassField::MccGroup, transfer)),
            10 * MINUTE_MS,
        ),
        "transfers_30d" => (
            Op::Count,
            Of::Event,
            Some((ClassField::MccGroup, transfer)),
            30 * DAY_MS,
        ),
        "largest_2d" => (Op::Max, Of::Amount, None, 2 * DAY_MS),
        name => unreachable!("no aggregate {name}"),
    };
    Aggregate {
        name: name.to_owned(),
        op,
        of,
        filter: Filter {
            on: AUTH,
            any: vec![
                test.map(|(field, codes)| (field as u8, codes))
                    .into_iter()
                    .collect(),
            ],
        },
        base: None,
        span_ms,
        same_merchant: false,
    }
}

fn rule(id: &str, when: Option<Program>) -> Rule {
    Rule {
        id: id.to_owned(),
        version: 1,
        why: format!("why {id}"),
        on: AUTH,
        phase: Phase::Decide,
        mode: Mode::Live,
        when,
        unless: None,
        sequence: None,
        score: 400,
        pattern: Some(format!("pattern of {id}")),
        severity: Severity::High,
        hold: None,
        rts_factors: vec![1],
    }
}

fn step(scheme: &Scheme, when: &str, count: u8, absent_ms: Option<i64>) -> Step {
    Step {
        on: AUTH,
        when: compile(when, scheme).unwrap(),
        count,
        absent_ms,
    }
}

fn rules(scheme: &Scheme, sequences: bool) -> Vec<Rule> {
    let when = |text: &str| Some(compile(text, scheme).unwrap());
    let mut rules = vec![
        Rule {
            hold: Some(HoldPlan {
                kind: HoldKind::StepUp,
                for_ms: 5 * HOUR_MS,
                methods_refused: Refusals(1),
                all_cards: false,
            }),
            ..rule("declines-then-more", when("declined_30d >= 2"))
        },
        rule(
            "groups-in-a-row",
            when("groups_30d >= 2 && transfers_10m >= 1"),
        ),
        rule("spends-much", when("spent_7d + transfers_30d > 100000")),
    ];
    if sequences {
        let mut first_state = 0;
        let mut with = |id: &str, phase, steps: Vec<Step>| {
            let sequence = Sequence {
                steps,
                within_ms: 6 * HOUR_MS,
                first_state,
            };
            first_state += sequence.states();
            rules.push(Rule {
                phase,
                sequence: Some(sequence),
                ..rule(id, None)
            });
        };
        let declined = "response == \"insufficient\"";
        with(
            "transfers-declined-then-ssl",
            Phase::Decide,
            vec![
                step(scheme, declined, 2, None),
                step(scheme, "security == \"ssl\"", 1, None),
            ],
        );
        with(
            "transfers-unfinished",
            Phase::Absorb,
            vec![
                step(scheme, "mcc_group == \"transfer\"", 2, None),
                step(scheme, "response == \"approved\"", 1, Some(HOUR_MS)),
            ],
        );
    }
    rules
}

pub fn book(plan: &Plan) -> Arc<Prepared> {
    let symbols = Arc::new(Symbols {
        name: "mcc_group".to_owned(),
        words: plan.groups.iter().map(|g| (*g).to_owned()).collect(),
    });
    let code = |group: &str| u8::try_from(symbols.code(group).unwrap_or(0)).unwrap();
    let mut of = vec![code("other"); 10_000].into_boxed_slice();
    of[4829] = code("transfer");
    of[6051] = code("crypto");
    let mut scheme = Scheme::new();
    for field in vocabulary::fields(&symbols) {
        scheme.add(field).unwrap();
    }
    // What rules name but the plan leaves out is declared last, so that the rules compile and find
    // nothing.
    let named = PLAN
        .aggregates
        .iter()
        .filter(|name| !plan.aggregates.contains(name));
    for name in plan.aggregates.iter().chain(named) {
        let kind = Type::Int(Unit::Plain);
        let (name, doc) = ((*name).to_owned(), String::new());
        scheme
            .add(Field {
                name,
                kind,
                cost_ns: 9,
                doc,
            })
            .unwrap();
    }
    let band = |from, action| Band { from, action };
    Arc::new(Prepared::new(Book {
        version: "tiny+000000000000".to_owned(),
        rules: rules(&scheme, plan.sequences),
        scheme,
        aggregates: plan
            .aggregates
            .iter()
            .map(|name| aggregate(name, plan.groups))
            .collect(),
        mcc_groups: MccGroups { symbols, of },
        rates: RateTable::only(Currency::parse("DKK").unwrap()),
        lists: Vec::new(),
        policy: Policy {
            bands: vec![band(300, Advice::StepUp), band(700, Advice::Decline)],
            unauthenticated: vec![band(700, Advice::Decline)],
            held_recurring: Advice::Allow,
            held_moto: Advice::Decline,
            episode_ms: 8 * HOUR_MS,
            acknowledge_ms: HOUR_MS,
            deliver_ms: None,
        },
    }))
}

/// Numbers without a pattern and without a clock (Marsaglia's xorshift).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

fn event(number: usize, at_ms: i64, holder: &str, dice: &mut Dice, body: Body) -> Event {
    let mut event = Event::default();
    let card = format!("card-of-{holder}-{}", dice.below(2));
    let id = format!("event-{number}");
    event.id = event.push_text(&id).unwrap();
    event.id_fp = Fingerprint::of(&id);
    event.card = event.push_text(&card).unwrap();
    event.card_fp = Fingerprint::of(&card);
    event.cardholder = event.push_text(holder).unwrap();
    event.cardholder_fp = Fingerprint::of(holder);
    event.at.ms = at_ms;
    if dice.below(3) == 0 {
        event.acs_fp = Fingerprint(1 + dice.below(6));
    }
    event.place.country = Some(dice.of(&["DK", "SE", "RO"])).and_then(Country::parse);
    event.place.network = u32::try_from(1 + dice.below(3)).unwrap();
    event.body = body;
    event
}

fn payment(dice: &mut Dice) -> Body {
    let merchant = Merchant {
        id_fp: u32::try_from(1 + dice.below(9)).unwrap(),
        country: Country::parse(dice.of(&["DK", "GB"])),
        ..Merchant::default()
    };
    Body::Authorization(Authorization {
        amount_minor: i64::try_from(100 + dice.below(60_000)).unwrap(),
        currency: Currency::parse("DKK"),
        mcc: dice.of(&[4829, 6051, 5411]),
        merchant,
        channel: dice.of(Channel::ALL),
        security: dice.of(Security::ALL),
        response: dice.of(&[
            ResponseGroup::Approved,
            ResponseGroup::Insufficient,
            ResponseGroup::Insufficient,
        ]),
        ..Authorization::default()
    })
}

/// The undoing of an event up to three days back; its cardholder need not be the same.
fn reversal(dice: &mut Dice, number: usize) -> Body {
    let back = usize::try_from(1 + dice.below(200)).unwrap();
    let original = format!("event-{}", number.saturating_sub(back));
    Body::Authorization(Authorization {
        kind: AuthorizationKind::Reversal,
        original_fp: Fingerprint::of(&original),
        currency: Currency::parse("DKK"),
        ..Authorization::default()
    })
}

/// A payment, and its reversal so much later.
pub fn payment_and_its_reversal(later_ms: i64) -> (Stride, Stride) {
    let mut dice = Dice(1);
    let mut paid = payment(&mut dice);
    if let Body::Authorization(payment) = &mut paid {
        payment.response = ResponseGroup::Insufficient;
    }
    let mut undone = reversal(&mut dice, 1);
    if let Body::Authorization(undoing) = &mut undone {
        undoing.original_fp = Fingerprint::of("event-0");
    }
    let paid = event(0, START_MS, "holder-0", &mut dice, paid);
    let undone = event(1, START_MS + later_ms, "holder-0", &mut dice, undone);
    (
        Stride::Event(Box::new(paid)),
        Stride::Event(Box::new(undone)),
    )
}

fn message(dice: &mut Dice) -> Body {
    let is_request = dice.below(2) == 0;
    Body::Threeds(Threeds {
        message: if is_request {
            Message::AReq
        } else {
            Message::RReq
        },
        amount_minor: 5_000,
        currency: Currency::parse("DKK"),
        mcc: 4829,
        merchant: Merchant::default(),
        device_channel: None,
        acct_info: Default::default(),
        trans_status: (!is_request).then_some(TransStatus::Authenticated),
        trans_status_reason: Default::default(),
        authentication_method: None,
        eci: Default::default(),
        challenge_cancel: None,
        interaction_counter: None,
    })
}

/// A stream of a few busy cardholders, some of it late, with a tick at each whole minute.
pub fn stream(many: usize, seed: u64) -> Vec<Stride> {
    let mut dice = Dice(seed);
    let mut at_ms = START_MS;
    let mut steps = Vec::new();
    for number in 0..many {
        let before = at_ms / MINUTE_MS;
        at_ms += i64::try_from(dice.below(40 * 60_000)).unwrap();
        if at_ms / MINUTE_MS > before {
            steps.push(Stride::Tick(at_ms / MINUTE_MS * MINUTE_MS));
        }
        let holder = format!("holder-{}", dice.below(7));
        let late_ms = i64::try_from(dice.below(5) / 4 * 90 * 60_000).unwrap();
        let body = match dice.below(11) {
            10 => reversal(&mut dice, number),
            0..6 => payment(&mut dice),
            6 => message(&mut dice),
            7 => Body::Otp(Otp {
                action: dice.of(Action::of(EventType::Otp)),
                phone: Default::default(),
            }),
            8 => Body::Eid(Eid {
                action: dice.of(Action::of(EventType::Eid)),
                authenticator: None,
                purpose: None,
                key_number: Default::default(),
            }),
            _ => Body::Card(CardChange {
                action: dice.of(Action::of(EventType::Card)),
                home_country: Country::parse("DK"),
                scheme: Default::default(),
                until_ms: None,
                aliases: Vec::new(),
            }),
        };
        let event = event(number, at_ms - late_ms, &holder, &mut dice, body);
        steps.push(Stride::Event(Box::new(event)));
    }
    steps
}

/// One step of a stream.
#[derive(Clone)]
pub enum Stride {
    Event(Box<Event>),
    Tick(i64),
}

/// What came of a step.
pub type Came = (Option<Decision>, Vec<Effect>, Vec<usize>);

/// Takes a step on the shard that owns it; each hold that comes is delivered at once, so that
/// deadlines of acknowledgement exist too.
pub fn take(engines: &mut [Engine], step: &Stride) -> Came {
    let mut out = Outcome::default();
    match step {
        Stride::Event(event) => {
            let shard = usize::try_from(event.cardholder_fp.0 % engines.len() as u64).unwrap();
            engines[shard].apply(event, &mut out);
            let holds: Vec<_> = out.effects.iter().filter_map(asked).collect();
            for id in holds {
                let delivery = delivery(event, &id);
                let mut more = Outcome::default();
                engines[shard].apply(&delivery, &mut more);
                out.effects.extend(more.effects);
            }
        }
        Stride::Tick(at_ms) => {
            for engine in engines {
                let mut effects = Vec::new();
                engine.tick(*at_ms, &mut effects);
                out.effects.extend(effects);
            }
            out.effects.sort_by(|a, b| order(a).cmp(&order(b)));
        }
    }
    (out.decision, out.effects, out.hits)
}

fn asked(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Hold(hold) => Some(hold.id.to_string()),
        Effect::Alert(_) => None,
    }
}

fn delivery(cause: &Event, hold: &str) -> Event {
    let mut event = cause.clone();
    event.id_fp = Fingerprint::of(&format!("{} {hold}", cause.id()));
    event.acs_fp = Fingerprint::default();
    let hold = event.push_text(hold).unwrap();
    event.body = Body::Hold(HoldStep {
        hold,
        action: Action::Delivered,
        by: Default::default(),
        reason: Default::default(),
    });
    event
}

/// A book without rules, whose groups need not be those that the rules name.
pub fn lenient(plan: &Plan) -> Arc<Prepared> {
    let whole = book(&Plan {
        groups: PLAN.groups,
        ..*plan
    });
    let prepared = Arc::try_unwrap(whole).unwrap();
    let mut book = prepared.book;
    book.rules.clear();
    book.mcc_groups.symbols = Arc::new(Symbols {
        name: "mcc_group".to_owned(),
        words: plan.groups.iter().map(|g| (*g).to_owned()).collect(),
    });
    book.aggregates = plan
        .aggregates
        .iter()
        .map(|name| aggregate(name, plan.groups))
        .collect();
    Arc::new(Prepared::new(book))
}
