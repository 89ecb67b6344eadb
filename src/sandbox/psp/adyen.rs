//! Adyen's dialect: standard webhooks signed item by item, and modifications that are received, and
//! whose outcome is told of later.
//!
//! Facts: Adyen's documentation and library sources. The sandbox's merchant account leaves captures
//! to the shop, so one that was paid at once is authorised and captured in two events. Nothing can
//! be read. Knows the ledger and no story.

mod render;
mod routes;
mod settlement;

use super::PspSetup;
use super::dialect::{Dialect, Letter, Nature, PspCall, fingerprint, json_response, split_url};
use super::keys::{Keys, Known};
use super::kind::{Ability, Kind, Made, Place, Thing, no_files, quoted, value_of};
use super::ledger::{Change, Ledger, Note};
use crate::core::time::{Span, Time};
use crate::sandbox::fault::Fault;
use crate::sandbox::outbox::{Sealed, Sealing};
use crate::sandbox::sign::{adyen_signature, basic_login};
use crate::wire::{Headers, Request, Response};
use render::Told;
use routes::{Refusal, Route};
use serde_json::{Value, json};

/// The merchant account.
const MERCHANT_ACCOUNT: &str = "SandboxECOM";
/// User and password of the webhook.
const USER: &str = "sandbox";
const PASSWORD: &str = "sandbox-password-of-the-webhook";
/// A key that nobody shares.
const STRANGE_KEY: &str = "ee00ee00ee00ee00ee00ee00ee00ee00ee00ee00ee00ee00ee00ee00ee00ee00";
/// How long an idempotency key is remembered.
const KEY_LIFETIME: Span = Span::from_days(7);
/// Longest idempotency key, in characters.
const KEY_CHARS_MAX: usize = 64;

/// Adyen's line in the table.
pub const KIND: Kind = Kind {
    word: "adyen",
    name: "Adyen",
    account: "adyen_nl",
    api_key: "sandbox-key-of-the-api-credential",
    webhook_secret: "5a0d0b0c5a0d0b0c5a0d0b0c5a0d0b0c5a0d0b0c5a0d0b0c5a0d0b0c5a0d0b0c",
    told_of_payment: 2,
    lacks: &[
        (Ability::Fetch, "there is no call that shows one payment"),
        (
            Ability::List,
            "there is no list of payments; what was not told of stands in a report of the next day",
        ),
        (
            Ability::RefundList,
            "there is no list of refunds; events alone tell what became of one",
        ),
        (
            Ability::SignedTime,
            "the eight signed fields hold no moment: an old item stays valid for ever",
        ),
        (
            Ability::EventId,
            "events have no id: the same eight fields again are the same event",
        ),
        (
            Ability::BalanceWait,
            "a refund that waits for the balance says nothing until it is done",
        ),
        (
            Ability::Mode,
            "the mode is not signed: what says that it is of the other one is ignored",
        ),
    ],
    id,
    dialect: || Box::new(Adyen::new()),
    config,
    files: no_files,
};

fn id(made: &Made<'_>) -> String {
    let letter = match made.thing {
        Thing::Payment => 'P',
        Thing::Charge => 'A',
        Thing::Capture => 'C',
        Thing::Refund => 'R',
        Thing::Dispute => 'D',
        Thing::Event => 'M',
    };
    format!("SANDBOX{letter}{:08}", made.number)
}

fn config(setup: &PspSetup, place: &Place<'_>) -> Vec<(&'static str, String)> {
    vec![
        ("api_key", value_of(&setup.api_key)),
        ("api_base", quoted(&format!("{}/v72", place.api_base))),
        ("merchant_account", quoted(MERCHANT_ACCOUNT)),
        ("capture", quoted("manual")),
        (
            "webhook_secrets",
            format!("[{}]", value_of(&setup.webhook_secret)),
        ),
        ("webhook_user", quoted(USER)),
        ("webhook_password", value_of(PASSWORD)),
        ("reference_pattern", quoted("^.{1,40}$")),
    ]
}

/// What Adyen keeps beside the books.
#[derive(Clone)]
struct Adyen {
    keys: Keys,
}

impl Adyen {
    fn new() -> Adyen {
        Adyen {
            keys: Keys::new(KEY_LIFETIME),
        }
    }

    /// Checks the account's key and the request's; gives the remembered answer when there is one.
    fn admitted(
        &mut self,
        ledger: &Ledger,
        request: &Request,
        now: Time,
    ) -> Result<Option<Response>, Refusal> {
        if request.headers.single("x-api-key") != Some(ledger.setup().api_key.as_str()) {
            return Err(Refusal(401, "000", "security"));
        }
        let Some(key) = key_of(request) else {
            return Ok(None);
        };
        if key.chars().count() > KEY_CHARS_MAX {
            return Err(Refusal(400, "702", "validation"));
        }
        match self.keys.ask(key, &fingerprint(request), now) {
            Known::Nothing => Ok(None),
            Known::OtherRequest => Err(Refusal(422, "100", "validation")),
            Known::Busy => Err(Refusal(422, "704", "validation")),
            Known::Answered(mut replayed) => {
                replayed.headers.push("idempotency-key", key);
                Ok(Some(replayed))
            }
        }
    }
}

fn key_of(request: &Request) -> Option<&str> {
    request.headers.single("idempotency-key")
}

impl Dialect for Adyen {
    fn nature(&self, ledger: &Ledger, request: &Request) -> Nature {
        let key = key_of(request).map(str::to_owned);
        let (path, _) = split_url(&request.url);
        let (call, about) = match Route::parse(request.method, path) {
            Some(route) => (route.call(ledger), Some(route.payment())),
            None => (PspCall::Other, None),
        };
        Nature {
            call,
            about: about.map(|id| ledger.records().subject_of(id)),
            key,
        }
    }

    fn answer(&mut self, ledger: &mut Ledger, request: &Request, now: Time) -> Response {
        let answered = match self.admitted(ledger, request, now) {
            Ok(Some(replayed)) => return replayed,
            Ok(None) => routes::answer(ledger, request, now),
            Err(refusal) => Err(refusal),
        };
        match answered {
            Ok(received) => {
                let reply = json_response(201, &received);
                if let Some(key) = key_of(request) {
                    self.keys.remember(key, &fingerprint(request), &reply, now);
                }
                reply
            }
            Err(Refusal(status, code, kind)) => {
                let body = json!({
                    "status": status,
                    "errorCode": code,
                    "message": "refused by the sandbox",
                    "errorType": kind,
                });
                json_response(status, &body)
            }
        }
    }

    fn struck(&mut self, key: &str, fault: &Fault, shown: Option<&Response>, now: Time) {
        self.keys.struck(key, fault, shown, now);
    }

    fn tell(&mut self, ledger: &mut Ledger, change: &Change, now: Time) {
        for told in render::events(ledger, change) {
            post(ledger, &change.id, told, now);
        }
    }

    /// Each item is signed; `EXPIRE` is not.
    fn seal(&self, setup: &PspSetup, letter: Letter<'_>, sealing: Sealing) -> Sealed {
        let key = if sealing.is_secret_wrong {
            STRANGE_KEY
        } else {
            &setup.webhook_secret
        };
        let mut notice: Value = serde_json::from_slice(letter.body).unwrap_or_default();
        let items = notice.get_mut("notificationItems");
        for wrapped in items.and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(item) = wrapped.get_mut("NotificationRequestItem") else {
                continue;
            };
            let signature = adyen_signature(key, &render::signed_text(item));
            let is_signed = item.get("eventCode").and_then(Value::as_str) != Some("EXPIRE");
            let more = item.get_mut("additionalData");
            if let (true, Some(more)) = (is_signed, more.and_then(Value::as_object_mut)) {
                more.insert("hmacSignature".to_owned(), signature.into());
            }
        }
        let login = basic_login(USER, PASSWORD);
        let headers = Headers::new().with("authorization", &login);
        Sealed::json(headers, notice.to_string().as_bytes())
    }

    fn report(&self, ledger: &Ledger) -> Option<String> {
        Some(settlement::report(ledger))
    }

    fn forget_keys(&mut self) {
        self.keys = Keys::new(KEY_LIFETIME);
    }

    fn copied(&self) -> Box<dyn Dialect> {
        Box::new(self.clone())
    }
}

/// Queues a notice with this one item.
fn post(ledger: &mut Ledger, about: &str, told: Told, now: Time) {
    let item = render::item(ledger, &told, now);
    let is_live = ledger.setup().is_live.to_string();
    let notice = json!({
        "live": is_live,
        "notificationItems": [{"NotificationRequestItem": item}],
    });
    let note = Note {
        id: ledger.new_id(Thing::Event, None),
        kind: told.event.to_owned(),
        told: told.tells,
        about: about.to_owned(),
        body: notice.to_string().into_bytes(),
    };
    ledger.post(note, now);
}

#[cfg(test)]
mod tests;
