//! Tests of the configuration: defaults, the whole page, secrets. What each fault looks like stands in
//! `tests/golden_config`, case by case.

use super::*;
use std::io::Write;

const LEAST: &str = "[kafka]\nbootstrap = \"127.0.0.1:9092\"\n";

fn faults(text: &str) -> String {
    Config::parse("varsel.toml", text).unwrap_err().to_string()
}

fn with_kafka(lines: &str) -> String {
    format!("{LEAST}{lines}\n")
}

#[test]
fn bootstrap_alone_makes_the_defaults() {
    let config = Config::parse("varsel.toml", LEAST).unwrap();
    assert_eq!(config, Config::default_for("127.0.0.1:9092"));
    assert_eq!(config.topics.partitions, 12);
    assert_eq!(config.run.group_of(Role::Intake), "varsel-intake");
    assert_eq!(config.run.group_of(Role::Score), "varsel-score");
    assert!(!config.run.instance.is_empty());
}

#[test]
fn the_example_says_the_defaults_and_names_every_key() {
    let text = include_str!("../../varsel.example.toml");
    let config = Config::parse("varsel.example.toml", text).unwrap();
    assert_eq!(config, Config::default_for("127.0.0.1:9092"));

    // With a fault in each table, what is told lists the keys: each must stand in the example, also behind a `#`.
    let tables = [
        "kafka",
        "topics",
        "run",
        "rules",
        "geo",
        "checkpoint",
        "http",
        "http.tls",
        "api",
        "console",
        "console.oidc",
        "console.oidc.roles",
        "store",
        "notify",
        "mail",
        "[route]",
        "[webhook]",
        "bounds",
        "log",
    ];
    let faulty: String = tables
        .iter()
        .map(|table| format!("[{table}]\nxxxxxxxxxxxx = 1\n"))
        .collect();
    let told = faults(&faulty);
    let lists: Vec<&str> = told
        .lines()
        .filter_map(|line| line.split_once("known here: "))
        .map(|(_, list)| list)
        .collect();
    assert_eq!(lists.len(), tables.len());
    for key in lists.iter().flat_map(|list| list.split(", ")) {
        let is_table = text.contains(&format!(".{key}]"));
        assert!(is_table || text.contains(&format!("{key} = ")), "`{key}`");
    }
}

/// A page on which every key is given and differs from its default, and a file for each that it names.
fn everything() -> (tempfile::TempDir, PathBuf, Config) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("some.file");
    std::fs::write(&file, "x").unwrap();
    let text = r#"
        kafka = { bootstrap = "a:1, [::1]:2", protocol = "sasl_tls", ca_file = "FILE", cert_file = "FILE", key_file = "FILE", mechanism = "scram-sha-256", username = "u", password_env = "V_P" }
        topics = { sources = ["s"], log = "l", decisions = "d", alerts = "a", holds = "h", dead_letters = "dl", bindings = "b", owners = "o", partitions = 3, replication = 2, retention = "1h30m" }
        store = { url = "postgres://varsel@db/varsel", password_env = "V_S", ca_file = "FILE" }
        notify = { language = "da", link = "https://v.bank.example/", templates = "DIR", stale_after = "2h", private_hosts = ["soc"] }
        mail = { host = "smtp", port = 2525, security = "tls", ca_file = "FILE", from = "V <v@bank.example>", username = "u", password_env = "V_M", timeout = "5s" }
        webhook = [{ name = "w", url = "http://soc:8080/x", secret_env = "V_W", ca_file = "FILE", timeout = "7s" }]
        route = [{ name = "r", mail = ["a@bank.example"], webhooks = ["w"], severities = ["high"], patterns = ["p"], hours = "17:00-08:00", days = ["sat", "sun"], group_wait = "9s", burst = 3, group_interval = "2m", updates = 1, update_interval = "3m", repeat_interval = "1d", digest = "1h" }]
        run = { roles = ["score", "api"], instance = "i-1", group = "g", static_membership = true, session_timeout = "45s", start = "refuse", threads = 7, accept_loss = true }
        rules.dir = "DIR"
        geo = { country = "FILE", asn = "FILE" }
        checkpoint = { url = "s3://bucket/a/b/", every = "2s", keep = 9 }
        http = { listen = "[::]:0", advertise = "here:80", open = true, grpc_listen = "[::1]:0", tls = { certificate = "FILE", key = "FILE", client_ca = "FILE", peer_ca = "FILE", require_client_certificate = true } }
        api = { fallback = "decline", deadline = "1s", token_keys_env = "V_K", clients_file = "FILE", audit_file = "a.jsonl", rate = 7 }
        console = { idle_timeout = "20m", session = "8h", origin = "https://v.bank.example" }
        bounds = { lag_ready = "5m", in_flight = 64 }
        log = { level = "debug", format = "text" }
    "#
    .replace("FILE", file.to_str().unwrap())
    .replace("DIR", dir.path().to_str().unwrap());
    let config = Config::parse("varsel.toml", &text).unwrap();
    (dir, file, config)
}

#[test]
fn every_key_of_kafka_and_topics_changes_its_value() {
    let (_dir, file, config) = everything();
    assert_eq!(config.kafka.bootstrap, "a:1,[::1]:2");
    assert_eq!(config.kafka.protocol, Protocol::SaslTls);
    assert_eq!(config.kafka.ca_file.as_ref(), Some(&file));
    let certificate = config.kafka.certificate.unwrap();
    assert_eq!(
        (certificate.cert_file, certificate.key_file),
        (file.clone(), file.clone())
    );
    let sasl = config.kafka.sasl.unwrap();
    assert_eq!(
        (sasl.mechanism, sasl.username.as_str()),
        (Mechanism::ScramSha256, "u")
    );
    assert_eq!(sasl.password.from, secret::From::Env("V_P".to_owned()));
    let topics = config.topics;
    let names = [
        topics.log,
        topics.decisions,
        topics.alerts,
        topics.holds,
        topics.dead_letters,
    ];
    assert_eq!(names.join(" "), "l d a h dl");
    assert_eq!(
        (topics.sources.join(" "), topics.bindings, topics.owners),
        ("s".into(), "b".into(), "o".into())
    );
    assert_eq!((topics.partitions, topics.replication), (3, 2));
    assert_eq!(topics.retention, Duration::from_secs(5_400));
}

#[test]
fn every_other_key_changes_its_value() {
    let (dir, file, config) = everything();
    let run = config.run;
    assert_eq!(run.roles, BTreeSet::from([Role::Score, Role::Api]));
    assert_eq!((run.instance.as_str(), run.group.as_str()), ("i-1", "g"));
    assert!(run.static_membership && run.accept_loss);
    assert_eq!(
        (run.session_timeout, run.start, run.threads),
        (Duration::from_secs(45), Start::Refuse, 7)
    );
    assert_eq!(config.rules.dir.as_deref(), Some(dir.path()));
    assert_eq!(
        (config.geo.country, config.geo.asn),
        (Some(file.clone()), Some(file.clone()))
    );
    let place = Place::Bucket {
        bucket: "bucket".to_owned(),
        prefix: "a/b".to_owned(),
    };
    assert_eq!(
        config.checkpoint,
        Checkpoint {
            place,
            every: Duration::from_secs(2),
            keep: 9
        }
    );
    assert_eq!(config.http.listen.to_string(), "[::]:0");
    assert_eq!(config.http.advertise.as_deref(), Some("here:80"));
    let grpc = config.http.grpc_listen.map(|listen| listen.to_string());
    assert_eq!(grpc.as_deref(), Some("[::1]:0"));
    let tls = Tls {
        certificate: file.clone(),
        key: file.clone(),
        client_ca: Some(file.clone()),
        require_client_certificate: true,
        peer_ca: Some(file.clone()),
    };
    assert_eq!(config.http.tls, Some(tls));
    let api = config.api;
    assert_eq!(
        (api.fallback, api.deadline),
        (Fallback::Decline, Duration::from_secs(1))
    );
    assert!(config.http.open);
    assert!(api.clients.is_some_and(|path| path.ends_with("some.file")));
    assert_eq!(api.rate, 7);
    assert_eq!(api.audit.as_deref(), Some(Path::new("a.jsonl")));
    let console = Console {
        idle: Duration::from_secs(1_200),
        session: Duration::from_secs(28_800),
        origin: Some("https://v.bank.example".to_owned()),
        ..Console::default()
    };
    assert_eq!(config.console, Some(console));
    let keys = api.token_keys.map(|keys| keys.from);
    assert_eq!(keys, Some(secret::From::Env("V_K".to_owned())));
    assert_eq!(
        config.bounds,
        Bounds {
            lag_ready: Duration::from_secs(300),
            in_flight: 64
        }
    );
    assert_eq!(
        config.log,
        Log {
            level: Level::Debug,
            format: Format::Text
        }
    );
}

#[test]
fn every_key_of_the_notifier_changes_its_value() {
    let (dir, file, config) = everything();
    let Store::Postgres {
        url,
        password,
        tls,
        ca_file,
    } = config.store
    else {
        panic!("a server is meant");
    };
    assert_eq!(url, "postgres://varsel@db/varsel");
    assert!(tls, "to another machine");
    assert_eq!(ca_file.as_ref(), Some(&file));
    let from = password.map(|password| password.from);
    assert_eq!(from, Some(secret::From::Env("V_S".to_owned())));
    let notify = config.notify;
    assert_eq!(notify.language, Language::Danish);
    assert_eq!(notify.link.as_deref(), Some("https://v.bank.example"));
    assert_eq!(notify.templates.as_deref(), Some(dir.path()));
    assert_eq!(notify.stale_after, Duration::from_secs(7_200));
    let mail = notify.mail.unwrap();
    assert_eq!((mail.host.as_str(), mail.port), ("smtp", 2_525));
    assert_eq!(mail.security, Security::Tls);
    assert_eq!(mail.ca_file.as_ref(), Some(&file));
    assert_eq!(mail.from.to_string(), "V <v@bank.example>");
    assert_eq!(mail.timeout, Duration::from_secs(5));
    assert_eq!(mail.login.unwrap().username, "u");
    let webhook = &notify.webhooks[0];
    assert_eq!(
        (
            webhook.tls,
            webhook.host.as_str(),
            webhook.port,
            webhook.path.as_str()
        ),
        (false, "soc", 8_080, "/x")
    );
    assert_eq!(webhook.ca_file, Some(file));
    assert_eq!(webhook.timeout, Duration::from_secs(7));
    let expected = Route {
        name: "r".to_owned(),
        mail: vec!["a@bank.example".parse().unwrap()],
        webhooks: vec!["w".to_owned()],
        severities: vec![crate::domain::codes::Severity::High],
        patterns: vec!["p".to_owned()],
        hours: Some((1_020, 480)),
        days: [false, false, false, false, false, true, true],
        group_wait: Duration::from_secs(9),
        burst: 3,
        group_interval: Duration::from_secs(120),
        updates: 1,
        update_interval: Duration::from_secs(180),
        repeat_interval: Duration::from_secs(86_400),
        digest: Duration::from_secs(3_600),
    };
    assert_eq!(notify.routes, [expected]);
}

#[test]
fn a_place_is_a_folder_or_a_bucket() {
    let place = |url: &str| {
        let text = with_kafka(&format!("[checkpoint]\nurl = \"{url}\""));
        Config::parse("varsel.toml", &text)
            .unwrap()
            .checkpoint
            .place
    };
    let folder = |path: &str| Place::Folder(PathBuf::from(path));
    assert_eq!(place("state/here"), folder("state/here"));
    assert_eq!(place("file:///var/lib/varsel"), folder("/var/lib/varsel"));
    let bucket = Place::Bucket {
        bucket: "my.bucket".to_owned(),
        prefix: String::new(),
    };
    assert_eq!(place("s3://my.bucket"), bucket);
    assert_eq!(place("s3://my.bucket/"), bucket);
}

#[test]
fn three_faults_in_one_file_are_told_in_one_run() {
    let text =
        "[kafka]\nbootstrop = \"127.0.0.1:9092\"\n\n[run]\nthreads = 900\nstart = \"earlyest\"\n";
    assert_eq!(
        faults(text),
        "error: `kafka.bootstrap` is missing
  --> varsel.toml:1:2
   |
 1 | [kafka]
   |  ^^^^^
   = help: write `bootstrap = \"host:9092\"` under `[kafka]`

error: unknown key `bootstrop` in `[kafka]`
  --> varsel.toml:2:1
   |
 2 | bootstrop = …
   | ^^^^^^^^^
   = help: did you mean `bootstrap`?

error: `threads` is `900`, outside 1 to 64
  --> varsel.toml:5:11
   |
 5 | threads = 900
   |           ^^^

error: `start` is `earlyest`, it can be `earliest`, `latest`, `refuse`
  --> varsel.toml:6:9
   |
 6 | start = \"earlyest\"
   |         ^^^^^^^^^^
   = help: did you mean `earliest`?

4 faults in 1 file
"
    );
}

#[test]
fn no_secret_is_shown_in_any_fault() {
    let texts = [
        "password = \"hunter2\"",
        "password = \"hunter2",
        "password = hunter2",
        "password = 'hunter2\\'x'",
        "\"password\" = \"hunter2\"",
        "sasl_password=\"hunter2\"",
        "PASSWORD = \"hunter2\"",
        "passwort = \"hunter2\"",
        "passphrase = \"hunter2\"",
        "sesame = \"hunter2\"",
        "password_env = \"hunter2\"",
        "password_file.password = \"hunter2\"",
        "[checkpoint]\nurl = \"s3://key:hunter2@bucket/x\"",
        "[checkpoint]\nsecret_access_key = \"hunter2\"",
    ];
    for lines in texts {
        let told = faults(&with_kafka(lines));
        assert!(
            told.contains('…') && !told.contains("hunter2"),
            "{lines}:\n{told}"
        );
    }
    let told = faults("kafka = { bootstrap = 7, password = \"hunter2\" }\n");
    assert!(told.contains('…') && !told.contains("hunter2"), "{told}");
    assert!(told.contains("`bootstrap` is a whole number"), "{told}");
}

fn password_from(line: &str) -> SecretSource {
    let sasl = "protocol = \"sasl_plaintext\"\nmechanism = \"plain\"\nusername = \"varsel\"\n";
    let text = with_kafka(&format!("{sasl}{line}"));
    let config = Config::parse("varsel.toml", &text).unwrap();
    config.kafka.sasl.unwrap().password
}

#[test]
fn a_secret_is_read_from_a_file_without_its_line_break_and_not_shown() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b" hunter 2 \r\n").unwrap();
    let source = password_from(&format!("password_file = \"{}\"", file.path().display()));
    let secret = source.read().unwrap();
    assert_eq!(secret.reveal(), " hunter 2 ");
    assert_eq!(format!("{secret:?}"), "…");
    assert!(!format!("{source:?}").contains("hunter"));
}

#[test]
fn a_secret_that_is_not_there_is_told_at_its_place() {
    let problem = password_from("password_file = \"/nowhere/at/all\"")
        .read()
        .unwrap_err();
    assert_eq!(
        problem.to_string(),
        "error: the file `/nowhere/at/all` cannot be read: No such file or directory (os error 2)
  --> varsel.toml:6:17
   |
 6 | password_file = \"/nowhere/at/all\"
   |                 ^^^^^^^^^^^^^^^^^
   = help: create it, readable by this user alone
"
    );
    let problem = password_from("password_env = \"VARSEL_NOT_SET\"")
        .read()
        .unwrap_err();
    assert_eq!((problem.line, problem.column), (6, 16));
    assert_eq!(
        problem.message,
        "the environment variable `VARSEL_NOT_SET` is not set"
    );
}

#[test]
fn the_way_to_a_database_on_another_machine_is_tls_unless_that_is_not_wanted() {
    let read = |url: &str| {
        let text = format!("kafka.bootstrap = \"b:1\"\nstore.url = \"{url}\"");
        match Config::parse("varsel.toml", &text).unwrap().store {
            Store::Postgres { url, tls, .. } => (url, tls),
            Store::File(path) => panic!("{path:?}"),
        }
    };
    for (given, url, tls) in [
        ("postgres://v@db/v", "postgres://v@db/v", true),
        (
            "postgres://v@127.0.0.1/v",
            "postgres://v@127.0.0.1/v",
            false,
        ),
        (
            "postgres://v@localhost,db/v",
            "postgres://v@localhost,db/v",
            true,
        ),
        ("postgres:///v?host=/run", "postgres:///v?host=/run", false),
        (
            "postgres://v@db/v?sslmode=disable",
            "postgres://v@db/v",
            false,
        ),
        (
            "postgres://v@[::1]/v?sslmode=verify-full&application_name=x",
            "postgres://v@[::1]/v?application_name=x",
            true,
        ),
        (
            "postgresql://v@db/v?sslmode=require",
            "postgresql://v@db/v",
            true,
        ),
    ] {
        assert_eq!(read(given), (url.to_owned(), tls), "{given}");
    }
}

#[test]
fn an_empty_secret_and_one_that_is_too_long_are_refused() {
    for (content, told) in [
        ("", "is empty"),
        ("\r\n\n", "is empty"),
        (
            &"x".repeat(4_097),
            "has more than the 4096 bytes of a secret",
        ),
        (
            &"x".repeat(1_000_000),
            "has more than the 4096 bytes of a secret",
        ),
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let source = password_from(&format!("password_file = \"{}\"", file.path().display()));
        assert!(source.read().unwrap_err().message.ends_with(told));
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{}", "x".repeat(4_096)).unwrap();
    let source = password_from(&format!("password_file = \"{}\"", file.path().display()));
    assert_eq!(source.read().unwrap().reveal().len(), 4_096);
}

#[test]
fn a_file_that_is_not_there_or_too_long_is_told_by_its_name() {
    let told = Config::load(Path::new("/nowhere/varsel.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        told.starts_with("error: the file cannot be read: No such file"),
        "{told}"
    );
    assert!(told.contains("--> /nowhere/varsel.toml\n"), "{told}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![b'#'; 1_048_577]).unwrap();
    let told = Config::load(file.path()).unwrap_err().to_string();
    assert!(told.contains("1048577 bytes, at most 1048576"), "{told}");
}

#[test]
fn any_prefix_of_a_page_is_read_or_refused_and_never_a_crash() {
    let text = "[kafka]\nbootstrap = \"å:9092, b:1\" # blåbær\npassword = '''\nx'''\n[topics]\nsources = [\"a\",\n \"b\"]\nretention = \"14d\"\n[run]\nroles = [\"score\"]\n";
    for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
        let told = Config::parse("varsel.toml", &text[..end]).unwrap_err();
        assert!(!told.is_empty());
    }
}
