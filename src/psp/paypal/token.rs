//! The access token: fetched once, kept until shortly before it ends, never shown.
//!
//! Asking for one per call is what PayPal limits first. A refused sign-in is remembered for a
//! while, so that wrong credentials do not become a stream of calls. Makes no call itself.

use super::answer;
use super::objects::Token;
use crate::core::time::{Span, Time};
use crate::psp::{Failure, json};
use crate::wire::{CallError, Headers, Method, Reply, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A token is not used in the last part of its life, lest it end under way.
const MARGIN: Span = Span::from_minutes(5);
/// Longest life believed.
const LIFE_MAX: Span = Span::from_hours(12);
/// Pause after a refused sign-in.
const REFUSED_FOR: Span = Span::from_seconds(60);
/// Longest token, in bytes; PayPal's own have about 100, those of partners some thousand.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

#[derive(Default)]
enum State {
    #[default]
    Out,
    In {
        bearer: SecretString,
        scope: String,
        until: Time,
    },
    Refused {
        failure: Failure,
        until: Time,
    },
}

/// One account's way in.
pub(super) struct Session {
    client_id: String,
    client_secret: SecretString,
    state: Mutex<State>,
}

impl Session {
    pub(super) fn new(client_id: String, client_secret: SecretString) -> Session {
        Session {
            client_id,
            client_secret,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call for a token; none while there is one, or while a refusal is remembered.
    pub(super) fn sign_in(&self, api_base: &str, now: Time) -> Option<Request> {
        match &*self.state() {
            State::In { until, .. } | State::Refused { until, .. } if now < *until => return None,
            State::Out | State::In { .. } | State::Refused { .. } => {}
        }
        let pair = format!("{}:{}", self.client_id, self.client_secret.expose_secret());
        let headers = Headers::new()
            .with("authorization", &format!("Basic {}", STANDARD.encode(pair)))
            .with("content-type", "application/x-www-form-urlencoded")
            .with("accept", "application/json");
        Some(Request {
            method: Method::Post,
            url: format!("{api_base}/v1/oauth2/token"),
            headers,
            body: b"grant_type=client_credentials".to_vec(),
        })
    }

    /// Takes what came of it.
    pub(super) fn signed_in(&self, reply: &Reply, now: Time) -> Result<(), Failure> {
        let (next, result) = match token(reply, now) {
            Ok(next) => (next, Ok(())),
            Err(failure) => {
                let until = match &failure {
                    Failure::Throttled { wait } | Failure::Postponed { wait, .. } => {
                        now.plus(*wait)
                    }
                    Failure::Unauthorized(_) | Failure::Refused(_) | Failure::Malformed(_) => {
                        now.plus(REFUSED_FOR)
                    }
                    Failure::NotSent(_) | Failure::Unclear(_) => now,
                };
                let failure_again = failure.clone();
                (State::Refused { failure, until }, Err(failure_again))
            }
        };
        *self.state() = next;
        result
    }

    /// What the token may be used for, by PayPal's own word; empty where it said nothing.
    pub(super) fn scope(&self) -> String {
        match &*self.state() {
            State::In { scope, .. } => scope.clone(),
            State::Out | State::Refused { .. } => String::new(),
        }
    }

    /// Forgets the token.
    pub(super) fn sign_out(&self) {
        *self.state() = State::Out;
    }

    /// The value of `authorization`, or why there is none.
    pub(super) fn bearer(&self) -> Result<String, Failure> {
        match &*self.state() {
            State::In { bearer, .. } => Ok(format!("Bearer {}", bearer.expose_secret())),
            State::Refused { failure, .. } => Err(failure.clone()),
            State::Out => Err(Failure::NotSent("not_signed_in".to_owned())),
        }
    }
}

/// What the token endpoint said. Whatever went wrong, the exchange's own call was never made, so
/// nothing is unclear.
fn token(reply: &Reply, now: Time) -> Result<State, Failure> {
    let response = match reply {
        Ok(response) => response,
        Err(CallError::NotSent(word) | CallError::Unclear(word)) => {
            return Err(Failure::NotSent((*word).to_owned()));
        }
    };
    let code = || {
        let word = answer::word(&response.body);
        word.unwrap_or_else(|| format!("status_{}", response.status))
    };
    match response.status {
        200 => {}
        429 => {
            return Err(Failure::Throttled {
                wait: answer::patience(response),
            });
        }
        400 | 401 | 403 => return Err(Failure::Unauthorized(code())),
        500.. => return Err(Failure::NotSent(code())),
        _ => return Err(Failure::Malformed(code())),
    }
    let malformed = || Failure::Malformed("bad_token".to_owned());
    let token: Token = json::object(&response.body).map_err(|_| malformed())?;
    let is_text = token
        .access_token
        .bytes()
        .all(|byte| byte.is_ascii_graphic());
    let fits = is_text
        && !token.access_token.is_empty()
        && token.access_token.len() <= TOKEN_BYTES_MAX
        && token.token_type.eq_ignore_ascii_case("bearer");
    if !fits {
        return Err(malformed());
    }
    let life = Span::from_seconds(token.expires_in).min(LIFE_MAX);
    let margin = MARGIN.min(Span::from_micros(life.micros().checked_div(2).unwrap_or(0)));
    Ok(State::In {
        bearer: SecretString::from(token.access_token),
        scope: token.scope.unwrap_or_default(),
        until: now.plus(life).minus(margin),
    })
}
