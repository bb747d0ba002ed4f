//! Events with their texts in an order of their own, so that two can be compared by what they say:
//! the quick decoder keeps a record's bytes as they are and points into them.

use varsel::domain::event::{Body, Event, Span};

/// The same event, its texts one after another, an absent one at the begin.
pub fn in_order(event: &Event) -> Event {
    let mut same = event.clone();
    let mut text = String::new();
    let mut put = |span: &mut Span| {
        let words = event.str(*span);
        assert_eq!(words.len(), usize::from(span.len), "a text out of bounds");
        *span = if words.is_empty() {
            Span::default()
        } else {
            let (start, len) = (text.len(), words.len());
            Span {
                start: u16::try_from(start).unwrap(),
                len: u16::try_from(len).unwrap(),
            }
        };
        text.push_str(words);
    };
    let Event {
        id,
        card,
        cardholder,
        acs,
        ..
    } = &mut same;
    [id, card, cardholder, acs].into_iter().for_each(&mut put);
    match &mut same.body {
        Body::Authorization(it) => {
            [&mut it.merchant.id, &mut it.merchant.name]
                .into_iter()
                .for_each(&mut put);
            [&mut it.response_code, &mut it.eci, &mut it.exemption]
                .into_iter()
                .for_each(&mut put);
        }
        Body::Threeds(it) => {
            [&mut it.merchant.id, &mut it.merchant.name]
                .into_iter()
                .for_each(&mut put);
            [&mut it.acct_info, &mut it.trans_status_reason, &mut it.eci]
                .into_iter()
                .for_each(&mut put);
        }
        Body::Otp(it) => put(&mut it.phone),
        Body::Eid(it) => put(&mut it.key_number),
        Body::Enrolment(it) => put(&mut it.phone),
        Body::Card(it) => {
            put(&mut it.scheme);
            it.aliases.iter_mut().for_each(put);
        }
        Body::Disposition(it) => {
            [&mut it.subject, &mut it.by, &mut it.reason]
                .into_iter()
                .for_each(put);
        }
        Body::Hold(it) => {
            [&mut it.hold, &mut it.by, &mut it.reason]
                .into_iter()
                .for_each(put);
        }
    }
    same.text = text.into_bytes();
    same.plain = 0;
    same
}
