//! PayPal's dialect: its API over bytes, its tokens and request ids, its events and the
//! certificate that they are signed with.
//!
//! A payment of the books that is taken at once is a capture with the payment's own id; one that
//! is held first is an authorisation with that id, and what is taken of it has captures of their
//! own. Orders stand around both and are named after them. Facts: PayPal's API descriptions. Knows
//! the ledger and no story.

mod refusal;
mod render;
mod routes;
mod sealing;

use super::PspSetup;
use super::dialect::{Dialect, Letter, Nature, PspCall, fingerprint, json_response, split_url};
use super::form::Form;
use super::keys::{Keys, Known};
use super::kind::{Ability, Kind, Made, Place, Thing, quoted, value_of};
use super::ledger::{Change, Ledger, Note, Told};
use crate::core::time::{Span, Time};
use crate::sandbox::fault::{Fault, response};
use crate::sandbox::outbox::{Sealed, Sealing};
use crate::wire::{Request, Response};
use refusal::Refusal;
use render::View;
use routes::{Endpoints, Route};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// PayPal's line in the table.
pub const KIND: Kind = Kind {
    word: "paypal",
    name: "PayPal",
    account: "paypal_nl",
    api_key: "sandbox-secret-of-the-sandbox-psp",
    webhook_secret: "0SANDBOXWEBHOOK01",
    told_of_payment: 1,
    lacks: &[
        (
            Ability::SignedTime,
            "the time is signed, but PayPal sends for days and names no tolerance: a copy within a \
             week is told by its transmission id alone",
        ),
        (
            Ability::Statement,
            "the signature covers a checksum of the body, so a delivery only names payments",
        ),
        (
            Ability::BalanceWait,
            "PayPal declines a refund that the balance does not cover",
        ),
        (
            Ability::Mode,
            "nothing in a delivery bears the mode: sandbox and live differ by certificate and host",
        ),
    ],
    id,
    dialect: || Box::new(Paypal::new()),
    config,
    files,
};

/// How long a request id is remembered.
pub const KEY_LIFETIME: Span = Span::from_days(45);
/// The client id of the sandbox's app.
const CLIENT_ID: &str = "sandbox-client-of-the-sandbox-psp";
/// The file of trusted certificates.
const ROOTS: &str = "paypal_test_root.pem";

/// Seventeen letters and digits, like PayPal's own.
fn id(made: &Made<'_>) -> String {
    let last = match made.thing {
        Thing::Payment => 'P',
        Thing::Charge => 'H',
        Thing::Capture => 'C',
        Thing::Refund => 'R',
        Thing::Dispute => 'D',
        Thing::Event => 'E',
    };
    format!("0SBX{:012}{last}", made.number)
}

fn config(setup: &PspSetup, place: &Place<'_>) -> Vec<(&'static str, String)> {
    let roots = place.dir.join(ROOTS);
    vec![
        ("client_id", quoted(CLIENT_ID)),
        ("client_secret", value_of(&setup.api_key)),
        ("webhook_id", quoted(&setup.webhook_secret)),
        ("cert_roots", quoted(&roots.display().to_string())),
        ("api_base", quoted(place.api_base)),
    ]
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![(ROOTS, sealing::ROOT.to_vec())]
}

/// What PayPal keeps beside the books.
#[derive(Clone)]
struct Paypal {
    keys: Keys,
    /// Where callers find us, by their own word: `127.0.0.1:…`. Certificates lie there.
    host: Option<String>,
}

impl Paypal {
    fn new() -> Paypal {
        Paypal {
            keys: Keys::new(KEY_LIFETIME),
            host: None,
        }
    }

    /// Checks the token and the request id; gives the remembered answer when there is one.
    fn admitted(
        &mut self,
        ledger: &Ledger,
        request: &Request,
        now: Time,
    ) -> Result<Option<Response>, Refusal> {
        let bearer = format!("Bearer {}", token(ledger.setup()));
        if request.headers.single("authorization") != Some(bearer.as_str()) {
            return Err(Refusal::wrong_token());
        }
        let Some(key) = request.headers.single("paypal-request-id") else {
            return Ok(None);
        };
        match self.keys.ask(key, &fingerprint(request), now) {
            Known::Nothing => Ok(None),
            Known::OtherRequest => Err(Refusal::ruled_out("DUPLICATE_REQUEST_ID")),
            Known::Busy => Err(Refusal::busy()),
            Known::Answered(replayed) => Ok(Some(replayed)),
        }
    }
}

/// The token that the account's present secret gets; another secret makes it worthless.
fn token(setup: &PspSetup) -> String {
    let digest = hex::encode(Sha256::digest(setup.api_key.as_bytes()));
    format!("A21AA{}", digest.chars().take(40).collect::<String>())
}

/// The answer of the token endpoint.
fn signed_in(ledger: &Ledger, request: &Request) -> Response {
    let basic = sealing::basic(CLIENT_ID, &ledger.setup().api_key);
    let is_asked_well = request.body == b"grant_type=client_credentials";
    if request.headers.single("authorization") != Some(basic.as_str()) || !is_asked_well {
        let body = json!({"error": "invalid_client",
                          "error_description": "Client Authentication failed"});
        return json_response(401, &body);
    }
    let body = json!({"scope": "https://uri.paypal.com/services/payments/refund",
                      "access_token": token(ledger.setup()), "token_type": "Bearer",
                      "app_id": "APP-SANDBOX", "expires_in": 32_400, "nonce": "sandbox"});
    json_response(200, &body)
}

impl Dialect for Paypal {
    fn nature(&self, ledger: &Ledger, request: &Request) -> Nature {
        let key = request.headers.single("paypal-request-id");
        let key = key.map(str::to_owned);
        let (path, query) = split_url(&request.url);
        let Some(route) = Route::parse(request.method, path) else {
            let nature = Nature::of(PspCall::Other);
            return Nature { key, ..nature };
        };
        let form = Form::parse(query).unwrap_or_default();
        let fields = ["disputed_transaction_id", "transaction_id"];
        let filtered = fields.iter().find_map(|field| form.one(field));
        let is_filtered = filtered.is_some();
        let view = View { ledger };
        let named = route.subject().or(filtered);
        Nature {
            call: route.kind(is_filtered),
            about: named.map(|id| ledger.records().subject_of(&view.known_as(id))),
            key,
        }
    }

    fn answer(&mut self, ledger: &mut Ledger, request: &Request, now: Time) -> Response {
        if let Some(host) = request.headers.single("host") {
            self.host = Some(host.to_owned());
        }
        let (path, query) = split_url(&request.url);
        let Some(route) = Route::parse(request.method, path) else {
            return Refusal::unknown_path().response();
        };
        match route {
            Route::Token => return signed_in(ledger, request),
            Route::Certificate(name) if name == sealing::CERTIFICATE => {
                return response(200, "application/x-pem-file", sealing::CHAIN);
            }
            Route::Certificate(_) => return response(404, "text/plain", b""),
            Route::Capture(_)
            | Route::RefundCapture(_)
            | Route::Authorization(_)
            | Route::Void(_)
            | Route::Refund(_)
            | Route::Order(_)
            | Route::Disputes
            | Route::Dispute(_)
            | Route::Events
            | Route::Transactions
            | Route::Webhook(_) => {}
        }
        match self.admitted(ledger, request, now) {
            Ok(Some(replayed)) => return replayed,
            Ok(None) => {}
            Err(refusal) => return refusal.response(),
        }
        let reply = (Endpoints { ledger }).answer(route, query, &request.body, now);
        let reply = reply.unwrap_or_else(|refusal| refusal.response());
        if let Some(key) = request.headers.single("paypal-request-id") {
            self.keys.remember(key, &fingerprint(request), &reply, now);
        }
        reply
    }

    fn struck(&mut self, key: &str, fault: &Fault, shown: Option<&Response>, now: Time) {
        self.keys.struck(key, fault, shown, now);
    }

    fn tell(&mut self, ledger: &mut Ledger, change: &Change, now: Time) {
        let view = View { ledger };
        let Some((kind, resource_type, resource)) = event_of(&view, change) else {
            return;
        };
        let id = ledger.new_id(Thing::Event, None);
        let event = json!({
            "id": format!("WH-{id}"), "event_version": "1.0", "resource_version": "2.0",
            "create_time": render::time(now.seconds()), "event_type": kind,
            "resource_type": resource_type, "summary": kind, "resource": resource, "links": [],
        });
        let note = Note {
            id,
            kind: kind.to_owned(),
            told: Some(change.told),
            about: change.id.clone(),
            body: event.to_string().into_bytes(),
        };
        ledger.post(note, now);
    }

    fn seal(&self, setup: &PspSetup, letter: Letter<'_>, how: Sealing) -> Sealed {
        let webhook_id = match how.is_secret_wrong {
            true => "0NOBODYSWEBHOOK00",
            false => &setup.webhook_secret,
        };
        let host = self.host.as_deref().unwrap_or("127.0.0.1");
        Sealed::json(
            sealing::headers(host, webhook_id, &letter, how.at),
            letter.body,
        )
    }

    fn copied(&self) -> Box<dyn Dialect> {
        Box::new(self.clone())
    }
}

/// How PayPal tells of a change: type, kind of resource, resource. Not of everything.
fn event_of(view: &View<'_>, change: &Change) -> Option<(&'static str, &'static str, Value)> {
    let id = change.id.as_str();
    let capture = |kind| Some((kind, "capture", view.capture(&view.taken_as(id)?)?));
    let refund = |kind| Some((kind, "refund", view.refund(id)?));
    let dispute = |kind| Some((kind, "dispute", view.dispute(id)?));
    let authorization = |kind| Some((kind, "authorization", view.authorization(id)?));
    match change.told {
        Told::Opened => None,
        Told::Processing => capture("PAYMENT.CAPTURE.PENDING"),
        Told::Failed => {
            let payment = view.ledger.records().payments.get(id)?;
            let failed = payment.latest_charge.as_deref()?;
            let shown = view.capture(failed)?;
            Some(("PAYMENT.CAPTURE.DECLINED", "capture", shown))
        }
        Told::Authorised => authorization("PAYMENT.AUTHORIZATION.CREATED"),
        Told::Paid | Told::PaidAgain | Told::Captured => capture("PAYMENT.CAPTURE.COMPLETED"),
        Told::Cancelled | Told::Expired => authorization("PAYMENT.AUTHORIZATION.VOIDED")
            .or_else(|| capture("PAYMENT.CAPTURE.DECLINED")),
        Told::RefundMade => match view.refund(id)?.get("status")?.as_str()? {
            "PENDING" => refund("PAYMENT.REFUND.PENDING"),
            _ => refund("PAYMENT.CAPTURE.REFUNDED"),
        },
        Told::RefundDone => refund("PAYMENT.CAPTURE.REFUNDED"),
        Told::RefundFailed | Told::RefundReversed | Told::RefundCancelled => {
            refund("PAYMENT.REFUND.FAILED")
        }
        Told::Disputed => dispute("CUSTOMER.DISPUTE.CREATED"),
        Told::DisputeWon | Told::DisputeLost => dispute("CUSTOMER.DISPUTE.RESOLVED"),
    }
}

#[cfg(test)]
mod tests;
