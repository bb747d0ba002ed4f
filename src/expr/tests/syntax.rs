//! Precedence, literals, spans and bounds.
//!
//! The words of the faults are tested with the faults.

use super::*;

#[test]
fn operators_bind_as_in_cel() {
    for (source, answer) in [
        ("1 + 2 * 3 == 7", true),
        ("(1 + 2) * 3 == 9", true),
        ("10 - 3 - 2 == 5", true),
        ("100 / 10 / 2 == 5", true),
        ("7 % 4 * 2 == 6", true),
        ("-7 / 2 == -3", true),
        ("-7 % 2 == -1", true),
        ("- 2 + 3 == 1", true),
        ("2 - -3 == 5", true),
        ("2 -3 == -1", true),
        ("true || false && false", true),
        ("(true || false) && false", false),
        ("!true || true", true),
        ("!(true || true)", false),
        ("!true == false", true),
        ("!!true", true),
        ("--5 == 5", true),
        ("1 < 2 == true", true),
        ("true ? false : true ? true : false", false),
        ("false ? true : false ? true : true", true),
        ("false || true ? true : false", true),
        ("1 + 1 in [2, 3]", true),
        ("!(1 in [2, 3])", true),
        ("1 in []", false),
        ("1 in [1,]", true),
        ("2 in [3, 2, 1]", true),
        ("1.5 in [0.5, 1.5]", true),
        ("true in [false]", false),
        ("false in [false]", true),
        ("duration('1h') in [duration('60m')]", true),
        ("(true ? 1 : 2) == 1", true),
        ("true // not false\n && // and\n true", true),
    ] {
        assert_eq!(holds(source), Some(answer), "{source}");
    }
}

#[test]
fn literals_are_read_as_in_cel() {
    for source in [
        "0x1F == 31",
        "0XfF == 255",
        "-9223372036854775808 < -9223372036854775807",
        "-0x8000000000000000 == -9223372036854775808",
        "1e3 == 1000.0",
        "1.5E-1 == 0.15",
        ".5 == 0.5",
        "-.5 < 0.0",
        r#""\a\b\f\n\r\t\v" == "\x07\x08\x0c\012\x0D\011\013""#,
        r#""\\\?\"\'\`" == '\\?"\'`'"#,
        r#""\u00e6\U0001F600" == "æ😀""#,
        r#"'it"s' == "it\"s""#,
        r#""// no comment" == '// no comment'"#,
        r#""".size() == 0"#,
        "'blåbær'.size() == 6",
        "'blåbær'.startsWith('blå') && 'blåbær'.endsWith('r') && 'blåbær'.contains('åb')",
        "('a'.size() > 0 ? 'yes' : 'no').startsWith('y')",
        "duration('1h30m') == duration('90m') && duration('7d') == duration('168h')",
        "duration('1.5h') == duration('5400s') && duration('-10m') < duration('0')",
        "duration('1s500ms') == duration('1.5s') && duration('0.25d') == duration('6h')",
        "double(3) == 3.0 && int(3.9) == 3 && int(-3.9) == -3 && int(3) == 3 && double(2.5) == 2.5",
    ] {
        assert_eq!(holds(source), Some(true), "{source}");
    }
}

#[test]
fn dotted_names_are_one_name_and_may_take_a_method() {
    let name = [("merchant.name", Given::Text("Corner Shop"))];
    assert_eq!(
        eval("merchant.name.startsWith(\"Corner\")", &name),
        Some(true)
    );
    assert_eq!(eval("merchant.name.size() == 11", &name), Some(true));
    assert_eq!(eval("(merchant.name).contains('Shop')", &name), Some(true));
    assert_eq!(
        eval(
            "anomaly.amount > 0.5",
            &[("anomaly.amount", Given::Float(0.75))]
        ),
        Some(true)
    );
}

fn spans(source: &str) -> Vec<&str> {
    let faults = compile(source, &scheme()).unwrap_err();
    faults
        .iter()
        .map(|fault| source.get(fault.span.clone()).unwrap())
        .collect()
}

#[test]
fn a_fault_points_at_what_is_wrong() {
    assert_eq!(spans("ammount > 500 && flag"), ["ammount"]);
    assert_eq!(spans("flag && (amount + 1)"), ["(amount + 1)"]);
    assert_eq!(
        spans("flag && amount + distance_km > 5"),
        ["amount + distance_km"]
    );
    assert_eq!(
        spans("\"æøå\" == phone && channel == \"æcommerce\""),
        ["\"æcommerce\""]
    );
    assert_eq!(spans("phone.begins(\"+45\")"), ["begins"]);
    assert_eq!(spans("amount in [1, 'a', 2, 'b']"), ["'a'", "'b'"]);
    assert_eq!(spans("flag && "), [""]);
    assert_eq!(spans("(flag && flag"), ["("]);
}

#[test]
fn all_faults_are_told_at_once() {
    assert_eq!(
        spans("ammount > 5 && flagg || chanel == 'pos'"),
        ["ammount", "flagg", "chanel"]
    );
    assert_eq!(spans("flag > && chanel == 'pos'"), ["&&", "chanel"]);
    assert_eq!(spans("flag flag && chanel == 'pos'"), ["flag", "chanel"]);
    assert_eq!(spans("flag) && chanel == 'pos'"), [")", "chanel"]);
    assert_eq!(
        spans("'\\q' == phone && 5h > gap && chanel == 'pos'"),
        ["\\q", "5h", "chanel"]
    );
    assert_eq!(spans("f(ammount, flagg)"), ["f", "ammount", "flagg"]);
}

#[test]
fn no_more_faults_are_told_than_the_bound() {
    let source = vec!["nobody"; 100].join(" && ");
    assert_eq!(compile(&source, &scheme()).unwrap_err().len(), MAX_FAULTS);
}

#[test]
fn nesting_is_bounded_and_says_so() {
    let nested = |depth: usize| format!("{}flag{}", "(".repeat(depth), ")".repeat(depth));
    assert!(compile(&nested(MAX_DEPTH - 1), &scheme()).is_ok());
    for source in [
        nested(MAX_DEPTH),
        nested(1000),
        format!("{}flag", "!".repeat(1000)),
        format!("{}1 > 0", "-".repeat(1000)),
        format!("{}flag", "flag ? flag : ".repeat(100)),
        format!("1{} > 0", " + 1".repeat(100)),
    ] {
        let faults = compile(&source, &scheme()).unwrap_err();
        assert_eq!(faults.len(), 1, "{source}: {faults:#?}");
        assert_eq!(
            faults[0].message,
            "the condition is nested more than 32 deep"
        );
    }
    assert!(
        compile(&vec!["flag"; 100].join(" || "), &scheme()).is_ok(),
        "a chain is not deep"
    );
}

#[test]
fn size_is_bounded_and_says_so() {
    assert!(compile(&vec!["flag"; MAX_NODES - 1].join("&&"), &scheme()).is_ok());
    let faults = compile(&vec!["flag"; MAX_NODES].join("&&"), &scheme()).unwrap_err();
    assert_eq!(faults[0].message, "the condition has more than 512 parts");
    let long = format!("flag{}", " ".repeat(MAX_SOURCE_BYTES));
    let faults = compile(&long, &scheme()).unwrap_err();
    assert_eq!(faults[0].message, "a condition of 4100 bytes is too long");
}

#[test]
fn any_text_is_compiled_or_refused_with_spans_inside_it() {
    let pieces = [
        "flag", "(", ")", "[", "]", "&&", "||", "!", "-", "in", "?", ":", ".", ",", "'", "\\", "1",
        "1e", "0x", "æ", "=", "\n", "//", "has(",
    ];
    let mut seed = 7_u64;
    for _ in 0..20_000 {
        let mut source = String::new();
        for _ in 0..8 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let pick = usize::try_from(seed >> 33).unwrap() % pieces.len();
            source.push_str(pieces[pick]);
            source.push(' ');
        }
        if let Err(faults) = compile(&source, &scheme()) {
            assert!(!faults.is_empty(), "{source}");
            for fault in faults {
                assert!(
                    source.get(fault.span.clone()).is_some(),
                    "{source}: {fault}"
                );
            }
        }
    }
}

#[test]
fn a_program_displays_as_its_source() {
    let source = "amount > 5 // small\n && flag";
    assert_eq!(program(source).to_string(), source);
    assert_eq!(program(source).source(), source);
    let fault = &compile("chanel == 'pos'", &scheme()).unwrap_err()[0];
    assert_eq!(
        fault.to_string(),
        "0..6: unknown field `chanel` (did you mean `channel`?)"
    );
}
