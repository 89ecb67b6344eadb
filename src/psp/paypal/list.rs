//! The sweep's two ways through PayPal: its record of webhook events, and the transaction search.
//!
//! The first shows at once what our own app caused, delivered or not. The second shows the whole
//! account, up to three hours late, so it is always read from four hours before the window's
//! beginning, in pieces below its limit of 31 days, and halved where PayPal finds too much. Both
//! only name payments, as of when something happened to them: one that was read since is not read
//! again. There is no list of captures.

use super::answer::{self, Effect};
use super::objects::{EventList, TransactionSummary, Transactions, linked, time, written};
use super::statement::Frame;
use super::{Paypal, event};
use crate::core::ids::ExternalRef;
use crate::core::payment::{PaymentSnapshot, Source};
use crate::core::time::{Span, Time};
use crate::psp::rules::Claims;
use crate::psp::{Failure, PspAnswer, Step, Unreadable, json};
use crate::wire::Reply;

/// How many listings there are.
pub(super) const LISTINGS: u8 = 2;
/// Events a page.
const EVENTS_PAGE: u32 = 100;
/// Transactions a page; the most that PayPal gives.
const TRANSACTIONS_PAGE: u32 = 500;
/// How far the transaction search reaches back behind the window, for data that is up to three
/// hours late.
const LAG: Span = Span::from_hours(4);
/// Longest piece of a window; PayPal takes 31 days.
const PIECE_MAX: Span = Span::from_days(30);
/// Shortest piece after halving, in seconds.
const PIECE_SECONDS_MIN: i64 = 60;
/// PayPal's clock may be this far from ours: what was read within that time after an event is
/// read once more.
const CLOCKS_APART: Span = Span::from_minutes(2);
/// The answer to a piece with too many transactions.
const TOO_LARGE: &str = "RESULTSET_TOO_LARGE";
/// Longest address of a next page, in bytes.
const CURSOR_BYTES_MAX: usize = 1024;

/// One page of one listing.
pub(super) fn step(
    paypal: &Paypal,
    frame: &Frame<'_>,
    listing: u8,
    window: (Time, Time),
    cursor: Option<&str>,
    replies: &[Reply],
) -> Result<Step, Failure> {
    match listing {
        0 => events(paypal, frame, window, cursor, replies),
        1 => transactions(paypal, frame, window, cursor, replies),
        _ => Err(Failure::Refused("no_such_listing".to_owned())),
    }
}

fn events(
    paypal: &Paypal,
    frame: &Frame<'_>,
    (from, to): (Time, Time),
    cursor: Option<&str>,
    replies: &[Reply],
) -> Result<Step, Failure> {
    let Some(reply) = replies.first() else {
        let query = cursor.map_or_else(
            || {
                let (from, to) = (written(from), written(up(to)));
                format!("start_time={from}&end_time={to}&page_size={EVENTS_PAGE}")
            },
            str::to_owned,
        );
        return paypal.get(&format!("/v1/notifications/webhooks-events?{query}"));
    };
    let body = answer::body(reply, Effect::Reads)?;
    let page = read_events(frame, body).map_err(|e| answer::malformed(&e))?;
    Ok(Step::Done(page))
}

fn read_events(frame: &Frame<'_>, body: &[u8]) -> Result<PspAnswer, Unreadable> {
    let list: EventList<'_> = json::object(body)?;
    let mut payments = Vec::new();
    for raw in &list.events {
        // An odd event must not end every sweep; the transaction search finds its money too.
        if let Ok(about) = event::about(raw.get().as_bytes()) {
            let at = about.at;
            let named = about.payments.iter().map(|id| named(frame, id, at));
            payments.extend(named);
        }
    }
    let next = match linked(&list.links, "next") {
        // A page without events is the last, whatever it points to.
        Some(href) if !list.events.is_empty() => Some(query_of(href)?),
        Some(_) | None => None,
    };
    Ok(PspAnswer::Page {
        payments,
        hints: Vec::new(),
        next,
    })
}

/// The query of a next page's address; host and path are always our own.
fn query_of(href: &str) -> Result<String, Unreadable> {
    let odd = || Unreadable {
        code: "bad_cursor",
        detail: "the address of the next page is odd".to_owned(),
    };
    let (_, query) = href.split_once('?').ok_or_else(odd)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%&=:+,".contains(&byte);
    let is_fit = !query.is_empty() && query.len() <= CURSOR_BYTES_MAX && query.bytes().all(fits);
    is_fit.then(|| query.to_owned()).ok_or_else(odd)
}

/// A piece of a window, in whole seconds, and a page of it.
struct Piece {
    from: i64,
    to: i64,
    page: u32,
}

impl Piece {
    /// Written as a cursor.
    fn cursor(&self) -> String {
        format!("{}.{}.{}", self.from, self.to, self.page)
    }

    fn parse(text: &str) -> Option<Piece> {
        let mut parts = text.split('.');
        let piece = Piece {
            from: parts.next()?.parse().ok()?,
            to: parts.next()?.parse().ok()?,
            page: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && piece.from < piece.to && piece.page > 0).then_some(piece)
    }

    /// The first page of the piece that begins here.
    fn starting(from: i64, end: i64) -> Piece {
        let most = i64::try_from(PIECE_MAX.seconds()).unwrap_or(i64::MAX);
        Piece {
            from,
            to: end.min(from.saturating_add(most)),
            page: 1,
        }
    }

    /// Its first half.
    fn halved(&self) -> Option<Piece> {
        let half = self.to.saturating_sub(self.from).checked_div(2)?;
        (half >= PIECE_SECONDS_MIN).then(|| Piece {
            from: self.from,
            to: self.from.saturating_add(half),
            page: 1,
        })
    }
}

fn transactions(
    paypal: &Paypal,
    frame: &Frame<'_>,
    (from, to): (Time, Time),
    cursor: Option<&str>,
    replies: &[Reply],
) -> Result<Step, Failure> {
    let end = up(to).seconds();
    let start = from.minus(LAG).seconds().min(end.saturating_sub(1));
    let mut piece = match cursor {
        None => Piece::starting(start, end),
        Some(text) => {
            Piece::parse(text).ok_or_else(|| Failure::Refused("bad_cursor".to_owned()))?
        }
    };
    for reply in replies {
        let body = match answer::body(reply, Effect::Reads) {
            Err(Failure::Refused(word)) if word == TOO_LARGE => {
                piece = piece.halved().ok_or(Failure::Refused(word))?;
                continue;
            }
            body => body?,
        };
        let page = read_transactions(frame, body, &piece, end);
        return page.map(Step::Done).map_err(|e| answer::malformed(&e));
    }
    let (from, to) = (Time::from_seconds(piece.from), Time::from_seconds(piece.to));
    paypal.get(&format!(
        "/v1/reporting/transactions?start_date={}&end_date={}&fields=transaction_info\
         &page_size={TRANSACTIONS_PAGE}&page={}",
        written(from),
        written(to),
        piece.page
    ))
}

fn read_transactions(
    frame: &Frame<'_>,
    body: &[u8],
    piece: &Piece,
    end: i64,
) -> Result<PspAnswer, Unreadable> {
    let list: Transactions = json::object(body)?;
    let mut payments = Vec::new();
    for row in &list.transaction_details {
        let info = &row.0.transaction_info.0;
        let at = info.transaction_updated_date.as_deref();
        let at = at.or(info.transaction_initiation_date.as_deref());
        payments.extend(about(frame, info).map(|id| named(frame, &id, at.and_then(time))));
    }
    let next = if piece.page < list.total_pages {
        Some(Piece {
            page: piece.page.saturating_add(1),
            ..*piece
        })
    } else {
        (piece.to < end).then(|| Piece::starting(piece.to, end))
    };
    Ok(PspAnswer::Page {
        payments,
        hints: Vec::new(),
        next: next.map(|piece| piece.cursor()),
    })
}

/// The payment that a row is about: itself for money coming in (`T00…`), the one it refers to for
/// refunds, reversals and disputes (`T11…`, `T12…`).
fn about(frame: &Frame<'_>, info: &TransactionSummary) -> Option<ExternalRef> {
    let code = info.transaction_event_code.as_deref()?;
    let id = if code.starts_with("T00") {
        info.transaction_id
            .as_deref()
            .filter(|_| may_be_ours(frame, info))
    } else if code.starts_with("T11") || code.starts_with("T12") {
        info.paypal_reference_id
            .as_deref()
            .filter(|_| info.paypal_reference_id_type.as_deref() == Some("TXN"))
    } else {
        None
    };
    let fits = |id: &&str| id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    ExternalRef::parse(id.filter(fits)?).ok()
}

/// False for a payment that bears no reference of ours where only such are ours: an account that
/// serves others too would be read through from end to end.
fn may_be_ours(frame: &Frame<'_>, info: &TransactionSummary) -> bool {
    let shown = ["custom_id", "invoice_id"];
    let mut paths = frame.rules.reference_paths.iter();
    let is_hidden = paths.any(|path| !shown.contains(&path.as_str()));
    let texts = [info.custom_field.as_deref(), info.invoice_id.as_deref()];
    frame.rules.claims == Claims::All
        || is_hidden
        || frame.rules.reference(texts.into_iter().flatten()).is_some()
}

/// A payment that is only named, as of when something happened to it.
fn named(frame: &Frame<'_>, id: &ExternalRef, at: Option<Time>) -> PaymentSnapshot {
    let as_of = at.map_or(frame.as_of, |at| at.plus(CLOCKS_APART).min(frame.as_of));
    let frame = Frame {
        as_of,
        source: Source::Named,
        ..*frame
    };
    frame.blank(id)
}

/// The end of a window in whole seconds, rounded up so that nothing falls between.
fn up(time: Time) -> Time {
    let whole = Time::from_seconds(time.seconds());
    if whole == time {
        whole
    } else {
        whole.plus(Span::from_seconds(1))
    }
}
