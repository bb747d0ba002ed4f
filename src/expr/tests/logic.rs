//! Three-valued logic, arithmetic that gives no answer, blame, the order of evaluation, and explanations.
//!
//! The oracle tests evaluation at large; here stand the cases that a reader should see.

use super::*;

const TRUTHS: [Option<bool>; 3] = [Some(true), Some(false), None];

fn with(flag: Option<bool>, on_file: Option<bool>) -> Table {
    let mut table = Table::default();
    for (name, value) in [("flag", flag), ("on_file", on_file)] {
        if let Some(value) = value {
            table.values.insert(slot(name), Given::Bool(value));
        }
    }
    table
}

#[test]
fn and_or_not_absorb_the_unknown_on_either_side() {
    for a in TRUTHS {
        for b in TRUTHS {
            let and = match (a, b) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            let or = match (a, b) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            let same = a.zip(b).map(|(a, b)| a == b);
            let choice = match a {
                Some(true) => b,
                Some(false) => b.map(|b| !b),
                None => None,
            };
            for (source, answer) in [
                ("flag && on_file", and),
                ("flag || on_file", or),
                ("!(flag && on_file)", and.map(|and| !and)),
                ("flag == on_file", same),
                ("flag != on_file", same.map(|same| !same)),
                ("!(flag == on_file)", same.map(|same| !same)),
                ("flag ? on_file : !on_file", choice),
                ("flag && true", a),
                ("flag || false", a),
                ("flag && false", Some(false)),
                ("flag || true", Some(true)),
                ("flag == true", a),
                ("false != flag", a),
                ("flag in [true]", a),
                ("flag in [false]", a.map(|a| !a)),
                ("flag in [true, false]", a.map(|_| true)),
                ("flag in []", a.map(|_| false)),
                ("has(flag)", Some(a.is_some())),
                ("has(flag) && flag", Some(a == Some(true))),
            ] {
                assert_eq!(
                    program(source).eval(&mut with(a, b)),
                    answer,
                    "{source} of {a:?}, {b:?}"
                );
            }
        }
    }
}

#[test]
fn overflow_and_division_by_zero_are_unknown() {
    for source in [
        "9223372036854775807 + 1 > 0",
        "-9223372036854775808 - 1 < 0",
        "9223372036854775807 * 2 > 0",
        "-(-9223372036854775808) > 0",
        "-9223372036854775808 / -1 > 0",
        "-9223372036854775808 % -1 == 0",
        "1 / 0 == 0",
        "1 % 0 == 0",
        "int(1e300) > 0",
        "int(0.0 / 0.0) == 0",
        "duration('100000000000d') + duration('100000000000d') > duration('1h')",
    ] {
        assert_eq!(holds(source), None, "{source}");
    }
    let zero = [("n", Given::Int(0))];
    assert_eq!(eval("10 / n > 1", &zero), None);
    assert_eq!(eval("10 % n > 1 || true", &zero), Some(true));
    assert_eq!(
        eval("n + 9223372036854775807 > 1", &[("n", Given::Int(1))]),
        None
    );
    assert_eq!(eval("-n > 1", &[("n", Given::Int(i64::MIN))]), None);
}

#[test]
fn doubles_follow_ieee_754() {
    for (source, answer) in [
        ("1.0 / 0.0 > 1e308", true),
        ("0.0 / 0.0 == 0.0 / 0.0", false),
        ("0.0 / 0.0 != 0.0 / 0.0", true),
        ("0.0 / 0.0 < 1.0", false),
        ("0.0 / 0.0 >= 1.0", false),
        ("!(0.0 / 0.0 < 1.0)", true),
        ("0.0 == -0.0", true),
    ] {
        assert_eq!(holds(source), Some(answer), "{source}");
    }
    let nan = [("ratio", Given::Float(f64::NAN))];
    for source in [
        "ratio < 1.0",
        "ratio >= 1.0",
        "ratio == 1.0",
        "ratio in [1.0]",
        "1.0 > ratio",
    ] {
        assert_eq!(eval(source, &nan), Some(false), "{source}");
        assert_eq!(eval(&format!("!({source})"), &nan), Some(true), "{source}");
    }
    assert_eq!(eval("int(ratio) > 0", &nan), None);
}

#[test]
fn every_kind_of_value_is_compared() {
    let values = [
        ("amount", Given::Int(500)),
        ("balance", Given::Int(400)),
        ("ratio", Given::Float(0.5)),
        ("gap", Given::Int(3_600_000)),
        ("merchant.name", Given::Text("Shop")),
        ("phone", Given::Text("Shop")),
        ("channel", Given::Int(2)),
        ("last_channel", Given::Int(2)),
        ("merchant.country", Given::Int(0x444b)),
        ("home_country", Given::Int(0x5345)),
        ("mcc", Given::Int(4829)),
    ];
    for source in [
        "amount > balance && amount - balance == 100 && 400 < amount && amount != 400",
        "amount in [499, 500] && !(amount in [])",
        "double(amount) * ratio == 250.0 && int(ratio * 10.0) == 5",
        "gap >= duration('1h') && gap + duration('1m') < duration('2h') && gap in [duration('1h')]",
        "merchant.name == phone && merchant.name != 'Other' && merchant.name in ['A', 'Shop']",
        "(amount > 1 ? merchant.name : phone).startsWith(phone)",
        "channel == 'pos' && channel != 'atm' && 'pos' == channel && channel in ['atm', 'pos'] && !(channel in ['atm'])",
        "channel == last_channel && !(channel != last_channel)",
        "(amount > 1 ? channel : last_channel) == 'pos' && (amount > 1 ? channel : last_channel) in ['pos']",
        "merchant.country == 'DK' && 'DK' == merchant.country && merchant.country != home_country",
        "merchant.country in ['SE', 'DK'] && mcc == '4829' && mcc in ['4829', '6051'] && mcc != '5411'",
    ] {
        assert_eq!(eval(source, &values), Some(true), "{source}");
        assert_eq!(
            eval(&format!("!({source})"), &values),
            Some(false),
            "{source}"
        );
        assert_eq!(eval(source, &[]), None, "{source} of nothing known");
    }
}

#[test]
fn a_list_is_asked_by_number() {
    let mut table = Table::of(&[("phone", Given::Text("x")), ("home_country", Given::Int(1))]);
    table.members.push((4, slot("home_country")));
    assert_eq!(
        program("in_list(home_country, 'risky-countries')").eval(&mut table),
        Some(true)
    );
    assert_eq!(
        program("in_list(home_country, 'trusted-merchants')").eval(&mut table),
        Some(false)
    );
    assert_eq!(
        program("in_list(mcc, 'trusted-merchants')").eval(&mut table),
        None
    );
}

fn blame(source: &str, values: &[(&str, Given)]) -> Vec<String> {
    let blamed = program(source).blame(&mut Table::of(values));
    blamed
        .into_iter()
        .map(|slot| scheme().field(slot).unwrap().name.clone())
        .collect()
}

#[test]
fn only_what_makes_the_answer_unknown_is_blamed() {
    let flag = |value| [("flag", Given::Bool(value))];
    assert!(
        blame("flag && amount > 5", &flag(false)).is_empty(),
        "known"
    );
    assert_eq!(blame("flag && amount > 5", &flag(true)), ["amount"]);
    assert_eq!(
        blame("amount > balance || flag", &flag(false)),
        ["amount", "balance"]
    );
    assert_eq!(
        blame("flag ? amount > 5 : mcc == '4829'", &flag(true)),
        ["amount"]
    );
    assert_eq!(
        blame("flag ? amount > 5 : mcc == '4829'", &flag(false)),
        ["mcc"]
    );
    assert_eq!(blame("flag ? amount > 5 : mcc == '4829'", &[]), ["flag"]);
    assert_eq!(
        blame("(flag ? amount : balance) > 5", &flag(false)),
        ["balance"]
    );
    assert_eq!(
        blame("(flag ? phone : 'x') == merchant.name", &flag(false)),
        ["merchant.name"]
    );
    assert_eq!(
        blame("double(amount) / ratio > 1.0 && flag", &flag(true)),
        ["amount", "ratio"]
    );
    assert_eq!(
        blame(
            "channel == last_channel && in_list(phone, 'trusted-merchants')",
            &[]
        ),
        ["phone", "channel", "last_channel"]
    );
    assert_eq!(
        blame("has(flag) && phone.size() > 3", &flag(true)),
        ["phone"]
    );
    assert!(
        blame("n / 0 > 1", &[("n", Given::Int(1))]).is_empty(),
        "by arithmetic alone"
    );
}

#[test]
fn the_cheap_conditions_are_tried_first() {
    let expensive_first = program("distance_km > 500 && declines_24h > 2 && channel == 'pos'");
    let mut table = Table::of(&[("channel", Given::Int(1))]);
    assert_eq!(expensive_first.eval(&mut table), Some(false));
    assert_eq!(table.asked, [slot("channel")]);
    let mut table = Table::of(&[("channel", Given::Int(2)), ("declines_24h", Given::Int(0))]);
    assert_eq!(expensive_first.eval(&mut table), Some(false));
    assert_eq!(table.asked, [slot("channel"), slot("declines_24h")]);
}

#[test]
fn constants_are_folded_and_read_nothing() {
    for (source, answer) in [
        ("false && amount > 5", Some(false)),
        ("amount > 5 || 1 + 1 == 2", Some(true)),
        ("true ? 2 > 1 : flag", Some(true)),
        ("1 / 0 > 1 ? flag : on_file", None),
    ] {
        let program = program(source);
        assert!(program.slots().is_empty(), "{source}");
        assert_eq!(program.eval(&mut Table::default()), answer, "{source}");
    }
    assert_eq!(program("true && flag && (2 > 1)").slots(), [slot("flag")]);
}

#[test]
fn slots_are_sorted_and_told_once() {
    let program = program(
        "mcc == '4829' && amount > 5 && (amount < 9 || in_list(phone, 'trusted-merchants'))",
    );
    assert_eq!(
        program.slots(),
        [slot("amount"), slot("phone"), slot("mcc")]
    );
}

#[test]
fn cost_counts_each_slot_once() {
    let once = program("declines_24h > 2").cost_ns();
    let twice = program("declines_24h > 2 && declines_24h < 9").cost_ns();
    assert!((41..50).contains(&once), "{once}");
    assert!(once < twice && twice < once + 10, "{once}, {twice}");
    assert!(program("distance_km > 2").cost_ns() > 400);
}

#[test]
fn an_explanation_goes_condition_by_condition_in_the_order_of_the_source() {
    let source = "distance_km > 500 // far\n && (channel == 'pos' ||\n   channel == 'atm') && gap < duration('1h') && merchant.country != 'DK'";
    let values = [
        ("distance_km", Given::Int(600)),
        ("channel", Given::Int(3)),
        ("gap", Given::Int(5_400_500)),
    ];
    let lines = program(source).explain(&mut Table::of(&values));
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let reads: Vec<String> = line
                .reads
                .iter()
                .map(|(name, value)| format!("{name} = {value}"))
                .collect();
            format!(
                "{}{} | {:?} | {}",
                "  ".repeat(line.depth),
                line.text,
                line.value,
                reads.join(", ")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "distance_km > 500 | Some(true) | distance_km = 600",
            "(channel == 'pos' || channel == 'atm') | Some(true) | ",
            "  channel == 'pos' | Some(false) | channel = \"atm\"",
            "  channel == 'atm' | Some(true) | channel = \"atm\"",
            "gap < duration('1h') | Some(false) | gap = 1h30m500ms",
            "merchant.country != 'DK' | None | merchant.country = unknown",
        ]
    );
}

#[test]
fn an_explanation_shows_every_kind_of_value() {
    let values = [
        ("flag", Given::Bool(true)),
        ("ratio", Given::Float(2.0)),
        ("phone", Given::Text("a\"b")),
        ("gap", Given::Int(-90_061_001)),
        ("link_age", Given::Int(0)),
        ("home_country", Given::Int(0x444b)),
        ("mcc", Given::Int(742)),
    ];
    let source = "flag == (ratio > 1.0 && phone == '' && gap > link_age && home_country == 'DK' && mcc == '0742')";
    let lines = program(source).explain(&mut Table::of(&values));
    let reads: Vec<&str> = lines[0]
        .reads
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(
        reads,
        [
            "true",
            "2.0",
            "-1d1h1m1s1ms",
            "0s",
            "\"a\\\"b\"",
            "\"DK\"",
            "\"0742\""
        ]
    );
}
