//! Guards, outlooks and class sets, against all values of all classes and a generator of conditions.
//!
//! What the conditions mean is taken from evaluation, which is tested elsewhere.

use super::*;

/// Every combination of values of the classes, unknown ones included, with the codes as masks number them.
fn every_class() -> Vec<(Table, Vec<(Slot, u32)>)> {
    let classes = [
        ("flag", 2),
        ("on_file", 2),
        ("channel", 3),
        ("last_channel", 3),
        ("security", 2),
    ];
    let mut all = vec![(Table::default(), Vec::new())];
    for (name, count) in classes {
        let at = slot(name);
        all = all
            .into_iter()
            .flat_map(|(table, codes)| {
                (0..=count).map(move |code| {
                    let (mut table, mut codes) = (table.clone(), codes.clone());
                    codes.push((at, code));
                    if code != 0 {
                        let boolean = count == 2 && name != "security";
                        let value = if boolean {
                            Given::Bool(code == 2)
                        } else {
                            Given::Int(i64::from(code))
                        };
                        table.values.insert(at, value);
                    }
                    (table, codes)
                })
            })
            .collect();
    }
    all
}

fn passes(tests: &[(Slot, u64)], codes: &[(Slot, u32)]) -> bool {
    tests.iter().all(|(slot, mask)| {
        codes
            .iter()
            .any(|(other, code)| other == slot && mask >> code & 1 == 1)
    })
}

fn glance(told: &dyn Fn(Slot) -> Option<Told>) -> Glance<'_> {
    Glance {
        told,
        misses: &|_, _| false,
    }
}

/// What guards, outlooks and class sets promise, for one expression over classes alone.
fn check(source: &str, classes: &[(Table, Vec<(Slot, u32)>)], dice: &mut Dice) -> bool {
    let program = program(source);
    let guards = program.guards();
    assert!(guards.is_sorted(), "{source}");
    assert!(guards.iter().all(|(_, mask)| mask & 1 == 1), "{source}");
    let sets = program.class_sets();
    for set in sets.iter().flatten() {
        assert!(
            set.is_sorted() && set.iter().all(|(_, mask)| mask & 1 == 0 && *mask != 0),
            "{source}: {set:?}"
        );
    }
    for (table, codes) in classes {
        let answer = program.eval(&mut table.clone());
        if !passes(&guards, codes) {
            assert_eq!(
                answer,
                Some(false),
                "{source}: guards {guards:?} refuse {codes:?}"
            );
        }
        // Of each slot all is told, or more than its code, or nothing.
        let told: Vec<(Slot, Option<Told>)> = codes
            .iter()
            .map(|(slot, code)| {
                let more = dice.below(16);
                let told = [Some(0), Some(more), None][usize::try_from(dice.below(3)).unwrap()];
                (*slot, told.map(|more| Told::Codes(1 << code | more)))
            })
            .collect();
        let given = |slot: Slot| told.iter().find(|(known, _)| *known == slot)?.1;
        assert!(
            program.outlook(glance(&given)).allows(answer),
            "{source}: {answer:?} of {codes:?} is ruled out by {told:?}"
        );
        let halves = program.halves(&|slot| given(slot).is_some());
        if halves.settled(glance(&given)).is_true() {
            assert_eq!(
                halves.rest(&mut table.clone()),
                answer,
                "{source}: {codes:?}"
            );
        }
        if let Some(sets) = &sets {
            let sure = sets.iter().any(|set| passes(set, codes));
            assert_eq!(
                sure,
                answer == Some(true),
                "{source}: sets {sets:?} of {codes:?}"
            );
        }
    }
    sets.is_some()
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn condition(&mut self, depth: u32) -> String {
        let leaves = [
            "flag",
            "on_file",
            "channel == 'pos'",
            "channel != 'atm'",
            "channel in ['pos', 'atm']",
            "last_channel == 'ecommerce'",
            "security == '3ds'",
            "channel == last_channel",
            "channel != last_channel",
            "has(channel)",
            "has(flag)",
            "flag == on_file",
            "security in []",
            "true",
            "false",
            "1 / 0 > 1",
            "(flag ? channel : last_channel) == 'pos'",
        ];
        if depth == 0 {
            let last = if self.below(4) == 0 {
                leaves.len()
            } else {
                leaves.len() - 8
            };
            let pick = self.below(u64::try_from(last).unwrap());
            return format!("({})", leaves[usize::try_from(pick).unwrap()]);
        }
        match self.below(9) {
            0..=2 => format!(
                "({} && {})",
                self.condition(depth - 1),
                self.condition(depth - 1)
            ),
            3..=5 => format!(
                "({} || {})",
                self.condition(depth - 1),
                self.condition(depth - 1)
            ),
            6 => format!("!({})", self.condition(depth - 1)),
            7 => format!(
                "({} ? {} : {})",
                self.condition(depth - 1),
                self.condition(depth - 1),
                self.condition(depth - 1)
            ),
            _ => format!(
                "({} == {})",
                self.condition(depth - 1),
                self.condition(depth - 1)
            ),
        }
    }
}

#[test]
fn guards_outlooks_and_class_sets_agree_with_evaluation_over_all_classes() {
    let classes = every_class();
    assert_eq!(classes.len(), 3 * 3 * 4 * 4 * 3);
    let (mut dice, mut told) = (Dice(11), Dice(12));
    let mut given = 0_u32;
    for round in 0..1500 {
        given += u32::from(check(&dice.condition(round % 4), &classes, &mut told));
    }
    assert!(given > 700, "class sets were given only {given} times");
}

#[test]
fn an_outlook_is_false_only_where_nothing_else_can_come() {
    let channel = |code: u32| (slot("channel"), Told::Codes(1 << code));
    let amount = |low, high| (slot("amount"), Told::Within(low, high));
    let unknown = (slot("amount"), Told::Codes(1));
    for (source, told, is_false) in [
        ("channel == 'pos' && amount > 5", vec![channel(1)], true),
        ("channel == 'pos' && amount > 5", vec![channel(2)], false),
        ("channel == 'pos' && amount > 5", vec![channel(0)], false),
        ("channel == 'pos' || amount > 5", vec![channel(1)], false),
        (
            "channel == 'pos' || amount > 5",
            vec![channel(1), amount(0, 5)],
            true,
        ),
        ("amount > 5 && on_file", vec![amount(0, 5)], true),
        ("amount > 5 && flag", vec![amount(0, 6)], false),
        ("amount == 5 && flag", vec![amount(0, 9)], false),
        ("amount == 5 && flag", vec![amount(6, 9)], true),
        ("amount > 5 && flag", vec![unknown], false),
        ("has(amount) && flag", vec![unknown], true),
        ("has(amount) && flag", vec![amount(0, 9)], false),
        ("channel == last_channel", vec![channel(1)], false),
        (
            "in_list(channel, 'risky-countries')",
            vec![channel(1)],
            false,
        ),
    ] {
        let given = |slot: Slot| {
            let known = told.iter().find(|(known, _)| *known == slot);
            known.map(|(_, told)| *told)
        };
        let outlook = program(source).outlook(glance(&given));
        assert_eq!(outlook.is_false(), is_false, "{source} {told:?}");
        assert!(!outlook.is_true(), "{source} {told:?}");
    }
}

#[test]
fn a_list_that_is_known_to_miss_makes_its_test_false() {
    let program = program("flag || in_list(channel, 'risky-countries')");
    let no_flag = |at: Slot| (at == slot("flag")).then_some(Told::Codes(1 << 1));
    let look = |misses: bool| {
        let outlook = program.outlook(Glance {
            told: &no_flag,
            misses: &|_, at| misses && at == slot("channel"),
        });
        [Some(true), Some(false), None].map(|answer| outlook.allows(answer))
    };
    assert_eq!(look(true), [false, true, false]);
    assert_eq!(look(false), [true, true, true]);
    let listed = program.listings();
    assert_eq!(
        listed.iter().map(|(_, at)| *at).collect::<Vec<_>>(),
        [slot("channel")]
    );
}

#[test]
fn only_the_rest_of_a_condition_is_read_where_half_is_settled() {
    let program = program("channel == 'pos' && (flag || channel == 'atm') && amount > 5");
    let is_settled = |at: Slot| at == slot("channel");
    let halves = program.halves(&is_settled);
    assert!(
        halves
            .settled(glance(&|_| Some(Told::Codes(1 << 2))))
            .is_true()
    );
    assert!(
        halves
            .settled(glance(&|_| Some(Told::Codes(1 << 3))))
            .is_false()
    );
    let mut table = Table::of(&[("flag", Given::Bool(true)), ("amount", Given::Int(9))]);
    assert_eq!(halves.rest(&mut table), Some(true));
    assert_eq!(program.cuts(slot("amount")), [5, 6]);
}

#[test]
fn guards_are_the_conjuncts_that_test_one_class() {
    for (source, expected) in [
        ("channel == 'pos' && amount > 5", vec![("channel", 0b0101)]),
        ("channel != 'pos' && amount > 5", vec![("channel", 0b1011)]),
        (
            "amount > 5 && (channel == 'pos' || channel == 'atm')",
            vec![("channel", 0b1101)],
        ),
        (
            "channel in ['ecommerce', 'pos'] && channel != 'pos'",
            vec![("channel", 0b0011)],
        ),
        (
            "!flag && on_file && amount > 5",
            vec![("flag", 0b011), ("on_file", 0b101)],
        ),
        (
            "flag == false && security == 'ssl'",
            vec![("flag", 0b011), ("security", 0b101)],
        ),
        ("!(flag || channel == 'pos')", vec![]),
        ("channel == 'pos' || amount > 5", vec![]),
        ("channel == last_channel && amount > 5", vec![]),
        ("in_list(channel, 'risky-countries') && amount > 5", vec![]),
        ("!has(channel)", vec![("channel", 0b0001)]),
        ("mcc == '4829'", vec![]),
        ("channel == 'pos'", vec![("channel", 0b0101)]),
        ("security in []", vec![("security", 0b001)]),
    ] {
        let expected: Vec<(Slot, u64)> = expected
            .into_iter()
            .map(|(name, mask)| (slot(name), mask))
            .collect();
        assert_eq!(program(source).guards(), expected, "{source}");
    }
}

#[test]
fn class_sets_are_given_where_classes_are_all_there_is() {
    let (flag, channel, security) = (slot("flag"), slot("channel"), slot("security"));
    for (source, expected) in [
        ("channel == 'pos'", Some(vec![vec![(channel, 0b0100)]])),
        (
            "channel != 'pos' && flag",
            Some(vec![vec![(flag, 0b100), (channel, 0b1010)]]),
        ),
        (
            "channel == 'pos' || channel == 'atm'",
            Some(vec![vec![(channel, 0b1100)]]),
        ),
        (
            "flag || security == 'ssl'",
            Some(vec![vec![(flag, 0b100)], vec![(security, 0b100)]]),
        ),
        (
            "flag && security == 'ssl' || flag",
            Some(vec![vec![(flag, 0b100)]]),
        ),
        (
            "flag && security == '3ds' || flag && security == 'ssl'",
            Some(vec![vec![(flag, 0b100), (security, 0b110)]]),
        ),
        ("channel == 'pos' && channel == 'atm'", Some(vec![])),
        ("has(channel)", Some(vec![vec![(channel, 0b1110)]])),
        ("true", Some(vec![vec![]])),
        ("false", Some(vec![])),
        ("1 / 0 > 1", Some(vec![])),
        ("!has(channel)", None),
        ("flag && amount > 5", None),
        ("in_list(channel, 'risky-countries')", None),
        ("mcc == '4829'", None),
    ] {
        assert_eq!(program(source).class_sets(), expected, "{source}");
    }
}

#[test]
fn more_class_sets_than_the_bound_are_not_given() {
    let mut scheme = Scheme::new();
    for name in 0..40 {
        scheme
            .add(Field {
                name: format!("f{name}"),
                kind: Type::Bool,
                cost_ns: 1,
                doc: String::new(),
            })
            .unwrap();
    }
    let any = |count: usize| {
        (0..count)
            .map(|name| format!("f{name}"))
            .collect::<Vec<_>>()
            .join(" || ")
    };
    let sets = |source: &str| compile(source, &scheme).unwrap().class_sets();
    assert_eq!(
        sets(&any(MAX_CLASS_SETS)).map(|sets| sets.len()),
        Some(MAX_CLASS_SETS)
    );
    assert_eq!(sets(&any(MAX_CLASS_SETS + 1)), None);
    let pairs: Vec<String> = (0..20)
        .map(|pair| format!("(f{} || f{})", pair * 2, pair * 2 + 1))
        .collect();
    assert_eq!(
        sets(&pairs.join(" && ")),
        None,
        "a million conjunctions are refused early"
    );
}

#[test]
fn no_condition_costs_more_than_its_size_squared() {
    // Each of these doubled at every level once, and would not come to an end.
    let level = MAX_DEPTH - 3;
    for source in [
        ["flag", "on_file"].repeat(level / 2).join(" == "),
        format!(
            "{}flag{}",
            "(".repeat(level),
            " in [true, false])".repeat(level)
        ),
        format!(
            "{}flag{}",
            "(".repeat(level),
            " ? on_file : has(channel))".repeat(level)
        ),
        format!(
            "{}flag{}",
            "((".repeat(level / 3),
            " ? security == 'ssl' : on_file) == on_file)".repeat(level / 3)
        ),
    ] {
        let program = program(&source);
        assert!(program.cost_ns() < 1000, "{source}");
        let (mut known, mut unknown) = (
            Table::of(&[("flag", Given::Bool(true)), ("on_file", Given::Bool(true))]),
            Table::default(),
        );
        assert!(
            program.eval(&mut known).is_some() || !program.blame(&mut known).is_empty(),
            "{source}"
        );
        assert_eq!(program.eval(&mut unknown), None, "{source}");
        assert!(!program.blame(&mut unknown).is_empty(), "{source}");
        assert!(
            program.guards().len() <= 1
                && program
                    .class_sets()
                    .is_none_or(|sets| sets.len() <= MAX_CLASS_SETS),
            "{source}"
        );
    }
}
