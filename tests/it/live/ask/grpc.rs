//! The API over gRPC with a real client, which knows nothing but the published `.proto`: its answers are those of HTTP,
//! and so are its doors and its failures.

use super::encrypted::{Town, by_tls, case_of_2018};
use super::*;
use crate::papers::Paper;
use axum::body::Bytes;
use bytes::{Buf, BufMut};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, SerializeOptions};
use std::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// Messages as bytes.
struct Whole;

impl Codec for Whole {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Whole {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Whole {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A client that was made of the published description.
struct Stub {
    runtime: tokio::runtime::Runtime,
    channel: Channel,
    pool: DescriptorPool,
}

/// What a client makes of the published text.
fn description(proto: &str) -> DescriptorPool {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("varsel.proto"), proto).unwrap();
    let set = protox::compile(["varsel.proto"], [dir.path()]).unwrap();
    DescriptorPool::from_file_descriptor_set(set).unwrap()
}

fn message(pool: &DescriptorPool, question: &Value) -> Bytes {
    let request = pool.get_message_by_name("varsel.v1.AssessRequest");
    // The bank's events have fields that are no part of a question.
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let request = DynamicMessage::deserialize_with_options(request.unwrap(), question, &options);
    request.unwrap().encode_to_vec().into()
}

impl Stub {
    /// `proto` is what `/v1/proto` gives.
    fn new(endpoint: Endpoint, proto: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            channel: runtime.block_on(endpoint.connect()).unwrap(),
            runtime,
            pool: description(proto),
        }
    }

    fn message(&self, question: &Value) -> Bytes {
        message(&self.pool, question)
    }

    /// The answer as JSON, or the status.
    fn ask(&self, message: Bytes, metadata: &[(&'static str, &str)]) -> Result<Value, Status> {
        let mut request = Request::new(message);
        for (name, value) in metadata {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        let path = "/varsel.v1.Assessments/Assess".parse().unwrap();
        let reply = self.runtime.block_on(async {
            let mut grpc = tonic::client::Grpc::new(self.channel.clone());
            grpc.ready().await.unwrap();
            grpc.unary(request, path, Whole).await
        })?;
        let kind = self
            .pool
            .get_message_by_name("varsel.v1.AssessReply")
            .unwrap();
        let reply = DynamicMessage::decode(kind, reply.into_inner()).unwrap();
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .skip_default_fields(false);
        let json = serde_json::value::Serializer;
        Ok(reply.serialize_with_options(json, &options).unwrap())
    }
}

/// The address of gRPC of a monitor that has one.
fn grpc_address(monitor: &Monitor) -> SocketAddr {
    monitor.address();
    *monitor.signals.grpc_address.get().unwrap()
}

fn plain(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

fn with_grpc(bank: &mut Bank) {
    let mut config = Config::clone(&bank.config);
    config.http.grpc_listen = Some("127.0.0.1:0".parse().unwrap());
    bank.config = Arc::new(config);
}

/// A question of HTTP as one of gRPC.
fn as_message(question: &Value) -> Value {
    if question["type"] == "threeds" {
        json!({"areq": question})
    } else {
        json!({"authorization": question})
    }
}

/// Without what is `null` in JSON and absent in a message; every number as a float.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), normal(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

fn text_of(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn an_answer_over_grpc_is_that_of_http_field_by_field() {
    let mut bank = Bank::new();
    with_grpc(&mut bank);
    let mut lines = cases();
    let others = town("grpc", 3, 200, 4);
    bank.feed(&lines);
    lines.extend(others);
    let monitor = bank.start();
    monitor.until(bank.sent);
    let address = monitor.address();
    let stub = Stub::new(
        plain(grpc_address(&monitor)),
        &text_of(address, "/v1/proto"),
    );
    let questions: Vec<Value> = lines.iter().filter_map(|line| question(line)).collect();
    for question in &questions {
        // The first answer tells of a hold, and that is a step of its own.
        post(address, "/v1/assessments", question);
    }
    monitor.until_with_steps(bank.sent);
    let mut actions = BTreeMap::new();
    for question in &questions {
        let by_http = post(address, "/v1/assessments", question).body;
        let message = stub.message(&as_message(question));
        let by_grpc = stub
            .ask(message, &[("varsel-deadline-ms", "10000")])
            .unwrap();
        assert_eq!(normal(&by_grpc), normal(&by_http), "{question}");
        let action = by_http["action"].as_str().unwrap().to_owned();
        *actions.entry(action).or_insert(0) += 1;
    }
    assert!(questions.len() > 100 && actions.len() > 1, "{actions:?}");
    an_areq_as_it_came(address, &stub);
    monitor.stop();
}

fn an_areq_as_it_came(address: SocketAddr, stub: &Stub) {
    let areq = json!({"messageType": "AReq", "messageVersion": "2.2.0", "messageCategory": "01",
        "threeDSServerTransID": "8a880dc0-d2d2-4067-bcb1-b08d1690b26e",
        "acctNumber": "c-case-144-2018", "deviceChannel": "02", "purchaseAmount": "2902338",
        "purchaseCurrency": "208", "purchaseExponent": "2", "purchaseDate": "20180306182700",
        "mcc": "4829", "merchantName": "F Money Transfer", "merchantCountryCode": "208",
        "acquirerMerchantID": "m-f", "browserIP": "212.5.158.154"});
    let by_http = post(address, "/v1/acs/areq", &areq).body;
    assert_eq!(by_http["emv"]["message_category"], "payment");
    let kind = stub
        .pool
        .get_message_by_name("varsel.v1.AssessRequest")
        .unwrap();
    let mut request = DynamicMessage::new(kind);
    let bytes = Bytes::from(areq.to_string());
    request.set_field_by_name("emv_areq", prost_reflect::Value::Bytes(bytes));
    let by_grpc = stub.ask(request.encode_to_vec().into(), &[]).unwrap();
    assert_eq!(normal(&by_grpc), normal(&by_http));
}

/// Code of gRPC, code of ours and fallback of a failure.
fn told(result: Result<Value, Status>) -> (Code, String, String) {
    let status = result.unwrap_err();
    let word = |name| {
        let word = status
            .metadata()
            .get(name)
            .map(|word| word.to_str().unwrap());
        word.unwrap_or_default().to_owned()
    };
    (status.code(), word("varsel-code"), word("varsel-fallback"))
}

/// A client by TLS that shows a certificate or none.
fn by_tls_as(city: &Town, address: SocketAddr, shown: Option<&Paper>) -> Stub {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(city.bank.pem()))
        .domain_name("localhost");
    let tls = match shown {
        None => tls,
        Some(paper) => tls.identity(Identity::from_pem(&paper.certificate, &paper.key)),
    };
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    Stub::new(
        endpoint.tls_config(tls).unwrap(),
        varsel::api::openapi::PROTO,
    )
}

#[test]
fn doors_and_failures_over_grpc_are_those_of_http() {
    let mut bank = Bank::new();
    with_grpc(&mut bank);
    let city = by_tls(&mut bank);
    let (lines, loss) = case_of_2018();
    bank.feed(&lines);
    let monitor = bank.start();
    monitor.until(bank.sent);
    let address = grpc_address(&monitor);
    let stub = |shown| by_tls_as(&city, address, shown);
    let (nobody, acs) = (stub(None), stub(Some(&city.acs)));
    let anna = stub(Some(&city.anna));
    let asks = nobody.message(&as_message(&loss));
    let patient = ("varsel-deadline-ms", "10000");
    let host = ("authorization", "Bearer host-1-token");
    let answer = nobody.ask(asks.clone(), &[patient, host]).unwrap();
    assert_eq!(answer["action"], "decline");
    assert_eq!(
        acs.ask(asks.clone(), &[patient]).unwrap()["action"],
        "decline"
    );
    let anna_token = ("authorization", "Bearer anna-token");
    assert!(anna.ask(asks.clone(), &[patient, anna_token]).is_ok());
    let areq = Bytes::from_static(b"\x1A\x02{}");
    let large = nobody.message(&json!({"authorization": {"id": "x".repeat(70_000)}}));
    let nothing = Bytes::from_static(b"\x0A\x00");
    let ask =
        |stub: &Stub, message: &Bytes, metadata: &[_]| told(stub.ask(message.clone(), metadata));
    let unknown = (Code::Unauthenticated, "unauthorized");
    let invalid = |word| (Code::InvalidArgument, word);
    for (told, (code, word)) in [
        (ask(&nobody, &asks, &[]), unknown),
        (ask(&anna, &asks, &[]), unknown),
        (ask(&acs, &asks, &[host]), unknown),
        (
            ask(&nobody, &areq, &[host]),
            (Code::PermissionDenied, "forbidden"),
        ),
        (ask(&acs, &Bytes::new(), &[]), invalid("bad_request")),
        (ask(&acs, &nothing, &[]), invalid("refused")),
        (ask(&acs, &large, &[]), invalid("too_large")),
        (
            ask(&acs, &asks, &[("grpc-timeout", "soon")]),
            invalid("bad_request"),
        ),
    ] {
        assert_eq!(told, (code, word.to_owned(), "step_up".to_owned()));
    }
    let listed = acs.runtime.block_on(reflected(acs.channel.clone()));
    assert!(listed.is_ok(), "{listed:?}");
    let refused = nobody.runtime.block_on(reflected(nobody.channel.clone()));
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    monitor.stop();
}

/// What reflection lists.
async fn reflected(channel: Channel) -> Result<Vec<String>, Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let asked = futures_util::stream::iter([request]);
    let mut answers = client.server_reflection_info(asked).await?.into_inner();
    let answer = answers.message().await?.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names = list.service.into_iter().map(|service| service.name);
    Ok(names.collect())
}

#[test]
fn reflection_lists_what_is_served_and_health_follows_readiness() {
    let mut bank = Bank::new();
    with_grpc(&mut bank);
    let monitor = bank.start();
    let (address, grpc) = (monitor.address(), grpc_address(&monitor));
    let stub = Stub::new(plain(grpc), varsel::api::openapi::PROTO);
    until(address, "/readyz", |told| told.status == 200);
    let mut names = stub
        .runtime
        .block_on(reflected(stub.channel.clone()))
        .unwrap();
    names.sort();
    let expected = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(names[..2], expected);
    assert_eq!(names[2..], ["varsel.v1.Assessments"]);
    stub.runtime.block_on(async {
        let mut health = HealthClient::new(stub.channel.clone());
        for (service, status) in [("", 1), ("varsel.v1.Assessments", 1)] {
            let request = HealthCheckRequest {
                service: service.to_owned(),
            };
            let answer = health.check(request.clone()).await.unwrap();
            assert_eq!(answer.into_inner().status, status);
            let mut changes = health.watch(request).await.unwrap().into_inner();
            assert_eq!(changes.message().await.unwrap().unwrap().status, status);
        }
        let request = HealthCheckRequest {
            service: "other".to_owned(),
        };
        assert_eq!(
            health.check(request).await.unwrap_err().code(),
            Code::NotFound
        );
        let path = "/varsel.v1.Assessments/Forget".parse().unwrap();
        let mut other = tonic::client::Grpc::new(stub.channel.clone());
        other.ready().await.unwrap();
        let status = other.unary(Request::new(Bytes::new()), path, Whole).await;
        assert_eq!(status.unwrap_err().code(), Code::Unimplemented);
    });
    monitor.stop();
}

#[test]
fn a_deadline_of_grpc_bounds_a_call_that_another_instance_does_not_answer() {
    let mut bank = Bank::new();
    with_grpc(&mut bank);
    let mut config = Config::clone(&bank.config);
    config.run.roles = [Role::Api].into();
    bank.config = Arc::new(config);
    // An owner that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let owner = json!({"instance": "silent", "api": true, "since_ms": 1,
        "http": silent.local_addr().unwrap().to_string()});
    let owner = owner.to_string().into_bytes();
    let ticket = Ticket::open();
    for partition in 0..bank.config.topics.partitions {
        let key = partition.to_string();
        let parcel = Parcel {
            topic: &bank.config.topics.owners,
            partition: None,
            key: key.as_bytes(),
            value: &owner,
            headers: None,
        };
        bank.sender.send(parcel, &ticket).unwrap();
    }
    ticket.settle();
    assert!(bank.sender.wait(&ticket, PATIENCE).unwrap());
    let monitor = bank.start();
    let (_, loss) = case_of_2018();
    let pool = description(varsel::api::openapi::PROTO);
    let asks = message(&pool, &as_message(&loss));
    let watch = Stopwatch::start();
    loop {
        let told = asked_by_hand(grpc_address(&monitor), "60m", &asks);
        assert_eq!(told["varsel-fallback"], "step_up");
        if told["varsel-code"] == "deadline" {
            // DEADLINE_EXCEEDED.
            assert_eq!(told["grpc-status"], "4");
            break;
        }
        // The owners are not read yet.
        assert_eq!(told["varsel-code"], "no_owner");
        assert_eq!(told["grpc-status"], "14");
        assert!(watch.elapsed() < PATIENCE, "{told:?}");
    }
    monitor.stop();
}

/// The head of an answer to a call whose time the client leaves to the server.
fn asked_by_hand(address: SocketAddr, timeout: &str, message: &[u8]) -> axum::http::HeaderMap {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let request = hyper::Request::post(format!("http://{address}/varsel.v1.Assessments/Assess"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(axum::body::Body::from(body))
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        sender
            .send_request(request)
            .await
            .unwrap()
            .headers()
            .clone()
    })
}
