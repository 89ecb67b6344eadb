//! Who may watch and who may act: tokens with roles, and what holds when there are none.
//!
//! Knows no route but the liveness probes. A token is compared as a digest and in constant
//! time, against every configured one, whatever matched before. A browser may present it as
//! the password of HTTP Basic; since a browser then sends it by itself, acting also asks for a
//! JSON body and refuses pages of another origin.

use super::AdminState;
use crate::http::listener::Peer;
use crate::http::problem::{Code, Problem};
use crate::roster::{AdminToken, Role};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// What a browser may present instead of a bearer token.
const BASIC: &str =
    "Basic realm=\"reconciled: any name, the token as password\", charset=\"UTF-8\"";

/// Who asks, once let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token's name; stands in the journal beside rulings. None for a local reader.
    pub name: Option<String>,
    /// What the caller may do.
    pub role: Role,
}

/// Lets a request through to its handler, with its `Caller` as an extension, or refuses it.
pub async fn gate(State(state): State<AdminState>, mut request: Request, next: Next) -> Response {
    let roster = state.roster.load();
    let verdict = admit(
        request.headers(),
        request.uri(),
        request.extensions().get::<Peer>().copied(),
        &roster.admin_tokens,
    );
    let is_probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    let refused = match verdict {
        Ok(caller) => {
            let refusal = may_act(&request, &caller, roster.admin_tokens.is_empty()).err();
            request.extensions_mut().insert(caller);
            refusal
        }
        Err(_) if is_probe => None,
        Err(problem) => Some(problem),
    };
    match refused {
        None => next.run(request).await,
        Some(problem) => {
            state.telemetry.admin_refused(problem.code().word());
            challenge(problem)
        }
    }
}

/// Finds out who asks.
fn admit(
    headers: &HeaderMap,
    uri: &Uri,
    peer: Option<Peer>,
    tokens: &[AdminToken],
) -> Result<Caller, Problem> {
    if tokens.is_empty() {
        return admit_local(headers, uri, peer);
    }
    let presented = presented_token(headers).ok_or_else(|| {
        Problem::new(Code::Unauthorized)
            .detail("present a token of the configuration as bearer token")
    })?;
    let digest = Sha256::digest(presented.as_bytes());
    let mut found = None;
    for token in tokens {
        let known = Sha256::digest(token.token.expose_secret().as_bytes());
        if bool::from(digest.as_slice().ct_eq(known.as_slice())) {
            found = Some(token);
        }
    }
    match found {
        Some(token) => Ok(Caller {
            name: Some(token.name.clone()),
            role: token.role,
        }),
        None => Err(Problem::new(Code::Unauthorized).detail("no such token is configured")),
    }
}

/// Without tokens, only a caller on this machine may read, and only directly: a proxy on this
/// machine would make the whole world look local, and so would a name that an attacker's page
/// resolves to loopback.
fn admit_local(headers: &HeaderMap, uri: &Uri, peer: Option<Peer>) -> Result<Caller, Problem> {
    let is_forwarded = ["forwarded", "x-forwarded-for", "x-real-ip"]
        .iter()
        .any(|name| headers.contains_key(*name));
    let is_local = match peer {
        Some(Peer::Unix) => true,
        Some(peer @ Peer::Tcp(_)) => peer.is_local() && names_this_machine(headers, uri),
        None => false,
    };
    if is_local && !is_forwarded {
        Ok(Caller {
            name: None,
            role: Role::Viewer,
        })
    } else {
        Err(Problem::new(Code::Unauthorized)
            .detail("no admin_token is configured, so only this machine may read, directly"))
    }
}

/// True when the host asked for is a loopback address or `localhost`.
fn names_this_machine(headers: &HeaderMap, uri: &Uri) -> bool {
    let Some(host) = host(headers, uri) else {
        return false;
    };
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    bare.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.to_canonical().is_loopback())
    })
}

/// The host and port that were asked for.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let field = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    field.or_else(|| uri.authority().map(|authority| authority.as_str()))
}

/// The token of `Authorization: Bearer`, or the password of `Authorization: Basic`.
fn presented_token(headers: &HeaderMap) -> Option<String> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let only = fields.next().filter(|_| fields.next().is_none())?;
    let (scheme, value) = only.to_str().ok()?.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(value.to_owned())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        decoded
            .split_once(':')
            .map(|(_, password)| password.to_owned())
    } else {
        None
    }
}

/// Refuses acts that the caller may not do, or that a page of another origin could have sent.
fn may_act(request: &Request, caller: &Caller, has_no_tokens: bool) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    if has_no_tokens {
        return Err(Problem::new(Code::RulingsNeedToken)
            .detail("configure an [[admin_token]] with role \"operator\" and present it"));
    }
    if caller.role < Role::Operator {
        return Err(Problem::new(Code::Forbidden)
            .detail("this token may read; acting needs role \"operator\""));
    }
    if let Some(origin) = request.headers().get(header::ORIGIN) {
        let own = host(request.headers(), request.uri());
        let is_own = origin.to_str().is_ok_and(|origin| {
            let bare = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            bare.is_some() && bare == own
        });
        if !is_own {
            return Err(Problem::new(Code::ForeignOrigin)
                .detail("only this listener's own pages and programs may act"));
        }
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_json = content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if is_json {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType).detail("send Content-Type: application/json"))
    }
}

/// The refusal as an answer; a 401 says what may be presented.
fn challenge(problem: Problem) -> Response {
    let needs_challenge = problem.code() == Code::Unauthorized;
    let mut response = problem.into_response();
    if needs_challenge {
        let basic = HeaderValue::from_static(BASIC);
        response
            .headers_mut()
            .append(header::WWW_AUTHENTICATE, basic);
    }
    response
}
