//! A mail as bytes (RFC 5322, MIME): the same for every attempt, so that a receiver that gets it twice can see that it
//! is one. Nothing that comes from an event reaches a header but the subject, and that as one encoded line.

use crate::mail::press::Text;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use std::time::{Duration, UNIX_EPOCH};

/// A mail that is ready to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// From whom to whom.
    pub envelope: Envelope,
    /// Its bytes, all ASCII, lines ending in CRLF, dots not doubled yet.
    pub bytes: Vec<u8>,
}

/// Writes a mail down. `id` is the message's own; `created_ms` is when it was queued.
///
/// # Errors
/// What is wrong with it, which no attempt will mend.
pub fn write(
    from: &Mailbox,
    to: &Address,
    id: &str,
    text: &Text,
    created_ms: i64,
) -> Result<Letter, String> {
    let domain = from.email.domain();
    let message_id = |id: &str| format!("<{id}@{domain}>");
    let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(created_ms).unwrap_or(0));
    let mut builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(&text.subject)
        .date(date)
        .message_id(Some(message_id(id)))
        // Asks vacation notices not to answer (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    if let Some(first) = text.follows.as_deref() {
        builder = builder
            .in_reply_to(message_id(first))
            .references(message_id(first));
    }
    let parts = MultiPart::alternative()
        // As the message's id is, so that the bytes are the same next time.
        .boundary(format!("varsel-{id}"))
        .singlepart(SinglePart::plain(text.text.clone()))
        .singlepart(SinglePart::html(text.html.clone()));
    let message = builder
        .multipart(parts)
        .map_err(|error| error.to_string())?;
    Ok(Letter {
        envelope: message.envelope().clone(),
        bytes: message.formatted(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(subject: &str, text: &str, follows: Option<&str>) -> String {
        let text = Text {
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: "<p>Åh</p>".to_owned(),
            follows: follows.map(str::to_owned),
        };
        let from = "Varsel <varsel@bank.example>".parse().unwrap();
        let to = "fraud@bank.example".parse().unwrap();
        let letter = write(&from, &to, "abc", &text, 1_520_264_846_000).unwrap();
        let again = write(&from, &to, "abc", &text, 1_520_264_846_000).unwrap();
        assert_eq!(letter, again, "the same bytes for every attempt");
        String::from_utf8(letter.bytes).unwrap()
    }

    #[test]
    fn a_letter_is_the_same_bytes_each_time_and_names_itself_and_what_it_follows() {
        let bytes = written("A case", "Text", Some("first"));
        for line in [
            "Message-ID: <abc@bank.example>",
            "In-Reply-To: <first@bank.example>",
            "References: <first@bank.example>",
            "Auto-Submitted: auto-generated",
            "Subject: A case",
            "To: fraud@bank.example",
            "Date: Mon, 05 Mar 2018 15:47:26 +0000",
        ] {
            assert!(bytes.contains(&format!("{line}\r\n")), "{line} in\n{bytes}");
        }
        assert!(bytes.is_ascii());
    }

    #[test]
    fn no_subject_or_text_puts_a_header_in() {
        for evil in [
            "A\r\nBcc: evil@example.com",
            "A\nBcc: evil@example.com\n\nbody",
            "A\r\n\r\nBcc: evil@example.com",
            "Å\r\nBcc: evil@example.com",
            "A\u{2028}Bcc: evil@example.com\u{85}Bcc: x\u{0}",
        ] {
            let bytes = written(evil, evil, None);
            let (head, _) = bytes.split_once("\r\n\r\n").unwrap();
            let names: Vec<&str> = head
                .split("\r\n")
                .filter(|line| !line.starts_with([' ', '\t']))
                .map(|line| line.split(':').next().unwrap())
                .collect();
            let known = [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type",
            ];
            assert!(
                names.iter().all(|name| known.contains(name)) && names.len() == known.len(),
                "{evil:?}: {head}"
            );
            assert!(!head.contains('\n') || !head.replace("\r\n", "").contains(['\r', '\n']));
        }
    }
}
