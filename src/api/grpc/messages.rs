//! Messages of gRPC as the JSON of the contract, and back: by the description of `varsel.v1.proto`, so that no field is
//! named a second time here.
//!
//! The description lies beside the `.proto` in the form that reflection hands out; a test holds the two together. What a
//! message means is deliberately not known here.

use axum::body::Bytes;
use prost_reflect::prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};

/// The description as a `FileDescriptorSet`.
pub const DESCRIPTION: &[u8] = include_bytes!("varsel.v1.bin");

/// How the messages are read and written.
#[derive(Debug, Clone)]
pub struct Messages {
    request: MessageDescriptor,
    reply: MessageDescriptor,
}

impl Messages {
    /// By the description; nothing where it is not the one that we were built with.
    pub fn new() -> Option<Self> {
        let pool = DescriptorPool::decode(DESCRIPTION).ok()?;
        Some(Self {
            request: pool.get_message_by_name("varsel.v1.AssessRequest")?,
            reply: pool.get_message_by_name("varsel.v1.AssessReply")?,
        })
    }

    /// What is asked over HTTP by this request: path and body.
    ///
    /// # Errors
    /// Why it asks nothing.
    pub fn question(&self, request: Bytes) -> Result<(&'static str, Bytes), &'static str> {
        let request = DynamicMessage::decode(self.request.clone(), request);
        let request = request.map_err(|_| "the message is no `varsel.v1.AssessRequest`")?;
        let mut set = request.fields();
        let (field, question) = set.next().ok_or("the message has no `question`")?;
        if let Some(areq) = question.as_bytes() {
            return Ok(("/v1/acs/areq", areq.clone()));
        }
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .stringify_64_bit_integers(false);
        let event = question.as_message().and_then(|question| {
            let json = serde_json::value::Serializer;
            let mut event = question.serialize_with_options(json, &options).ok()?;
            let fields = event.as_object_mut()?;
            if field.name() == "areq" {
                fields.insert("type".to_owned(), "threeds".into());
                fields.insert("message".to_owned(), "AReq".into());
            } else {
                fields.insert("type".to_owned(), "authorization".into());
            }
            serde_json::to_vec(&event).ok()
        });
        let event = event.ok_or("the message has a number that is none in JSON")?;
        Ok(("/v1/assessments", event.into()))
    }

    /// An answer of HTTP as a message; nothing where it is none that the description knows.
    pub fn reply(&self, answer: &[u8]) -> Option<Bytes> {
        // Another instance may be newer, and say more than we know.
        let options = DeserializeOptions::new().deny_unknown_fields(false);
        let mut json = serde_json::Deserializer::from_slice(answer);
        let reply =
            DynamicMessage::deserialize_with_options(self.reply.clone(), &mut json, &options);
        Some(reply.ok()?.encode_to_vec().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::path::Path;

    #[test]
    fn the_description_is_that_of_the_proto() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/grpc");
        let mut compiler = protox::Compiler::new([&dir]).unwrap();
        compiler.include_imports(true).include_source_info(false);
        compiler.open_file("varsel.v1.proto").unwrap();
        let made = compiler.encode_file_descriptor_set();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(dir.join("varsel.v1.bin"), &made).unwrap();
            return;
        }
        assert!(made == DESCRIPTION, "run once with `UPDATE_GOLDEN=1`");
    }

    fn request(json: &Value) -> Bytes {
        let messages = Messages::new().unwrap();
        let request = DynamicMessage::deserialize(messages.request, json).unwrap();
        request.encode_to_vec().into()
    }

    #[test]
    fn a_question_becomes_the_event_of_the_contract() {
        let messages = Messages::new().unwrap();
        let event = json!({"id": "p-1", "amount_minor": 0, "available_balance_minor": -5,
            "merchant": {"id": "m", "name": "", "country": "DK"}, "mcc": "5411"});
        let asked = request(&json!({"authorization": event}));
        let (path, body) = messages.question(asked).unwrap();
        let mut expected = event;
        expected["type"] = json!("authorization");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((path, body), ("/v1/assessments", expected));

        let asked = request(&json!({"areq": {"acct_info": {"chAccAgeInd": "02"}}}));
        let (path, body) = messages.question(asked).unwrap();
        let expected =
            json!({"type": "threeds", "message": "AReq", "acct_info": {"chAccAgeInd": "02"}});
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((path, body), ("/v1/assessments", expected));

        // `{}`, as bytes in base 64.
        let asked = request(&json!({"emv_areq": "e30="}));
        let (path, body) = messages.question(asked).unwrap();
        assert_eq!((path, &*body), ("/v1/acs/areq", &b"{}"[..]));
    }

    #[test]
    fn what_asks_nothing_is_told_why() {
        let messages = Messages::new().unwrap();
        for (bytes, why) in [
            (&b""[..], "no `question`"),
            (b"\xFF\xFF", "is no `varsel.v1.AssessRequest`"),
            (b"\x0A\x05x", "is no `varsel.v1.AssessRequest`"),
        ] {
            let told = messages
                .question(Bytes::copy_from_slice(bytes))
                .unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        assert!(messages.reply(b"{\"score\": \"much\"}").is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let messages = Messages::new().unwrap();
            // The tag of each question before them.
            for tag in [0x0A, 0x12, 0x1A] {
                let length = u8::try_from(bytes.len()).unwrap();
                // Two bytes of a length, the second of them where it needs one.
                let length = [length & 0x7F | 0x80, length >> 7];
                let message = [&[tag], &length[..], &bytes].concat();
                if let Ok((_, body)) = messages.question(message.into()) {
                    let _ = messages.reply(&body);
                }
            }
            let _ = messages.reply(&bytes);
        }
    }
}
