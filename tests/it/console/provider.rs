//! An OpenID Connect provider in this process, over HTTP on loopback: discovery, keys, authorization and token endpoint.
//! It is strict where a real one is: client, redirect and PKCE are checked and a code is good once. What it signs can be
//! spoilt. Its keys are made anew in each run.

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use varsel::clock;
use varsel::http::{Limits, Port, Server, Speaks, serve};
use varsel::telemetry::Metrics;

pub const CLIENT: &str = "varsel";
pub const SECRET: &str = "a client's secret: 100 %";
pub const ORIGIN: &str = "https://varsel.bank.example";

/// How an ID token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// RS256, by the key that is published.
    Rsa,
    /// EdDSA, by a key that is published under another name from the first such token on.
    Ed,
    /// RS256 by a key that is not published, under the name of the one that is.
    Stranger,
    /// `alg: none`, without a signature.
    Not,
    /// HS256 by the client's secret.
    Secret,
    /// HS256 by what is published of the key.
    Confused,
}

/// What was asked for, to be compared with who brings the code.
struct Grant {
    challenge: String,
    redirect: String,
    nonce: String,
}

/// What the provider does.
pub struct Ways {
    /// Claims that differ from the usual ones; null for one left out.
    pub claims: Value,
    pub signed: Signed,
    /// The error that it sends browsers back with.
    pub error: Option<&'static str>,
    /// What the token endpoint answers instead.
    pub answer: Option<(u16, String)>,
    /// Changes of the discovery document.
    pub document: Value,
    /// Whether clients show no secret.
    pub is_public: bool,
    /// What the token endpoint was sent, the newest last.
    pub exchanges: Vec<BTreeMap<String, String>>,
    grants: BTreeMap<String, Grant>,
    has_ed: bool,
    codes: u64,
}

struct Inner {
    issuer: OnceLock<String>,
    ways: Mutex<Ways>,
    ed: KeyPair,
}

/// A running provider.
pub struct Provider {
    inner: Arc<Inner>,
    server: Server,
}

type Here = State<Arc<Inner>>;
type Fields = BTreeMap<String, String>;

/// One RSA key for all tests of a run: it takes a while to make.
fn rsa(number: usize) -> &'static RsaPrivateKey {
    static KEYS: [OnceLock<RsaPrivateKey>; 2] = [const { OnceLock::new() }; 2];
    KEYS[number].get_or_init(|| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2_048).unwrap())
}

impl Provider {
    pub fn start() -> Self {
        let inner = Arc::new(Inner {
            issuer: OnceLock::new(),
            ways: Mutex::new(Ways {
                claims: json!({}),
                signed: Signed::Rsa,
                error: None,
                answer: None,
                document: json!({}),
                is_public: false,
                exchanges: Vec::new(),
                grants: BTreeMap::new(),
                has_ed: false,
                codes: 0,
            }),
            ed: KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(Arc::clone(&inner));
        let port = Port {
            router,
            limits: Limits::default(),
            speaks: Speaks::Http,
            tls: None,
            metrics: Arc::new(Metrics::new()),
        };
        let server = serve("127.0.0.1:0".parse().unwrap(), port).unwrap();
        let issuer = format!("http://{}", server.address());
        inner.issuer.set(issuer).unwrap();
        Self { inner, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub fn issuer(&self) -> &str {
        self.inner.issuer()
    }

    pub fn ways(&self) -> MutexGuard<'_, Ways> {
        self.inner.ways.lock().unwrap()
    }

    pub fn stop(self) {
        self.server.stop();
    }
}

impl Inner {
    fn issuer(&self) -> &str {
        self.issuer.get().unwrap()
    }

    /// An ID token for a nonce, as the ways have it.
    fn id_token(&self, nonce: &str) -> String {
        let mut ways = self.ways.lock().unwrap();
        let now_s = clock::now_ms() / 1_000;
        let mut claims = json!({
            "iss": self.issuer(), "aud": CLIENT, "sub": "sub-eva", "nonce": nonce,
            "iat": now_s, "exp": now_s + 300,
            "preferred_username": "eva", "groups": ["fraud-analysts"],
        });
        let usual = claims.as_object_mut().unwrap();
        for (name, value) in ways.claims.as_object().unwrap() {
            if value.is_null() {
                usual.remove(name);
            } else {
                usual.insert(name.clone(), value.clone());
            }
        }
        ways.has_ed |= ways.signed == Signed::Ed;
        let (alg, kid) = match ways.signed {
            Signed::Rsa | Signed::Stranger => ("RS256", "first"),
            Signed::Ed => ("EdDSA", "second"),
            Signed::Not => ("none", "first"),
            Signed::Secret | Signed::Confused => ("HS256", "first"),
        };
        let coded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = json!({"alg": alg, "kid": kid, "typ": "JWT"});
        let text = format!("{}.{}", coded(&head), coded(&claims));
        let by_rsa = |number| {
            let key = SigningKey::<rsa::sha2::Sha256>::new(rsa(number).clone());
            key.sign(text.as_bytes()).to_vec()
        };
        let by_secret = |secret: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        };
        let signature = match ways.signed {
            Signed::Rsa => by_rsa(0),
            Signed::Stranger => by_rsa(1),
            Signed::Ed => self.ed.sign(text.as_bytes()).unwrap(),
            Signed::Not => Vec::new(),
            Signed::Secret => by_secret(SECRET.as_bytes()),
            Signed::Confused => by_secret(&rsa(0).n().to_bytes_be()),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn document(State(inner): Here) -> Response {
    let issuer = inner.issuer();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?tenant=bank"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // Whatever it says, `none` and a shared secret are not taken.
        "id_token_signing_alg_values_supported": ["RS256", "EdDSA", "HS256", "none"],
        "code_challenge_methods_supported": ["S256"],
    });
    let changes = inner.ways.lock().unwrap().document.clone();
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    spoken(StatusCode::OK, &document)
}

async fn keys(State(inner): Here) -> Response {
    let coded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = rsa(0);
    let mut keys = vec![json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "first",
        "n": coded(&key.n().to_bytes_be()), "e": coded(&key.e().to_bytes_be()),
    })];
    if inner.ways.lock().unwrap().has_ed {
        keys.push(json!({
            "kty": "OKP", "use": "sig", "crv": "Ed25519", "kid": "second",
            "x": coded(inner.ed.public_key_raw()),
        }));
    }
    spoken(StatusCode::OK, &json!({ "keys": keys }))
}

/// The page where somebody would log in: here they always have already.
async fn authorize(State(inner): Here, Query(asked): Query<Fields>) -> Response {
    let mut ways = inner.ways.lock().unwrap();
    let said = |name: &str| asked.get(name).map_or("", String::as_str);
    let redirect = format!("{ORIGIN}/console/oidc/back");
    let scopes: Vec<&str> = said("scope").split(' ').collect();
    let is_fine = said("tenant") == "bank"
        && said("response_type") == "code"
        && said("client_id") == CLIENT
        && said("redirect_uri") == redirect
        && said("code_challenge_method") == "S256"
        && said("code_challenge").len() == 43
        && !said("nonce").is_empty()
        && scopes == ["openid", "profile"];
    if !is_fine {
        return (StatusCode::BAD_REQUEST, format!("{asked:?}")).into_response();
    }
    let state = said("state");
    let place = if let Some(error) = ways.error {
        format!("{redirect}?error={error}&error_description=sesame&state={state}")
    } else {
        ways.codes += 1;
        let code = format!("code-{}", ways.codes);
        let grant = Grant {
            challenge: said("code_challenge").to_owned(),
            redirect: redirect.clone(),
            nonce: said("nonce").to_owned(),
        };
        ways.grants.insert(code.clone(), grant);
        format!(
            "{redirect}?code={code}&state={state}&iss={}",
            inner.issuer().replace(':', "%3A").replace('/', "%2F")
        )
    };
    (StatusCode::FOUND, [("location", place)]).into_response()
}

async fn token(State(inner): Here, headers: HeaderMap, Form(sent): Form<Fields>) -> Response {
    let said = |name: &str| sent.get(name).map_or("", String::as_str);
    let grant = {
        let mut ways = inner.ways.lock().unwrap();
        ways.exchanges.push(sent.clone());
        if let Some((status, text)) = &ways.answer {
            let status = StatusCode::from_u16(*status).unwrap();
            let kind = [("content-type", "application/json")];
            return (status, kind, text.clone()).into_response();
        }
        let basic = headers.get("authorization").map(|basic| {
            let coded = basic.to_str().unwrap().strip_prefix("Basic ").unwrap();
            String::from_utf8(STANDARD.decode(coded).unwrap()).unwrap()
        });
        let is_known = if ways.is_public {
            basic.is_none() && said("client_id") == CLIENT
        } else {
            // Form-encoded before base64 (RFC 6749, 2.3.1).
            basic.as_deref() == Some("varsel:a+client%27s+secret%3A+100+%25")
        };
        if !is_known {
            return refused(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        // Good once, whoever brings it.
        ways.grants.remove(said("code"))
    };
    let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(said("code_verifier")));
    let is_fine = |grant: &Grant| {
        said("grant_type") == "authorization_code"
            && grant.redirect == said("redirect_uri")
            && grant.challenge == proof
    };
    let Some(grant) = grant.filter(is_fine) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let answer = json!({
        "access_token": "an access token", "token_type": "Bearer", "expires_in": 300,
        "id_token": inner.id_token(&grant.nonce),
    });
    spoken(StatusCode::OK, &answer)
}

fn refused(status: StatusCode, error: &str) -> Response {
    spoken(status, &json!({ "error": error }))
}

fn spoken(status: StatusCode, value: &Value) -> Response {
    let kind = [("content-type", "application/json")];
    (status, kind, value.to_string()).into_response()
}
