//! The way to an OpenID Connect provider: its discovery document and keys, where browsers are sent, the exchange of a code
//! for an ID token, and the check of that token.
//!
//! How it is asked stands in `caller`. Whom a token makes somebody here is deliberately not known: see `claims`.

use super::Turned;
use super::caller::Caller;
use crate::clock;
use crate::config::Oidc;
use crate::console::session::Token;
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken,
    CoreJwsSigningAlgorithm as Algorithm, CoreProviderMetadata,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    DiscoveryError, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse,
};
use serde_json::{Map, Value};
use std::io;
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore};

/// Log-ins that are at the provider at once: each may take as long as the time-out allows.
const MAX_OUT: usize = 32;
/// How long discovery document and keys are taken for new, in milliseconds.
const KNOWN_MS: i64 = 10 * 60_000;
/// Us, as the library has it: it knows where browsers are sent, and perhaps where codes are exchanged.
type Relying = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why a provider is of no help. The words are for the log: no code, token or secret is in them.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Too much is in hand.
    #[error("{MAX_OUT} log-ins are at the provider already")]
    Full,
    /// It is not there, or says nothing in time.
    #[error("the provider is not reached: {0}")]
    Silent(String),
    /// What it says is not what the standard has it say.
    #[error("the provider's answer is of no use: {0}")]
    Useless(String),
    /// The code is not good, or not any more, or was another browser's.
    #[error("the provider does not take the code")]
    Spent,
    /// It does not take us.
    #[error("the provider refuses us: {0}")]
    Refused(String),
    /// The ID token does not stand up to the check.
    #[error("the ID token is not to be trusted: {0}")]
    Untrusted(String),
    /// Our own secret cannot be read.
    #[error("{0}")]
    Secret(String),
}

impl ProviderError {
    /// What whoever wanted to log in is told.
    pub fn turned(&self) -> Turned {
        match self {
            Self::Full
            | Self::Silent(_)
            | Self::Useless(_)
            | Self::Refused(_)
            | Self::Secret(_) => Turned::Silent,
            Self::Spent => Turned::Stale,
            Self::Untrusted(_) => Turned::Untrusted,
        }
    }
}

/// What is known of the provider, and since when.
type Known = (i64, Arc<CoreProviderMetadata>);

/// A provider.
#[derive(Debug)]
pub struct Provider {
    settings: Oidc,
    issuer: IssuerUrl,
    back_to: RedirectUrl,
    caller: Caller,
    known: Mutex<Option<Known>>,
    out: Semaphore,
}

impl Provider {
    /// A provider that was not asked anything yet; `origin` is the console's, to which browsers are sent back.
    ///
    /// # Errors
    /// Where the file of authorities cannot be used.
    pub fn open(settings: &Oidc, origin: &str) -> io::Result<Self> {
        let back_to = format!("{origin}/console/oidc/back");
        Ok(Self {
            issuer: IssuerUrl::new(settings.issuer.clone()).map_err(io::Error::other)?,
            back_to: RedirectUrl::new(back_to).map_err(io::Error::other)?,
            settings: settings.clone(),
            caller: Caller::open(settings)?,
            known: Mutex::default(),
            out: Semaphore::new(MAX_OUT),
        })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its settings.
    pub fn settings(&self) -> &Oidc {
        &self.settings
    }

    /// Where a browser is sent to log in (OpenID Connect Core 1.0, 3.1.2.1; RFC 7636, 4.3).
    ///
    /// # Errors
    /// Where the provider is of no help.
    pub async fn way(&self, token: &Token) -> Result<String, ProviderError> {
        let since_ms = clock::now_ms() - KNOWN_MS;
        let known = self.in_time(self.known(since_ms)).await?;
        let us = self.relying(&known, None);
        let (state, nonce) = (token.state(), token.nonce());
        let verifier = PkceCodeVerifier::new(token.verifier());
        let wanted = us.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new(state),
            || Nonce::new(nonce),
        );
        // The library asks for `openid` by itself.
        let scopes = self.settings.scopes.iter().filter(|one| *one != "openid");
        let wanted = wanted
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(scopes.cloned().map(Scope::new));
        let (url, _, _) = wanted.url();
        Ok(url.into())
    }

    /// Exchanges a code for what the provider says of somebody, checked: the claims of the ID token.
    ///
    /// # Errors
    /// Where the provider is of no help, or its token is not to be trusted.
    pub async fn claims(
        &self,
        code: String,
        token: &Token,
    ) -> Result<Map<String, Value>, ProviderError> {
        self.in_time(self.exchanged(code, token)).await
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let _place = self.out.try_acquire().map_err(|_| ProviderError::Full)?;
        let span = self.settings.timeout;
        let done = tokio::time::timeout(span, work).await;
        done.unwrap_or_else(|_| {
            let text = format!("it takes longer than {} s", span.as_secs());
            Err(ProviderError::Silent(text))
        })
    }

    async fn exchanged(
        &self,
        code: String,
        token: &Token,
    ) -> Result<Map<String, Value>, ProviderError> {
        let now_ms = clock::now_ms();
        let known = self.known(now_ms - KNOWN_MS).await?;
        let us = self.relying(&known, self.secret().await?);
        let useless = |text: &str| ProviderError::Useless(text.to_owned());
        let exchange = us.exchange_code(AuthorizationCode::new(code));
        let exchange = exchange.map_err(|_| useless("its document has no token endpoint"))?;
        let answer = exchange
            .set_pkce_verifier(PkceCodeVerifier::new(token.verifier()))
            .request_async(&self.caller)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(said)
                    if *said.error() == CoreErrorResponseType::InvalidGrant =>
                {
                    ProviderError::Spent
                }
                RequestTokenError::ServerResponse(said) => {
                    ProviderError::Refused(shortened(said.error().as_ref()))
                }
                RequestTokenError::Request(error) => ProviderError::Silent(error.to_string()),
                // What it sent may have a token in it.
                RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                    useless("no answer of a token endpoint")
                }
            })?;
        let id_token = answer.id_token();
        let id_token = id_token.ok_or_else(|| useless("it gives no ID token"))?;
        let mut checked = self.checked(&us, id_token, token);
        if is_of_unknown_key(&checked) {
            // Newer than the keys that are known: no stranger can have us ask, the token is the provider's own answer.
            let known = self.known(now_ms).await?;
            checked = self.checked(&self.relying(&known, None), id_token, token);
        }
        checked.map_err(|error| ProviderError::Untrusted(told(&error)))?;
        claims_of(id_token).ok_or_else(|| useless("the ID token has no claims"))
    }

    /// The check of an ID token, as OpenID Connect Core 1.0, 3.1.3.7 has it: issuer, audience, authorized party,
    /// signature, algorithm, expiry and nonce. The hash of the access token is of no interest: we use none.
    fn checked(
        &self,
        us: &Relying,
        id_token: &CoreIdToken,
        token: &Token,
    ) -> Result<(), ClaimsVerificationError> {
        // Keys of the provider alone: with a shared secret, who knows ours could sign, and `none` is no signature.
        let algorithms = [
            Algorithm::RsaSsaPkcs1V15Sha256,
            Algorithm::RsaSsaPkcs1V15Sha384,
            Algorithm::RsaSsaPkcs1V15Sha512,
            Algorithm::RsaSsaPssSha256,
            Algorithm::RsaSsaPssSha384,
            Algorithm::RsaSsaPssSha512,
            Algorithm::EcdsaP256Sha256,
            Algorithm::EcdsaP384Sha384,
            Algorithm::EdDsa,
        ];
        let now = || DateTime::from_timestamp_millis(clock::now_ms()).unwrap_or_default();
        let verifier = us
            .id_token_verifier()
            .set_allowed_algs(algorithms)
            .set_time_fn(now);
        let nonce = Nonce::new(token.nonce());
        let claims = id_token.claims(&verifier, &nonce)?;
        // The library leaves this one to us.
        match claims.authorized_party() {
            Some(party) if **party != *self.settings.client_id => Err(
                ClaimsVerificationError::InvalidAudience("it is for another party".to_owned()),
            ),
            _ => Ok(()),
        }
    }

    /// Us, as the provider knows us; our secret is sent the way it wants.
    fn relying(&self, known: &CoreProviderMetadata, secret: Option<ClientSecret>) -> Relying {
        let id = ClientId::new(self.settings.client_id.clone());
        let us = CoreClient::from_provider_metadata(known.clone(), id, secret);
        let ways = known.token_endpoint_auth_methods_supported();
        let is_posted = ways.is_some_and(|ways| {
            let takes = |way| ways.contains(way);
            takes(&CoreClientAuthMethod::ClientSecretPost)
                && !takes(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let us = us.set_redirect_uri(self.back_to.clone());
        if is_posted {
            us.set_auth_type(AuthType::RequestBody)
        } else {
            us
        }
    }

    /// Our secret, read anew each time; a file blocks, and who answers others must not.
    async fn secret(&self) -> Result<Option<ClientSecret>, ProviderError> {
        let Some(source) = self.settings.client_secret.clone() else {
            return Ok(None);
        };
        let read = tokio::task::spawn_blocking(move || source.read());
        let read = read
            .await
            .map_err(|error| ProviderError::Secret(error.to_string()))?;
        let secret = read.map_err(|problem| ProviderError::Secret(problem.message))?;
        Ok(Some(ClientSecret::new(secret.reveal().to_owned())))
    }

    /// Discovery document and keys, read since a moment or else now (OpenID Connect Discovery 1.0, 4).
    async fn known(&self, since_ms: i64) -> Result<Arc<CoreProviderMetadata>, ProviderError> {
        let mut known = self.known.lock().await;
        if let Some((read_ms, metadata)) = &*known
            && *read_ms >= since_ms
        {
            return Ok(Arc::clone(metadata));
        }
        let now_ms = clock::now_ms();
        let read = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.caller).await;
        let metadata = read.map_err(|error| {
            if matches!(error, DiscoveryError::Request(_)) {
                ProviderError::Silent(told(&error))
            } else {
                ProviderError::Useless(told(&error))
            }
        })?;
        let sent_to: Result<Uri, _> = metadata.authorization_endpoint().as_str().parse();
        if !sent_to.is_ok_and(|uri| self.caller.may_ask(&uri)) {
            let text = "browsers are not sent anywhere without encryption";
            return Err(ProviderError::Useless(text.to_owned()));
        }
        let metadata = Arc::new(metadata);
        *known = Some((now_ms, Arc::clone(&metadata)));
        Ok(metadata)
    }
}

fn is_of_unknown_key(checked: &Result<(), ClaimsVerificationError>) -> bool {
    let Err(ClaimsVerificationError::SignatureVerification(error)) = checked else {
        return false;
    };
    matches!(error, SignatureVerificationError::NoMatchingKey)
}

/// What went wrong, with its cause.
fn told(error: &impl std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    shortened(&format!("{error}{}", cause.unwrap_or_default()))
}

/// Another's words, as many as a line of log may have.
fn shortened(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(200).collect()
}

/// The claims of a token that was checked, all of them: its second part.
fn claims_of(id_token: &CoreIdToken) -> Option<Map<String, Value>> {
    let text = id_token.to_string();
    let bytes = URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}
