//! Mistakes of those who set it up: each ends in one clear message that names the file and line, or the address, and
//! what to do; with exit code 2 for bad files and 1 for a world that will not have us.

use crate::monitor::Ended;
use crate::scene::Scene;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Starts a monitor that must not run; what it said.
fn refused(scene: &Scene, code: i32, words: &[&str]) -> Ended {
    let mut monitor = scene.start("one");
    let ended = monitor.wait_end(LIMIT);
    assert_eq!(ended.code, Some(code), "{}", ended.said);
    for word in words {
        assert!(
            ended.said.contains(word),
            "`{word}` is not in: {}",
            ended.said
        );
    }
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    assert!(
        ended.said.contains("help:"),
        "it does not say what to do: {}",
        ended.said
    );
    ended
}

#[test]
fn an_address_where_no_broker_answers_is_named() {
    let mut scene = Scene::new("no-broker");
    // Port 9 is for discarding; on this machine nobody listens there.
    scene.set_text("kafka", "bootstrap", "127.0.0.1:9");
    refused(&scene, 1, &["127.0.0.1:9", "kafka.bootstrap"]);
}

#[test]
fn missing_topics_are_named_all_at_once() {
    let scene = Scene::new("no-topics");
    scene.make_bank_topics();
    let own = ["varsel.log", "varsel.decisions", "varsel.holds"].map(|name| scene.topic(name));
    let mut words = vec!["varsel topics", "--apply"];
    words.extend(own.iter().map(String::as_str));
    refused(&scene, 1, &words);
    scene.make_own_topics();
    let bank = scene.topic("bank.eid");
    scene.topics.delete(&bank);
    refused(&scene, 1, &[&bank]);
}

#[test]
fn refused_credentials_are_told_as_such_and_good_ones_are_taken() {
    for (mechanism, good) in [
        ("plain", true),
        ("scram-sha-512", true),
        ("plain", false),
        ("scram-sha-512", false),
    ] {
        let mut scene = Scene::ready("asks");
        let address = scene.broker.asking.clone();
        scene.set_text("kafka", "bootstrap", &address);
        scene.set_text("kafka", "protocol", "sasl_plaintext");
        scene.set_text("kafka", "mechanism", mechanism);
        scene.set_text("kafka", "username", "varsel");
        scene.set_text("kafka", "password_file", "./password");
        let password = if good {
            "only-for-tests"
        } else {
            "something-else"
        };
        std::fs::write(scene.dir.join("password"), format!("{password}\n")).unwrap();
        if good {
            scene.start_ready("one").finish();
        } else {
            let ended = refused(&scene, 1, &[&address, "kafka.username"]);
            assert!(!ended.said.contains(password), "the password is in the log");
        }
    }
}

#[test]
fn a_password_in_the_configuration_is_refused() {
    let mut scene = Scene::new("password");
    scene.set_text("kafka", "password", "hunter2");
    let ended = refused(&scene, 2, &["one.toml:", "password_file"]);
    assert!(
        !ended.said.contains("hunter2"),
        "the password is told: {}",
        ended.said
    );
}

#[test]
fn a_rule_book_that_cannot_be_read_is_named_with_its_line() {
    let mut scene = Scene::ready("bad-rules");
    scene.set_text("rules", "dir", "./book");
    refused(&scene, 2, &["book"]);
    std::fs::create_dir(scene.dir.join("book")).unwrap();
    std::fs::write(
        scene.dir.join("book/mine.yaml"),
        "rules:\n  - id: broken\n    when: ammount >\n",
    )
    .unwrap();
    refused(&scene, 2, &["mine.yaml:"]);
}

#[test]
fn a_folder_for_checkpoints_that_cannot_be_written_is_named() {
    let mut scene = Scene::ready("no-folder");
    // A file in the way stops root too, whom permissions do not.
    std::fs::write(scene.dir.join("taken"), "").unwrap();
    std::fs::set_permissions(
        scene.dir.join("taken"),
        std::fs::Permissions::from_mode(0o400),
    )
    .unwrap();
    scene.set_text("checkpoint", "url", "./taken/state");
    refused(&scene, 1, &["taken"]);
}

#[test]
fn three_faults_of_a_configuration_are_told_at_once_each_with_its_line() {
    let scene = Scene::new("three");
    let config = scene.dir.join("three.toml");
    std::fs::write(
        &config,
        "[kafka]\nbootstrap = \"127.0.0.1:9092\"\nprotocoll = \"tls\"\n[run]\nsession_timeout = 10\n[topics]\npartitions = -3\n",
    )
    .unwrap();
    let words = ["run", "--config", config.to_str().unwrap()];
    let ended = crate::monitor::command(&scene.dir, &words, LIMIT);
    assert_eq!(ended.code, Some(2), "{}", ended.said);
    for place in [
        "three.toml:3:",
        "three.toml:5:",
        "three.toml:7:",
        "did you mean `protocol`",
    ] {
        assert!(
            ended.said.contains(place),
            "`{place}` is not in: {}",
            ended.said
        );
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let scene = Scene::new("absent");
    let ended = crate::monitor::command(&scene.dir, &["run", "--config", "nowhere.toml"], LIMIT);
    assert_eq!(ended.code, Some(2), "{}", ended.said);
    assert!(ended.said.contains("nowhere.toml"), "{}", ended.said);
}
