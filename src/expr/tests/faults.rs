//! Every fault's message and help, word for word.
//!
//! Spans are tested with the syntax.

use super::*;

/// The first fault as one line.
fn fault(source: &str) -> String {
    let faults = compile(source, &scheme()).unwrap_err();
    let help = faults[0]
        .help
        .as_ref()
        .map(|help| format!(" | {help}"))
        .unwrap_or_default();
    format!("{}{help}", faults[0].message)
}

fn check(cases: &[(&str, &str)]) {
    for (source, message) in cases {
        assert_eq!(fault(source), *message, "{source}");
    }
}

#[test]
fn a_fault_of_spelling_says_what_to_write() {
    check(&[
        ("", "the condition is empty"),
        (" // nothing", "the condition is empty"),
        ("flag # on_file", "unexpected character `#`"),
        ("flag & on_file", "unexpected character `&` | write `&&`"),
        ("flag | on_file", "unexpected character `|` | write `||`"),
        (
            "phone == “45”",
            "unexpected character `“` | write texts between `\"` and `\"`",
        ),
        (
            "phone == '45",
            "this text is not closed | close it with `'`",
        ),
        (
            "phone == '4\n5'",
            "this text is not closed | close it with `'`",
        ),
        (
            "phone == '4\\d'",
            "unknown escape `\\\\d` | a backslash itself is written `\\\\`",
        ),
        (
            "phone == '\\ud800'",
            "unknown escape `\\\\ud800` | a backslash itself is written `\\\\`",
        ),
        ("amount > 5x", "`5x` is no number"),
        (
            "gap > 24h",
            "`24h` is no number | write `duration(\"24h\")` for a span of time",
        ),
        ("amount > 1_000", "`1_000` is no number"),
        ("amount > 0x", "`0x` is no number"),
        (
            "amount > 9223372036854775808",
            "`9223372036854775808` is too large | integers go from -9223372036854775808 to 9223372036854775807",
        ),
        (
            "amount > 99999999999999999999",
            "`99999999999999999999` is too large | integers go from -9223372036854775808 to 9223372036854775807",
        ),
        ("ratio > 1e999", "`1e999` is too large for a double"),
    ]);
}

#[test]
fn a_fault_of_grammar_says_what_was_expected() {
    check(&[
        ("flag &&", "expected a value, found the end"),
        ("flag && && flag", "expected a value, found `&&`"),
        ("flag on_file", "expected an operator, found `on_file`"),
        ("flag 'x'", "expected an operator, found the text \"x\""),
        (
            "flag and on_file",
            "conditions are not joined by words | write `&&`",
        ),
        (
            "flag OR on_file",
            "conditions are not joined by words | write `||`",
        ),
        (
            "not flag",
            "conditions are not turned round by words | write `!`",
        ),
        (
            "amount = 5",
            "`=` sets a value, and nothing is set here | write `==`",
        ),
        ("amount <> 5", "expected a value, found `>`"),
        ("(flag", "this bracket is not closed: `)` is missing"),
        ("amount in [1", "this bracket is not closed: `]` is missing"),
        ("has(flag", "this bracket is not closed: `)` is missing"),
        ("(amount > 5, flag)", "expected `)`, found `,`"),
        ("flag)", "unexpected `)`"),
        ("flag ? on_file", "expected `:`, found the end"),
        ("flag ? on_file && flag)", "expected `:`, found `)`"),
        (
            "amount in 5",
            "after `in` comes a list of literals | write it as `in [\"a\", \"b\"]`",
        ),
        (
            "amount == [5]",
            "expected a value, found `[` | a list stands after `in`",
        ),
        (
            "(phone).size",
            "after `.size` its arguments are missing | methods are written `name.size()`",
        ),
        ("(phone).", "after `.` comes a method"),
    ]);
}

#[test]
fn a_fault_of_name_says_what_was_meant() {
    check(&[
        (
            "ammount > 5",
            "unknown field `ammount` | did you mean `amount`?",
        ),
        (
            "merchant.contry == 'DK'",
            "unknown field `merchant.contry` | did you mean `merchant.country`?",
        ),
        ("velocity > 5", "unknown field `velocity`"),
        (
            "amount == null",
            "unknown field `null` | whether a value is known is asked with `has(…)`",
        ),
        (
            "channel == ecommerce",
            "unknown field `ecommerce` | write `\"ecommerce\"`, in quotes",
        ),
        (
            "hass(flag)",
            "unknown function `hass` | did you mean `has`?",
        ),
        ("matches(phone, 'x')", "unknown function `matches`"),
        (
            "size(phone) > 1",
            "unknown function `size` | write `x.size()`",
        ),
        (
            "contains(phone, 'x')",
            "unknown function `contains` | write `x.contains(\"…\")`",
        ),
        (
            "phone.startswith('x')",
            "unknown method `startswith` | did you mean `startsWith`?",
        ),
        (
            "amount.double() > 1.0",
            "unknown method `double` | write `double(x)`",
        ),
        (
            "in_list(phone, 'trusted-merchant')",
            "unknown list \"trusted-merchant\" | did you mean `\"trusted-merchants\"`?",
        ),
        (
            "in_list(phone, 'x')",
            "unknown list \"x\" | the lists are `risky-countries`, `trusted-merchants`",
        ),
        (
            "channel == 'ecomerce'",
            "unknown word \"ecomerce\" for `channel` | did you mean `\"ecommerce\"`? `channel` is one of `\"ecommerce\"`, `\"pos\"`, `\"atm\"`",
        ),
        (
            "channel in ['pos', 'telephone']",
            "unknown word \"telephone\" for `channel` | `channel` is one of `\"ecommerce\"`, `\"pos\"`, `\"atm\"`",
        ),
        (
            "home_country == 'Denmark'",
            "\"Denmark\" is no country | a country is two capital letters, such as `\"DK\"`",
        ),
        (
            "mcc in ['4829', '48']",
            "\"48\" is no merchant category code | a merchant category code is four digits, such as `\"4829\"`",
        ),
    ]);
    let bare = Scheme::new();
    let faults = compile("has(x) && in_list(x, 'a')", &bare).unwrap_err();
    assert_eq!(
        faults.last().unwrap().help.as_deref(),
        Some("no lists are declared")
    );
}

#[test]
fn a_condition_is_true_or_false() {
    let number = "compare it, as in `… > 0`";
    let text = "compare it, as in `… == \"…\"`";
    check(&[
        (
            "amount",
            &format!(
                "expected a condition, found `amount` (money in minor units, an integer) | {number}"
            ),
        ),
        (
            "!declines_24h",
            &format!("expected a condition, found `declines_24h` (a count, an integer) | {number}"),
        ),
        (
            "flag && ratio",
            &format!("expected a condition, found `ratio` (a ratio, a double) | {number}"),
        ),
        (
            "1",
            &format!("expected a condition, found `1` (an integer) | {number}"),
        ),
        (
            "gap || flag",
            "expected a condition, found `gap` (a duration) | compare it, as in `… > duration(\"24h\")`",
        ),
        (
            "channel",
            &format!("expected a condition, found `channel` (a word of `channel`) | {text}"),
        ),
        (
            "mcc ? flag : flag",
            &format!("expected a condition, found `mcc` (a merchant category code) | {text}"),
        ),
        (
            "phone",
            &format!("expected a condition, found `phone` (a text) | {text}"),
        ),
    ]);
}

#[test]
fn different_units_and_kinds_are_not_compared() {
    check(&[
        (
            "amount > distance_km",
            "wrong unit: `amount` (money in minor units, an integer) and `distance_km` (km, an integer) cannot be compared",
        ),
        (
            "anomaly.amount > ratio",
            "wrong unit: `anomaly.amount` (a score, a double) and `ratio` (a ratio, a double) cannot be compared",
        ),
        (
            "gap > 24",
            "`gap` (a duration) and `24` (an integer) cannot be compared | write `duration(\"24h\")`",
        ),
        (
            "gap == '24h'",
            "`gap` (a duration) and `'24h'` (a text) cannot be compared | write `duration(\"24h\")`",
        ),
        (
            "ratio > 5",
            "`ratio` (a ratio, a double) and `5` (an integer) cannot be compared | write `5.0`",
        ),
        (
            "-5 < ratio",
            "`-5` (an integer) and `ratio` (a ratio, a double) cannot be compared | write `-5.0`",
        ),
        (
            "ratio > n",
            "`ratio` (a ratio, a double) and `n` (an integer) cannot be compared | write `double(n)`",
        ),
        (
            "amount + 1 > ratio",
            "`amount + 1` (money in minor units, an integer) and `ratio` (a ratio, a double) cannot be compared | write `double(amount + 1)`",
        ),
        (
            "n > 0.5",
            "`n` (an integer) and `0.5` (a double) cannot be compared | write `double(n)`",
        ),
        (
            "phone == 5",
            "`phone` (a text) and `5` (an integer) cannot be compared",
        ),
        (
            "flag == 'x'",
            "`flag` (true or false) and `'x'` (a text) cannot be compared",
        ),
        (
            "mcc == 4829",
            "`mcc` (a merchant category code) and `4829` (an integer) cannot be compared | write `\"4829\"`",
        ),
        (
            "mcc == 7",
            "`mcc` (a merchant category code) and `7` (an integer) cannot be compared | a merchant category code is four digits, such as `\"4829\"`",
        ),
        (
            "mcc == home_country",
            "`mcc` (a merchant category code) and `home_country` (a country) cannot be compared",
        ),
        (
            "phone == home_country",
            "`phone` (a text) and `home_country` (a country) cannot be compared",
        ),
        (
            "security == channel",
            "`security` (a word of `security`) and `channel` (a word of `channel`) cannot be compared | `security` is one of `\"3ds\"`, `\"ssl\"`",
        ),
    ]);
}

#[test]
fn only_numbers_have_an_order() {
    let help = "only numbers and durations have an order: use `==`, `!=` or `in`";
    check(&[
        (
            "phone < 'x'",
            &format!("`<` does not order `phone` (a text) | {help}"),
        ),
        (
            "channel >= 'pos'",
            &format!("`>=` does not order `channel` (a word of `channel`) | {help}"),
        ),
        (
            "mcc > '4829'",
            &format!("`>` does not order `mcc` (a merchant category code) | {help}"),
        ),
        (
            "flag <= true",
            &format!("`<=` does not order `flag` (true or false) | {help}"),
        ),
        (
            "1 < n < 5",
            "`<` does not order `1 < n` (true or false) | compare twice, as in `1 < x && x < 5`",
        ),
    ]);
}

#[test]
fn arithmetic_keeps_to_numbers_of_one_kind() {
    check(&[
        (
            "amount + distance_km > 5",
            "wrong unit: `+` does not take `amount` (money in minor units, an integer) and `distance_km` (km, an integer)",
        ),
        (
            "n * 0.5 > 1.0",
            "`*` does not take `n` (an integer) and `0.5` (a double) | write `double(n)`",
        ),
        (
            "ratio * 5 > 1.0",
            "`*` does not take `ratio` (a ratio, a double) and `5` (an integer) | write `5.0`",
        ),
        (
            "ratio % 5.0 > 1.0",
            "`%` does not take `ratio` (a ratio, a double) and `5.0` (a double) | only integers have a remainder: write `int(…)`",
        ),
        (
            "gap + 5 > gap",
            "`+` does not take `gap` (a duration) and `5` (an integer) | write `duration(\"24h\")`",
        ),
        (
            "gap * gap > gap",
            "`*` does not take `gap` (a duration) and `gap` (a duration)",
        ),
        (
            "phone + 'x' == 'y'",
            "`+` does not take `phone` (a text) and `'x'` (a text) | texts are compared, not computed with",
        ),
        ("-phone == 'x'", "`-` wants a number, not `phone` (a text)"),
        (
            "-flag",
            "`-` wants a number, not `flag` (true or false) | write `!` for not",
        ),
        ("-gap > gap", "`-` wants a number, not `gap` (a duration)"),
        (
            "(flag ? amount : distance_km) > 5",
            "both branches of `?` give the same kind of value, but these are `amount` (money in minor units, an integer) and `distance_km` (km, an integer)",
        ),
        (
            "(flag ? 1 : ratio) > 5.0",
            "both branches of `?` give the same kind of value, but these are `1` (an integer) and `ratio` (a ratio, a double) | write `1.0`",
        ),
    ]);
}

#[test]
fn products_and_quotients_carry_their_unit() {
    for source in [
        "amount * declines_24h > balance",
        "amount / declines_24h < balance",
        "2 * amount > balance",
        "amount / balance > distance_km / distance_km",
        "amount % 100 == balance % balance",
        "amount + 5 > balance - 5",
        "(flag ? 5 : amount) > balance",
    ] {
        assert!(compile(source, &scheme()).is_ok(), "{source}");
    }
    for source in [
        "2 * amount > distance_km",
        "amount / 2 > distance_km",
        "amount % 7 > distance_km",
        "declines_24h * amount > distance_km",
    ] {
        assert!(fault(source).starts_with("wrong unit: "), "{source}");
    }
}

#[test]
fn lists_hold_literals_of_one_kind() {
    check(&[
        (
            "amount in [balance]",
            "a list holds literals only, and `balance` (money in minor units, an integer) is none | compare with `==` and join with `||`, or keep a list and ask `in_list(x, \"list-name\")`",
        ),
        (
            "amount in ['x']",
            "`amount` (money in minor units, an integer) cannot be found among `'x'` (a text)",
        ),
        (
            "ratio in [1]",
            "`ratio` (a ratio, a double) cannot be found among `1` (an integer) | write `1.0`",
        ),
        (
            "gap in [1]",
            "`gap` (a duration) cannot be found among `1` (an integer) | write `duration(\"24h\")`",
        ),
        (
            "flag in [1]",
            "`flag` (true or false) cannot be found among `1` (an integer)",
        ),
        (
            "phone in [true]",
            "`phone` (a text) cannot be found among `true` (true or false)",
        ),
        (
            "mcc in [4829]",
            "`mcc` (a merchant category code) cannot be found among `4829` (an integer) | write `\"4829\"`",
        ),
    ]);
}

#[test]
fn functions_take_as_many_arguments_as_they_name() {
    check(&[
        (
            "has(flag, flag)",
            "wrong number of arguments for `has` | write `has(x)`",
        ),
        (
            "phone.size(1) > 1",
            "wrong number of arguments for `size` | write `x.size()`",
        ),
        (
            "phone.contains()",
            "wrong number of arguments for `contains` | write `x.contains(\"…\")`",
        ),
        (
            "in_list(phone)",
            "wrong number of arguments for `in_list` | write `in_list(x, \"list-name\")`",
        ),
        (
            "gap > duration()",
            "wrong number of arguments for `duration` | write `duration(\"24h\")`",
        ),
    ]);
}

#[test]
fn functions_take_the_kinds_they_are_for() {
    let units = "write it with the units `d`, `h`, `m`, `s` and `ms`, as in `duration(\"1h30m\")`";
    check(&[
        (
            "has(1 + 1)",
            "`has` asks whether a field is known | write `has(x)`, with the name of a field",
        ),
        (
            "double(phone) > 1.0",
            "`double` wants a number, not `phone` (a text)",
        ),
        (
            "int(gap) > 1",
            "`int` wants a number, not `gap` (a duration)",
        ),
        (
            "gap > duration(phone)",
            &format!("`duration` wants a text | {units}"),
        ),
        (
            "gap > duration('10 minutes')",
            &format!("\"10 minutes\" is no duration | {units}"),
        ),
        (
            "in_list(amount, 'risky-countries')",
            "lists hold texts, words and codes, and `amount` (money in minor units, an integer) is none",
        ),
        (
            "in_list('x', 'risky-countries')",
            "`in_list` looks up a field | write `in_list(x, \"list-name\")`, with the name of a field",
        ),
        (
            "in_list(phone, 5)",
            "a list is named by a text | write `in_list(x, \"list-name\")`",
        ),
        (
            "amount.size() > 1",
            "expected a text, found `amount` (money in minor units, an integer)",
        ),
        (
            "channel.startsWith('p')",
            "expected a text, found `channel` (a word of `channel`) | compare it with `==` or `in`",
        ),
        (
            "phone.contains(5)",
            "expected a text, found `5` (an integer)",
        ),
    ]);
    for text in [
        "",
        "-",
        "10",
        "10x",
        "1us",
        "1.5ms",
        "h",
        ".h",
        "1h ",
        "1..5h",
        "9999999999999999d",
        "1h-5m",
        "1d1",
    ] {
        assert_eq!(
            fault(&format!("gap > duration('{text}')")),
            format!("{text:?} is no duration | {units}")
        );
    }
}

#[test]
fn a_long_part_is_not_quoted_in_the_message() {
    let source = "amount + amount + amount + amount + amount + amount > phone.size() * ratio";
    assert!(fault(source).starts_with("`*` does not take `phone.size()` (an integer) and"));
    let source = "(amount + amount + amount + amount + amount + amount) > ratio";
    assert_eq!(
        fault(source),
        "money in minor units, an integer and `ratio` (a ratio, a double) cannot be compared | write `double(…)` around the integer"
    );
}

#[test]
fn a_scheme_refuses_what_would_not_fit() {
    let mut scheme = scheme();
    let field = |name: &str, kind: Type| Field {
        name: name.to_owned(),
        kind,
        cost_ns: 1,
        doc: String::new(),
    };
    assert_eq!(scheme.add(field("flag", Type::Bool)), Err(Refusal::Taken));
    let words: Vec<String> = (0..64).map(|word| word.to_string()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert!(
        scheme
            .add(field("most", symbols("most", &words[..63])))
            .is_ok()
    );
    let refusal = scheme
        .add(field("more", symbols("more", &words)))
        .unwrap_err();
    assert_eq!(refusal.to_string(), "a set of words has at most 63");
    assert_eq!(scheme.add_list("risky-countries", 9), Err(Refusal::Taken));
    while scheme.fields().len() < 65_536 {
        scheme
            .add(field(&format!("f{}", scheme.fields().len()), Type::Bool))
            .unwrap();
    }
    assert_eq!(scheme.add(field("last", Type::Bool)), Err(Refusal::Full));
    assert_eq!(Refusal::Full.to_string(), "there are at most 65536 names");
}
