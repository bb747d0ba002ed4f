//! What others have written, merchants and colleagues, is text on every page and never markup; and no page has
//! anything in it that the browser's policy would have to stop.

use super::*;

/// What would do harm if it were markup.
const MARKUP: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&";

/// Whether a page bears somebody's words, and not as markup.
fn is_harmless(page: &str) -> bool {
    !page.contains("<script>alert") && !page.contains("<img src=x") && !page.contains("\"'&")
}

#[test]
fn markup_in_merchants_names_notes_and_reasons_is_shown_as_text() {
    let quoted = serde_json::to_string(MARKUP).unwrap();
    let lines: Vec<String> = story()
        .iter()
        .map(|line| {
            let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
            if event.get("merchant").is_some() {
                event["merchant"]["name"] = serde_json::from_str(&quoted).unwrap();
            }
            event.to_string()
        })
        .collect();
    let world = World::with(&lines);
    let id = world.episodes().remove(0);
    let case = format!("/console/cases/{id}");
    let mut anna = world.visit("anna");
    let written = anna.submit(&format!("{case}/note"), &[("text", MARKUP)]);
    assert_eq!(written.leads_to(), format!("{case}?said=noted"));
    let fields = [("verdict", "undetermined"), ("reason", MARKUP)];
    let disposed = anna.submit(&format!("{case}/disposition"), &fields);
    assert_eq!(disposed.leads_to(), format!("{case}?said=disposed"));
    let case_page = anna.get(&case).text;
    assert!(
        case_page.matches("alert(1)").count() >= 2,
        "note and reason are there: {case_page}"
    );
    for path in [
        &*case,
        "/console/queue",
        "/console/queue?state=all",
        "/console/rules",
        "/console/overview",
    ] {
        let page = anna.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(is_harmless(&page.text), "{path}: {}", page.text);
    }
    let mut asked = anna.clone();
    let strange = "/console/queue?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E&severity=%22%3E%3Cimg+src%3Dx%3E&after=%27";
    assert!(is_harmless(&asked.get(strange).text));
    let strange = "/console/cases/%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let answer = asked.get(strange);
    assert_eq!(answer.status, 404);
    assert!(is_harmless(&answer.text), "{}", answer.text);
    let said = "/console/queue?said=%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    assert!(is_harmless(&asked.get(said).text));
}

#[test]
fn no_page_has_a_script_or_style_of_its_own_in_it() {
    let world = World::new();
    let mut anna = world.visit("anna");
    let case = format!("/console/cases/{}", world.episodes()[0]);
    let mut nobody = world.browser();
    let pages = [
        anna.get("/console/queue"),
        anna.get(&case),
        anna.get("/console/rules"),
        anna.get("/console/overview"),
        anna.get("/console/health"),
        nobody.get("/console/log-in"),
    ];
    for page in pages {
        assert_eq!(page.status, 200);
        let text = page.text;
        for part in text.split("<script").skip(1) {
            assert!(part.starts_with(" src=\"/console/assets/"), "{part:.80}");
        }
        for inline in [
            " style=",
            "<style",
            "javascript:",
            " onclick=",
            " onload=",
            "http://",
            "https://",
        ] {
            // A namespace is a name and is fetched from nowhere.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(inline), "{inline} in {text}");
        }
    }
}

#[test]
fn no_pan_a_note_or_reason_with_a_card_number_is_refused() {
    let world = World::new();
    let id = world.episodes().remove(0);
    let case = format!("/console/cases/{id}");
    let number = ["4111", "1111", "1111", "1111"].join(" ");
    let text = format!("she read {number} to me");
    let mut anna = world.visit("anna");
    let noted = anna.submit(&format!("{case}/note"), &[("text", &text)]);
    let fields = [("verdict", "good"), ("reason", &*text)];
    let disposed = anna.submit(&format!("{case}/disposition"), &fields);
    for answer in [noted, disposed] {
        assert_eq!(answer.leads_to(), format!("{case}?said=card_number"));
    }
    assert!(!world.audited().contains("1111"));
    assert!(world.logged("disposition").is_empty());
    assert!(!anna.get(&case).text.contains("1111 1111"));
}
