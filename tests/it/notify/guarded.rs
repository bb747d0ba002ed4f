//! Servers that ask for TLS and a password: what is sent to whom, and what is not even begun. How they fail otherwise
//! stands in `faults.rs`.

use super::catcher::LOGIN;
use super::*;
use crate::papers::Authority;
use varsel::config::Login;
use varsel::store::outbox::End;

/// A desk whose mail goes to such a server, trusting the authority and knowing the password given.
fn desk_to(catcher: Catcher, security: Security, trusted: &Authority, password: &str) -> Desk {
    let mut desk = Desk::new();
    let write = |name: &str, text: &str| {
        let path = desk.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca_file = write("ca.pem", &trusted.pem());
    let password = write("password", password);
    let text = format!(
        "kafka.bootstrap = \"b:1\"\n[mail]\nhost = \"127.0.0.1\"\nfrom = \"v@bank.example\"\nusername = \"{}\"\n\
         password_file = \"{}\"\n",
        LOGIN.0,
        password.display()
    );
    let login: Option<Login> = Config::parse("varsel.toml", &text)
        .unwrap()
        .notify
        .mail
        .unwrap()
        .login;
    desk.notify.mail = Some(Mail {
        security,
        ca_file: Some(ca_file),
        login,
        ..mail_to(&catcher)
    });
    desk.catcher = catcher;
    desk.die();
    desk
}

/// How the one attempt at a mail ends.
fn end(desk: &mut Desk) -> End {
    desk.hear(&line(1, "open", "high", 1));
    desk.wait(2_000);
    desk.plan();
    match desk.step().unwrap() {
        Step::Ended(_, end) => end,
        Step::Idle => panic!("nothing was due"),
    }
}

#[test]
fn mail_goes_by_tls_and_by_starttls_with_our_password() {
    let bank = Authority::new("bank");
    let paper = bank.paper("smtp");
    for (catcher, security) in [
        (Catcher::by_tls(&paper), Security::Tls),
        (Catcher::by_starttls(&paper), Security::StartTls),
    ] {
        let mut desk = desk_to(catcher, security, &bank, LOGIN.1);
        assert_eq!(end(&mut desk), End::Sent, "{security:?}");
        let taken = desk.taken();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].user, LOGIN.0);
        // A second one goes over the connection that is kept.
        desk.hear(&line(2, "open", "high", 1));
        desk.run(5);
        assert_eq!(desk.taken().len(), 2);
    }
}

#[test]
fn a_server_of_a_strange_authority_is_told_nothing() {
    let strange = Authority::new("strange");
    let paper = strange.paper("smtp");
    for (catcher, security) in [
        (Catcher::by_tls(&paper), Security::Tls),
        (Catcher::by_starttls(&paper), Security::StartTls),
    ] {
        let mut desk = desk_to(catcher, security, &Authority::new("bank"), LOGIN.1);
        let end = end(&mut desk);
        assert!(
            matches!(&end, End::Later { said, is_doubtful: false, .. } if said.contains("certificate")),
            "{security:?}: {end:?}"
        );
        assert!(desk.taken().is_empty());
    }
}

#[test]
fn a_server_that_offers_no_starttls_gets_neither_password_nor_mail() {
    let bank = Authority::new("bank");
    let mut desk = desk_to(Catcher::start(), Security::StartTls, &bank, LOGIN.1);
    let end = end(&mut desk);
    assert!(
        matches!(&end, End::Later { said, .. } if said == "the server does not offer STARTTLS"),
        "{end:?}"
    );
    assert!(desk.taken().is_empty());
}

#[test]
fn a_password_that_is_refused_says_nothing_against_the_mail_which_goes_once_it_is_right() {
    let bank = Authority::new("bank");
    let catcher = Catcher::by_starttls(&bank.paper("smtp"));
    let mut desk = desk_to(catcher, Security::StartTls, &bank, "wrong");
    let end = end(&mut desk);
    assert!(
        matches!(&end, End::Later { said, .. } if said.contains("535") && !said.contains("wrong")),
        "{end:?}"
    );
    assert_eq!(desk.standing().queued, 1);
    // The file is read for each connection.
    std::fs::write(desk.dir.path().join("password"), format!("{}\n", LOGIN.1)).unwrap();
    desk.run(10);
    assert_eq!(desk.taken().len(), 1);
}
